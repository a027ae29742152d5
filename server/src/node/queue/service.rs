//! What the services ask of locks and queues, from any member.

use std::time::Duration;

use bytes::Bytes;
use portunus_proto::portunus::v1::{
    QueueAsk, QueueDequeueRequest, QueueDequeueResponse, QueueEnqueueRequest, QueueExplainResponse,
    QueueItem, QueuePeekRequest, QueueSaid, QueueStatsResponse, QueueWithdrawRequest,
    queue_ask::Ask, queue_said::Said,
};
use tokio::sync::oneshot;

use crate::decide::{Refusal, Reply, Request, queue};
use crate::machine::State;
use crate::node::answer::Executed;
use crate::node::handle::LEADER_NEWS;
use crate::node::plugin::condition_word;
use crate::node::{Error, Failure, Node, ask};

impl Node {
    /// Decides what may wait as long as the caller does. A change of leader while it waits is not
    /// noticed: nothing was executed. With `repeats`, it may be executed more than once.
    pub(in crate::node) async fn decide_waiting(
        &self,
        mut request: Request,
        repeats: bool,
    ) -> Result<Reply, Error> {
        loop {
            match self.ask_leader(ask::Ask::Decide(request.clone())).await {
                Ok(Executed { result, index }) => {
                    self.shared.applied.reached(index).await;
                    return match result? {
                        ask::Said::Reply(reply) => Ok(reply),
                        _ => Err(Failure::TimedOutConnectionLost.into()),
                    };
                }
                Err(Error::Failed(Failure::LeaderChanged)) => {}
                Err(Error::Failed(failure)) if repeats && is_passing(failure) => {
                    tokio::time::sleep(LEADER_NEWS).await;
                }
                Err(error) => return Err(error),
            }
            if let Request::Queue(QueueAsk { ask: Some(Ask::Dequeue(dequeue)), .. }) = &mut request
            {
                dequeue.again = true;
            }
        }
    }

    /// Asks a queue what does not wait for long.
    pub async fn queue(&self, ask: Ask) -> Result<QueueSaid, Error> {
        queued(self.write(Request::Queue(QueueAsk { ask: Some(ask), readiness: None })).await?)
    }

    /// Asks a queue what may wait: for items, or for room. With `repeats` it may be executed more
    /// than once.
    pub async fn queue_waiting(&self, ask: Ask, repeats: bool) -> Result<QueueSaid, Error> {
        let request = Request::Queue(QueueAsk { ask: Some(ask), readiness: None });
        queued(self.decide_waiting(request, repeats).await?)
    }

    /// Puts items in. Asked again by itself if every item has an id of its own: those that were
    /// put in are found by it.
    pub async fn enqueue(&self, request: QueueEnqueueRequest) -> Result<QueueSaid, Error> {
        let repeats = request.items.iter().all(|item| !item.dedup_id.is_empty());
        let blocks = |state: &State| queue::blocks(state, &request.queue);
        let waits = request.wait || self.shared.applied.with(|version| blocks(&version.state));
        let patience = (!waits).then(|| self.shared.options.request_timeout());
        tokio::select! {
            said = self.queue_waiting(Ask::Enqueue(request), repeats) => said,
            () = passed(patience) => Err(Failure::TimedOut.into()),
        }
    }

