//! The Watch service: one session of the hub for each stream. What a watch does is the hub's
//! affair; here requests and answers change their form.

use std::collections::VecDeque;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use futures::{Stream, StreamExt, stream};
use portunus_proto::etcdserverpb::watch_create_request::FilterType;
use portunus_proto::etcdserverpb::watch_request::RequestUnion;
use portunus_proto::etcdserverpb::watch_server::Watch;
use portunus_proto::etcdserverpb::{
    ResponseHeader, WatchCreateRequest, WatchRequest, WatchResponse,
};
use tokio::time::Instant;
use tonic::{Request, Response, Status, Streaming, async_trait};

use super::access::Credentials;
use super::caller::acting;
use super::ending::Ending;
use super::status;
use crate::node::{Error, Node};
use crate::watch::{self, WatchStream};

/// A stream that was just given events hears of the next ones this much later at the soonest: at
/// thousands of revisions a second a message then carries several, and a message costs more than
/// an event. A stream that was idle hears at once.
const PACE: Duration = Duration::from_millis(1);

/// Serves etcd's Watch service.
pub struct WatchService {
    pub credentials: Credentials,
    pub node: Node,
    pub ending: Ending,
}

type Answers = Pin<Box<dyn Stream<Item = Result<WatchResponse, Status>> + Send>>;

#[async_trait]
impl Watch for WatchService {
    type WatchStream = Answers;

    async fn watch(
        &self,
        request: Request<Streaming<WatchRequest>>,
    ) -> Result<Response<Answers>, Status> {
        let end = self.ending.of(request.metadata());
        let conversation = Conversation {
            node: acting(&self.node, &request),
            credentials: self.credentials.clone(),
            session: self.node.watch_hub().open(),
            refused: VecDeque::new(),
            requests: request.into_inner(),
            next: Instant::now(),
            open: true,
        };
        let answers = stream::unfold(conversation, |mut conversation| async move {
            let answer = conversation.next_answer().await?;
            Some((answer, conversation))
        });
        Ok(Response::new(Box::pin(end.cut(answers))))
    }
}

/// One watch stream.
struct Conversation {
    node: Node,
    credentials: Credentials,
    session: WatchStream,
    requests: Streaming<WatchRequest>,
    /// Answers to what may not be watched.
    refused: VecDeque<WatchResponse>,
    /// When the next answer may leave.
    next: Instant,
    /// The client may still ask. When it has said that it will not, its watches go on.
    open: bool,
}

impl Conversation {
    /// `None` when the client is gone.
    async fn next_answer(&mut self) -> Option<Result<WatchResponse, Status>> {
        loop {
            if let Some(refused) = self.refused.pop_front() {
                return Some(Ok(refused));
            }
            tokio::select! {
                asked = self.requests.next(), if self.open => match asked {
                    Some(Ok(request)) => self.take(request).await,
                    Some(Err(_)) => return None,
                    None => self.open = false,
                },
                answer = paced(&mut self.session, self.next) => {
                    self.next = Instant::now() + PACE;
                    return Some(match answer {
                        Ok(answer) => Ok(wire_answer(answer, self.node.header())),
                        Err(ended) => Err(status::of_ended_watch(&ended)),
                    });
                }
            }
        }
    }

    /// Whether the caller may read what it wants to watch. The bounds are those that were asked for:
    /// an end of one zero byte is everything from the key on, and only an empty key has another
    /// meaning than in a range.
    fn check(
        &self,
        create: &WatchCreateRequest,
    ) -> impl Future<Output = Result<(), Error>> + Send + use<> {
        let (node, end) = (self.credentials.again(&self.node), create.range_end.clone());
        let key = match create.key.is_empty() {
            true => Bytes::from_static(b"\0"),
            false => create.key.clone(),
        };
        async move { node.check_range(&key, &end).await }
    }

    fn refusal(&self, error: Error) -> WatchResponse {
        let status = status::of(error);
        let code = status.code();
        WatchResponse {
            header: Some(self.node.header()),
            watch_id: NO_WATCH,
            created: true,
            canceled: true,
            cancel_reason: format!("{REFUSED}{code:?} desc = {}", status.message()),
            ..Default::default()
        }
    }

    /// A request without content is passed over, as etcd does: it must not end other watches.
    async fn take(&mut self, request: WatchRequest) {
        match request.request_union {
            Some(RequestUnion::CreateRequest(create)) => match self.check(&create).await {
                Ok(()) => self.session.create(asked_watch(create)),
                Err(error) => self.refused.push_back(self.refusal(error)),
            },
            Some(RequestUnion::CancelRequest(cancel)) => self.session.cancel(cancel.watch_id),
            Some(RequestUnion::ProgressRequest(_)) => self.session.request_progress(),
            None => {}
        }
    }
}

/// The id in the answer to a watch that was not made.
const NO_WATCH: i64 = -1;
/// How the reason of a watch that is refused begins, as grpc-go writes a status.
const REFUSED: &str = "rpc error: code = ";

/// The next answer, not before `due` unless one is ready that follows the last.
async fn paced(session: &mut WatchStream, due: Instant) -> Result<watch::Response, watch::Ended> {
    if let Some(answer) = session.next_ready() {
        return Ok(answer);
    }
    if Instant::now() < due {
        tokio::time::sleep_until(due).await;
    }
    session.next().await
}

fn asked_watch(create: WatchCreateRequest) -> watch::Create {
    let has = |filter: FilterType| create.filters.contains(&i32::from(filter));
    watch::Create {
        no_put: has(FilterType::Noput),
        no_delete: has(FilterType::Nodelete),
        key: create.key,
        range_end: create.range_end,
        start_revision: create.start_revision,
        watch_id: create.watch_id,
        progress_notify: create.progress_notify,
        prev_kv: create.prev_kv,
        fragment: create.fragment,
    }
}

fn wire_answer(answer: watch::Response, own: ResponseHeader) -> WatchResponse {
    WatchResponse {
        header: Some(ResponseHeader { revision: answer.revision, ..own }),
        watch_id: answer.watch_id,
        created: answer.created,
        canceled: answer.canceled,
        compact_revision: answer.compact_revision,
        cancel_reason: answer.cancel_reason.into_owned(),
        fragment: answer.fragment,
        events: answer.events,
    }
}
