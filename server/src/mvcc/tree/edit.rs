//! Changes: each copies the nodes on its path that another version shares, and changes the others
//! in place. Full nodes split; thin ones are merged into a neighbour where that leaves room.

use triomphe::Arc;

use super::Keyed;
use super::node::{Inner, LEAF_WIDTH, Leaf, Node, Separator, WIDTH, separator};
use super::slots::Slots;
use super::sorted::Sorted;

/// A node filled less than one in this many looks for a neighbour to merge with.
const THIN: usize = 4;

/// What an insert did to a node.
pub(super) enum Added<T> {
    Replaced(T),
    Grew,
    Split { separator: Separator, right: Node<T> },
}

/// Where a full node is cut for an insert at `at`: behind the last item when that is where the new
/// one goes, so that keys arriving in order leave full nodes behind.
fn cut(at: usize, width: usize) -> usize {
    if at == width { width } else { width / 2 }
}

fn owned<T: Clone>(shared: Arc<T>) -> T {
    Arc::try_unwrap(shared).unwrap_or_else(|shared| T::clone(&shared))
}

impl<T: Keyed> Leaf<T> {
    fn insert(&mut self, item: T) -> Added<T> {
        let at = match self.find(item.key()) {
            Ok(at) => return Added::Replaced(self.items.replace(at, item)),
            Err(at) => at,
        };
        if !self.items.is_full() {
            self.items.insert(at, item);
            return Added::Grew;
        }
        let cut = cut(at, LEAF_WIDTH);
        let mut right = Leaf { items: self.items.split_off(cut) };
        if at < cut {
            self.items.insert(at, item);
        } else {
            right.items.insert(at - cut, item);
        }
        let last = self.items.get(self.items.len() - 1);
        let separator = separator(last.key(), right.items.get(0).key());
        Added::Split { separator, right: Node::Leaf(Arc::new(right)) }
    }
}

impl<T: Keyed> Inner<T> {
    fn insert(&mut self, item: T) -> Added<T> {
        let at = self.child_of(item.key());
        match self.children.get_mut(at).insert(item) {
            Added::Split { separator, right } => self.insert_child(at, separator, right),
            Added::Grew => {
                self.counts[at] += 1;
                Added::Grew
            }
            replaced => replaced,
        }
    }

    /// Takes in the new right half of `children[left]`.
    fn insert_child(&mut self, left: usize, separator: Separator, right: Node<T>) -> Added<T> {
        self.counts[left] = self.children.get(left).count() as u32;
        if !self.children.is_full() {
            self.put_child(left, separator, right);
            return Added::Grew;
        }
        let cut = cut(left + 1, WIDTH).min(WIDTH - 1);
        let mut other = Inner { children: self.children.split_off(cut), ..Inner::default() };
        other.counts[..WIDTH - cut].copy_from_slice(&self.counts[cut..]);
        other.separators = self.separators.split_off(cut);
        let between = self.separators.remove(cut - 1);
        if left < cut {
            self.put_child(left, separator, right);
        } else {
            other.put_child(left - cut, separator, right);
        }
        Added::Split { separator: between, right: Node::Inner(Arc::new(other)) }
    }

    fn put_child(&mut self, left: usize, separator: Separator, right: Node<T>) {
        let len = self.children.len();
        self.counts.copy_within(left + 1..len, left + 2);
        self.counts[left + 1] = right.count() as u32;
        self.separators.insert(left, separator);
        self.children.insert(left + 1, right);
    }

    fn remove(&mut self, key: &[u8]) -> Option<T> {
        let at = self.child_of(key);
        let removed = self.children.get_mut(at).remove(key)?;
        self.counts[at] -= 1;
        if self.counts[at] == 0 {
            self.drop_child(at);
        } else if self.children.get(at).is_thin() && self.children.len() > 1 {
            self.merge(at.max(1) - 1);
        }
        Some(removed)
    }

    fn drop_child(&mut self, at: usize) -> Node<T> {
        let len = self.children.len();
        if len > 1 {
            self.separators.remove(at.max(1) - 1);
        }
        self.counts.copy_within(at + 1..len, at);
        self.counts[len - 1] = 0;
        self.children.remove(at)
    }

    /// Merges `children[left]` and the next, if there is room for both in one.
    fn merge(&mut self, left: usize) {
        let (one, next) = (self.children.get(left), self.children.get(left + 1));
        // Not quite full, so that it does not split again at the next insert.
        if one.width() + next.width() > one.max_width() * 3 / 4 {
            return;
        }
        let between = self.separators.get(left).clone();
        let count = self.counts[left] + self.counts[left + 1];
        // The separator that goes with a dropped child is the one before it: `between`.
        let right = self.drop_child(left + 1);
        self.children.get_mut(left).append(between, right);
        self.counts[left] = count;
    }
}

impl<T: Keyed> Node<T> {
    pub fn insert(&mut self, item: T) -> Added<T> {
        match self {
            Node::Leaf(leaf) => Arc::make_mut(leaf).insert(item),
            Node::Inner(inner) => Arc::make_mut(inner).insert(item),
        }
    }

    /// Takes out a key that is there.
    pub fn remove(&mut self, key: &[u8]) -> Option<T> {
        match self {
            Node::Leaf(leaf) => {
                let at = leaf.find(key).ok()?;
                Some(Arc::make_mut(leaf).items.remove(at))
            }
            Node::Inner(inner) => Arc::make_mut(inner).remove(key),
        }
    }

    fn max_width(&self) -> usize {
        match self {
            Node::Leaf(_) => LEAF_WIDTH,
            Node::Inner(_) => WIDTH,
        }
    }

    fn is_thin(&self) -> bool {
        self.width() < self.max_width() / THIN
    }

    /// Makes the root the left child of a new one.
    pub fn grow(&mut self, separator: Separator, right: Node<T>) {
        let mut root = Inner::default();
        root.children.push(self.clone());
        root.counts[0] = self.count() as u32;
        root.put_child(0, separator, right);
        *self = Node::Inner(Arc::new(root));
    }

    /// Takes levels off that hold no choice.
    pub fn collapse(&mut self) {
        while let Node::Inner(inner) = self {
            *self = match inner.children.len() {
                0 => Node::Leaf(Arc::new(Leaf::default())),
                1 => inner.children.get(0).clone(),
                _ => return,
            };
        }
    }

    /// Takes in all of its right neighbour, which is of the same height.
    fn append(&mut self, between: Separator, right: Node<T>) {
        match (self, right) {
            (Node::Leaf(left), Node::Leaf(right)) => {
                Arc::make_mut(left).items.append(owned(right).items);
            }
            (Node::Inner(left), Node::Inner(right)) => {
                let (left, right) = (Arc::make_mut(left), owned(right));
                let (at, more) = (left.children.len(), right.children.len());
                left.counts[at..at + more].copy_from_slice(&right.counts[..more]);
                left.separators.push(between);
                left.separators.append(right.separators);
                left.children.append(right.children);
            }
            _ => unreachable!("neighbours of a B-tree are of one height"),
        }
    }
}

/// An inner node over `children`, told apart by `separators` (one fewer).
pub(super) fn inner_of<T: Keyed>(
    separators: Sorted<Separator, WIDTH>,
    children: Slots<Node<T>, WIDTH>,
) -> Node<T> {
    let mut counts = [0; WIDTH];
    for (count, child) in counts.iter_mut().zip(children.iter()) {
        *count = child.count() as u32;
    }
    Node::Inner(Arc::new(Inner { separators, children, counts }))
}
