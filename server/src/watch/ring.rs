//! The newest revisions in memory, bounded in bytes: where a watcher that fell behind a little, or
//! reconnects, catches up without touching the store.

use std::collections::VecDeque;
use std::sync::Arc;

use super::event::Committed;

#[derive(Debug)]
pub(super) struct Ring {
    revisions: VecDeque<Arc<Committed>>,
    /// Every event of a revision above this one is here.
    floor: i64,
    bytes: usize,
    bytes_max: usize,
}

/// How much one read takes: it is made under the publisher's lock.
#[derive(Clone, Copy, Debug)]
pub(super) struct ReadLimit {
    pub(super) revisions: usize,
    pub(super) bytes: usize,
}

impl Ring {
    pub(super) fn new(applied: i64, bytes_max: usize) -> Self {
        Self { revisions: VecDeque::new(), floor: applied, bytes: 0, bytes_max }
    }

    pub(super) fn floor(&self) -> i64 {
        self.floor
    }

    /// `committed` is newer than everything here. The oldest go until the bytes are in bounds.
    pub(super) fn push(&mut self, committed: Arc<Committed>) {
        self.bytes += committed.size_bytes();
        self.revisions.push_back(committed);
        while self.bytes > self.bytes_max {
            let Some(oldest) = self.revisions.pop_front() else { break };
            self.bytes -= oldest.size_bytes();
            self.floor = oldest.revision();
        }
    }

    /// Forgets everything: what is up to `applied` must be read from the store.
    pub(super) fn reset(&mut self, applied: i64) {
        self.revisions.clear();
        self.bytes = 0;
        self.floor = applied;
    }

    /// Revisions from `from` on, and true when they are all there is. `from` lies above the floor.
    pub(super) fn read(&self, from: i64, limit: ReadLimit) -> (Vec<Arc<Committed>>, bool) {
        debug_assert!(from > self.floor, "revision {from} is not in the ring");
        let start = self.revisions.partition_point(|committed| committed.revision() < from);
        let mut taken = Vec::new();
        let mut bytes = 0;
        for committed in self.revisions.range(start..) {
            if taken.len() == limit.revisions || bytes >= limit.bytes {
                return (taken, false);
            }
            bytes += committed.size_bytes();
            taken.push(Arc::clone(committed));
        }
        (taken, true)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{ReadLimit, Ring};
    use crate::watch::event::{Change, Committed, Event};

    fn committed(revision: i64) -> Arc<Committed> {
        let event = Event::new(Change::Delete { key: "k".into() }, None);
        Arc::new(Committed::new(revision, vec![event]))
    }

    fn revisions(read: &[Arc<Committed>]) -> Vec<i64> {
        read.iter().map(|committed| committed.revision()).collect()
    }

    #[test]
    fn the_oldest_go_and_the_floor_says_so() {
        let one = committed(1).size_bytes();
        let mut ring = Ring::new(4, 3 * one);
        for revision in 5..=9 {
            ring.push(committed(revision));
        }
        assert_eq!(ring.floor(), 6);
        let all = ReadLimit { revisions: 10, bytes: usize::MAX };
        assert_eq!(revisions(&ring.read(7, all).0), [7, 8, 9]);
        let two = ReadLimit { revisions: 2, bytes: usize::MAX };
        assert_eq!((revisions(&ring.read(7, two).0), ring.read(7, two).1), (vec![7, 8], false));
        assert!(ring.read(8, two).1);
        let few = ReadLimit { revisions: 10, bytes: one };
        assert_eq!(revisions(&ring.read(7, few).0), [7]);
        assert!(ring.read(10, all).1 && ring.read(10, all).0.is_empty());
        ring.reset(20);
        assert_eq!((ring.floor(), ring.read(21, all).0.len()), (20, 0));
    }

    #[test]
    fn a_revision_larger_than_the_ring_is_not_kept() {
        let mut ring = Ring::new(0, 1);
        ring.push(committed(1));
        assert_eq!(ring.floor(), 1);
    }
}
