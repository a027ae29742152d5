//! What the parts of a node share: the applied state, the head, the pipeline between sequencer
//! and applier, and the ways to store, log and watchers.

use std::io;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};

use super::applied::Applied;
use super::confirm::Confirm;
use super::error::Failure;
use super::lane::Lane;
use super::past::StoreRecords;
use super::pipeline::Pipeline;
use super::policies::Policies;
use super::reaper::Reaper;
use super::reign::Leading;
use super::sequencer::Submission;
use super::sole_voter::SoleVoter;
use super::space::Space;
use super::triggers::Triggers;
use crate::clock::Clock;
use crate::decide::{Cx, Past};
use crate::effect::Attributes;
use crate::limits::REQUEST_TIMEOUT_BASE;
use crate::machine::State;
use crate::mvcc::{History, Records};
use crate::raft::{Group, StoredMembership};
use crate::storage::{self, Installed, Store};
use crate::types::{ClusterId, MemberId, Revision};
use crate::wal::Wal;
use crate::watch::Hub;

/// Who this member is.
#[derive(Clone, Copy, Debug)]
pub struct Identity {
    pub cluster: ClusterId,
    pub member: MemberId,
}

/// What flags decide about a node.
#[derive(Clone, Debug)]
pub struct Options {
    pub election_timeout: Duration,
    pub max_txn_ops: usize,
    pub max_request_bytes: usize,
    /// Refuse changes of the members that would lose the quorum.
    pub strict_reconfig_check: bool,
    pub learners_max: usize,
    /// Backend quota in bytes; `None` is no quota.
    pub quota_bytes: Option<i64>,
    /// How often the remaining time of leases longer than this is replicated.
    pub lease_checkpoint_interval: Duration,
}

impl Options {
    /// How long a request may take, as etcd.
    pub fn request_timeout(&self) -> Duration {
        REQUEST_TIMEOUT_BASE + 2 * self.election_timeout
    }
}

impl Options {
    /// The shortest lease in seconds: one must outlive an election, as etcd has it.
    pub fn lease_ttl_min(&self) -> i64 {
        (self.election_timeout * 3 / 2).as_millis().div_ceil(1000) as i64
    }
}

/// Everything a node's tasks and threads have in common.
pub struct Shared {
    pub identity: Identity,
    pub options: Options,
    /// What this member publishes of itself.
    pub attributes: Attributes,
    pub clock: Clock,
    pub applied: Arc<Applied>,
    /// Exchanged whole when a snapshot is installed; a reader keeps the one it began with.
    pub history: Arc<ArcSwap<History>>,
    pub store: Arc<Store>,
    pub records: StoreRecords,
    /// Index of the last batch given to the store: whoever writes holds it, so that batches of the
    /// applier and of compaction never overtake each other.
    pub(super) written_behind: Mutex<u64>,
    pub hub: Arc<Hub>,
    pub pipeline: Pipeline,
    pub confirm: Confirm,
    pub lane: Lane,
    pub policies: Policies,
    /// Up to which revision compaction has been carried out here.
    pub(super) forgotten: watch::Sender<i64>,
    pub space: Arc<Space>,
    pub(super) reaper: Reaper,
    pub queue: mpsc::Sender<Submission>,
    pub wal: Arc<Wal>,
    /// The term that answers carry: that of raft's last vote.
    pub term: AtomicU64,
    /// Where the API runs.
    pub(super) runtime: Handle,
    /// True only while the log names this member as the one voter there is; see the log store's
    /// membership hook, which clears it before a second voter can hear of its election.
    pub sole_voter: Arc<SoleVoter>,
    /// The members by the last such entry that is applied here.
    pub(super) members: ArcSwap<StoredMembership>,
    /// True once this member is known to belong to the cluster no more.
    pub(super) removed: watch::Sender<bool>,
    /// Held while the members are being changed.
    pub(super) changing: tokio::sync::Mutex<()>,
    pub(super) group: OnceLock<Group>,
    pub(super) reign: ArcSwap<Option<Leading>>,
    /// The same, for whoever waits for it to change.
    pub(super) reigns: watch::Sender<Option<Leading>>,
    pub triggers: Triggers,
}

impl Shared {
    /// The raft group, which exists before anything else asks for it.
    pub fn group(&self) -> &Group {
        self.group.get().expect("the group is set before tasks start")
    }

    /// The members as applied here; before anything is, as the log has them.
    pub(super) fn membership(&self) -> Arc<StoredMembership> {
        let applied = self.members.load_full();
        match applied.peers.is_empty() {
            true => Arc::new(self.group().membership()),
            false => applied,
        }
    }

    pub fn applied_index(&self) -> u64 {
        self.applied.with(|version| version.index)
    }

    /// The stretch of leadership that lasts now.
    pub fn reign(&self) -> Option<Leading> {
        **self.reign.load()
    }

    pub(super) fn set_reign(&self, reign: Option<Leading>) {
        self.reign.store(Arc::new(reign));
        self.reigns.send_replace(reign);
    }

    /// Hands a batch of the applier to the store. The store fails only for good.
    pub(super) fn write_behind(&self, batch: storage::Batch) {
        let mut index = self.written_behind.lock();
        *index = batch.index;
        if let Err(error) = self.store.write(batch) {
            crate::fatal!(%error, "the store takes no more writes");
        }
    }

    /// Switches to a store that a snapshot filled.
    pub(super) fn replace_store(&self, installed: Installed, index: u64) -> io::Result<()> {
        let mut written = self.written_behind.lock();
        self.store.replace(installed).map_err(io::Error::other)?;
        *written = index;
        Ok(())
    }

    /// Lets the store forget revisions that compaction has passed.
    pub(super) fn forget_behind(&self, forget: Vec<Revision>) {
        let index = self.written_behind.lock();
        let batch = storage::Batch { index: *index, forget, ..storage::Batch::default() };
        if let Err(error) = self.store.write(batch) {
            crate::fatal!(%error, "the store takes no more writes");
        }
    }

    pub(super) fn decision_limits(&self) -> Cx<'_> {
        Cx {
            max_txn_ops: self.options.max_txn_ops,
            quota_bytes: self.options.quota_bytes,
            db_size_bytes: self.store.live_bytes() as i64,
            disk_is_short: self.space.is_short() || self.wal.space_short(),
            lease_ttl_min: self.options.lease_ttl_min(),
            now_ms: self.clock.unix_ms(),
            past: Some(self),
        }
    }

    /// One round: proof that this cluster's leader led after the call began, and the index it had
    /// committed by then. While this member reigns it is its own leadership that is proved.
    pub(super) async fn read_index_round(&self) -> Result<u64, Failure> {
        if self.is_alone() {
            return Ok(self.applied_index());
        }
        let group = self.group();
        let round = match self.reign() {
            Some(reign) => group.confirm(reign.term).await,
            None => group.read_index().await,
        };
        round.map_err(|error| {
            tracing::debug!(%error, "read index failed");
            Failure::NoLeader
        })
    }
}

impl Past for Shared {
    fn lend(&self, read: &mut dyn FnMut(&State, &History, &dyn Records)) {
        self.applied.with(|version| read(&version.state, &self.history.load(), &self.records));
    }
}
