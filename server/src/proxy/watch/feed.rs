//! One watch at a member, taken up again elsewhere when it breaks, from the first revision of which
//! nothing has been told. A task of its own reads it and tells the group.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use portunus_proto::etcdserverpb::watch_client::WatchClient;
use portunus_proto::etcdserverpb::watch_request::RequestUnion;
use portunus_proto::etcdserverpb::{
    ResponseHeader, WatchProgressRequest, WatchRequest, WatchResponse,
};
use portunus_proto::mvccpb::{Event, KeyValue};
use prost::Message;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::{Code, Request, Status, Streaming};

use super::board::Board;
use super::news::{Batch, News, Refusal};
use super::share::Share;
use crate::proxy::metrics;

/// Between attempts to take a watch up again; doubles up to [`PAUSE_MAX`].
const PAUSE: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(2);
/// A stream that is to end without a leader ends when no member has served it for this long: an
/// election must not end it.
const LEADERLESS: Duration = Duration::from_secs(5);
/// The id of an answer that is about the stream and not about a watch.
const NO_WATCH: i64 = -1;

/// A feed's number within its group.
pub type Number = u64;

/// The questions to a feed how far it is, each with the attempt that it is for.
pub type Questions = mpsc::UnboundedReceiver<u64>;

/// Reads one watch until it can go on no more or its group is gone.
pub struct Feed {
    pub number: Number,
    pub board: Arc<Board>,
    pub share: Arc<Share>,
    /// The first revision to tell of; 0 is from now on.
    pub next: i64,
    /// Counts how often it was taken up, from 1.
    pub attempt: u64,
    pub group: mpsc::Sender<(Number, News)>,
}

/// Why one attempt came to its end.
enum End {
    /// The group wants nothing more, or has been told that there is nothing more.
    Done,
    Broken(Status),
}

impl Feed {
    pub async fn run(mut self, mut questions: Questions) {
        metrics::UPSTREAM_WATCHES.inc();
        let _counted = Counted;
        let (mut pause, mut broken_since) = (PAUSE, None);
        loop {
            let mut served = false;
            let status = match self.attempt(&mut questions, &mut served).await {
                End::Done => return,
                End::Broken(status) => status,
            };
            if served {
                (pause, broken_since) = (PAUSE, None);
                metrics::RESUMED.inc();
            }
            let since = *broken_since.get_or_insert_with(Instant::now);
            let leaderless = self.share.bearer.requires_leader && since.elapsed() > LEADERLESS;
            if leaderless || !passes(status.code()) {
                self.tell(News::Failed(status)).await;
                return;
            }
            tracing::debug!(%status, "a watch broke and is taken up again");
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    async fn attempt(&mut self, questions: &mut Questions, served: &mut bool) -> End {
        self.attempt += 1;
        let (ask, asked) = mpsc::unbounded_channel();
        let create = self.share.request(self.next, self.board.namespace.as_deref());
        let _ = ask.send(said(RequestUnion::CreateRequest(create)));
        let mut request = Request::new(UnboundedReceiverStream::new(asked));
        self.share.bearer.mark(request.metadata_mut());
        let mut client =
            WatchClient::new(self.board.forwarder.clone()).max_decoding_message_size(usize::MAX);
        let mut answers = match client.watch(request).await {
            Ok(answers) => answers.into_inner(),
            Err(status) => return End::Broken(status),
        };
        loop {
            tokio::select! {
                question = questions.recv() => match question {
                    // Others were for a stream that is gone; the group asks again.
                    Some(attempt) if attempt == self.attempt => {
                        let progress = RequestUnion::ProgressRequest(WatchProgressRequest {});
                        let _ = ask.send(said(progress));
                    }
                    Some(_) => {}
                    None => return End::Done,
                },
                answer = next(&mut answers) => match answer {
                    Ok(answer) => {
                        *served = true;
                        if let Some(end) = self.take(answer).await {
                            return end;
                        }
                    }
                    Err(status) => return End::Broken(status),
                },
            }
        }
    }

    /// Tells the group what came; the end, if it was the last.
    async fn take(&mut self, answer: WatchResponse) -> Option<End> {
        let header = answer.header.unwrap_or_default();
        if answer.canceled {
            let (compact_revision, reason) = (answer.compact_revision, answer.cancel_reason);
            let at_once = answer.created;
            self.tell(News::Refused(Refusal { header, compact_revision, reason, at_once })).await;
            return Some(End::Done);
        }
        let news = if answer.created {
            if self.next == 0 {
                self.next = header.revision + 1;
            }
            News::Begun { header, next: self.next, attempt: self.attempt }
        } else if !answer.events.is_empty() {
            match self.batch(header, answer.events) {
                Ok(Some(batch)) => News::Events { batch: Arc::new(batch), next: self.next },
                Ok(None) => return None,
                Err(status) => News::Failed(status),
            }
        } else {
            self.next = self.next.max(header.revision + 1);
            match answer.watch_id {
                NO_WATCH => News::Mark { header, next: self.next },
                _ => News::Progress { header, next: self.next },
            }
        };
        let last = matches!(news, News::Failed(_));
        let told = self.tell(news).await;
        (last || !told).then_some(End::Done)
    }

    /// The events that have not been told, as clients are to see them.
    fn batch(
        &mut self,
        header: ResponseHeader,
        events: Vec<Bytes>,
    ) -> Result<Option<Batch>, Status> {
        let mut fresh = Vec::with_capacity(events.len());
        for event in events {
            let revision = revision(&event)?;
            if revision < self.next {
                continue;
            }
            let event = match &self.board.namespace {
                Some(namespace) => namespace.leave_event(&event)?,
                None => event,
            };
            fresh.push((revision, event));
        }
        let Some((last, _)) = fresh.last() else { return Ok(None) };
        // Without fragments an answer carries whole revisions.
        self.next = last + 1;
        Ok(Some(Batch::new(header, fresh)))
    }

    /// `false` when the group is gone.
    async fn tell(&self, news: News) -> bool {
        self.group.send((self.number, news)).await.is_ok()
    }
}

struct Counted;

impl Drop for Counted {
    fn drop(&mut self) {
        metrics::UPSTREAM_WATCHES.dec();
    }
}

fn said(request: RequestUnion) -> WatchRequest {
    WatchRequest { request_union: Some(request) }
}

/// A stream that ends without a word was cut off by a member that stops.
async fn next(answers: &mut Streaming<WatchResponse>) -> Result<WatchResponse, Status> {
    match answers.next().await {
        Some(answer) => answer,
        None => Err(Status::unavailable("the member ended the stream")),
    }
}

fn revision(event: &Bytes) -> Result<i64, Status> {
    let unreadable = |error: prost::DecodeError| {
        Status::internal(format!("portunus proxy: an event cannot be read: {error}"))
    };
    let event = Event::decode(event.clone()).map_err(unreadable)?;
    Ok(KeyValue::decode(event.kv).map_err(unreadable)?.mod_revision)
}

/// Whether another attempt may succeed. What a member refuses for good, others refuse too.
fn passes(code: Code) -> bool {
    matches!(
        code,
        Code::Unavailable
            | Code::Cancelled
            | Code::Unknown
            | Code::Internal
            | Code::DeadlineExceeded
            | Code::ResourceExhausted
            | Code::Aborted
            | Code::Ok
    )
}
