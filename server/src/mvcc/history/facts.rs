//! The facts, by key for reading and by age for forgetting.

use std::borrow::Borrow;
use std::collections::{BTreeMap, HashSet, VecDeque};
use std::ops::Bound;

use bytes::Bytes;
use parking_lot::RwLock;
use triomphe::ThinArc;

use crate::mvcc::Change;
use crate::types::{KeyRange, RangeEnd, Revision};

/// Keys looked at under one hold of the lock.
const CHUNK_KEYS: usize = 512;

/// One revision of a key, live from `modified` until just before `superseded`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fact {
    pub modified: Revision,
    pub superseded: Revision,
}

/// Superseded revisions since the last compaction. All methods take `&self`; one thread writes,
/// any number read, each hold is short.
#[derive(Default)]
pub struct History(RwLock<Inner>);

#[derive(Default)]
struct Inner {
    by_key: BTreeMap<Key, VecDeque<Fact>>,
    by_age: VecDeque<Aged>,
    /// Revisions below this one may be gone.
    floor: i64,
}

/// A key's bytes, shared between the two orders.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key(ThinArc<(), u8>);

impl Key {
    fn new(bytes: &[u8]) -> Self {
        Self(ThinArc::from_header_and_slice((), bytes))
    }

    pub fn bytes(&self) -> &[u8] {
        &self.0.slice
    }
}

impl Borrow<[u8]> for Key {
    fn borrow(&self) -> &[u8] {
        self.bytes()
    }
}

/// What becomes forgettable once compaction has passed `at`.
struct Aged {
    at: Revision,
    /// The key whose oldest fact goes; none where that was forgotten before.
    key: Option<Key>,
    /// The record at `at` is a delete's and goes as well.
    tombstone: bool,
}

impl Fact {
    /// True when this was the key's live revision at `revision`, as seen by a reader whose own
    /// state is at `now`. What was superseded after `now` is still live in the reader's state.
    fn is_live_at(&self, revision: i64, now: i64) -> bool {
        self.modified.main <= revision
            && self.superseded.main > revision
            && self.superseded.main <= now
    }
}

impl History {
    /// Takes in changes of keys, in order.
    pub fn extend(&self, changes: &[Change]) {
        let mut inner = self.0.write();
        for change in changes {
            let Some(prev) = &change.prev else { continue };
            let (key, at) = (Key::new(prev.key()), change.at);
            let fact = Fact { modified: prev.modified(), superseded: at };
            let tombstone = change.is_delete();
            inner.by_age.push_back(Aged { at, key: Some(key.clone()), tombstone });
            inner.by_key.entry(key).or_default().push_back(fact);
        }
    }

    /// Takes in a delete whose put is forgotten already, so that it is forgotten in its turn.
    pub fn note_tombstone(&self, at: Revision) {
        self.0.write().by_age.push_back(Aged { at, key: None, tombstone: true });
    }

    /// Forgets what compaction at `compacted` allows, at most `max` facts at a time, and returns
    /// the records that nothing can ask for any more; empty when done.
    ///
    /// What was superseded at exactly `compacted` is kept: a watch from there still wants the
    /// events of that revision, the deletes among them included.
    pub fn prune(&self, compacted: i64, max: usize) -> Vec<Revision> {
        let mut inner = self.0.write();
        inner.floor = inner.floor.max(compacted);
        let mut forgotten = Vec::new();
        for _ in 0..max {
            let Some(aged) = inner.by_age.pop_front_if(|aged| aged.at.main < compacted) else {
                break;
            };
            forgotten.extend(aged.key.and_then(|key| inner.forget_oldest(&key)));
            forgotten.extend(aged.tombstone.then_some(aged.at));
        }
        forgotten
    }

