//! A persistent ordered map: a B-tree whose nodes are shared between versions and copied only when
//! a shared one is changed. Each inner node knows how many items lie below each child, so counting
//! a range and finding the n-th item take O(log n).
//!
//! Items carry their own key. Inner nodes hold separators of their own, cut to the shortest prefix
//! that tells two leaves apart, so that no superseded item is kept alive by them.

mod build;
mod edit;
mod iter;
mod node;
mod slots;
mod sorted;

use triomphe::Arc;

use crate::types::{Item, KeyRange, RangeEnd};

pub use iter::Range;
use node::{Leaf, Node};

/// What can live in a [`Tree`]: it knows its key, and a clone has the same one.
pub trait Keyed: Clone {
    fn key(&self) -> &[u8];
}

impl Keyed for Item {
    fn key(&self) -> &[u8] {
        Item::key(self)
    }
}

/// An ordered map of items by their own key. A clone is one counter, and keeps its content whatever
/// becomes of the original.
#[derive(Clone)]
pub struct Tree<T> {
    root: Node<T>,
    len: usize,
}

impl<T: Keyed> Default for Tree<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: Keyed> Tree<T> {
    pub fn new() -> Self {
        Self { root: Node::Leaf(Arc::new(Leaf::default())), len: 0 }
    }

    /// Builds the tree from items in strictly ascending order of key, bottom up, in O(n).
    pub fn from_sorted(items: impl IntoIterator<Item = T>) -> Self {
        build::from_sorted(items)
    }

    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub fn get(&self, key: &[u8]) -> Option<&T> {
        self.root.get(key)
    }

    pub fn contains(&self, key: &[u8]) -> bool {
        self.get(key).is_some()
    }

    /// Puts an item in and hands back the one it takes the place of.
    pub fn insert(&mut self, item: T) -> Option<T> {
        match self.root.insert(item) {
            edit::Added::Replaced(old) => return Some(old),
            edit::Added::Grew => {}
            edit::Added::Split { separator, right } => self.root.grow(separator, right),
        }
        self.len += 1;
        None
    }

    /// Takes an item out. Copies nothing when there is none.
    pub fn remove(&mut self, key: &[u8]) -> Option<T> {
        if !self.contains(key) {
            return None;
        }
        let removed = self.root.remove(key);
        self.root.collapse();
        self.len -= usize::from(removed.is_some());
        removed
    }

    /// How many items have a key below `key`.
    pub fn rank(&self, key: &[u8]) -> usize {
        self.root.rank(key).0
    }

    /// The item with exactly `n` others before it.
    pub fn nth(&self, n: usize) -> Option<&T> {
        (n < self.len).then(|| self.root.nth(n))
    }

    /// How many items lie in the range, in O(log n).
    pub fn count(&self, range: &KeyRange) -> usize {
        let (from, to) = self.ranks(range);
        to - from
    }

    /// The items of a range in order of key, from either end.
    pub fn range(&self, range: &KeyRange) -> Range<'_, T> {
        let (from, to) = self.ranks(range);
        Range::new(&self.root, from, to)
    }

    /// All items in order of key.
    pub fn iter(&self) -> Range<'_, T> {
        Range::new(&self.root, 0, self.len)
    }

    fn ranks(&self, range: &KeyRange) -> (usize, usize) {
        let (from, present) = self.root.rank(&range.start);
        let to = match &range.end {
            RangeEnd::Single => from + usize::from(present),
            RangeEnd::Before(end) => self.rank(end).max(from),
            RangeEnd::Unbounded => self.len,
        };
        (from, to)
    }
}

impl<'a, T: Keyed> IntoIterator for &'a Tree<T> {
    type Item = &'a T;
    type IntoIter = Range<'a, T>;

    fn into_iter(self) -> Range<'a, T> {
        self.iter()
    }
}

#[cfg(test)]
#[path = "tree_test.rs"]
mod tests;
