//! The overlay against a map that simply holds what is left.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::{Overlay, Writes};
use crate::decide::Write;
use crate::effect::{Author, Effect};
use crate::machine::State;
use crate::types::{Item, KeyRange, LeaseId};

fn key() -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(0u8..3, 1..4)
}

fn range() -> impl Strategy<Value = KeyRange> {
    prop_oneof![
        key().prop_map(KeyRange::single),
        key().prop_map(KeyRange::prefix),
        (key(), key()).prop_map(|(start, end)| KeyRange::from_wire(start.into(), end.into())),
    ]
}

#[derive(Clone, Debug)]
enum Step {
    Put(Vec<u8>, u8),
    Delete(KeyRange),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (key(), any::<u8>()).prop_map(|(key, value)| Step::Put(key, value)),
        1 => range().prop_map(Step::Delete),
    ]
}

type Model = BTreeMap<Vec<u8>, Vec<u8>>;

fn state_of(model: &Model) -> State {
    let mut state = State::default();
    for (key, value) in model {
        let at = state.next_revision();
        let item = Item::new(key, value, at.main, at, 1, LeaseId::NONE);
        state.apply(&Effect::Put(item), &mut Vec::new(), &mut Vec::new());
    }
    state
}

fn pairs(items: Vec<Item>) -> Vec<(Vec<u8>, Vec<u8>)> {
    items.iter().map(|item| (item.key().to_vec(), item.value().to_vec())).collect()
}

proptest! {
    #[test]
    fn reads_see_the_state_as_the_writes_leave_it(
        before in proptest::collection::btree_map(key(), proptest::collection::vec(0u8..9, 1), 0..12),
        steps in proptest::collection::vec(step(), 0..12),
        probe in range(),
        limit in 1usize..6,
    ) {
        let (state, mut model) = (state_of(&before), before.clone());
        let mut writes = Writes::default();
        writes.begin(Author::default());
        let mut overlay = Overlay { state: &state, writes: &mut writes, at: 99 };
        for step in &steps {
            match step {
                Step::Put(key, value) => {
                    overlay.put(key, &[*value], LeaseId::NONE);
                    model.insert(key.clone(), vec![*value]);
                }
                Step::Delete(range) => {
                    let gone: Vec<_> =
                        model.keys().filter(|key| range.contains(key)).cloned().collect();
                    prop_assert_eq!(overlay.delete(range, 100), Some(gone.len()));
                    gone.iter().for_each(|key| drop(model.remove(key)));
                }
            }
        }
        let inside = |key: &&Vec<u8>| probe.contains(key);
        prop_assert_eq!(overlay.count(&probe), model.keys().filter(inside).count());
        let expected: Vec<_> = model
            .iter()
            .filter(|(key, _)| probe.contains(key))
            .take(limit)
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect();
        prop_assert_eq!(pairs(overlay.range(&probe, limit)), expected);
        for key in before.keys().chain(model.keys()) {
            let found = overlay.get(key).map(|item| item.value().to_vec());
            prop_assert_eq!(found.as_ref(), model.get(key));
        }
        // What is handed to the decision leads to the same.
        let mut made = before;
        for write in writes.to_decide() {
            match write {
                Write::By(_) => {}
                Write::Put { key, value, .. } => drop(made.insert(key.to_vec(), value.to_vec())),
                Write::Delete { key } => drop(made.remove(&key[..])),
            }
        }
        prop_assert_eq!(made, model);
    }
}

#[test]
fn each_author_stands_before_its_own_writes_and_a_key_is_written_once() {
    let state = State::default();
    let author = |plugin: &str| Author { plugin: plugin.into(), ..Author::default() };
    let mut writes = Writes::default();
    for (plugin, keys) in [("a", ["k1", "k2"]), ("b", ["k2", "k3"])] {
        writes.begin(author(plugin));
        let mut overlay = Overlay { state: &state, writes: &mut writes, at: 99 };
        keys.iter().for_each(|key| overlay.put(key.as_bytes(), plugin.as_bytes(), LeaseId::NONE));
    }
    let put = |key: &'static str, value: &'static str| Write::Put {
        key: key.into(),
        value: value.into(),
        lease: LeaseId::NONE,
    };
    let (a, b) = (Write::By(author("a")), Write::By(author("b")));
    let expected = vec![a, put("k1", "a"), b, put("k2", "b"), put("k3", "b")];
    assert_eq!(writes.to_decide(), expected);
    assert_eq!(writes.latest().collect::<Vec<_>>(), ["k2", "k3"]);
}

#[test]
fn a_delete_of_too_many_keys_deletes_none() {
    let state = state_of(&(0..5).map(|n| (vec![n], vec![n])).collect());
    let mut writes = Writes::default();
    let mut overlay = Overlay { state: &state, writes: &mut writes, at: 99 };
    assert_eq!(overlay.delete(&KeyRange::all(), 4), None);
    assert_eq!(overlay.count(&KeyRange::all()), 5);
}
