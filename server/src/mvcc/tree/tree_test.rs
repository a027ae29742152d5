//! The tree against the standard library's map, with old versions kept alive.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::node::Node;
use super::{Keyed, Tree};
use crate::types::KeyRange;

#[derive(Clone, Debug, PartialEq)]
struct Pair(Vec<u8>, u32);

impl Keyed for Pair {
    fn key(&self) -> &[u8] {
        &self.0
    }
}

type Model = BTreeMap<Vec<u8>, u32>;

#[derive(Clone, Debug)]
enum Step {
    Insert(Vec<u8>),
    Remove(Vec<u8>),
    RemoveRange(KeyRange),
    Keep,
}

fn key() -> impl Strategy<Value = Vec<u8>> {
    // Few letters and short keys, so that steps meet the same keys and prefixes again.
    prop::collection::vec(prop::sample::select(vec![0u8, b'a', b'b', b'c', 255]), 0..6)
}

fn range() -> impl Strategy<Value = KeyRange> {
    (key(), key(), 0..4).prop_map(|(start, end, kind)| match kind {
        0 => KeyRange::single(start),
        1 => KeyRange::from_wire(start.into(), vec![0].into()),
        2 => KeyRange::prefix(start),
        _ => KeyRange::from_wire(start.into(), end.into()),
    })
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => key().prop_map(Step::Insert),
        3 => key().prop_map(Step::Remove),
        1 => range().prop_map(Step::RemoveRange),
        1 => Just(Step::Keep),
    ]
}

/// Checks order, separators and counts of every node below.
fn check(node: &Node<Pair>, low: &[u8], high: Option<&[u8]>) {
    match node {
        Node::Leaf(leaf) => {
            leaf.items.check();
            let keys: Vec<_> = leaf.items.iter().map(|item| item.key()).collect();
            assert!(keys.iter().all(|key| *key >= low && high.is_none_or(|high| *key < high)));
        }
        Node::Inner(inner) => {
            inner.separators.check();
            assert_eq!(inner.separators.len() + 1, inner.children.len());
            for at in 0..inner.children.len() {
                let low = if at == 0 { low } else { inner.separators.get(at - 1).key() };
                let high =
                    (at < inner.separators.len()).then(|| inner.separators.get(at).key()).or(high);
                let child = inner.children.get(at);
                assert!(child.count() > 0, "an empty child was left");
                assert_eq!(child.count(), inner.counts[at] as usize);
                check(child, low, high);
            }
        }
    }
}

fn same(tree: &Tree<Pair>, model: &Model) {
    check(&tree.root, b"", None);
    assert_eq!(tree.len(), model.len());
    let pairs = |pair: &Pair| (pair.0.clone(), pair.1);
    assert!(tree.iter().map(pairs).eq(model.clone()));
    assert!(tree.iter().rev().map(pairs).eq(model.clone().into_iter().rev()));
}

fn same_range(tree: &Tree<Pair>, model: &Model, range: &KeyRange) {
    let expected: Vec<_> = model.iter().filter(|(key, _)| range.contains(key)).collect();
    assert_eq!(tree.count(range), expected.len(), "{range:?}");
    assert!(tree.range(range).map(|pair| (&pair.0, &pair.1)).eq(expected.iter().copied()));
    let mut both = tree.range(range);
    let mut taken = Vec::new();
    while let Some(front) = both.next() {
        taken.push(front.1);
        taken.extend(both.next_back().map(|back| back.1));
    }
    taken.sort_unstable();
    let mut values: Vec<_> = expected.iter().map(|(_, value)| **value).collect();
    values.sort_unstable();
    assert_eq!(taken, values);
}

fn run(steps: Vec<Step>, probes: &[KeyRange]) {
    let (mut tree, mut model) = (Tree::new(), Model::new());
    let mut kept = Vec::new();
    for (at, step) in steps.into_iter().enumerate() {
        match step {
            Step::Insert(key) => {
                let old = tree.insert(Pair(key.clone(), at as u32)).map(|pair| pair.1);
                assert_eq!(old, model.insert(key, at as u32));
            }
            Step::Remove(key) => {
                assert_eq!(tree.remove(&key).map(|pair| pair.1), model.remove(&key));
                assert_eq!(tree.get(&key), None);
            }
            Step::RemoveRange(range) => {
                let doomed: Vec<_> = tree.range(&range).cloned().collect();
                for pair in doomed {
                    assert_eq!(tree.remove(&pair.0), Some(pair));
                }
                model.retain(|key, _| !range.contains(key));
            }
            Step::Keep => kept.push((tree.clone(), model.clone())),
        }
    }
    kept.push((tree, model));
    for (tree, model) in &kept {
        same(tree, model);
        probes.iter().for_each(|range| same_range(tree, model, range));
        let rebuilt = Tree::from_sorted(tree.iter().cloned());
        same(&rebuilt, model);
        for (n, (key, _)) in model.iter().enumerate() {
            assert_eq!(tree.rank(key), n);
            assert_eq!(tree.nth(n).map(|pair| &pair.0), Some(key));
            assert_eq!(tree.get(key).map(|pair| &pair.0), Some(key));
        }
        assert_eq!(tree.nth(model.len()), None);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..Default::default() })]

    #[test]
    fn it_agrees_with_the_standard_map(
        steps in prop::collection::vec(step(), 0..900),
        probes in prop::collection::vec(range(), 6),
    ) {
        run(steps, &probes);
    }
}

fn numbered(n: u32) -> Pair {
    // A bijection that scatters neighbours, so that inserts come in no order.
    Pair(format!("key/{:010}", n.wrapping_mul(2_654_435_761)).into_bytes(), n)
}

#[test]
fn thousands_of_items_come_and_go_while_an_old_version_stays() {
    let mut tree = Tree::new();
    (0..20_000).for_each(|n| assert_eq!(tree.insert(numbered(n)), None));
    let old = tree.clone();
    for n in 0..20_000 {
        assert_eq!(tree.remove(&numbered(n).0), Some(numbered(n)));
        if n % 2_000 == 0 {
            check(&tree.root, b"", None);
        }
    }
    assert!(tree.is_empty() && tree.iter().next().is_none());
    assert_eq!(old.len(), 20_000);
    assert!((0..20_000).all(|n| old.get(&numbered(n).0) == Some(&numbered(n))));
}

#[test]
fn keys_in_order_fill_their_leaves() {
    let mut tree = Tree::new();
    (0..10_000u32).for_each(|n| {
        tree.insert(Pair(format!("{n:08}").into_bytes(), n));
    });
    check(&tree.root, b"", None);
    assert_eq!(leaves(&tree.root), 10_000usize.div_ceil(super::node::LEAF_WIDTH));
}

fn leaves(node: &Node<Pair>) -> usize {
    match node {
        Node::Leaf(_) => 1,
        Node::Inner(inner) => inner.children.iter().map(leaves).sum(),
    }
}
