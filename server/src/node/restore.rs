//! A data directory from a snapshot: a store with everything that the file has, and a log that
//! begins behind it, for a member of a new cluster. Every member of that cluster is made from the
//! same file with the same list of members, so all of them start from the same place.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use super::position;
use super::shared::Identity;
use crate::backup::{self, Imported};
use crate::raft::{self, LogId, Peer, StoredMembership};
use crate::storage::{self, Store};
use crate::types::MemberId;
use crate::wal::{self, Wal};

/// The term of what a new cluster begins with, as etcd.
const FIRST_TERM: u64 = 1;

/// What is to be restored, and for whom.
#[derive(Clone, Debug)]
pub struct Plan {
    pub snapshot: PathBuf,
    /// Must not exist, or be empty.
    pub data_dir: PathBuf,
    /// Must not exist; `None` is the place below `data_dir`.
    pub wal_dir: Option<PathBuf>,
    pub identity: Identity,
    /// All members of the new cluster.
    pub members: Vec<(MemberId, Peer)>,
    pub skip_hash_check: bool,
    pub options: backup::Options,
}

/// Why nothing was restored. What had been written is removed again.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// etcd's words.
    #[error("data-dir {0:?} not empty or could not be read")]
    DataDir(String),
    /// etcd's words.
    #[error("wal-dir {0:?} exists")]
    WalDir(String),
    #[error("cannot {what}: {error}")]
    Io { what: &'static str, error: std::io::Error },
    #[error(transparent)]
    Snapshot(#[from] backup::Error),
    #[error(transparent)]
    Store(#[from] storage::Error),
    #[error(transparent)]
    Log(#[from] wal::OpenError),
}

/// Makes the data directory.
pub fn restore(plan: &Plan) -> Result<Imported, RestoreError> {
    if !is_free(&plan.data_dir) {
        return Err(RestoreError::DataDir(plan.data_dir.display().to_string()));
    }
    if let Some(dir) = plan.wal_dir.as_ref().filter(|dir| dir.exists()) {
        return Err(RestoreError::WalDir(dir.display().to_string()));
    }
    // Opened and checked before anything is written.
    let file = backup::open(&plan.snapshot, plan.skip_hash_check)?;
    let existed = plan.data_dir.exists();
    let (store, wal) = (store_dir(&plan.data_dir), wal_dir(plan));
    let made = fs::create_dir_all(&plan.data_dir)
        .map_err(|error| RestoreError::Io { what: "create the data directory", error })
        .and_then(|()| fill_store(plan, &file, &store))
        .and_then(|imported| begin_log(plan, &wal).map(|()| imported));
    if made.is_err() {
        for dir in [&store, &wal] {
            // The reason for which it failed is told; what cannot be removed stays visible.
            let _ = fs::remove_dir_all(dir);
        }
        if !existed {
            let _ = fs::remove_dir(&plan.data_dir);
        }
    }
    made
}

/// Where a member's store lies.
pub(super) fn store_dir(data_dir: &Path) -> PathBuf {
    data_dir.join("store")
}

fn wal_dir(plan: &Plan) -> PathBuf {
    plan.wal_dir.clone().unwrap_or_else(|| plan.data_dir.join("wal"))
}

fn is_free(dir: &Path) -> bool {
    match fs::read_dir(dir) {
        Ok(mut entries) => entries.next().is_none(),
        Err(error) => error.kind() == std::io::ErrorKind::NotFound,
    }
}

fn fill_store(
    plan: &Plan,
    file: &crate::bbolt::Database<fs::File>,
    dir: &Path,
) -> Result<Imported, RestoreError> {
    let (store, _) = Store::open(dir, storage::Options::default())?;
    let mut installer = store.installer()?;
    let imported = backup::import(file, plan.options, &mut installer)?;
    let (at, membership) = beginning(plan);
    let (key, value) = position::row(&at, &membership);
    installer.row(&key, value.expect("a position is a row"));
    let installed = installer.finish(at.index, imported.head)?;
    store.replace(installed)?;
    store.close()?;
    Ok(imported)
}

/// Where the log of the new cluster begins: behind one entry for each member, as an etcd's does.
fn beginning(plan: &Plan) -> (LogId, StoredMembership) {
    let at = raft::log_id(FIRST_TERM, plan.members.len() as u64);
    let voters: BTreeSet<u64> = plan.members.iter().map(|(id, _)| id.0).collect();
    let peers: BTreeMap<u64, Peer> =
        plan.members.iter().map(|(id, peer)| (id.0, peer.clone())).collect();
    (at, StoredMembership { log_id: Some(at), voters: vec![voters], peers })
}

/// A log without it is taken for lost, and the member does not start.
fn begin_log(plan: &Plan, dir: &Path) -> Result<(), RestoreError> {
    let Identity { cluster, member } = plan.identity;
    let identity = wal::Identity { cluster: cluster.0, member: member.0 };
    let (at, membership) = beginning(plan);
    let voted_for = membership.peers.keys().next().copied().unwrap_or(member.0);
    let log = Wal::open(dir, identity, wal::Options::default())?;
    raft::begin_log_behind(&log, at, voted_for)
        .map_err(|error| RestoreError::Io { what: "write the log", error })
}
