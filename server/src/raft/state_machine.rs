//! openraft's state machine over an [`Applier`]: gathers committed entries into batches, flushes
//! once for each and answers proposers. Snapshots exist only while somebody reads them.

use std::io;
use std::task::Poll;

use futures::{Stream, StreamExt};
use openraft::RaftSnapshotBuilder;
use openraft::storage::{ApplyResponder, EntryResponder, RaftStateMachine, Snapshot};
use parking_lot::Mutex;

use super::applier::{Applier, Payload};
use super::fatal::Fatal;
use super::snapshot::{Outgoing, Pins, SnapshotData};
use super::types::{
    Entry, EntryPayload, LogId, Outcome, Proposal, RaftSnapshotMeta, RaftStoredMembership,
    StoredMembership, TypeConfig,
};

/// Entries between two flushes: bounds how long the first waits for its answer and how long the
/// thread is kept from raft's other work.
const BATCH_ENTRIES_MAX: usize = 64;
/// The same for entries of many bytes; the last may go beyond it.
const BATCH_BYTES_MAX: usize = 4 * 1024 * 1024;

pub struct StateMachine {
    /// In a mutex only to be `Sync`; nothing else holds it.
    applier: Mutex<Box<dyn Applier>>,
    pins: Pins,
    fatal: Fatal,
}

impl StateMachine {
    pub fn new(applier: Box<dyn Applier>, pins: Pins, fatal: Fatal) -> Self {
        Self { applier: Mutex::new(applier), pins, fatal }
    }

    fn meta(&mut self) -> RaftSnapshotMeta {
        let (last_log_id, membership) = self.applier.get_mut().applied();
        RaftSnapshotMeta { last_log_id, last_membership: (&membership).into() }
    }

    fn apply_batch(&mut self, batch: Vec<EntryResponder<TypeConfig>>) {
        let mut answers: Vec<(ApplyResponder<TypeConfig>, Outcome)> = Vec::new();
        for (entry, responder) in batch {
            let outcome = self.apply_one(entry);
            answers.extend(responder.map(|responder| (responder, outcome)));
        }
        self.applier.get_mut().flush();
        answers.into_iter().for_each(|(responder, outcome)| responder.send(outcome));
    }

    fn apply_one(&mut self, entry: Entry) -> Outcome {
        let Entry { log_id, payload } = entry;
        let payload = match payload {
            EntryPayload::Blank => Payload::Blank,
            EntryPayload::Normal(Proposal(bytes)) if bytes.is_empty() => Payload::Blank,
            EntryPayload::Normal(Proposal(bytes)) => Payload::Effects(bytes),
            EntryPayload::Membership(membership) => {
                Payload::Membership(StoredMembership::new(Some(log_id), &membership))
            }
        };
        self.applier.get_mut().apply(log_id, payload)
    }
}

impl Drop for StateMachine {
    /// openraft runs on when its state machine's task dies; a member that no longer applies must
    /// not.
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.fatal.raise("applying an entry panicked");
        }
    }
}

impl RaftStateMachine<TypeConfig> for StateMachine {
    type SnapshotData = SnapshotData;
    type SnapshotBuilder = Position;

    async fn applied_state(&mut self) -> io::Result<(Option<LogId>, RaftStoredMembership)> {
        let (last, membership) = self.applier.get_mut().applied();
        Ok((last, (&membership).into()))
    }

    async fn apply<S>(&mut self, mut entries: S) -> io::Result<()>
    where
        S: Stream<Item = io::Result<EntryResponder<TypeConfig>>> + Unpin + Send,
    {
        while let Some(first) = entries.next().await {
            let (mut batch, mut bytes) = (Vec::new(), 0);
            let mut next = Some(first);
            while let Some(item) = next.take() {
                let item = item?;
                bytes += payload_bytes(&item.0);
                batch.push(item);
                if batch.len() < BATCH_ENTRIES_MAX && bytes < BATCH_BYTES_MAX {
                    next = ready(&mut entries).await;
                }
            }
            let full = batch.len() == BATCH_ENTRIES_MAX || bytes >= BATCH_BYTES_MAX;
            match self.applier.get_mut().is_congested() {
                true => tokio::task::block_in_place(|| self.apply_batch(batch)),
                false => self.apply_batch(batch),
            }
            if full {
                // More is waiting: raft's other tasks have their turn first.
                tokio::task::yield_now().await;
            }
        }
        Ok(())
    }

    async fn try_create_snapshot_builder(&mut self, _force: bool) -> Option<Position> {
        Some(Position(self.meta()))
    }

    async fn get_snapshot_builder(&mut self) -> Position {
        Position(self.meta())
    }

    async fn install_snapshot(
        &mut self,
        meta: &RaftSnapshotMeta,
        snapshot: SnapshotData,
    ) -> io::Result<()> {
        let SnapshotData::Incoming(staged) = snapshot else {
            return Err(io::Error::other("a snapshot of this member cannot be installed on it"));
        };
        let applier = self.applier.get_mut();
        let membership = StoredMembership::from(&meta.last_membership);
        tokio::task::block_in_place(|| applier.install(meta.last_log_id, membership, staged))?;
        applier.flush();
        Ok(())
    }

    async fn get_current_snapshot(
        &mut self,
    ) -> io::Result<
        Option<Snapshot<super::types::CommittedLeaderId, u64, super::types::Peer, SnapshotData>>,
    > {
        let meta = self.meta();
        if meta.last_log_id.is_none() {
            return Ok(None);
        }
        let pin = self.pins.pin(meta.last_log_id);
        let applier = self.applier.get_mut();
        let source = tokio::task::block_in_place(|| applier.snapshot());
        Ok(Some(Snapshot { meta, snapshot: SnapshotData::Outgoing(Outgoing { source, pin }) }))
    }
}

fn payload_bytes(entry: &Entry) -> usize {
    match &entry.payload {
        EntryPayload::Normal(Proposal(bytes)) => bytes.len(),
        _ => 0,
    }
}

/// The next entry if it is there already.
async fn ready<S: Stream + Unpin>(entries: &mut S) -> Option<S::Item> {
    std::future::poll_fn(|cx| match entries.poll_next_unpin(cx) {
        Poll::Ready(item) => Poll::Ready(item),
        Poll::Pending => Poll::Ready(None),
    })
    .await
}

/// openraft purges only what it believes to be in a snapshot. Any position applied can be sent as
/// a snapshot on demand, so "building" one is to say how far that is.
pub struct Position(RaftSnapshotMeta);

impl RaftSnapshotBuilder<TypeConfig> for Position {
    type SnapshotData = SnapshotData;

    async fn build_snapshot(
        &mut self,
    ) -> io::Result<Snapshot<super::types::CommittedLeaderId, u64, super::types::Peer, SnapshotData>>
    {
        /// Nobody reads what "building" yields: openraft keeps the meta alone.
        struct Nothing;
        impl super::applier::SnapshotSource for Nothing {
            fn next_chunk(&mut self) -> io::Result<Option<bytes::Bytes>> {
                Err(io::Error::other("a position holds no data"))
            }
        }
        let pin = Pins::default().pin(None);
        let outgoing = Outgoing { source: Box::new(Nothing), pin };
        Ok(Snapshot { meta: self.0.clone(), snapshot: SnapshotData::Outgoing(outgoing) })
    }
}
