//! Leases: which there are, and when they end by the fake clock.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use crate::Item;
use crate::testing::store::Items;

/// Ids by the moment of their end, in milliseconds since 1970.
#[derive(Debug, Default)]
pub(crate) struct Leases {
    ends: BTreeMap<i64, u64>,
    granted: i64,
}

impl Leases {
    pub(crate) fn grant(&mut self, ends: u64) -> i64 {
        self.granted += 1;
        self.ends.insert(self.granted, ends);
        self.granted
    }

    /// False when there is no such lease.
    pub(crate) fn revoke(&mut self, id: i64) -> bool {
        self.ends.remove(&id).is_some()
    }

    pub(crate) fn exists(&self, id: i64) -> bool {
        id == 0 || self.ends.contains_key(&id)
    }

    pub(crate) fn ids(&self) -> Rc<BTreeSet<i64>> {
        Rc::new(self.ends.keys().copied().collect())
    }

    /// Those whose end has come, in the order of their ends.
    pub(crate) fn due(&self, now: u64) -> Vec<i64> {
        let mut due: Vec<_> = self.ends.iter().filter(|(_, end)| **end <= now).collect();
        due.sort_by_key(|(id, end)| (**end, **id));
        due.into_iter().map(|(id, _)| *id).collect()
    }
}

/// The keys on a lease.
pub(crate) fn keys_on(items: &Items, lease: i64) -> Vec<Vec<u8>> {
    let on = |item: &&Item| item.lease == lease;
    items.values().filter(on).map(|item| item.key.clone()).collect()
}
