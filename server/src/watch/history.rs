//! The door to revisions older than the ring: what the node's store must offer, and one read from
//! it on behalf of several watchers. The read blocks and runs where the session's caller lets it.

use std::sync::Arc;

use super::event::{Change, Committed};
use super::index::Wants;
use crate::types::{Item, KeyRange};

/// Revisions read from the store.
#[derive(Debug)]
pub struct Chunk {
    /// In revision order. A revision is there with all its events in the asked ranges or not at
    /// all; `prev` need not be filled in. Events outside the ranges do no harm.
    pub revisions: Vec<Committed>,
    /// Every wanted event of a revision below this one is in the chunk. Above the asked `from`.
    pub next: i64,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HistoryError {
    /// The store no longer holds all it held at the asked revision.
    #[error("revisions below {0} are compacted")]
    Compacted(i64),
    #[error("{0}")]
    Failed(String),
}

/// Past revisions, as the node's store has them. Called from threads that may block.
///
/// To be correct the store must
/// - hold every record of a revision at or above the compacted one, a delete *at* the compacted
///   revision included;
/// - tell the hub of a compaction ([`super::Hub::compact`]) before it removes the first record;
/// - answer for each revision up to the applied one, whether it is written behind or not.
pub trait History: Send + Sync + 'static {
    /// Events in `ranges` of the revisions `from..=to`, reading about `bytes_max` and at least
    /// one revision; fewer come back when that is reached, with `next` saying where to go on.
    fn scan(
        &self,
        from: i64,
        to: i64,
        ranges: &[KeyRange],
        bytes_max: usize,
    ) -> Result<Chunk, HistoryError>;

    /// The item of `key` as it was before `revision`; `None` when there was none or it is
    /// compacted.
    fn before(&self, key: &[u8], revision: i64) -> Result<Option<Item>, HistoryError>;
}

/// One read for the watchers of a session that are older than the ring.
#[derive(Debug)]
pub(super) struct Scan {
    pub(super) from: i64,
    pub(super) to: i64,
    pub(super) members: Vec<u64>,
    pub(super) ranges: Vec<KeyRange>,
    pub(super) wants: Vec<Wants>,
    pub(super) bytes_max: usize,
}

/// The scan's members and what was found for them.
#[derive(Debug)]
pub(super) struct Scanned {
    pub(super) members: Vec<u64>,
    pub(super) from: i64,
    pub(super) found: Result<(Vec<Arc<Committed>>, i64), HistoryError>,
}

impl Scan {
    pub(super) fn run(self, history: &dyn History) -> Scanned {
        let found = self.read(history);
        Scanned { members: self.members, from: self.from, found }
    }

    fn read(&self, history: &dyn History) -> Result<(Vec<Arc<Committed>>, i64), HistoryError> {
        let mut chunk = history.scan(self.from, self.to, &self.ranges, self.bytes_max)?;
        if chunk.next <= self.from {
            let text = format!("no progress at revision {}", self.from);
            return Err(HistoryError::Failed(text));
        }
        chunk.revisions.retain(|committed| committed.revision() < chunk.next);
        for committed in &mut chunk.revisions {
            self.fill_prev(history, committed)?;
        }
        Ok((chunk.revisions.into_iter().map(Arc::new).collect(), chunk.next))
    }

    fn fill_prev(
        &self,
        history: &dyn History,
        committed: &mut Committed,
    ) -> Result<(), HistoryError> {
        let revision = committed.revision();
        for event in committed.events_mut() {
            let created = matches!(event.change(), Change::Put(item) if item.version() == 1);
            let asked = |(range, wants): (&KeyRange, &Wants)| {
                wants.prev_kv && wants.admits(event) && range.contains(event.key())
            };
            if event.prev().is_none() && !created && self.ranges.iter().zip(&self.wants).any(asked)
            {
                let prev = history.before(event.key(), revision)?;
                event.set_prev(prev);
            }
        }
        Ok(())
    }
}
