//! Where idle instances wait for their next call, over all bindings: the latest used of a
//! binding goes out first, and when the shelf is full the longest unused of all is dropped. Every
//! operation takes the same short time, however many bindings there are.

use std::collections::VecDeque;

/// To whom an instance belongs. Instances are never lent across owners.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Owner(usize);

pub(super) struct Shelf<T> {
    /// The places of each owner's instances, the longest unused first.
    owners: Vec<VecDeque<usize>>,
    owners_free: Vec<Owner>,
    places: Vec<Place<T>>,
    places_free: Vec<usize>,
    /// The ends of the list that the taken places form in order of use.
    oldest: Option<usize>,
    newest: Option<usize>,
    len_max: usize,
}

struct Place<T> {
    instance: Option<T>,
    owner: Owner,
    older: Option<usize>,
    newer: Option<usize>,
}

impl<T> Shelf<T> {
    pub(super) fn new(len_max: usize) -> Self {
        Self {
            owners: Vec::new(),
            owners_free: Vec::new(),
            places: Vec::new(),
            places_free: Vec::new(),
            oldest: None,
            newest: None,
            len_max,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.places.len() - self.places_free.len()
    }

    /// A new owner, which must be given back with [`Shelf::leave`].
    pub(super) fn join(&mut self) -> Owner {
        self.owners_free.pop().unwrap_or_else(|| {
            self.owners.push(VecDeque::new());
            Owner(self.owners.len() - 1)
        })
    }

    /// Takes out all of an owner that is gone.
    #[must_use]
    pub(super) fn leave(&mut self, owner: Owner) -> Vec<T> {
        let places = std::mem::take(&mut self.owners[owner.0]);
        self.owners_free.push(owner);
        places.into_iter().filter_map(|place| self.clear(place)).collect()
    }

    /// The owner's latest used instance.
    pub(super) fn take(&mut self, owner: Owner) -> Option<T> {
        let place = self.owners[owner.0].pop_back()?;
        self.clear(place)
    }

    /// Keeps `instance`. Returns what has to go for it, for the caller to drop outside the lock.
    #[must_use]
    pub(super) fn put(&mut self, owner: Owner, instance: T) -> Option<T> {
        if self.len_max == 0 {
            return Some(instance);
        }
        let evicted = if self.len() == self.len_max { self.evict() } else { None };
        let older = self.newest;
        let place = Place { instance: Some(instance), owner, older, newer: None };
        let at = match self.places_free.pop() {
            Some(at) => {
                self.places[at] = place;
                at
            }
            None => {
                self.places.push(place);
                self.places.len() - 1
            }
        };
        match older {
            Some(older) => self.places[older].newer = Some(at),
            None => self.oldest = Some(at),
        }
        self.newest = Some(at);
        self.owners[owner.0].push_back(at);
        evicted
    }

    /// Takes out the longest unused instance of all.
    pub(super) fn evict(&mut self) -> Option<T> {
        let oldest = self.oldest?;
        let owner = self.places[oldest].owner;
        // The oldest of all is the oldest of its owner.
        self.owners[owner.0].pop_front();
        self.clear(oldest)
    }

    /// Empties a place that its owner no longer lists.
    fn clear(&mut self, at: usize) -> Option<T> {
        let Place { older, newer, .. } = self.places[at];
        match older {
            Some(older) => self.places[older].newer = newer,
            None => self.oldest = newer,
        }
        match newer {
            Some(newer) => self.places[newer].older = older,
            None => self.newest = older,
        }
        self.places_free.push(at);
        self.places[at].instance.take()
    }
}

#[cfg(test)]
mod tests {
    use super::Shelf;

    #[test]
    fn the_latest_goes_out_and_the_longest_unused_goes_away() {
        let mut shelf = Shelf::new(3);
        let (a, b) = (shelf.join(), shelf.join());
        assert_eq!(shelf.put(a, "a1"), None);
        assert_eq!(shelf.put(b, "b1"), None);
        assert_eq!(shelf.put(a, "a2"), None);
        assert_eq!(shelf.put(b, "b2"), Some("a1"));
        assert_eq!(shelf.put(b, "b3"), Some("b1"));
        assert_eq!((shelf.take(a), shelf.take(a)), (Some("a2"), None));
        assert_eq!((shelf.take(b), shelf.take(b), shelf.take(b)), (Some("b3"), Some("b2"), None));
        assert_eq!(shelf.len(), 0);
        assert_eq!(shelf.evict(), None);
        assert_eq!(shelf.put(b, "b4"), None);
        assert_eq!(shelf.evict(), Some("b4"));
    }

    #[test]
    fn an_owner_that_goes_takes_its_instances_along_and_the_next_has_none() {
        let mut shelf = Shelf::new(3);
        let (a, b) = (shelf.join(), shelf.join());
        assert_eq!(shelf.put(a, "a1"), None);
        assert_eq!(shelf.put(b, "b1"), None);
        assert_eq!(shelf.put(a, "a2"), None);
        assert_eq!(shelf.leave(a), ["a1", "a2"]);
        assert_eq!(shelf.len(), 1);
        let c = shelf.join();
        assert_eq!(shelf.take(c), None);
        assert_eq!((shelf.evict(), shelf.evict()), (Some("b1"), None));
    }

    #[test]
    fn any_order_of_use_keeps_the_order_of_age() {
        // Against the plain way to do the same: a list in order of use.
        let mut shelf = Shelf::new(4);
        let owners: Vec<_> = (0..3).map(|_| shelf.join()).collect();
        let mut plain: Vec<(usize, u32)> = Vec::new();
        let mut random = 7_u32;
        for n in 0..2000 {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let who = (random >> 16) as usize % 3;
            match (random >> 24) % 8 {
                0..4 => {
                    let evicted = (plain.len() == 4).then(|| plain.remove(0).1);
                    plain.push((who, n));
                    assert_eq!(shelf.put(owners[who], n), evicted);
                }
                4..7 => {
                    let at = plain.iter().rposition(|(owner, _)| *owner == who);
                    assert_eq!(shelf.take(owners[who]), at.map(|at| plain.remove(at).1));
                }
                _ => {
                    let first = (!plain.is_empty()).then(|| plain.remove(0).1);
                    assert_eq!(shelf.evict(), first);
                }
            }
            assert_eq!(shelf.len(), plain.len());
        }
    }

    #[test]
    fn a_shelf_without_room_keeps_nothing() {
        let mut shelf = Shelf::new(0);
        let a = shelf.join();
        assert_eq!(shelf.put(a, "a1"), Some("a1"));
    }
}
