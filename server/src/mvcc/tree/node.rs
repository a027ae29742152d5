//! The two kinds of node and how they are searched.

use triomphe::{Arc, ThinArc};

use super::Keyed;
use super::slots::Slots;
use super::sorted::Sorted;

/// Children of an inner node. Wider nodes make a copied path dearer, narrower ones the tree deeper.
pub(super) const WIDTH: usize = 32;
/// Items in a leaf. Copying a leaf touches each of its items, which are anywhere in memory.
pub(super) const LEAF_WIDTH: usize = 16;

/// The least key of the subtree to its right, cut short.
#[derive(Clone)]
pub(super) struct Separator(ThinArc<(), u8>);

impl Keyed for Separator {
    fn key(&self) -> &[u8] {
        &self.0.slice
    }
}

#[derive(Clone)]
pub(super) enum Node<T> {
    Leaf(Arc<Leaf<T>>),
    Inner(Arc<Inner<T>>),
}

#[derive(Clone)]
pub(super) struct Leaf<T> {
    pub items: Sorted<T, LEAF_WIDTH>,
}

/// `separators[i]` lies above every key of `children[i]` and at or below every key of the next.
#[derive(Clone)]
pub(super) struct Inner<T> {
    pub separators: Sorted<Separator, WIDTH>,
    pub children: Slots<Node<T>, WIDTH>,
    /// Items below each child.
    pub counts: [u32; WIDTH],
}

impl<T> Default for Leaf<T> {
    fn default() -> Self {
        Self { items: Sorted::default() }
    }
}

impl<T> Default for Inner<T> {
    fn default() -> Self {
        Self { separators: Sorted::default(), children: Slots::default(), counts: [0; WIDTH] }
    }
}

/// The shortest key above `left` and at or below `right`; `left` must lie below `right`.
pub(super) fn separator(left: &[u8], right: &[u8]) -> Separator {
    let shared = left.iter().zip(right).take_while(|(l, r)| l == r).count();
    Separator(ThinArc::from_header_and_slice((), &right[..(shared + 1).min(right.len())]))
}

impl<T: Keyed> Leaf<T> {
    /// Where the key is, or where it would be.
    pub fn find(&self, key: &[u8]) -> Result<usize, usize> {
        self.items.find(key)
    }
}

impl<T> Inner<T> {
    /// The child whose subtree the key belongs to.
    pub fn child_of(&self, key: &[u8]) -> usize {
        self.separators.at_or_below(key)
    }

    /// The child with the `n`-th item below this node, and that item's place within it.
    pub fn child_at(&self, mut n: usize) -> (usize, usize) {
        let mut at = 0;
        while n >= self.counts[at] as usize {
            n -= self.counts[at] as usize;
            at += 1;
        }
        (at, n)
    }

    pub fn count(&self) -> usize {
        self.counts[..self.children.len()].iter().map(|count| *count as usize).sum()
    }
}

impl<T: Keyed> Node<T> {
    pub fn get(&self, key: &[u8]) -> Option<&T> {
        let mut node = self;
        loop {
            match node {
                Node::Leaf(leaf) => return leaf.find(key).ok().map(|at| leaf.items.get(at)),
                Node::Inner(inner) => node = inner.children.get(inner.child_of(key)),
            }
        }
    }

    /// How many items lie below the key, and whether the key itself is there.
    pub fn rank(&self, key: &[u8]) -> (usize, bool) {
        let (mut node, mut before) = (self, 0);
        loop {
            match node {
                Node::Leaf(leaf) => {
                    return match leaf.find(key) {
                        Ok(at) => (before + at, true),
                        Err(at) => (before + at, false),
                    };
                }
                Node::Inner(inner) => {
                    let at = inner.child_of(key);
                    before += inner.counts[..at].iter().map(|c| *c as usize).sum::<usize>();
                    node = inner.children.get(at);
                }
            }
        }
    }

    /// The `n`-th item; there must be one.
    pub fn nth(&self, n: usize) -> &T {
        let (mut node, mut n) = (self, n);
        loop {
            match node {
                Node::Leaf(leaf) => return leaf.items.get(n),
                Node::Inner(inner) => {
                    let (at, rest) = inner.child_at(n);
                    (node, n) = (inner.children.get(at), rest);
                }
            }
        }
    }

    pub fn count(&self) -> usize {
        match self {
            Node::Leaf(leaf) => leaf.items.len(),
            Node::Inner(inner) => inner.count(),
        }
    }

    /// Filled slots of the node itself.
    pub fn width(&self) -> usize {
        match self {
            Node::Leaf(leaf) => leaf.items.len(),
            Node::Inner(inner) => inner.children.len(),
        }
    }
}
