//! What the services ask of locks and queues, from any member.

use bytes::Bytes;
use portunus_proto::portunus::v1::{
    QueueAsk, QueueDequeueRequest, QueueDequeueResponse, QueueExplainResponse, QueueItem,
    QueueNackRequest, QueuePeekRequest, QueueSaid, QueueStatsResponse, queue_ask::Ask,
    queue_said::Said,
};
use tokio::sync::oneshot;

use crate::decide::{Refusal, Reply, Request, queue};
use crate::machine::State;
use crate::node::answer::Executed;
use crate::node::handle::LEADER_NEWS;
use crate::node::{Error, Failure, Node, ask};

impl Node {
    /// Decides what may wait as long as the caller does. A change of leader while it waits is not
    /// noticed: nothing was executed. With `repeats`, it may be executed more than once.
    pub(in crate::node) async fn decide_waiting(
        &self,
        request: Request,
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
                Err(Error::Failed(Failure::Stopped)) => return Err(Failure::Stopped.into()),
                Err(Error::Failed(_)) if repeats => tokio::time::sleep(LEADER_NEWS).await,
                Err(error) => return Err(error),
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

    /// Takes items. Those that come when the caller has gone are given back.
    pub async fn dequeue(
        &self,
        mut request: QueueDequeueRequest,
    ) -> Result<(i64, QueueDequeueResponse), Error> {
        if request.lease == 0 {
            request.own_lease = rand::random_range(1..=i64::MAX);
        }
        // Executed again under its own lease it finds what it has taken.
        let repeats = request.lease == 0;
        let (mut caller, answer) = oneshot::channel();
        let node = self.clone();
        self.shared.runtime.spawn(async move {
            let queue = request.queue.clone();
            let said = tokio::select! {
                said = node.queue_waiting(Ask::Dequeue(request), repeats) => said,
                () = caller.closed() => return,
            };
            if let Err(Ok(said)) = caller.send(said) {
                node.give_back(queue, said).await;
            }
        });
        let said = answer.await.unwrap_or(Err(Failure::Stopped.into()))?;
        match said.said {
            Some(Said::Dequeued(dequeued)) => Ok((said.revision, dequeued)),
            _ => Err(Failure::TimedOutConnectionLost.into()),
        }
    }

    async fn give_back(&self, queue: Bytes, said: QueueSaid) {
        let Some(Said::Dequeued(dequeued)) = said.said else { return };
        let claims: Vec<_> = dequeued.deliveries.into_iter().filter_map(|it| it.claim).collect();
        if claims.is_empty() {
            return;
        }
        let reason = "its consumer went away".to_owned();
        let nack = QueueNackRequest { queue, claims, reason, ..QueueNackRequest::default() };
        // What fails comes back with the end of its claim.
        if let Err(error) = self.queue(Ask::Nack(nack)).await {
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

    /// What a dequeue would wait for, by this member's clock.
    pub async fn queue_explain(&self, name: Bytes) -> Result<(i64, QueueExplainResponse), Error> {
        let now_ms = self.shared.clock.unix_ms();
        self.look(|state| queue::explain(state, &name, None, now_ms)).await
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

fn queued(reply: Reply) -> Result<QueueSaid, Error> {
    match reply {
        Reply::Queue(said) => Ok(said),
        _ => Err(Failure::TimedOutConnectionLost.into()),
    }
}
