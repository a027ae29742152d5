//! Sends a snapshot: reads the source on a thread of its own and streams what it yields, with
//! running checksums, while writes go on.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures::Stream;
use openraft::errors::{RPCError, Unreachable};
use openraft::raft::SnapshotResponse;
use openraft::storage::Snapshot;
use portunus_proto::portunus::peer::v1 as wire;
use portunus_proto::portunus::peer::v1::snapshot_frame::Frame;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::client::{Route, nonsense};
use super::convert;
use super::pool::Use;
use super::tuning::{SNAPSHOT_CHUNKS_AHEAD, SNAPSHOT_IDLE_TIMEOUT, SNAPSHOT_INSTALL_TIMEOUT};
use crate::raft::applier::SnapshotSource;
use crate::raft::metrics;
use crate::raft::snapshot::{Outgoing, SnapshotData};
use crate::raft::types::{CommittedLeaderId, Peer, TypeConfig, Vote};

/// Resolves once the peer has the snapshot in place, or has refused it.
pub async fn snapshot(
    route: &Route,
    vote: Vote,
    snapshot: Snapshot<CommittedLeaderId, u64, Peer, SnapshotData>,
) -> Result<SnapshotResponse<TypeConfig>, RPCError<TypeConfig>> {
    let sent = send(route, vote, snapshot).await;
    let count = if sent.is_ok() { &metrics::SNAPSHOTS_SENT } else { &metrics::SNAPSHOTS_NOT_SENT };
    count.with_label_values(&[&metrics::label(route.target.member)]).inc();
    sent
}

async fn send(
    route: &Route,
    vote: Vote,
    snapshot: Snapshot<CommittedLeaderId, u64, Peer, SnapshotData>,
) -> Result<SnapshotResponse<TypeConfig>, RPCError<TypeConfig>> {
    let SnapshotData::Outgoing(Outgoing { source, pin }) = snapshot.snapshot else {
        return Err(unreadable(&io::Error::other("an incoming snapshot cannot be sent")));
    };
    let member = route.target.member;
    tracing::info!(%member, position = ?snapshot.meta.last_log_id, "sending a snapshot");
    let mut client = route.client(Use::Snapshot)?;
    let header = convert::snapshot_header(vote, &snapshot.meta);
    let progress = Arc::new(Progress::default());
    let frames = frames(header, source, progress.clone());

    let response = tokio::select! {
        response = client.snapshot(frames) => response,
        () = stalls(&progress) => {
            return Err(route.failed(&tonic::Status::deadline_exceeded("the snapshot stalled")));
        }
    };
    drop(pin);
    metrics::SENT_BYTES
        .with_label_values(&[&metrics::label(member)])
        .inc_by(progress.bytes.load(Ordering::Relaxed));
    if let Some(error) = progress.failure.lock().take() {
        tracing::error!(%error, "cannot read the own state for a snapshot");
        return Err(unreadable(&error));
    }
    match response {
        Ok(response) => {
            let vote = convert::vote_from_wire(response.into_inner().vote).map_err(nonsense)?;
            Ok(SnapshotResponse::new(vote))
        }
        Err(status) => Err(route.failed(&status)),
    }
}

fn unreadable(error: &io::Error) -> RPCError<TypeConfig> {
    RPCError::Unreachable(Unreachable::new(error))
}

/// How far sending has come.
#[derive(Default)]
struct Progress {
    bytes: AtomicU64,
    frames: AtomicU64,
    complete: std::sync::atomic::AtomicBool,
    failure: parking_lot::Mutex<Option<io::Error>>,
}

/// Resolves when nothing has moved for too long; once all is sent the peer has longer.
async fn stalls(progress: &Progress) {
    let mut seen = 0;
    let mut waited = Duration::ZERO;
    loop {
        tokio::time::sleep(SNAPSHOT_IDLE_TIMEOUT).await;
        waited += SNAPSHOT_IDLE_TIMEOUT;
        let now = progress.frames.load(Ordering::Relaxed);
        let complete = progress.complete.load(Ordering::Relaxed);
        let limit = if complete { SNAPSHOT_INSTALL_TIMEOUT } else { SNAPSHOT_IDLE_TIMEOUT };
        match now == seen {
            true if waited >= limit => return,
            true => {}
            false => (seen, waited) = (now, Duration::ZERO),
        }
    }
}

/// The frames of one snapshot. A source that fails ends the stream without its trailer, and the
/// peer throws away what it has.
fn frames(
    header: wire::SnapshotHeader,
    source: Box<dyn SnapshotSource>,
    progress: Arc<Progress>,
) -> impl Stream<Item = wire::SnapshotFrame> + Send + 'static {
    let (ahead, chunks) = mpsc::channel(SNAPSHOT_CHUNKS_AHEAD);
    tokio::task::spawn_blocking(move || read(source, &ahead));
    let stages = Stages { header: Some(header), chunks: ReceiverStream::new(chunks), progress };
    futures::stream::unfold((stages, Sum::default()), |(mut stages, mut sum)| async move {
        let frame = stages.next(&mut sum).await?;
        Some((wire::SnapshotFrame { frame: Some(frame) }, (stages, sum)))
    })
}

fn read(mut source: Box<dyn SnapshotSource>, ahead: &mpsc::Sender<io::Result<Option<Bytes>>>) {
    loop {
        let chunk = source.next_chunk();
        let last = !matches!(chunk, Ok(Some(_)));
        if ahead.blocking_send(chunk).is_err() || last {
            return;
        }
    }
}

#[derive(Default)]
struct Sum {
    chunks: u64,
    bytes: u64,
    crc: u32,
}

struct Stages {
    header: Option<wire::SnapshotHeader>,
    chunks: ReceiverStream<io::Result<Option<Bytes>>>,
    progress: Arc<Progress>,
}

impl Stages {
    async fn next(&mut self, sum: &mut Sum) -> Option<Frame> {
        use futures::StreamExt;
        self.progress.frames.fetch_add(1, Ordering::Relaxed);
        if let Some(header) = self.header.take() {
            return Some(Frame::Header(header));
        }
        match self.chunks.next().await? {
            Ok(Some(data)) => {
                sum.chunks += 1;
                sum.bytes += data.len() as u64;
                sum.crc = crc32c::crc32c_append(sum.crc, &data);
                self.progress.bytes.store(sum.bytes, Ordering::Relaxed);
                Some(Frame::Chunk(wire::SnapshotChunk { data, running_crc: sum.crc }))
            }
            Ok(None) => {
                self.progress.complete.store(true, Ordering::Relaxed);
                let Sum { chunks, bytes, crc } = *sum;
                Some(Frame::Trailer(wire::SnapshotTrailer { chunks, bytes, crc }))
            }
            Err(error) => {
                *self.progress.failure.lock() = Some(error);
                None
            }
        }
    }
}
