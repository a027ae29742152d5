//! When a read set still stands, and what touches it.

use std::collections::HashSet;

use bytes::Bytes;

use super::{Chain, RECENT_CHANGES, ReadSet, Recent};
use crate::effect::{Effect, PluginRecord};
use crate::machine::State;
use crate::types::{Item, KeyRange, LeaseId, Revision};

struct Store {
    state: State,
    recent: Recent,
}

impl Store {
    fn new() -> Self {
        let mut store = Self { state: State::default(), recent: Recent::default() };
        store.put("a");
        store.put("c");
        store
    }

    fn put(&mut self, key: &str) {
        let at = self.state.next_revision();
        let item = Item::new(key.as_bytes(), b"", at.main, at, 1, LeaseId::NONE);
        self.apply(&Effect::Put(item));
    }

    fn apply(&mut self, effect: &Effect) {
        let mut changes = Vec::new();
        self.state.apply(effect, &mut changes, &mut Vec::new());
        changes.iter().for_each(|change| self.recent.push(change));
    }

    fn read(&self, note: impl FnOnce(&mut ReadSet, &State)) -> ReadSet {
        let mut reads = ReadSet::on(&self.state);
        note(&mut reads, &self.state);
        reads
    }

    fn stands(&self, reads: &ReadSet) -> bool {
        reads.still_valid(&self.state, &self.recent, &HashSet::new())
    }
}

fn note_key(key: &'static str) -> impl FnOnce(&mut ReadSet, &State) {
    move |reads, state| reads.note_key(&Bytes::from(key), state.get(key.as_bytes()))
}

#[test]
fn a_key_stands_until_it_is_written_or_deleted() {
    let mut store = Store::new();
    let (found, absent) = (store.read(note_key("a")), store.read(note_key("b")));
    store.put("c");
    assert!(store.stands(&found) && store.stands(&absent));
    store.put("b");
    assert!(store.stands(&found) && !store.stands(&absent));
    let at = store.state.next_revision();
    store.apply(&Effect::Delete { key: "a".into(), at });
    assert!(!store.stands(&found));
}

#[test]
fn a_range_stands_until_something_in_it_changes() {
    let mut store = Store::new();
    let range = KeyRange::from_wire("b".into(), "d".into());
    let reads = store.read(|reads, _| reads.note_range(&range));
    store.put("d");
    store.put("a");
    assert!(store.stands(&reads));
    store.put("bb");
    assert!(!store.stands(&reads));
}

#[test]
fn a_range_seen_longer_ago_than_is_remembered_does_not_stand() {
    let mut store = Store::new();
    let reads = store.read(|reads, _| reads.note_range(&KeyRange::single("x")));
    (0..RECENT_CHANGES).for_each(|_| store.put("a"));
    assert!(store.stands(&reads));
    store.put("a");
    assert!(!store.stands(&reads));
    // A ring that begins later knows no better.
    let reads = store.read(|reads, _| reads.note_range(&KeyRange::single("x")));
    store.put("a");
    assert!(store.stands(&reads));
    store.recent = Recent::default();
    assert!(!store.stands(&reads));
    store.put("a");
    assert!(!store.stands(&reads));
}

#[test]
fn leases_and_bindings_belong_to_it() {
    let mut store = Store::new();
    let id = LeaseId(7);
    let without = store.read(|reads, _| reads.note_lease(id, false));
    store.apply(&Effect::LeaseGrant { id, ttl: 5 });
    assert!(!store.stands(&without));
    let with = store.read(|reads, _| reads.note_lease(id, true));
    assert!(store.stands(&with));
    store.apply(&Effect::PluginPut(PluginRecord::default()));
    assert!(!store.stands(&with), "decided under other bindings");
}

#[test]
fn a_range_stands_over_writes_that_the_decision_has_seen() {
    let mut store = Store::new();
    let range = KeyRange::prefix("a");
    let reads = store.read(|reads, _| reads.note_range(&range));
    store.put("ab");
    let seen = HashSet::from([store.state.revision]);
    assert!(!store.stands(&reads));
    assert!(reads.still_valid(&store.state, &store.recent, &seen));
    store.put("ac");
    assert!(!reads.still_valid(&store.state, &store.recent, &seen), "and one it has not");
}

#[test]
fn a_key_that_was_noted_counts_as_it_was_first_seen() {
    let mut store = Store::new();
    let mut reads = store.read(note_key("a"));
    let own = Item::new(b"a", b"", 9, Revision::new(9, 0), 1, LeaseId::NONE);
    reads.note_key(&"a".into(), Some(&own));
    assert!(store.stands(&reads), "what the decision writes itself is not what it read");
    store.put("a");
    assert!(!store.stands(&reads));
}

#[test]
fn a_decision_rests_on_the_last_writes_of_what_it_read() {
    let store = Store::new();
    let mut chain = Chain::default();
    for (key, at) in [("k", 5), ("r/1", 6), ("k", 7), ("s", 8)] {
        chain.wrote(key.into(), at);
    }
    let reads = |note: &dyn Fn(&mut ReadSet)| store.read(|reads, _| note(reads));
    assert_eq!(chain.under(&reads(&|reads| reads.note_key(&"k".into(), None))), [7]);
    assert_eq!(chain.under(&reads(&|reads| reads.note_range(&KeyRange::prefix("r/")))), [6]);
    assert_eq!(chain.under(&reads(&|reads| reads.note_range(&KeyRange::all()))), [6, 7, 8]);
    assert_eq!(chain.under(&reads(&|reads| reads.note_key(&"x".into(), None))), [0i64; 0]);
}
