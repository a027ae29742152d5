//! Executes requests that another member forwards to this one, the leader as it believes. Each
//! runs on its own, outside raft's runtime, and answers when it is done.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use parking_lot::Mutex;
use portunus_proto::portunus::peer::v1 as wire;
use portunus_proto::portunus::peer::v1::forward_reply::Result as Reply;
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::AbortHandle;
use tonic::{Status, Streaming};

use super::inquiry::Roll;
use super::tuning::{FORWARDS_PER_MESSAGE, FORWARDS_RUNNING_MAX};
use crate::raft::types::Peer;

/// What the level above does for other members.
pub trait PeerHandler: Send + Sync + 'static {
    /// Executes a request and returns the encoded answer, whatever it is. Dropped when its sender
    /// has given it up or is gone; it may take as long as that.
    fn forward(&self, request: Bytes) -> BoxFuture<'static, Bytes>;

    /// The members as they are known here, with the client URLs that each has published; `None`
    /// while this member starts.
    fn members(&self) -> Option<Vec<(u64, Peer)>>;

    /// The cluster and its members, for who asks without knowing it; `None` while this member
    /// starts.
    fn roll(&self) -> BoxFuture<'static, Option<Roll>>;
}

/// Serves the streams of forwarded requests.
pub struct Forwards {
    pub handler: Arc<dyn PeerHandler>,
    /// Where requests run.
    pub runtime: Handle,
}

impl Forwards {
    pub fn serve(
        &self,
        mut requests: Streaming<wire::ForwardRequests>,
    ) -> BoxStream<'static, Result<wire::ForwardReplies, Status>> {
        // Unbounded, yet bounded by the permits of what runs and by the stream's window.
        let (reply, replies) = mpsc::unbounded_channel();
        let running = Running {
            handler: self.handler.clone(),
            permits: Arc::new(Semaphore::new(FORWARDS_RUNNING_MAX)),
            reply,
            tasks: Arc::default(),
        };
        self.runtime.spawn(async move {
            while let Ok(Some(message)) = requests.message().await {
                message.requests.into_iter().for_each(|request| running.start(request));
                message.cancelled.into_iter().for_each(|id| running.cancel(id));
            }
            running.cancel_all();
        });
        Box::pin(futures::stream::unfold(replies, |mut replies| async move {
            let mut ready = Vec::new();
            match replies.recv_many(&mut ready, FORWARDS_PER_MESSAGE).await {
                0 => None,
                _ => Some((Ok(wire::ForwardReplies { replies: ready }), replies)),
            }
        }))
    }
}

struct Running {
    handler: Arc<dyn PeerHandler>,
    permits: Arc<Semaphore>,
    reply: mpsc::UnboundedSender<wire::ForwardReply>,
    /// By the request's id, until it has answered.
    tasks: Arc<Mutex<HashMap<u64, AbortHandle>>>,
}

impl Running {
    fn start(&self, wire::ForwardRequest { id, body }: wire::ForwardRequest) {
        let reply = self.reply.clone();
        let Ok(permit) = self.permits.clone().try_acquire_owned() else {
            let refused = wire::ForwardReply { id, result: Some(Reply::NotExecuted(true)) };
            // A receiver that has gone learns nothing; it counts the request as unknown.
            let _ = reply.send(refused);
            return;
        };
        let answer = self.handler.forward(body);
        let tasks = self.tasks.clone();
        // Locked until the handle is there: a task that ends at once takes it out again.
        let mut locked = self.tasks.lock();
        let task = tokio::spawn(async move {
            let body = answer.await;
            tasks.lock().remove(&id);
            let _ = reply.send(wire::ForwardReply { id, result: Some(Reply::Body(body)) });
            drop(permit);
        });
        locked.insert(id, task.abort_handle());
    }

    /// The sender does not wait for this one any more.
    fn cancel(&self, id: u64) {
        if let Some(task) = self.tasks.lock().remove(&id) {
            task.abort();
        }
    }

    /// The stream broke: nobody hears an answer.
    fn cancel_all(&self) {
        self.tasks.lock().drain().for_each(|(_, task)| task.abort());
    }
}
