//! Who wants the events of a key: single keys by hash, ranges and prefixes by an interval tree,
//! so that thousands of watchers cost an event only those it is for.

use std::collections::HashMap;

use bytes::Bytes;

use super::event::Event;
use super::interval::IntervalTree;
use crate::types::KeyRange;

/// Which of a range's events a watcher is sent, and in which form.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Wants {
    pub(super) no_put: bool,
    pub(super) no_delete: bool,
    pub(super) prev_kv: bool,
}

impl Wants {
    pub(super) fn admits(self, event: &Event) -> bool {
        if event.is_put() { !self.no_put } else { !self.no_delete }
    }
}

/// A live watcher as the publisher knows it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Subscription {
    /// Unique in the hub and growing, which keeps every list below sorted.
    pub(super) serial: u64,
    pub(super) session: usize,
    pub(super) slot: u64,
    /// Earlier revisions are not sent; above the applied one for a watch on the future.
    pub(super) from: i64,
    pub(super) wants: Wants,
}

#[derive(Debug)]
pub(super) struct Index {
    keys: HashMap<Bytes, Vec<Subscription>>,
    ranges: IntervalTree<Subscription>,
    len: usize,
}

impl Index {
    pub(super) fn new() -> Self {
        Self { keys: HashMap::new(), ranges: IntervalTree::new(), len: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// The subscription's serial must be above all earlier ones.
    pub(super) fn insert(&mut self, range: &KeyRange, subscription: Subscription) {
        self.len += 1;
        if range.is_single() {
            self.keys.entry(range.start.clone()).or_default().push(subscription);
        } else {
            self.ranges.insert(range, subscription);
        }
    }

    /// False when it is not there.
    pub(super) fn remove(&mut self, range: &KeyRange, serial: u64) -> bool {
        let locate =
            |all: &[Subscription]| all.binary_search_by_key(&serial, |entry| entry.serial).ok();
        let removed = if range.is_single() {
            self.remove_key(&range.start, locate)
        } else {
            self.ranges.remove(range, locate).is_some()
        };
        self.len -= usize::from(removed);
        removed
    }

    fn remove_key(
        &mut self,
        key: &Bytes,
        locate: impl FnOnce(&[Subscription]) -> Option<usize>,
    ) -> bool {
        let Some(all) = self.keys.get_mut(key) else { return false };
        let Some(at) = locate(all) else { return false };
        all.remove(at);
        if all.is_empty() {
            self.keys.remove(key);
        }
        true
    }

    /// Calls `hit` with every subscription whose range contains `key`.
    pub(super) fn matching(&self, key: &[u8], hit: &mut impl FnMut(&Subscription)) {
        if let Some(all) = self.keys.get(key) {
            all.iter().for_each(&mut *hit);
        }
        self.ranges.stab(key, hit);
    }
}
