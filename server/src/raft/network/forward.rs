//! Forwards requests to the leader over one stream per member, each exactly once, and says of a
//! request that got no reply whether it can have been executed. One that nobody waits for any more
//! is called off.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use portunus_proto::portunus::peer::v1 as wire;
use portunus_proto::portunus::peer::v1::forward_reply::Result as Reply;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;

use super::pool::{Pool, Target, Use};
use super::tuning::{
    CONNECT_TIMEOUT, FORWARD_MESSAGES_AHEAD, FORWARDS_PER_MESSAGE, FORWARDS_QUEUED_MAX,
};
use crate::raft::types::Peer;

/// Why a forwarded request brought no reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ForwardError {
    /// It was not sent, or refused before it was looked at: trying again is safe.
    #[error("the request was not executed: the leader could not be reached")]
    NotExecuted,
    /// It was sent, and the connection broke before the reply.
    #[error("the connection to the leader broke: the request may have been executed")]
    Unknown,
}

type Answer = oneshot::Sender<Result<Bytes, ForwardError>>;

/// A request on its way.
struct Queued {
    id: u64,
    body: Bytes,
    answer: Answer,
}

/// The way into a link.
struct Link {
    queue: mpsc::Sender<Queued>,
    /// Requests that were given up; bounded by those that were queued.
    given_up: mpsc::UnboundedSender<u64>,
}

/// Says that a request was given up, unless it was answered.
struct Waiter {
    id: u64,
    given_up: Option<mpsc::UnboundedSender<u64>>,
}

impl Drop for Waiter {
    fn drop(&mut self) {
        if let Some(given_up) = self.given_up.take() {
            // A link that is gone has told the leader by that.
            let _ = given_up.send(self.id);
        }
    }
}

/// The sending side.
pub struct Forwarder {
    pool: Arc<Pool>,
    /// Where the streams live: not among raft's own tasks.
    runtime: Handle,
    links: Mutex<HashMap<u64, Link>>,
    next: AtomicU64,
}

impl Forwarder {
    pub fn new(pool: Arc<Pool>, runtime: Handle) -> Self {
        Self { pool, runtime, links: Mutex::default(), next: AtomicU64::new(0) }
    }

    /// Has `member` execute the request. Resolves with the reply, or once nothing more is to be
    /// learned; it sets no deadline of its own. Dropping it calls the request off.
    pub async fn forward(
        &self,
        member: u64,
        peer: &Peer,
        body: Bytes,
    ) -> Result<Bytes, ForwardError> {
        let (answer, answered) = oneshot::channel();
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let given_up = self.queue(member, peer, Queued { id, body, answer })?;
        let mut waiter = Waiter { id, given_up: Some(given_up) };
        // A link that ends without a word was cut off by a shutdown.
        let answer = answered.await.unwrap_or(Err(ForwardError::Unknown));
        waiter.given_up = None;
        answer
    }

    fn queue(
        &self,
        member: u64,
        peer: &Peer,
        queued: Queued,
    ) -> Result<mpsc::UnboundedSender<u64>, ForwardError> {
        use mpsc::error::TrySendError;
        let mut links = self.links.lock();
        let back = match links.get(&member) {
            None => queued,
            Some(link) => match link.queue.try_send(queued) {
                Ok(()) => return Ok(link.given_up.clone()),
                Err(TrySendError::Full(_)) => return Err(ForwardError::NotExecuted),
                Err(TrySendError::Closed(queued)) => queued,
            },
        };
        let (sender, queue) = mpsc::channel(FORWARDS_QUEUED_MAX);
        let (given_up, withdrawn) = mpsc::unbounded_channel();
        sender.try_send(back).map_err(|_| ForwardError::NotExecuted)?;
        links.insert(member, Link { queue: sender, given_up: given_up.clone() });
        let target = Target::new(member, peer);
        self.runtime.spawn(run(self.pool.clone(), target, queue, withdrawn));
        Ok(given_up)
    }
}

