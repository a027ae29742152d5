//! A snapshot of this member in etcd's form: a file beside the store, written from a view of the
//! store while writes go on, and gone as soon as nobody reads it any more.

use std::fs::File;
use std::io::{BufWriter, Seek, SeekFrom};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::{Semaphore, SemaphorePermit};

use super::error::Failure;
use super::handle::Node;
use super::position;
use super::shared::Shared;
use crate::backup::{self, Origin, OriginMember};
use crate::types::MemberId;

/// Snapshots made at once in this process: each takes the disk's whole pace and its space.
const BUILT_AT_ONCE: usize = 1;
static BUILDING: Semaphore = Semaphore::const_new(BUILT_AT_ONCE);
/// Bytes written at a time.
const BUFFER_BYTES: usize = 1024 * 1024;
const NAME: &str = "snapshot-";

/// A complete snapshot. Its file has no name: it ends with this handle, or with the process.
pub struct SnapshotFile {
    pub file: File,
    pub bytes: u64,
}

impl Node {
    /// Writes what is applied here now to a file, consistent at one revision. While there is a
    /// leader that is everything acknowledged before the call, by whichever member; without one a
    /// member still gives what it has.
    pub async fn snapshot_file(&self) -> Result<SnapshotFile, Failure> {
        let patience = self.election_timeout();
        if tokio::time::timeout(patience, self.linearizable()).await.is_err() {
            tracing::warn!("snapshot of what this member has, as no leader answers");
        }
        let permit = BUILDING.acquire().await.map_err(|_| Failure::Stopped)?;
        let (shared, members) = (self.shared.clone(), self.origin_members());
        let written = tokio::task::spawn_blocking(move || build(&shared, members, permit)).await;
        written.map_err(|_| Failure::Stopped)?
    }

    fn origin_members(&self) -> Vec<OriginMember> {
        let members = self.members().into_iter().map(|member| OriginMember {
            id: member.id.0,
            name: member.name,
            peer_urls: member.peer_urls,
            client_urls: member.client_urls,
            is_learner: member.is_learner,
        });
        members.collect()
    }
}

fn build(
    shared: &Shared,
    members: Vec<OriginMember>,
    _permit: SemaphorePermit<'static>,
) -> Result<SnapshotFile, Failure> {
    // Etcd's form takes a little more than the store's records do.
    if !shared.space.has_room_for(shared.store.live_bytes() / 4 * 5) {
        tracing::warn!(live = shared.store.live_bytes(), "no room on the disk for a snapshot");
        return Err(Failure::NoRoom);
    }
    write(shared, members).map_err(|error| {
        tracing::error!(%error, "the snapshot was not written");
        Failure::Unreadable
    })
}

fn write(shared: &Shared, members: Vec<OriginMember>) -> Result<SnapshotFile, backup::Error> {
    let compacted = shared.applied.with(|version| version.state.compacted);
    // Before the view is taken: what is left over by now is so in the view too.
    let leftovers = shared.history.load().leftovers(compacted);
    let snapshot = shared.store.snapshot()?;
    let rows = snapshot.rows()?;
    let (applied, _) =
        position::find(&rows).map_err(|error| backup::Error::Rows(error.to_string()))?;
    let term = applied.map_or(0, |applied| applied.leader_id.term);
    let origin = Origin { index: snapshot.index(), term, members };
    let file = nameless(shared.space.dir())
        .map_err(|error| backup::Error::Io { what: "create the snapshot's file", error })?;
    let out = BufWriter::with_capacity(BUFFER_BYTES, file);
    let (out, bytes) = backup::export(&snapshot, &origin, &leftovers, out)?;
    let rewound = out
        .into_inner()
        .map_err(std::io::IntoInnerError::into_error)
        .and_then(|mut file| file.seek(SeekFrom::Start(0)).map(|_| file));
    let file =
        rewound.map_err(|error| backup::Error::Io { what: "read the snapshot back", error })?;
    let MemberId(member) = shared.identity.member;
    tracing::info!(bytes, index = origin.index, member, "snapshot written");
    Ok(SnapshotFile { file, bytes })
}

/// A file in `dir` that no crash leaves behind.
fn nameless(dir: &Path) -> std::io::Result<File> {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let path = dir.join(format!("{NAME}{}-{number}", std::process::id()));
    let file = File::options().read(true).write(true).create_new(true).open(&path)?;
    std::fs::remove_file(&path)?;
    Ok(file)
}
