//! A short vector that lives inside its node: no allocation of its own, no pointer to follow.

use std::cmp::Ordering;
use std::ops::Range;

/// Up to `N` values in order; those beyond `len` are empty.
#[derive(Clone)]
pub(super) struct Slots<T, const N: usize> {
    len: usize,
    slots: [Option<T>; N],
}

const FILLED: &str = "slots below the length are filled";

impl<T, const N: usize> Default for Slots<T, N> {
    fn default() -> Self {
        Self { len: 0, slots: [const { None }; N] }
    }
}

impl<T, const N: usize> Slots<T, N> {
    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_full(&self) -> bool {
        self.len == N
    }

    #[inline]
    pub fn get(&self, at: usize) -> &T {
        self.slots[at].as_ref().expect(FILLED)
    }

    pub fn get_mut(&mut self, at: usize) -> &mut T {
        self.slots[at].as_mut().expect(FILLED)
    }

    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.slots[..self.len].iter().flatten()
    }

    /// Panics when full; callers split first.
    pub fn insert(&mut self, at: usize, value: T) {
        self.slots[self.len] = Some(value);
        self.len += 1;
        self.slots[at..self.len].rotate_right(1);
    }

    pub fn push(&mut self, value: T) {
        self.slots[self.len] = Some(value);
        self.len += 1;
    }

    pub fn remove(&mut self, at: usize) -> T {
        let value = self.slots[at].take().expect(FILLED);
        self.slots[at..self.len].rotate_left(1);
        self.len -= 1;
        value
    }

    /// Moves the values from `at` on into a new one.
    pub fn split_off(&mut self, at: usize) -> Self {
        let mut right = Self::default();
        for slot in &mut self.slots[at..self.len] {
            right.slots[right.len] = slot.take();
            right.len += 1;
        }
        self.len = at;
        right
    }

    /// Appends all of `other`; both together must fit.
    pub fn append(&mut self, other: Self) {
        for value in other.slots.into_iter().flatten() {
            self.push(value);
        }
    }

    /// Searches a part that is sorted: the place of what is equal, or where it would be.
    #[inline]
    pub fn binary_search_in(
        &self,
        part: Range<usize>,
        mut compare: impl FnMut(&T) -> Ordering,
    ) -> Result<usize, usize> {
        let from = part.start;
        let found = self.slots[part].binary_search_by(|slot| compare(slot.as_ref().expect(FILLED)));
        found.map(|at| from + at).map_err(|at| from + at)
    }
}
