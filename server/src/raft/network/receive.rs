//! Receives a snapshot: gathers its chunks beside the live state and hands it to openraft only
//! when it is complete and sound. Whatever breaks before leaves nothing behind.

use std::io;

use bytes::Bytes;
use openraft::storage::Snapshot;
use portunus_proto::portunus::peer::v1 as wire;
use portunus_proto::portunus::peer::v1::snapshot_frame::Frame;
use tokio::sync::mpsc;
use tonic::{Status, Streaming};

use super::convert;
use super::tuning::{SNAPSHOT_CHUNKS_AHEAD, SNAPSHOT_IDLE_TIMEOUT};
use crate::raft::applier::{Installer, Staged, Stager};
use crate::raft::snapshot::SnapshotData;
use crate::raft::types::{CommittedLeaderId, Peer, RaftSnapshotMeta, Vote};

pub struct Received {
    pub vote: Vote,
    pub snapshot: Snapshot<CommittedLeaderId, u64, Peer, SnapshotData>,
    pub bytes: u64,
}

/// The header of an incoming snapshot, which says whether the rest is wanted.
pub async fn header(
    frames: &mut Streaming<wire::SnapshotFrame>,
) -> Result<(Vote, RaftSnapshotMeta), Status> {
    match next(frames).await? {
        Some(Frame::Header(header)) => Ok(convert::snapshot_meta(header)?),
        _ => Err(Status::invalid_argument("a snapshot begins with its header")),
    }
}

/// Everything after the header.
pub async fn body(
    mut frames: Streaming<wire::SnapshotFrame>,
    (vote, meta): (Vote, RaftSnapshotMeta),
    stager: &dyn Stager,
) -> Result<Received, Status> {
    let installer = stager.begin(meta.last_log_id).map_err(|error| unable(&error))?;
    let (ahead, chunks) = mpsc::channel(SNAPSHOT_CHUNKS_AHEAD);
    let staging = tokio::task::spawn_blocking(move || stage(installer, chunks));
    let bytes = pass_on(&mut frames, ahead).await?;
    let staged = staging.await.map_err(|_| Status::internal("staging a snapshot panicked"))?;
    let staged = staged.map_err(|error| unable(&error))?;
    let snapshot = Snapshot { meta, snapshot: SnapshotData::Incoming(staged) };
    Ok(Received { vote, snapshot, bytes })
}

fn unable(error: &io::Error) -> Status {
    tracing::error!(%error, "cannot stage a snapshot");
    Status::internal(format!("cannot stage the snapshot: {error}"))
}

/// What the stager is told. Its channel closing without [`Step::Finish`] means that the snapshot
/// is incomplete.
enum Step {
    Chunk(Bytes),
    Finish,
}

fn stage(mut installer: Box<dyn Installer>, mut steps: mpsc::Receiver<Step>) -> io::Result<Staged> {
    while let Some(step) = steps.blocking_recv() {
        match step {
            Step::Chunk(bytes) => installer.chunk(bytes)?,
            Step::Finish => return installer.finish(),
        }
    }
    Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the snapshot is incomplete"))
}

/// Checks the frames and passes their data on; returns how many bytes there were.
async fn pass_on(
    frames: &mut Streaming<wire::SnapshotFrame>,
    ahead: mpsc::Sender<Step>,
) -> Result<u64, Status> {
    let (mut chunks, mut bytes, mut crc) = (0, 0, 0);
    loop {
        let step = match next(frames).await? {
            Some(Frame::Chunk(wire::SnapshotChunk { data, running_crc })) => {
                chunks += 1;
                bytes += data.len() as u64;
                crc = crc32c::crc32c_append(crc, &data);
                if crc != running_crc {
                    return Err(Status::data_loss("a snapshot chunk's checksum differs"));
                }
                Step::Chunk(data)
            }
            Some(Frame::Trailer(trailer)) => {
                if trailer != (wire::SnapshotTrailer { chunks, bytes, crc }) {
                    return Err(Status::data_loss("the snapshot differs from its trailer"));
                }
                Step::Finish
            }
            Some(Frame::Header(_)) => {
                return Err(Status::invalid_argument("a snapshot has one header"));
            }
            None => return Err(Status::data_loss("the snapshot ends without its trailer")),
        };
        let finished = matches!(step, Step::Finish);
        // A stager that has given up says why itself.
        if ahead.send(step).await.is_err() || finished {
            return Ok(bytes);
        }
    }
}

async fn next(frames: &mut Streaming<wire::SnapshotFrame>) -> Result<Option<Frame>, Status> {
    match tokio::time::timeout(SNAPSHOT_IDLE_TIMEOUT, frames.message()).await {
        Ok(frame) => Ok(frame?.and_then(|frame| frame.frame)),
        Err(_) => Err(Status::deadline_exceeded("the snapshot stalled")),
    }
}
