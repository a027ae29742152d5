//! The interval tree against a list that is searched from end to end.

use proptest::prelude::*;

use super::{IntervalTree, Link};
use crate::types::KeyRange;

fn key() -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(0u8..4, 0..4)
}

fn range() -> impl Strategy<Value = KeyRange> {
    prop_oneof![
        (key(), key()).prop_map(|(start, end)| KeyRange::from_wire(start.into(), end.into())),
        key().prop_map(KeyRange::prefix),
    ]
}

fn depth<T>(link: &Link<T>) -> usize {
    link.as_ref().map_or(0, |node| 1 + depth(&node.left).max(depth(&node.right)))
}

proptest! {
    #[test]
    fn finds_what_a_linear_search_finds(
        steps in proptest::collection::vec((range(), any::<bool>(), key()), 1..120),
    ) {
        let mut tree = IntervalTree::new();
        let mut list: Vec<(KeyRange, usize)> = Vec::new();
        for (number, (range, remove, probe)) in steps.into_iter().enumerate() {
            if remove && !list.is_empty() {
                let (range, gone) = list.swap_remove(number % list.len());
                let found = tree.remove(&range, |all| all.iter().position(|item| *item == gone));
                prop_assert_eq!(found, Some(gone));
                prop_assert_eq!(tree.remove(&range, |all| all.iter().position(|i| *i == gone)), None);
            } else {
                tree.insert(&range, number);
                list.push((range, number));
            }
            let mut found = Vec::new();
            tree.stab(&probe, &mut |item| found.push(*item));
            found.sort_unstable();
            let mut expected: Vec<usize> =
                list.iter().filter(|(range, _)| range.contains(&probe)).map(|(_, n)| *n).collect();
            expected.sort_unstable();
            prop_assert_eq!(found, expected);
        }
    }
}

#[test]
fn ranges_inserted_in_order_do_not_make_a_list() {
    let mut tree = IntervalTree::new();
    for number in 0..4096u32 {
        tree.insert(&KeyRange::prefix(number.to_be_bytes().to_vec()), number);
    }
    assert!(depth(&tree.root) < 64, "depth {} of 4096 ranges", depth(&tree.root));
}
