//! Walking a range from either end.

use super::Keyed;
use super::node::{Inner, Leaf, Node};

/// Items in order of key, borrowed from one version of a tree.
pub struct Range<'a, T> {
    root: &'a Node<T>,
    from: usize,
    to: usize,
    front: Option<Cursor<'a, T>>,
    back: Option<Cursor<'a, T>>,
}

/// A place in the tree and the way down to it.
struct Cursor<'a, T> {
    path: Vec<(&'a Inner<T>, usize)>,
    leaf: &'a Leaf<T>,
    at: usize,
}

impl<'a, T: Keyed> Range<'a, T> {
    /// The items from rank `from` up to but not at rank `to`.
    pub(super) fn new(root: &'a Node<T>, from: usize, to: usize) -> Self {
        Self { root, from, to, front: None, back: None }
    }
}

impl<'a, T: Keyed> Cursor<'a, T> {
    fn seek(root: &'a Node<T>, rank: usize) -> Self {
        let (mut path, mut node, mut n) = (Vec::with_capacity(8), root, rank);
        loop {
            match node {
                Node::Leaf(leaf) => return Self { path, leaf, at: n },
                Node::Inner(inner) => {
                    let (at, rest) = inner.child_at(n);
                    path.push((inner, at));
                    (node, n) = (inner.children.get(at), rest);
                }
            }
        }
    }

    fn item(&self) -> &'a T {
        self.leaf.items.get(self.at)
    }

    /// To the next item; there must be one.
    fn forward(&mut self) {
        self.at += 1;
        if self.at < self.leaf.items.len() {
            return;
        }
        while let Some((inner, at)) = self.path.pop() {
            if at + 1 < inner.children.len() {
                self.path.push((inner, at + 1));
                self.descend(inner.children.get(at + 1), false);
                return;
            }
        }
    }

    /// To the item before; there must be one.
    fn backward(&mut self) {
        if self.at > 0 {
            self.at -= 1;
            return;
        }
        while let Some((inner, at)) = self.path.pop() {
            if at > 0 {
                self.path.push((inner, at - 1));
                self.descend(inner.children.get(at - 1), true);
                return;
            }
        }
    }

    fn descend(&mut self, node: &'a Node<T>, to_last: bool) {
        let mut node = node;
        loop {
            let end = if to_last { node.width() - 1 } else { 0 };
            match node {
                Node::Leaf(leaf) => {
                    (self.leaf, self.at) = (leaf, end);
                    return;
                }
                Node::Inner(inner) => {
                    self.path.push((inner, end));
                    node = inner.children.get(end);
                }
            }
        }
    }
}

impl<'a, T: Keyed> Iterator for Range<'a, T> {
    type Item = &'a T;

    fn next(&mut self) -> Option<&'a T> {
        if self.from == self.to {
            return None;
        }
        let (root, from) = (self.root, self.from);
        let front = self.front.get_or_insert_with(|| Cursor::seek(root, from));
        let item = front.item();
        self.from += 1;
        if self.from < self.to {
            front.forward();
        }
        Some(item)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.to - self.from, Some(self.to - self.from))
    }

    fn nth(&mut self, n: usize) -> Option<&'a T> {
        self.from = self.from.saturating_add(n).min(self.to);
        self.front = None;
        self.next()
    }
}

impl<T: Keyed> DoubleEndedIterator for Range<'_, T> {
    fn next_back(&mut self) -> Option<Self::Item> {
        if self.from == self.to {
            return None;
        }
        let (root, last) = (self.root, self.to - 1);
        let back = self.back.get_or_insert_with(|| Cursor::seek(root, last));
        let item = back.item();
        self.to -= 1;
        if self.from < self.to {
            back.backward();
        }
        Some(item)
    }
}

impl<T: Keyed> ExactSizeIterator for Range<'_, T> {}
