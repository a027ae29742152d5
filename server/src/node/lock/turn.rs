//! A place and its turn. Where this member leads, both are asked for at once: whoever has to wait
//! need not hear of its place first, which saves its caller and the sequencer a wake-up each.

use std::time::Duration;

use bytes::Bytes;
use portunus_proto::etcdserverpb as pb;
use portunus_proto::etcdserverpb::request_op::Request as Op;
use tokio::runtime::Handle;
use tokio::sync::oneshot::{self, Receiver};

use super::line::{LineError, turn};
use super::place::{Place, Standing};
use crate::decide::{LockRefusal, Refusal, Reply, Request};
use crate::node::answer::{Bounce, Call, Delivery, Executed, Next};
use crate::node::ask::{Ask, Said};
use crate::node::finishing::Finishing;
use crate::node::{Error, Failure, Node};
use crate::types::LeaseId;

/// A place whose turn has come, and the revision at which it was seen.
pub struct Turn {
    pub place: Place,
    pub revision: i64,
}

impl Node {
    /// Takes a place in the line of `name` for `lease`, or finds the one it has, and waits until
    /// everybody who came before is gone. With lease 0 the server grants one. When `stop` comes
    /// first it is `None`, and who has a lease goes on waiting elsewhere, in the same place.
    ///
    /// # Errors
    /// Refusals of the transaction, such as a lease that does not exist; the place is lost.
    pub async fn take_turn(
        &self,
        name: Bytes,
        lease: LeaseId,
        stop: impl Future<Output = ()>,
    ) -> Result<Option<Turn>, LineError> {
        tokio::pin!(stop);
        let (place, standing) = match self.shared.reign() {
            Some(_) => {
                let wishing = self.clone().wish_for(name.clone(), lease);
                let wish = Finishing::new(&self.shared.runtime, wishing).await?;
                match self.ask_for_both(wish, &mut stop).await? {
                    Found::Turn(turn) => return Ok(Some(turn)),
                    Found::Place(place, standing) => (place, standing),
                    Found::Nothing(wish) => {
                        Finishing::new(&self.shared.runtime, wish.take(Bytes::new())).await?
                    }
                    Found::Stopped => return Ok(None),
                }
            }
            None => self.line_up(name.clone(), lease, Bytes::new()).await?,
        };
        self.wait_there(&name, place, standing, stop).await
    }

    async fn wish_for(self, name: Bytes, lease: LeaseId) -> Result<Place, Error> {
        self.wish(&name, lease).await
    }

    async fn wait_there(
        &self,
        name: &Bytes,
        mut place: Place,
        standing: Standing,
        stop: impl Future<Output = ()>,
    ) -> Result<Option<Turn>, LineError> {
        if standing.is_first {
            let revision = place.at;
            return Ok(Some(Turn { place, revision }));
        }
        tokio::select! {
            turn = self.await_turn(name, &place) => {
                Ok(Some(Turn { revision: turn?, place }))
            }
            () = stop => {
                place.hand_over();
                Ok(None)
            }
        }
    }

    /// Asks this member's sequencer.
    async fn ask_for_both(
        &self,
        wish: Place,
        stop: &mut (impl Future<Output = ()> + Unpin),
    ) -> Result<Found, LineError> {
        let (call, last) = Call::new(Ask::Decide(Request::Txn(wish.txn(&Bytes::new()))));
        let (tell, first) = oneshot::channel();
        let call = call.by(self.caller.clone()).then(Next { ask: turn_after, first: tell });
        self.submit(call).map_err(Error::from)?;
        let limit = self.shared.options.request_timeout();
        let runtime = self.shared.runtime.clone();
        let (first, last) = (Some(first), Some(last));
        let mut asked = Asked { place: Some(wish), first, last, limit, runtime };
        let delivered = tokio::select! {
            delivered = asked.delivered() => delivered?,
            () = stop => {
                asked.hand_over();
                return Ok(Found::Stopped);
            }
        };
        asked.found(delivered).await
    }
}

/// What asking for both came to.
enum Found {
    Turn(Turn),
    /// The turn is to be asked for elsewhere, or has come already.
    Place(Place, Standing),
    /// Both are to be asked for elsewhere.
    Nothing(Place),
    Stopped,
}

/// The turn of a place behind others.
fn turn_after(ask: &Ask, said: &Said) -> Option<Ask> {
    let (Ask::Decide(Request::Txn(txn)), Said::Reply(Reply::Txn(taken))) = (ask, said) else {
        return None;
    };
    let standing = Standing::of(taken).ok().filter(|standing| !standing.is_first)?;
    let Some(pb::RequestOp { request: Some(Op::RequestPut(put)) }) = txn.success.first() else {
        return None;
    };
    let slash = put.key.iter().rposition(|byte| *byte == b'/')?;
    Some(Ask::Decide(turn(put.key.slice(..slash), put.key.clone(), standing.revision)))
}

