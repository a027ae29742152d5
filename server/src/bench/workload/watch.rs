//! Watchers of the whole key space, on a thread of their own, beside a load of stamped puts. What
//! they record is how long after its put was sent an event arrived.

use std::sync::Arc;
use std::thread::JoinHandle;

use anyhow::{Context, anyhow, bail};
use bytes::Bytes;
use portunus_proto::etcdserverpb::watch_client::WatchClient;
use portunus_proto::etcdserverpb::watch_request::RequestUnion;
use portunus_proto::etcdserverpb::{WatchCreateRequest, WatchRequest, WatchResponse};
use portunus_proto::mvccpb::{Event, KeyValue};
use prost::Message;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;

use crate::bench::client::{MESSAGE_BYTES_MAX, Payload, connect};
use crate::bench::options::Watches;
use crate::bench::recorder::Recorder;
use crate::bench::time::{Duration, Instant, now};
use crate::dial::Security;

/// Watchers that have begun.
#[derive(Debug)]
pub struct Watchers {
    recorder: Arc<Recorder>,
    stop: oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

/// One stream's sender must live as long as its watches.
struct Stream {
    _requests: mpsc::Sender<WatchRequest>,
    answers: Streaming<WatchResponse>,
}

impl Watchers {
    /// Begins to watch; returns when the server has confirmed every watch. Stamps count from
    /// `since`.
    pub fn start(options: &Watches, since: Instant) -> anyhow::Result<Self> {
        let recorder = Arc::new(Recorder::default());
        let (stop, stopped) = oneshot::channel();
        let (ready, began) = std::sync::mpsc::channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (options, shared) = (options.clone(), Arc::clone(&recorder));
        let thread = std::thread::spawn(move || {
            runtime.block_on(async {
                match open_all(&options).await {
                    Ok(streams) => {
                        let _ = ready.send(Ok(()));
                        follow_all(streams, &shared, since, stopped).await;
                    }
                    Err(error) => drop(ready.send(Err(error))),
                }
            });
        });
        began.recv().map_err(|_| anyhow!("the watchers' thread ended"))??;
        Ok(Self { recorder, stop, thread })
    }

    pub fn recorder(&self) -> &Arc<Recorder> {
        &self.recorder
    }

    /// Waits until `events` have arrived, or for `patience` at most, and stops watching.
    pub fn finish(self, events: u64, patience: Duration) {
        let deadline = now() + patience;
        while self.recorder.counts().0 < events && now() < deadline {
            std::thread::sleep(Duration::from_millis(1));
        }
        let _ = self.stop.send(());
        let _ = self.thread.join();
    }
}

/// One stream for each connection, the watches spread over them.
async fn open_all(options: &Watches) -> anyhow::Result<Vec<Stream>> {
    let conns = options.load.conns.min(options.watchers);
    let mut streams = Vec::new();
    for conn in 0..conns {
        let endpoints = &options.load.endpoints;
        let endpoint = &endpoints[conn as usize % endpoints.len()];
        let watches = options.watchers / conns + u32::from(conn < options.watchers % conns);
        streams.push(open(&options.load.security, endpoint, watches).await?);
    }
    Ok(streams)
}

async fn open(security: &Security, endpoint: &str, watches: u32) -> anyhow::Result<Stream> {
    let mut client = WatchClient::new(connect(security, endpoint).await?)
        .max_decoding_message_size(MESSAGE_BYTES_MAX);
    // Some servers open their side of the stream only with the first answer, so all requests are
    // queued first.
    let (requests, queue) = mpsc::channel(watches as usize);
    for _ in 0..watches {
        let create = WatchCreateRequest {
            key: Payload::keys_begin(),
            range_end: Payload::keys_end(),
            ..WatchCreateRequest::default()
        };
        let request_union = Some(RequestUnion::CreateRequest(create));
        requests.send(WatchRequest { request_union }).await?;
    }
    let mut answers = client.watch(ReceiverStream::new(queue)).await?.into_inner();
    let mut confirmed = 0;
    while confirmed < watches {
        let answer = answers.message().await?.context("the watch stream ended")?;
        if answer.canceled {
            bail!("the server refused a watch: {}", answer.cancel_reason);
        }
        confirmed += u32::from(answer.created);
    }
    Ok(Stream { _requests: requests, answers })
}

async fn follow_all(
    streams: Vec<Stream>,
    recorder: &Arc<Recorder>,
    since: Instant,
    stopped: oneshot::Receiver<()>,
) {
    let mut followers = JoinSet::new();
    for stream in streams {
        followers.spawn(follow(stream, Arc::clone(recorder), since));
    }
    let _ = stopped.await;
    followers.shutdown().await;
}

async fn follow(mut stream: Stream, recorder: Arc<Recorder>, since: Instant) {
    loop {
        let answer = match stream.answers.message().await {
            Ok(Some(answer)) if answer.canceled => {
                recorder.failed(format!("watch canceled: {}", answer.cancel_reason), now());
                continue;
            }
            Ok(Some(answer)) => answer,
            Ok(None) => return recorder.failed("watch stream ended".to_owned(), now()),
            Err(status) => return recorder.failed(format!("watch stream: {status}"), now()),
        };
        let at = now();
        for event in &answer.events {
            match stamp(event) {
                Some(stamp) => {
                    let sent = since + Duration::from_nanos(stamp);
                    recorder.answered(at.saturating_duration_since(sent), at);
                }
                None => recorder.failed("an event that is none of our puts".to_owned(), at),
            }
        }
    }
}

/// When the event's put was sent, in nanoseconds.
fn stamp(event: &Bytes) -> Option<u64> {
    let event = Event::decode(event.clone()).ok()?;
    Payload::stamp(&KeyValue::decode(event.kv).ok()?.value)
}
