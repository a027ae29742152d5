//! Sorted keys of one node, with what it takes to search them without looking at them: the bytes
//! they all begin with and the eight bytes of each that follow. A key is a pointer to follow, so a
//! search costs a cache miss only where these are equal.

use std::cmp::Ordering;
use std::ops::Range;

use super::Keyed;
use super::slots::Slots;

/// Bytes remembered of what the keys have in common; the rest is told apart the slow way.
const SHARED_MAX: usize = 40;

/// Values in ascending order of key.
#[derive(Clone)]
pub(super) struct Sorted<T, const N: usize> {
    values: Slots<T, N>,
    shared_len: usize,
    shared: [u8; SHARED_MAX],
    heads: [u64; N],
}

impl<T, const N: usize> Default for Sorted<T, N> {
    fn default() -> Self {
        Self { values: Slots::default(), shared_len: 0, shared: [0; SHARED_MAX], heads: [0; N] }
    }
}

/// The first eight bytes as a number that sorts as they do. A shorter key is filled up with zeros,
/// so that equal heads do not mean equal keys, but different ones mean their order.
fn head(rest: &[u8]) -> u64 {
    if let Some(first) = rest.first_chunk() {
        return u64::from_be_bytes(*first);
    }
    let mut filled = [0; 8];
    filled[..rest.len()].copy_from_slice(rest);
    u64::from_be_bytes(filled)
}

impl<T, const N: usize> Sorted<T, N> {
    pub fn len(&self) -> usize {
        self.values.len()
    }

    pub fn is_full(&self) -> bool {
        self.values.is_full()
    }

    pub fn get(&self, at: usize) -> &T {
        self.values.get(at)
    }

    #[cfg(test)]
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.values.iter()
    }

    fn shared(&self) -> &[u8] {
        &self.shared[..self.shared_len]
    }

    pub fn remove(&mut self, at: usize) -> T {
        let len = self.len();
        self.heads.copy_within(at + 1..len, at);
        self.values.remove(at)
    }
}

impl<T: Keyed, const N: usize> Sorted<T, N> {
    /// Where the key is, or where it would be.
    pub fn find(&self, key: &[u8]) -> Result<usize, usize> {
        let tied = self.tied(key);
        self.values.binary_search_in(tied, |value| value.key().cmp(key))
    }

    /// How many keys are at or below `key`.
    pub fn at_or_below(&self, key: &[u8]) -> usize {
        match self.find(key) {
            Ok(at) => at + 1,
            Err(at) => at,
        }
    }

    /// The places whose keys cannot be told from `key` without looking; those before are below it,
    /// those behind above.
    fn tied(&self, key: &[u8]) -> Range<usize> {
        let (shared, len) = (self.shared(), self.len());
        let begin = &key[..shared.len().min(key.len())];
        match begin.cmp(shared) {
            Ordering::Less => 0..0,
            Ordering::Greater => len..len,
            Ordering::Equal => {
                let (head, heads) = (head(&key[shared.len()..]), &self.heads[..len]);
                let from = heads.partition_point(|other| *other < head);
                let ties = heads[from..].iter().take_while(|other| **other == head).count();
                from..from + ties
            }
        }
    }

    /// Puts another value of the same key in the place of one.
    pub fn replace(&mut self, at: usize, value: T) -> T {
        std::mem::replace(self.values.get_mut(at), value)
    }

    /// Panics when full; callers split first.
    pub fn insert(&mut self, at: usize, value: T) {
        let len = self.len();
        let fits = len > 0 && value.key().starts_with(self.shared());
        let head = if fits { head(&value.key()[self.shared_len..]) } else { 0 };
        self.values.insert(at, value);
        if fits {
            self.heads.copy_within(at..len, at + 1);
            self.heads[at] = head;
        } else {
            self.look();
        }
    }

    pub fn push(&mut self, value: T) {
        self.insert(self.len(), value);
    }

    /// Moves the values from `at` on into a new one.
    pub fn split_off(&mut self, at: usize) -> Self {
        let mut right = Self { values: self.values.split_off(at), ..Self::default() };
        right.look();
        self.look();
        right
    }

    /// Appends all of `other`; both together must fit.
    pub fn append(&mut self, other: Self) {
        self.values.append(other.values);
        self.look();
    }

    /// Looks at all keys again.
    fn look(&mut self) {
        let Some(last) = self.len().checked_sub(1) else {
            self.shared_len = 0;
            return;
        };
        let (low, high) = (self.values.get(0).key(), self.values.get(last).key());
        let both = low.iter().zip(high).take(SHARED_MAX);
        self.shared_len = both.take_while(|(low, high)| low == high).count();
        self.shared[..self.shared_len].copy_from_slice(&low[..self.shared_len]);
        for (slot, value) in self.heads.iter_mut().zip(self.values.iter()) {
            *slot = head(&value.key()[self.shared_len..]);
        }
    }

    /// For tests: what is remembered of the keys is what they are.
    #[cfg(test)]
    pub fn check(&self) {
        let keys: Vec<_> = self.iter().map(Keyed::key).collect();
        assert!(keys.windows(2).all(|pair| pair[0] < pair[1]));
        for (key, remembered) in keys.iter().zip(self.heads) {
            assert!(key.starts_with(self.shared()));
            assert_eq!(head(&key[self.shared_len..]), remembered);
        }
    }
}
