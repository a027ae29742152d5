//! Ranges of keys and what is filed under each, found by a key they contain in logarithmic time
//! plus the hits: a treap ordered by range, each node knowing how far its subtree reaches.

use std::cmp::Ordering;

use bytes::Bytes;

use crate::types::{KeyRange, RangeEnd};

/// Where a range ends. `Unbounded` sorts last.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum End {
    Before(Bytes),
    Unbounded,
}

impl End {
    fn is_above(&self, key: &[u8]) -> bool {
        match self {
            End::Before(end) => key < &end[..],
            End::Unbounded => true,
        }
    }

    fn of(range: &KeyRange) -> Self {
        match &range.end {
            RangeEnd::Before(end) => End::Before(end.clone()),
            RangeEnd::Unbounded => End::Unbounded,
            RangeEnd::Single => {
                let mut end = range.start.to_vec();
                end.push(0);
                End::Before(end.into())
            }
        }
    }
}

/// A multimap from ranges to `T`.
#[derive(Debug)]
pub struct IntervalTree<T> {
    root: Link<T>,
    /// Feeds the weights, so that the shape depends on the order of insertion and nothing else.
    inserted: u64,
}

type Link<T> = Option<Box<Node<T>>>;

#[derive(Debug)]
struct Node<T> {
    start: Bytes,
    end: End,
    /// The farthest end in this subtree.
    reach: End,
    /// A parent weighs no less than its children; drawn by hashing a counter.
    weight: u64,
    items: Vec<T>,
    left: Link<T>,
    right: Link<T>,
}

impl<T> Default for IntervalTree<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> IntervalTree<T> {
    pub fn new() -> Self {
        Self { root: None, inserted: 0 }
    }

    pub fn insert(&mut self, range: &KeyRange, item: T) {
        self.inserted += 1;
        let node = Node {
            start: range.start.clone(),
            end: End::of(range),
            reach: End::of(range),
            weight: scramble(self.inserted),
            items: vec![item],
            left: None,
            right: None,
        };
        insert(&mut self.root, Box::new(node));
    }

    /// Removes from exactly this range the item that `locate` finds in the list of its items.
    pub fn remove(
        &mut self,
        range: &KeyRange,
        locate: impl FnOnce(&[T]) -> Option<usize>,
    ) -> Option<T> {
        remove(&mut self.root, &range.start, &End::of(range), locate)
    }

    /// Calls `hit` with every item of every range that contains `key`.
    pub fn stab(&self, key: &[u8], hit: &mut impl FnMut(&T)) {
        stab(&self.root, key, hit);
    }
}

fn insert<T>(link: &mut Link<T>, mut new: Box<Node<T>>) {
    let Some(node) = link else {
        *link = Some(new);
        return;
    };
    match (&new.start, &new.end).cmp(&(&node.start, &node.end)) {
        Ordering::Equal => return node.items.append(&mut new.items),
        Ordering::Less => insert(&mut node.left, new),
        Ordering::Greater => insert(&mut node.right, new),
    }
    node.update();
    if node.left.as_ref().is_some_and(|child| child.weight > node.weight) {
        rotate(link, Side::Left);
    } else if node.right.as_ref().is_some_and(|child| child.weight > node.weight) {
        rotate(link, Side::Right);
    }
}

#[derive(Clone, Copy)]
enum Side {
    Left,
    Right,
}

impl Side {
    fn other(self) -> Self {
        match self {
            Side::Left => Side::Right,
            Side::Right => Side::Left,
        }
    }
}

/// Puts the child of that side in its parent's place, when there is one.
fn rotate<T>(link: &mut Link<T>, side: Side) {
    let Some(mut parent) = link.take() else { return };
    *link = match parent.child(side).take() {
        None => Some(parent),
        Some(mut child) => {
            *parent.child(side) = child.child(side.other()).take();
            parent.update();
            *child.child(side.other()) = Some(parent);
            child.update();
            Some(child)
        }
    };
}

fn remove<T>(
    link: &mut Link<T>,
    start: &Bytes,
    end: &End,
    locate: impl FnOnce(&[T]) -> Option<usize>,
) -> Option<T> {
    let node = link.as_mut()?;
    let removed = match (start, end).cmp(&(&node.start, &node.end)) {
        Ordering::Less => remove(&mut node.left, start, end, locate)?,
        Ordering::Greater => remove(&mut node.right, start, end, locate)?,
        Ordering::Equal => {
            let at = locate(&node.items)?;
            let removed = node.items.remove(at);
            if node.items.is_empty() {
                *link = merge(node.left.take(), node.right.take());
                return Some(removed);
            }
            removed
        }
    };
    node.update();
    Some(removed)
}

/// One tree of two, all of `left` before all of `right`.
fn merge<T>(left: Link<T>, right: Link<T>) -> Link<T> {
    match (left, right) {
        (None, one) | (one, None) => one,
        (Some(mut left), Some(right)) if left.weight > right.weight => {
            left.right = merge(left.right.take(), Some(right));
            left.update();
            Some(left)
        }
        (left, Some(mut right)) => {
            right.left = merge(left, right.left.take());
            right.update();
            Some(right)
        }
    }
}

fn stab<T>(link: &Link<T>, key: &[u8], hit: &mut impl FnMut(&T)) {
    let Some(node) = link else { return };
    if !node.reach.is_above(key) {
        return;
    }
    stab(&node.left, key, hit);
    if node.start[..] <= *key {
        if node.end.is_above(key) {
            node.items.iter().for_each(&mut *hit);
        }
        stab(&node.right, key, hit);
    }
}

impl<T> Node<T> {
    fn child(&mut self, side: Side) -> &mut Link<T> {
        match side {
            Side::Left => &mut self.left,
            Side::Right => &mut self.right,
        }
    }

    fn update(&mut self) {
        let below = [&self.left, &self.right].into_iter().flatten().map(|child| &child.reach);
        self.reach = below.fold(&self.end, Ord::max).clone();
    }
}

/// The finalizer of splitmix64: spreads consecutive numbers over all bits.
fn scramble(number: u64) -> u64 {
    let mut mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
#[path = "interval_test.rs"]
mod tests;