    /// Takes items. Those that come when the caller has gone are given back. Asked again when an
    /// answer is lost: a call has a number, and finds by it what it has taken.
    pub async fn dequeue(
        &self,
        mut request: QueueDequeueRequest,
    ) -> Result<(i64, QueueDequeueResponse), Error> {
        request.own_lease = if request.lease == 0 { rand::random_range(1..=i64::MAX) } else { 0 };
        request.call = rand::random_range(1..=i64::MAX);
        request.again = false;
        let (mut caller, answer) = oneshot::channel();
        let node = self.clone();
        self.shared.runtime.spawn(async move {
            let withdraw = QueueWithdrawRequest {
                queue: request.queue.clone(),
                lease: request.lease.max(request.own_lease),
                call: request.call,
            };
            let patience = (!request.wait).then(|| node.shared.options.request_timeout());
            let said = tokio::select! {
                said = node.queue_waiting(Ask::Dequeue(request), true) => said,
                () = caller.closed() => return node.withdraw(withdraw).await,
                () = passed(patience) => Err(Failure::TimedOut.into()),
            };
            let is_known = !matches!(said, Err(Error::Failed(_)));
            if caller.send(said).is_err() || !is_known {
                node.withdraw(withdraw).await;
            }
        });
        let said = answer.await.unwrap_or(Err(Failure::Stopped.into()))?;
        match said.said {
            Some(Said::Dequeued(dequeued)) => Ok((said.revision, dequeued)),
            _ => Err(Failure::TimedOutConnectionLost.into()),
        }
    }

    /// Nobody will hear what the call has taken, if it has.
    async fn withdraw(&self, request: QueueWithdrawRequest) {
        // What fails comes back with the end of its claim.
        if let Err(error) = self.queue(Ask::Withdraw(request)).await {
            tracing::debug!(%error, "items are not given back");
        }
    }

    /// The first items of a shelf, and the revision at which they were there.
    pub async fn queue_peek(
        &self,
        request: QueuePeekRequest,
    ) -> Result<(i64, Vec<QueueItem>), Error> {
        self.look(|state| queue::peek(state, &request)).await
    }

    pub async fn queue_stats(&self, name: Bytes) -> Result<(i64, QueueStatsResponse), Error> {
        self.look(|state| queue::stats(state, &name)).await
    }

    /// What a dequeue would wait for, by this member's clock. A plugin that the condition names is
    /// asked, and nothing comes of it.
    ///
    /// # Errors
    /// No leader, or a plugin that this member is still compiling: then `TooManyRequests`.
    pub async fn queue_explain(&self, name: Bytes) -> Result<(i64, QueueExplainResponse), Error> {
        self.linearizable().await?;
        let shared = self.shared.clone();
        let explained = tokio::task::spawn_blocking(move || {
            let (now_ms, version) = (shared.clock.unix_ms(), shared.applied.load());
            let state = queue::tidied(&version.state, &name, now_ms)?;
            let said =
                condition_word(&shared, &state, &name, now_ms).ok_or(Failure::TooManyRequests)?;
            let explained = queue::explain(&state, &name, said.as_ref(), now_ms)?;
            Ok((version.state.revision, explained))
        });
        explained.await.unwrap_or(Err(Failure::Stopped.into()))
    }

    /// A linearizable look at the state.
    pub(in crate::node) async fn look<T>(
        &self,
        look: impl FnOnce(&State) -> Result<T, Refusal>,
    ) -> Result<(i64, T), Error> {
        self.linearizable().await?;
        let version = self.shared.applied.load();
        Ok((version.state.revision, look(&version.state)?))
    }
}

/// Failures that another try may not meet. Whatever came of the first is found by the next.
fn is_passing(failure: Failure) -> bool {
    use Failure::{
        NoLeader, NotLeader, TimedOut, TimedOutApplying, TimedOutConnectionLost,
        TimedOutLeaderFailed,
    };
    matches!(
        failure,
        NoLeader
            | NotLeader
            | TimedOut
            | TimedOutApplying
            | TimedOutConnectionLost
            | TimedOutLeaderFailed
    )
}

async fn passed(patience: Option<Duration>) {
    match patience {
        Some(patience) => tokio::time::sleep(patience).await,
        None => std::future::pending().await,
    }
}

fn queued(reply: Reply) -> Result<QueueSaid, Error> {
    match reply {
        Reply::Queue(said) => Ok(said),
        _ => Err(Failure::TimedOutConnectionLost.into()),
    }
}