/// One link: opens the stream, then moves requests out and replies in until either side ends.
async fn run(
    pool: Arc<Pool>,
    target: Target,
    mut queue: mpsc::Receiver<Queued>,
    mut withdrawn: mpsc::UnboundedReceiver<u64>,
) {
    let (outbound, messages) = mpsc::channel(FORWARD_MESSAGES_AHEAD);
    let Some(inbound) = open(&pool, &target, messages).await else {
        return refuse(queue);
    };
    let mut waiting = Waiting::default();
    exchange((&mut queue, &mut withdrawn), outbound, inbound, &mut waiting).await;
    tracing::debug!(member = %target.member, unanswered = waiting.answers.len(), "a link broke");
    waiting.answers.into_values().for_each(|answer| drop(answer.send(Err(ForwardError::Unknown))));
    refuse(queue);
}

/// How long a link that could not be opened is left alone.
const REOPEN_PAUSE: Duration = Duration::from_millis(20);

/// Nothing is put into `messages` before the stream stands, so a failure here proves that nothing
/// was sent.
async fn open(
    pool: &Pool,
    target: &Target,
    messages: mpsc::Receiver<wire::ForwardRequests>,
) -> Option<Streaming<wire::ForwardReplies>> {
    let mut client = match pool.client(target, Use::Forward) {
        Ok(client) => client,
        Err(error) => {
            tracing::warn!(%error, "cannot forward requests");
            return None;
        }
    };
    let opening = client.forward(ReceiverStream::new(messages));
    let failure = match tokio::time::timeout(CONNECT_TIMEOUT, opening).await {
        Ok(Ok(response)) => return Some(response.into_inner()),
        Ok(Err(status)) => status,
        Err(_) => tonic::Status::deadline_exceeded("no answer in time"),
    };
    tracing::debug!(member = %target.member, %failure, "cannot open a link");
    target.next_url();
    tokio::time::sleep(REOPEN_PAUSE).await;
    None
}

fn refuse(mut queue: mpsc::Receiver<Queued>) {
    queue.close();
    while let Ok(Queued { answer, .. }) = queue.try_recv() {
        // The requester may have stopped waiting.
        let _ = answer.send(Err(ForwardError::NotExecuted));
    }
}

/// Requests that were handed to the stream.
#[derive(Default)]
struct Waiting {
    answers: HashMap<u64, Answer>,
}

impl Waiting {
    fn enlist(&mut self, Queued { id, body, answer }: Queued) -> wire::ForwardRequest {
        self.answers.insert(id, answer);
        wire::ForwardRequest { id, body }
    }

    fn take(&mut self, reply: wire::ForwardReply) {
        let Some(answer) = self.answers.remove(&reply.id) else { return };
        let result = match reply.result {
            Some(Reply::Body(body)) => Ok(body),
            Some(Reply::NotExecuted(_)) => Err(ForwardError::NotExecuted),
            None => Err(ForwardError::Unknown),
        };
        let _ = answer.send(result);
    }
}

async fn exchange(
    (queue, withdrawn): (&mut mpsc::Receiver<Queued>, &mut mpsc::UnboundedReceiver<u64>),
    outbound: mpsc::Sender<wire::ForwardRequests>,
    mut inbound: Streaming<wire::ForwardReplies>,
    waiting: &mut Waiting,
) {
    let (mut batch, mut cancelled) = (Vec::new(), Vec::new());
    loop {
        // A place in the stream first: what has none yet is provably not sent.
        tokio::select! {
            place = outbound.reserve(), if !batch.is_empty() || !cancelled.is_empty() => {
                let Ok(place) = place else { break };
                // Nobody waits any more for what was given up before it was sent.
                batch.retain(|queued: &Queued| !queued.answer.is_closed());
                let requests = batch.drain(..).map(|queued| waiting.enlist(queued)).collect();
                let cancelled = std::mem::take(&mut cancelled);
                place.send(wire::ForwardRequests { requests, cancelled });
            }
            count = queue.recv_many(&mut batch, FORWARDS_PER_MESSAGE), if batch.is_empty() => {
                if count == 0 {
                    break;
                }
            }
            Some(id) = withdrawn.recv() => {
                cancelled.extend(waiting.answers.remove(&id).map(|_| id));
            }
            message = inbound.message() => match message {
                Ok(Some(message)) => message.replies.into_iter().for_each(|reply| waiting.take(reply)),
                Ok(None) | Err(_) => break,
            },
        }
    }
    for Queued { answer, .. } in batch {
        let _ = answer.send(Err(ForwardError::NotExecuted));
    }
}