/// A place and a turn on their way. Dropped before it has an answer it gives the place up.
struct Asked {
    /// `None` once somebody else sees to it.
    place: Option<Place>,
    /// What taking the place came to, if its turn was asked for then.
    first: Option<Receiver<Delivery>>,
    /// What the turn came to, or the place if no turn was asked for.
    last: Option<Receiver<Delivery>>,
    limit: Duration,
    runtime: Handle,
}

impl Asked {
    /// The last word. The place must be taken in time; its turn may be as long in coming as it
    /// likes.
    async fn delivered(&mut self) -> Result<Delivery, LineError> {
        let mut told = tokio::time::timeout(self.limit, answer(&mut self.last)).await;
        if told.is_err() && self.first.as_ref().is_some_and(|first| !first.is_empty()) {
            told = Ok(answer(&mut self.last).await);
        }
        let told = told.map_err(|_| Error::Failed(Failure::TimedOut))?;
        Ok(told.unwrap_or(Err(Bounce::Unknown(Failure::TimedOutLeaderFailed))))
    }

    async fn found(mut self, delivered: Delivery) -> Result<Found, LineError> {
        if let Ok(Executed { result: Ok(Said::Reply(Reply::Txn(taken))), .. }) = delivered {
            let mut place = self.place.take().ok_or(LineError::Lost)?;
            let standing = place.taken(&taken)?;
            return Ok(Found::Place(place, standing));
        }
        let first = tokio::time::timeout(self.limit, answer(&mut self.first)).await;
        let first = first.map_err(|_| Error::Failed(Failure::TimedOut))?;
        let mut place = self.place.take().ok_or(LineError::Lost)?;
        let Some(first) = first else {
            // No turn was asked for: the word is on the place.
            of_place(delivered)?;
            return Ok(Found::Nothing(place));
        };
        let Some(taken) = of_place(first)? else { return Ok(Found::Nothing(place)) };
        let standing = place.taken(&taken)?;
        match delivered {
            Ok(Executed { result: Ok(Said::Reply(Reply::Lock(said))), .. }) => {
                Ok(Found::Turn(Turn { place, revision: said.revision }))
            }
            Ok(Executed { result: Err(Refusal::Lock(LockRefusal::Lost { .. })), .. }) => {
                Err(LineError::Lost)
            }
            Ok(Executed { result: Err(refusal), .. }) => Err(Error::Refused(refusal).into()),
            // The leader changed: the place stands, and its turn is asked for again.
            _ => Ok(Found::Place(place, standing)),
        }
    }

    /// This member stops: a client that has a lease goes on waiting elsewhere.
    fn hand_over(mut self) {
        if let Some(mut place) = self.place.take() {
            place.hand_over();
        }
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        let Some(mut place) = self.place.take() else { return };
        let (mut first, mut last) = (self.first.take(), self.last.take());
        // Whether there is a key to take away is not known before the answer.
        self.runtime.spawn(async move {
            let delivered = match answer(&mut first).await {
                None => answer(&mut last).await,
                delivered => delivered,
            };
            if let Some(Ok(Some(taken))) = delivered.map(of_place) {
                // A place that is not there is not this call's to give up.
                drop(place.taken(&taken));
            }
        });
    }
}

/// What is told, once; `None` when nothing will be. The receiver stays until it is.
async fn answer(receiver: &mut Option<Receiver<Delivery>>) -> Option<Delivery> {
    let told = receiver.as_mut()?.await;
    *receiver = None;
    told.ok()
}

/// What the transaction found; `None` when it was not executed and can be asked elsewhere.
fn of_place(delivered: Delivery) -> Result<Option<pb::TxnResponse>, LineError> {
    let error = match delivered {
        Ok(Executed { result: Ok(Said::Reply(Reply::Txn(taken))), .. }) => return Ok(Some(taken)),
        Ok(Executed { result: Ok(_), .. }) => Error::Failed(Failure::TimedOutConnectionLost),
        Ok(Executed { result: Err(refusal), .. }) => Error::Refused(refusal),
        Err(Bounce::NotExecuted(
            _,
            Failure::NoLeader | Failure::NotLeader | Failure::LeaderChanged,
        )) => return Ok(None),
        Err(bounce) => bounce.into(),
    };
    Err(error.into())
}

#[cfg(test)]
#[path = "turn_test.rs"]
mod tests;
