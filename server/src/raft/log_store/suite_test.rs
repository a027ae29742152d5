//! openraft's own suite for log stores, over a real log on disk. The suite wants a state machine
//! as well: the one here only remembers where it stands.

use std::io;

use futures::{Stream, TryStreamExt};
use openraft::RaftSnapshotBuilder;
use openraft::StorageError;
use openraft::entry::RaftEntry;
use openraft::storage::{EntryResponder, RaftStateMachine};
use openraft::testing::log::{StoreBuilder, Suite};
use openraft::type_config::alias::{SnapshotMetaOf, SnapshotOf, StoredMembershipOf};
use tempfile::TempDir;

use super::LogStore;
use super::store_test::open;
use crate::raft::types::{LogId, TypeConfig};

type Meta = SnapshotMetaOf<TypeConfig>;
type Snapshot = SnapshotOf<TypeConfig, ()>;
type Membership = StoredMembershipOf<TypeConfig>;

#[derive(Clone, Default)]
struct Applied {
    last: Option<LogId>,
    membership: Membership,
    snapshot: Option<Meta>,
}

impl RaftSnapshotBuilder<TypeConfig> for Box<Applied> {
    type SnapshotData = ();

    async fn build_snapshot(&mut self) -> io::Result<Snapshot> {
        let meta = Meta { last_log_id: self.last, last_membership: self.membership.clone() };
        Ok(Snapshot { meta, snapshot: () })
    }
}

struct Machine(Box<Applied>);

impl RaftStateMachine<TypeConfig> for Machine {
    type SnapshotData = ();
    type SnapshotBuilder = Box<Applied>;

    async fn applied_state(&mut self) -> io::Result<(Option<LogId>, Membership)> {
        Ok((self.0.last, self.0.membership.clone()))
    }

    async fn apply<S>(&mut self, mut entries: S) -> io::Result<()>
    where
        S: Stream<Item = io::Result<EntryResponder<TypeConfig>>> + Unpin + Send,
    {
        while let Some((entry, _)) = entries.try_next().await? {
            self.0.last = Some(entry.log_id);
            if let Some(membership) = entry.get_membership() {
                self.0.membership = Membership::new(Some(entry.log_id), membership);
            }
        }
        Ok(())
    }

    async fn get_snapshot_builder(&mut self) -> Box<Applied> {
        let (last_log_id, last_membership) = (self.0.last, self.0.membership.clone());
        self.0.snapshot = Some(Meta { last_log_id, last_membership });
        self.0.clone()
    }

    async fn install_snapshot(&mut self, meta: &Meta, (): ()) -> io::Result<()> {
        self.0.last = meta.last_log_id;
        self.0.membership = meta.last_membership.clone();
        self.0.snapshot = Some(meta.clone());
        Ok(())
    }

    async fn get_current_snapshot(&mut self) -> io::Result<Option<Snapshot>> {
        Ok(self.0.snapshot.clone().map(|meta| Snapshot { meta, snapshot: () }))
    }
}

struct Builder;

impl StoreBuilder<TypeConfig, LogStore, Machine, TempDir> for Builder {
    async fn build(&self) -> Result<(TempDir, LogStore, Machine), StorageError<TypeConfig>> {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path());
        Ok((dir, store, Machine(Box::default())))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn openrafts_suite_passes() {
    Suite::test_all(Builder).await.unwrap();
}
