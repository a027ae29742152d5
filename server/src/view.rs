//! What a decision looked at. One record does two jobs: the decision still stands while nothing in
//! it has changed, and a decision that waits is tried again when something in it does.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;

use crate::machine::{Change, State};
use crate::types::{Item, KeyRange, LeaseId, Revision};

/// Keys, ranges and leases that a decision read, and what it saw there.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ReadSet {
    /// The state's revision when the decision began; ranges were seen as of then.
    seen: i64,
    bindings_revision: u64,
    /// Where each key was last written; `None` when it did not exist.
    keys: BTreeMap<Bytes, Option<Revision>>,
    ranges: Vec<KeyRange>,
    /// Whether each lease existed.
    leases: BTreeMap<LeaseId, bool>,
    /// How many keys hung on each lease whose keys were read, see [`ReadSet::note_lease_keys`].
    attached: BTreeMap<LeaseId, usize>,
}

impl ReadSet {
    /// An empty one, for a decision that begins on `state`.
    pub fn on(state: &State) -> Self {
        Self { seen: state.revision, bindings_revision: state.bindings_revision, ..Self::default() }
    }

    /// Notes that `key` was read and `item` found there. A key that the decision itself has
    /// written is noted as a range, which is checked as of the decision's beginning.
    pub fn note_key(&mut self, key: &Bytes, item: Option<&Item>, written: bool) {
        if written {
            return self.note_range(&KeyRange::single(key.clone()));
        }
        self.keys.entry(key.clone()).or_insert_with(|| item.map(Item::modified));
    }

    pub fn note_range(&mut self, range: &KeyRange) {
        if !self.ranges.contains(range) {
            self.ranges.push(range.clone());
        }
    }

    pub fn note_lease(&mut self, id: LeaseId, exists: bool) {
        self.leases.entry(id).or_insert(exists);
    }

    /// Notes that the keys of a lease were read and how many there were. Each of them is noted as
    /// a key as well: while none is written and their number stays, they are the same.
    pub fn note_lease_keys(&mut self, id: LeaseId, count: usize) {
        self.attached.entry(id).or_insert(count);
    }

    /// Takes in what a part of the same decision read, begun on the same state.
    pub fn merge(&mut self, other: ReadSet) {
        self.seen = self.seen.min(other.seen);
        for (key, seen) in other.keys {
            self.keys.entry(key).or_insert(seen);
        }
        other.ranges.iter().for_each(|range| self.note_range(range));
        for (id, exists) in other.leases {
            self.leases.entry(id).or_insert(exists);
        }
        for (id, count) in other.attached {
            self.attached.entry(id).or_insert(count);
        }
    }

    /// Nothing was read.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty() && self.ranges.is_empty() && self.leases.is_empty()
    }

    /// True when a decision on `head` would read the same again. `recent` holds the last changes
    /// that led to `head`; where it does not reach back far enough the answer is no.
    pub fn still_valid(&self, head: &State, recent: &Recent) -> bool {
        self.bindings_revision == head.bindings_revision
            && self.leases.iter().all(|(id, exists)| head.lease(*id).is_some() == *exists)
            && self.attached.iter().all(|(id, n)| head.leases().attached_count(*id) == *n)
            && self.keys.iter().all(|(key, seen)| head.get(key).map(Item::modified) == *seen)
            && self.ranges_still_valid(head, recent)
    }

    fn ranges_still_valid(&self, head: &State, recent: &Recent) -> bool {
        if self.ranges.is_empty() || head.revision == self.seen {
            return true;
        }
        let Some(mut since) = recent.since(self.seen) else { return false };
        since.all(|key| !self.ranges.iter().any(|range| range.contains(key)))
    }

    /// True when the change is of something that was read: a waiting decision is due.
    pub fn is_touched_by(&self, change: &Change) -> bool {
        let key = change.key();
        self.keys.contains_key(key) || self.ranges.iter().any(|range| range.contains(key))
    }

    /// The keys and ranges that were read, for whoever must index waiting decisions by them.
    pub fn covers(&self) -> impl Iterator<Item = KeyRange> {
        let keys = self.keys.keys().cloned().map(KeyRange::single);
        keys.chain(self.ranges.iter().cloned())
    }
}

/// The keys of the last changes on the way to the head, newest last.
#[derive(Debug)]
pub struct Recent {
    changes: VecDeque<(i64, Box<[u8]>)>,
    /// Every change above this revision is there.
    complete_above: i64,
}

/// Changes kept. A decision older than that many is simply evaluated again.
const RECENT_CHANGES: usize = 8192;

impl Default for Recent {
    /// Knows nothing: complete from the first change it is told on.
    fn default() -> Self {
        Self { changes: VecDeque::new(), complete_above: i64::MAX }
    }
}

impl Recent {
    /// Takes in the next change, whole revisions in order.
    pub fn push(&mut self, change: &Change) {
        if self.complete_above == i64::MAX {
            self.complete_above = change.at.main - 1;
        }
        if self.changes.len() == RECENT_CHANGES
            && let Some((dropped, _)) = self.changes.pop_front()
        {
            self.complete_above = dropped;
        }
        self.changes.push_back((change.at.main, change.key().into()));
    }

    /// The keys changed above `revision`, newest first; `None` when some may be missing.
    fn since(&self, revision: i64) -> Option<impl Iterator<Item = &[u8]>> {
        (revision >= self.complete_above).then(|| {
            let newer = move |change: &&(i64, Box<[u8]>)| change.0 > revision;
            self.changes.iter().rev().take_while(newer).map(|(_, key)| &key[..])
        })
    }
}

#[cfg(test)]
#[path = "view_test.rs"]
mod tests;
