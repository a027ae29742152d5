//! Maintenance.Snapshot: a file on its way to a client, in pieces, with its checksum at the end.

use std::io::Read;

use bytes::Bytes;
use futures::Stream;
use portunus_proto::etcdserverpb::SnapshotResponse;
use sha2::{Digest, Sha256};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

use super::{status, version};
use crate::node::{Failure, SnapshotFile};

/// Bytes in one message, as etcd.
const PIECE_BYTES: usize = 32 * 1024;
/// Messages read ahead of a client that takes them slowly.
const AHEAD: usize = 8;

/// Reads the file on a thread of its own, as fast as the client takes it.
pub fn stream(snapshot: SnapshotFile) -> impl Stream<Item = Result<SnapshotResponse, Status>> {
    let (pieces, stream) = mpsc::channel(AHEAD);
    tokio::task::spawn_blocking(move || {
        if let Err(error) = send(snapshot, &pieces) {
            tracing::error!(%error, "the snapshot cannot be read back");
            // A client that has gone needs no answer.
            let _ = pieces.blocking_send(Err(status::of_failure(Failure::Unreadable)));
        }
    });
    ReceiverStream::new(stream)
}

/// Ends early, without an error, when the client has gone.
fn send(
    snapshot: SnapshotFile,
    pieces: &mpsc::Sender<Result<SnapshotResponse, Status>>,
) -> std::io::Result<()> {
    let SnapshotFile { mut file, bytes } = snapshot;
    tracing::info!("total-bytes" = bytes, "sending database snapshot to client");
    let (mut left, mut hash) = (bytes, Sha256::new());
    while left > 0 {
        let mut piece = vec![0; PIECE_BYTES.min(usize::try_from(left).unwrap_or(PIECE_BYTES))];
        file.read_exact(&mut piece)?;
        hash.update(&piece);
        left -= piece.len() as u64;
        if pieces.blocking_send(Ok(message(piece.into(), left))).is_err() {
            tracing::info!("the client went away before the snapshot's end");
            return Ok(());
        }
    }
    let sum = Bytes::copy_from_slice(&hash.finalize());
    if pieces.blocking_send(Ok(message(sum, 0))).is_ok() {
        tracing::info!("total-bytes" = bytes, "successfully sent database snapshot to client");
    }
    Ok(())
}

fn message(blob: Bytes, remaining_bytes: u64) -> SnapshotResponse {
    let version = version::ETCD_STORAGE.to_owned();
    SnapshotResponse { header: None, remaining_bytes, blob, version }
}
