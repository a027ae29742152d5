//! The Watch service of the proxy: one session for each stream.

use std::pin::Pin;
use std::sync::Arc;

use futures::{Stream, StreamExt, stream};
use portunus_proto::etcdserverpb::watch_server::Watch;
use portunus_proto::etcdserverpb::{WatchRequest, WatchResponse};
use tokio::sync::watch;
use tonic::{Request, Response, Status, Streaming, async_trait};

use super::board::Board;
use super::mailbox::Mailbox;
use super::session::Session;
use super::share::Bearer;
use crate::proxy::forward::Forwarder;
use crate::proxy::namespace::Namespace;

/// Serves etcd's Watch service.
pub struct WatchService {
    board: Arc<Board>,
    /// Becomes true once the proxy is to stop.
    stopping: watch::Receiver<bool>,
}

impl WatchService {
    /// `forwarder` passes calls on as they are.
    pub fn new(
        forwarder: Forwarder,
        namespace: Option<Arc<Namespace>>,
        stopping: watch::Receiver<bool>,
    ) -> Self {
        Self { board: Board::new(forwarder, namespace), stopping }
    }
}

type Answers = Pin<Box<dyn Stream<Item = Result<WatchResponse, Status>> + Send>>;

#[async_trait]
impl Watch for WatchService {
    type WatchStream = Answers;

    async fn watch(
        &self,
        request: Request<Streaming<WatchRequest>>,
    ) -> Result<Response<Answers>, Status> {
        let session = Session::new(self.board.clone(), Bearer::of(request.metadata()));
        let conversation = Conversation {
            mailbox: session.mailbox(),
            session,
            requests: request.into_inner(),
            stopping: self.stopping.clone(),
            open: true,
            ended: false,
        };
        let answers = stream::unfold(conversation, |mut conversation| async move {
            let answer = conversation.next_answer().await?;
            Some((answer, conversation))
        });
        Ok(Response::new(Box::pin(answers)))
    }
}

/// One stream.
struct Conversation {
    session: Session,
    mailbox: Arc<Mailbox>,
    requests: Streaming<WatchRequest>,
    stopping: watch::Receiver<bool>,
    /// The client may still ask. When it has said that it will not, its watches go on.
    open: bool,
    ended: bool,
}

impl Conversation {
    /// `None` when the client is gone, or has been told that this is the end.
    async fn next_answer(&mut self) -> Option<Result<WatchResponse, Status>> {
        loop {
            if self.ended {
                return None;
            }
            if let Some(answer) = self.session.pop() {
                return Some(Ok(answer));
            }
            tokio::select! {
                asked = self.requests.next(), if self.open && self.session.listens() => {
                    match asked {
                        Some(Ok(request)) => self.session.take(request),
                        Some(Err(_)) => return None,
                        None => self.open = false,
                    }
                }
                letter = self.mailbox.next() => if let Err(status) = self.session.read(letter) {
                    self.ended = true;
                    return Some(Err(status));
                },
                _ = self.stopping.wait_for(|stopping| *stopping) => {
                    self.ended = true;
                    return Some(Err(Status::unavailable("portunus proxy: stopping")));
                }
            }
        }
    }
}
