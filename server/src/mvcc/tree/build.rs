//! Building a whole tree bottom up, for a restart with millions of items.

use triomphe::Arc;

use super::edit::inner_of;
use super::node::{LEAF_WIDTH, Leaf, Node, Separator, WIDTH, separator};
use super::slots::Slots;
use super::sorted::Sorted;
use super::{Keyed, Tree};

/// How full new nodes are: some room, so that the first inserts do not split every leaf.
const FILL: usize = WIDTH * 7 / 8;
const LEAF_FILL: usize = LEAF_WIDTH * 7 / 8;

/// A finished node and what separates it from the one before; `None` for the first of its level.
type Placed<T> = (Option<Separator>, Node<T>);

pub(super) fn from_sorted<T: Keyed>(items: impl IntoIterator<Item = T>) -> Tree<T> {
    let (mut level, len) = leaves(items.into_iter());
    while level.len() > 1 {
        level = parents(level);
    }
    match level.pop() {
        Some((_, root)) => Tree { root, len },
        None => Tree::new(),
    }
}

fn leaves<T: Keyed>(items: impl Iterator<Item = T>) -> (Vec<Placed<T>>, usize) {
    let (mut done, mut leaf): (Vec<Placed<T>>, Sorted<T, LEAF_WIDTH>) = Default::default();
    let (mut before, mut len) = (None, 0);
    for item in items {
        len += 1;
        if leaf.len() == LEAF_FILL {
            let last = leaf.get(LEAF_FILL - 1).key();
            debug_assert!(last < item.key(), "items to build from must ascend");
            let next = separator(last, item.key());
            let items = std::mem::take(&mut leaf);
            done.push((before.replace(next), Node::Leaf(Arc::new(Leaf { items }))));
        }
        leaf.push(item);
    }
    if leaf.len() > 0 {
        done.push((before, Node::Leaf(Arc::new(Leaf { items: leaf }))));
    }
    (done, len)
}

fn parents<T: Keyed>(level: Vec<Placed<T>>) -> Vec<Placed<T>> {
    // Even shares: a last parent with a single child would be a wasted level.
    let shares = level.len().div_ceil(FILL);
    let (share, mut larger) = (level.len() / shares, level.len() % shares);
    let mut done = Vec::with_capacity(shares);
    let mut level = level.into_iter();
    while let Some((before, first)) = level.next() {
        let size = share + usize::from(larger > 0);
        larger = larger.saturating_sub(1);
        let (mut separators, mut children) = (Sorted::default(), Slots::default());
        children.push(first);
        for (separator, child) in level.by_ref().take(size - 1) {
            separators.push(separator.expect("only the first of a level has none before it"));
            children.push(child);
        }
        done.push((before, inner_of(separators, children)));
    }
    done
}
