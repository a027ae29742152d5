//! Why a stream ends although its client wants more: the member stops, or it has seen no leader
//! for long and the client asked to hear of that.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::Stream;
use futures::future::BoxFuture;
use tokio::sync::watch;
use tonic::Status;
use tonic::metadata::MetadataMap;

use super::gate::requires_leader;
use super::status;
use crate::node::Failure;
use crate::raft::Leadership;

/// Elections without a leader after which a stream that requires one is ended, as etcd: a stream
/// is dear to set up again, so a short election must not end it.
const ELECTIONS_WITHOUT_LEADER: u32 = 3;

/// Becomes true once the member begins to stop.
pub type Stopping = watch::Receiver<bool>;

/// What ends streams on this member.
#[derive(Clone)]
pub struct Ending {
    stopping: Stopping,
    leadership: watch::Receiver<Leadership>,
    patience: Duration,
}

impl Ending {
    pub fn new(
        stopping: Stopping,
        leadership: watch::Receiver<Leadership>,
        election_timeout: Duration,
    ) -> Self {
        Self { stopping, leadership, patience: ELECTIONS_WITHOUT_LEADER * election_timeout }
    }

    /// The end of a stream that was opened with `metadata`.
    pub fn of(&self, metadata: &MetadataMap) -> End {
        let stopping = stopped(self.stopping.clone());
        if !requires_leader(metadata.as_ref()) {
            return End(Box::pin(stopping));
        }
        let leaderless = leaderless(self.leadership.clone(), self.patience);
        End(Box::pin(async move {
            tokio::select! {
                biased;
                status = stopping => status,
                status = leaderless => status,
            }
        }))
    }
}

async fn stopped(mut stopping: Stopping) -> Status {
    // A sender that is gone means the same: the server is no more.
    let _ = stopping.wait_for(|stopping| *stopping).await;
    status::of_failure(Failure::Stopped)
}

/// Ends when no leader was known for `patience` on end.
async fn leaderless(mut leadership: watch::Receiver<Leadership>, patience: Duration) -> Status {
    loop {
        let lost = leadership.wait_for(|now| now.leader.is_none()).await.is_ok();
        let found = leadership.wait_for(|now| now.leader.is_some());
        if !lost || !matches!(tokio::time::timeout(patience, found).await, Ok(Ok(_))) {
            return status::of_failure(Failure::NoLeader);
        }
    }
}

/// Resolves to the status with which a stream must end.
pub struct End(BoxFuture<'static, Status>);

impl Future for End {
    type Output = Status;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Status> {
        self.0.as_mut().poll(cx)
    }
}

impl End {
    /// `stream` until it ends by itself or this end comes.
    pub fn cut<T, S>(self, stream: S) -> Cut<S>
    where
        S: Stream<Item = Result<T, Status>>,
    {
        Cut { stream: Some(Box::pin(stream)), end: self }
    }
}

/// A stream that may be ended from outside; the last item is then the reason.
pub struct Cut<S> {
    stream: Option<Pin<Box<S>>>,
    end: End,
}

impl<T, S: Stream<Item = Result<T, Status>>> Stream for Cut<S> {
    type Item = Result<T, Status>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        let Some(stream) = &mut this.stream else { return Poll::Ready(None) };
        if let Poll::Ready(status) = Pin::new(&mut this.end).poll(cx) {
            this.stream = None;
            return Poll::Ready(Some(Err(status)));
        }
        let item = stream.as_mut().poll_next(cx);
        if let Poll::Ready(None) = item {
            this.stream = None;
        }
        item
    }
}

#[cfg(test)]
#[path = "ending_test.rs"]
mod tests;
