//! What a decision looked at. One record does two jobs: the decision still stands while nothing in
//! it has changed, and a decision that waits is tried again when something in it does.

use std::collections::{BTreeMap, HashSet, VecDeque};

use bytes::Bytes;

use crate::machine::{Change, State};
use crate::types::{Item, KeyRange, LeaseId, Revision};

/// Keys, ranges and leases that a decision read, and what it saw there.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ReadSet {
    /// The state's revision when the decision began, or its chain did; ranges were seen as of then.
    seen: i64,
    bindings_revision: u64,
    /// Rights belong to what was read.
    auth: (bool, u64),
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
        Self {
            seen: state.revision,
            bindings_revision: state.bindings_revision,
            auth: auth_of(state),
            ..Self::default()
        }
    }

    /// Notes that `key` was read and `item` found there. The first note of a key counts: whoever
    /// writes a key notes first what was there, so what it reads later is its own.
    pub fn note_key(&mut self, key: &Bytes, item: Option<&Item>) {
        if self.keys.contains_key(key) || self.ranges.iter().any(|range| range.contains(key)) {
            return;
        }
        self.keys.insert(key.clone(), item.map(Item::modified));
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

    /// Nothing was read.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty() && self.ranges.is_empty() && self.leases.is_empty()
    }

    /// For a decision that follows others in a chain begun at revision `base`.
    pub fn begun_at(mut self, base: i64) -> Self {
        self.seen = base;
        self
    }

    /// True when a decision on `head` would read the same again. `recent` holds the last changes
    /// that led to `head`; where it does not reach back far enough the answer is no. `own` are
    /// later revisions than it began at whose writes it has seen all the same, see [`Chain`].
    pub fn still_valid(&self, head: &State, recent: &Recent, own: &HashSet<i64>) -> bool {
        self.conditions_still_valid(head)
            && self.keys.iter().all(|(key, seen)| head.get(key).map(Item::modified) == *seen)
            && self.ranges_still_valid(head, recent, own)
    }

    /// The part of it that can change without a revision: bindings, rights and leases.
    pub fn conditions_still_valid(&self, head: &State) -> bool {
        self.bindings_revision == head.bindings_revision
            && self.auth == auth_of(head)
            && self.leases.iter().all(|(id, exists)| head.lease(*id).is_some() == *exists)
            && self.attached.iter().all(|(id, n)| head.leases().attached_count(*id) == *n)
    }

    fn ranges_still_valid(&self, head: &State, recent: &Recent, own: &HashSet<i64>) -> bool {
        if self.ranges.is_empty() || head.revision == self.seen {
            return true;
        }
        let Some(mut since) = recent.since(self.seen) else { return false };
        let read = |key: &[u8]| self.ranges.iter().any(|range| range.contains(key));
        since.all(|(at, key)| own.contains(&at) || !read(key))
    }

    /// The keys and ranges that were read, for whoever must index waiting decisions by them.
    pub fn covers(&self) -> impl Iterator<Item = KeyRange> {
        let keys = self.keys.keys().cloned().map(KeyRange::single);
        keys.chain(self.ranges.iter().cloned())
    }

    pub fn keys(&self) -> impl Iterator<Item = &Bytes> {
        self.keys.keys()
    }

    pub fn ranges(&self) -> &[KeyRange] {
        &self.ranges
    }

    /// The leases whose existence or whose keys were read.
    pub fn leases(&self) -> impl Iterator<Item = LeaseId> {
        self.leases.keys().chain(self.attached.keys()).copied()
    }
}

fn auth_of(state: &State) -> (bool, u64) {
    (state.auth().enabled, state.auth().revision)
}

/// The keys that the earlier decisions of a chain wrote on a head that is not sequenced yet, each
/// with the revision foreseen for its last write. A later decision rests on those it read: it
/// stands only if they came out at exactly these revisions.
#[derive(Debug, Default)]
pub struct Chain(BTreeMap<Bytes, i64>);

impl Chain {
    pub fn wrote(&mut self, key: Bytes, foreseen: i64) {
        self.0.insert(key, foreseen);
    }

    /// The revisions that a decision with these reads rests on.
    pub fn under(&self, reads: &ReadSet) -> Vec<i64> {
        if self.0.is_empty() {
            return Vec::new();
        }
        let keys = reads.keys.keys().filter_map(|key| self.0.get(key));
        let ranges = reads.ranges.iter().flat_map(|range| {
            self.0.range(range.start.clone()..).take_while(|(key, _)| range.contains(key))
        });
        let mut revisions: Vec<i64> = keys.chain(ranges.map(|(_, at)| at)).copied().collect();
        revisions.sort_unstable();
        revisions.dedup();
        revisions
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

    /// The keys changed above `revision` and where, newest first; `None` when some may be missing.
    fn since(&self, revision: i64) -> Option<impl Iterator<Item = (i64, &[u8])>> {
        (revision >= self.complete_above).then(|| {
            let newer = move |change: &&(i64, Box<[u8]>)| change.0 > revision;
            self.changes.iter().rev().take_while(newer).map(|(at, key)| (*at, &key[..]))
        })
    }
}

#[cfg(test)]
#[path = "view_test.rs"]
mod tests;
