//! Where idle instances wait for their next call, over all bindings: the latest used of a
//! binding goes out first, and when the shelf is full the longest unused of all is dropped.

use std::collections::HashMap;

/// To whom an instance belongs. Instances are never lent across owners.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Owner(pub(super) u64);

pub(super) struct Shelf<T> {
    idle: HashMap<Owner, Vec<Idle<T>>>,
    len: usize,
    len_max: usize,
    clock: u64,
}

struct Idle<T> {
    since: u64,
    instance: T,
}

impl<T> Shelf<T> {
    pub(super) fn new(len_max: usize) -> Self {
        Self { idle: HashMap::new(), len: 0, len_max, clock: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// The owner's latest used instance.
    pub(super) fn take(&mut self, owner: Owner) -> Option<T> {
        let instance = self.idle.get_mut(&owner)?.pop()?.instance;
        self.len -= 1;
        Some(instance)
    }

    /// Keeps `instance`. Returns what has to go for it, for the caller to drop outside the lock.
    #[must_use]
    pub(super) fn put(&mut self, owner: Owner, instance: T) -> Option<T> {
        if self.len_max == 0 {
            return Some(instance);
        }
        let evicted = if self.len == self.len_max { self.evict() } else { None };
        self.clock += 1;
        let idle = Idle { since: self.clock, instance };
        self.idle.entry(owner).or_default().push(idle);
        self.len += 1;
        evicted
    }

    /// Takes out the longest unused instance of all.
    pub(super) fn evict(&mut self) -> Option<T> {
        let (&owner, _) = self
            .idle
            .iter()
            .filter(|(_, idle)| !idle.is_empty())
            .min_by_key(|(_, idle)| idle[0].since)?;
        let idle = self.idle.get_mut(&owner)?;
        // A vector is in order of use: it is pushed and popped at its end.
        let instance = idle.remove(0).instance;
        if idle.is_empty() {
            self.idle.remove(&owner);
        }
        self.len -= 1;
        Some(instance)
    }

    /// Takes out all of an owner that is gone.
    #[must_use]
    pub(super) fn clear(&mut self, owner: Owner) -> Vec<T> {
        let idle = self.idle.remove(&owner).unwrap_or_default();
        self.len -= idle.len();
        idle.into_iter().map(|idle| idle.instance).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::{Owner, Shelf};

    const A: Owner = Owner(1);
    const B: Owner = Owner(2);

    #[test]
    fn the_latest_goes_out_and_the_longest_unused_goes_away() {
        let mut shelf = Shelf::new(3);
        assert_eq!(shelf.put(A, "a1"), None);
        assert_eq!(shelf.put(B, "b1"), None);
        assert_eq!(shelf.put(A, "a2"), None);
        assert_eq!(shelf.put(B, "b2"), Some("a1"));
        assert_eq!(shelf.put(B, "b3"), Some("b1"));
        assert_eq!((shelf.take(A), shelf.take(A)), (Some("a2"), None));
        assert_eq!((shelf.take(B), shelf.take(B), shelf.take(B)), (Some("b3"), Some("b2"), None));
        assert_eq!(shelf.len(), 0);
        assert_eq!(shelf.evict(), None);
    }

    #[test]
    fn an_owner_that_goes_takes_its_instances_along() {
        let mut shelf = Shelf::new(3);
        assert_eq!(shelf.put(A, "a1"), None);
        assert_eq!(shelf.put(B, "b1"), None);
        assert_eq!(shelf.clear(A), ["a1"]);
        assert_eq!((shelf.take(A), shelf.len()), (None, 1));
    }

    #[test]
    fn a_shelf_without_room_keeps_nothing() {
        let mut shelf = Shelf::new(0);
        assert_eq!(shelf.put(A, "a1"), Some("a1"));
    }
}