    /// Facts held.
    pub fn len(&self) -> usize {
        self.0.read().by_age.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Revisions below this one may be gone.
    pub fn floor(&self) -> i64 {
        self.0.read().floor
    }

    /// The revision of `key` that the changes at the main revision `main` took the place of;
    /// `None` when they took the place of nothing or that is forgotten.
    pub fn superseded_in(&self, key: &[u8], main: i64) -> Option<Revision> {
        let inner = self.0.read();
        let facts = inner.by_key.get(key)?;
        let first = facts.partition_point(|fact| fact.superseded.main < main);
        let fact = facts.get(first).filter(|fact| fact.superseded.main == main)?;
        // What the transaction itself put before was not there before it.
        Some(fact.modified).filter(|modified| modified.main < main)
    }

    /// The last change of `key` up to `revision` that a fact tells of: a put that is superseded by
    /// now, or what superseded one. The key's live item, where there is one, is newer still.
    pub fn last_change(&self, key: &[u8], revision: i64) -> Option<Revision> {
        let inner = self.0.read();
        let facts = inner.by_key.get(key)?;
        let ends = facts.iter().rev().flat_map(|fact| [fact.superseded, fact.modified]);
        ends.filter(|at| at.main <= revision).max()
    }

    /// Until when the put of `key` at `modified` was live; `None` when it is live still, or was
    /// forgotten.
    pub fn superseded(&self, key: &[u8], modified: Revision) -> Option<Revision> {
        let inner = self.0.read();
        let facts = inner.by_key.get(key)?;
        let at = facts.binary_search_by_key(&modified, |fact| fact.modified).ok()?;
        Some(facts[at].superseded)
    }

    /// True when some revision was live at `revision` that is superseded by now.
    pub fn was_anything_live(&self, revision: i64, now: i64) -> bool {
        let inner = self.0.read();
        inner.by_key.values().flatten().any(|fact| fact.is_live_at(revision, now))
    }

    /// Records that compaction at `compacted` has passed and that are not forgotten yet: what was
    /// superseded by then, and deletes of before. A reader from that revision on needs none of
    /// them, only its watch may want the deletes' previous values.
    pub fn leftovers(&self, compacted: i64) -> HashSet<Revision> {
        let inner = self.0.read();
        let passed = inner.by_age.iter().take_while(|aged| aged.at.main <= compacted);
        let mut found = HashSet::new();
        for aged in passed {
            let facts = aged.key.as_ref().and_then(|key| inner.by_key.get(key.bytes()));
            let fact = facts.and_then(|facts| {
                let at = facts.binary_search_by_key(&aged.at, |fact| fact.superseded).ok()?;
                facts.get(at)
            });
            found.extend(fact.map(|fact| fact.modified));
            found.extend((aged.tombstone && aged.at.main < compacted).then_some(aged.at));
        }
        found
    }

    /// Keys of `range` whose live revision at `revision` is superseded by now, in order, with that
    /// revision; `None` when it is below the floor.
    pub(super) fn live_at(
        &self,
        range: &KeyRange,
        revision: i64,
        now: i64,
    ) -> Option<Vec<(Key, Revision)>> {
        let mut found = Vec::new();
        let mut next = Bound::Included(Bytes::clone(&range.start));
        loop {
            let inner = self.0.read();
            if revision < inner.floor {
                return None;
            }
            if range.is_empty() {
                return Some(found);
            }
            let (seen, last) = inner.scan(range, &next, |key, facts| {
                let live = facts.iter().rev().find(|fact| fact.is_live_at(revision, now));
                found.extend(live.map(|fact| (key.clone(), fact.modified)));
            });
            match last {
                Some(last) if seen == CHUNK_KEYS => {
                    next = Bound::Excluded(Bytes::copy_from_slice(last.bytes()));
                }
                _ => return Some(found),
            }
        }
    }
}

impl Inner {
    fn forget_oldest(&mut self, key: &Key) -> Option<Revision> {
        let facts = self.by_key.get_mut(key.bytes())?;
        let oldest = facts.pop_front();
        if facts.is_empty() {
            self.by_key.remove(key.bytes());
        }
        oldest.map(|fact| fact.modified)
    }

    /// Visits up to a chunk of keys from `from` on; returns how many and the last one.
    fn scan(
        &self,
        range: &KeyRange,
        from: &Bound<Bytes>,
        mut visit: impl FnMut(&Key, &VecDeque<Fact>),
    ) -> (usize, Option<Key>) {
        let from = match from {
            Bound::Included(key) => Bound::Included(&key[..]),
            Bound::Excluded(key) => Bound::Excluded(&key[..]),
            Bound::Unbounded => Bound::Unbounded,
        };
        let to = match &range.end {
            RangeEnd::Single => Bound::Included(&range.start[..]),
            RangeEnd::Before(end) => Bound::Excluded(&end[..]),
            RangeEnd::Unbounded => Bound::Unbounded,
        };
        let (mut seen, mut last) = (0, None);
        if let (Bound::Excluded(from), Bound::Excluded(to)) = (from, to)
            && from >= to
        {
            return (0, None);
        }
        if let (Bound::Excluded(from), Bound::Included(to)) = (from, to)
            && from >= to
        {
            return (0, None);
        }
        for (key, facts) in self.by_key.range::<[u8], _>((from, to)).take(CHUNK_KEYS) {
            visit(key, facts);
            seen += 1;
            last = Some(key);
        }
        (seen, last.cloned())
    }
}
