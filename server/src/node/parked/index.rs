//! Where parked decisions are found: by the keys, ranges and leases they read. A change costs a
//! lookup and a walk to the ranges it lies in, however many decisions wait for something else.

use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap};
use std::hash::Hash;

use bytes::Bytes;

use crate::machine::{Change, What};
use crate::types::{KeyRange, LeaseId};
use crate::view::ReadSet;
use crate::watch::IntervalTree;

/// A place in the lot.
pub type Spot = u32;

type Filed<K> = HashMap<K, BTreeSet<Spot>>;

/// Spots by what the decision there has read.
#[derive(Default)]
pub struct Index {
    keys: Filed<Bytes>,
    ranges: Filed<KeyRange>,
    /// Each range in `ranges`, once.
    tree: IntervalTree<KeyRange>,
    leases: Filed<LeaseId>,
}

impl Index {
    pub fn file(&mut self, spot: Spot, reads: &ReadSet) {
        for key in reads.keys() {
            self.keys.entry(key.clone()).or_default().insert(spot);
        }
        for range in reads.ranges() {
            if !self.ranges.contains_key(range) {
                self.tree.insert(range, range.clone());
            }
            self.ranges.entry(range.clone()).or_default().insert(spot);
        }
        for lease in reads.leases() {
            self.leases.entry(lease).or_default().insert(spot);
        }
    }

    pub fn unfile(&mut self, spot: Spot, reads: &ReadSet) {
        for key in reads.keys() {
            take(&mut self.keys, key.clone(), spot);
        }
        for range in reads.ranges() {
            if take(&mut self.ranges, range.clone(), spot) {
                self.tree.remove(range, |filed| (!filed.is_empty()).then_some(0));
            }
        }
        for lease in reads.leases() {
            take(&mut self.leases, lease, spot);
        }
    }

    /// The decisions that read what the change is of.
    pub fn touched(&self, change: &Change) -> BTreeSet<Spot> {
        let key = change.key();
        let mut spots = self.keys.get(key).cloned().unwrap_or_default();
        let mut add = |range: &KeyRange| spots.extend(self.ranges.get(range).into_iter().flatten());
        self.tree.stab(key, &mut add);
        // A key that comes to a lease or leaves it changes what hangs on it.
        if !self.leases.is_empty() {
            let before = change.prev.as_ref().map(|item| item.lease());
            let after = match &change.what {
                What::Put(item) => Some(item.lease()),
                What::Delete { .. } => None,
            };
            for lease in before.into_iter().chain(after) {
                spots.extend(self.of_lease(lease));
            }
        }
        spots
    }

    /// The decisions that looked at the lease.
    pub fn of_lease(&self, lease: LeaseId) -> BTreeSet<Spot> {
        self.leases.get(&lease).cloned().unwrap_or_default()
    }

    #[cfg(test)]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty() && self.ranges.is_empty() && self.leases.is_empty()
    }
}

/// True when `spot` was the last one filed under `name`.
fn take<K: Hash + Eq>(filed: &mut Filed<K>, name: K, spot: Spot) -> bool {
    let Entry::Occupied(mut entry) = filed.entry(name) else { return false };
    entry.get_mut().remove(&spot);
    let is_last = entry.get().is_empty();
    if is_last {
        entry.remove();
    }
    is_last
}
