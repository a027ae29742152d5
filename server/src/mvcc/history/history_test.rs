//! Reading the past while it grows and shrinks.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::{History, ReadError, RecordError, Records, read_at};
use crate::mvcc::{Change, Tree, What};
use crate::types::{Item, KeyRange, LeaseId, Revision};

/// Live items, their history and the records of all puts.
#[derive(Default)]
struct Store {
    live: Tree<Item>,
    revision: i64,
    history: History,
    records: BTreeMap<Revision, Item>,
}

impl Records for BTreeMap<Revision, Item> {
    fn record(&self, at: Revision) -> Result<Option<Item>, RecordError> {
        Ok(self.get(&at).cloned())
    }
}

impl Store {
    fn put(&mut self, key: &str) {
        self.revision += 1;
        let at = Revision::new(self.revision, 0);
        let item = Item::new(key.as_bytes(), b"", at.main, at, 1, LeaseId::NONE);
        self.records.insert(at, item.clone());
        let prev = self.live.insert(item.clone());
        self.history.extend(&[Change { at, what: What::Put(item), prev, author: None }]);
    }

    fn delete(&mut self, key: &str) {
        self.revision += 1;
        let at = Revision::new(self.revision, 0);
        let prev = self.live.remove(key.as_bytes());
        let what = What::Delete { key: Bytes::copy_from_slice(key.as_bytes()) };
        self.history.extend(&[Change { at, what, prev, author: None }]);
    }

    fn read(&self, live: &Tree<Item>, now: i64, at: i64) -> Result<Vec<i64>, ReadError> {
        let all = KeyRange::all();
        let found = read_at(live, now, &self.history, &self.records, &all, at, usize::MAX)?;
        assert_eq!(found.count, found.items.len());
        Ok(found.items.iter().map(Item::mod_revision).collect())
    }
}

#[test]
fn a_reader_does_not_see_what_was_superseded_after_its_state() {
    let mut store = Store::default();
    store.put("a");
    store.put("b");
    store.put("a");
    let (live, now) = (store.live.clone(), store.revision);
    store.put("a");
    store.delete("b");
    assert_eq!(store.read(&live, now, 2), Ok(vec![1, 2]));
    assert_eq!(store.read(&live, now, 3), Ok(vec![3, 2]));
    assert_eq!(store.read(&store.live, store.revision, 3), Ok(vec![3, 2]));
    assert_eq!(store.read(&store.live, store.revision, 5), Ok(vec![4]));
}

#[test]
fn more_keys_than_one_hold_of_the_lock_are_all_found() {
    let mut store = Store::default();
    let keys: Vec<_> = (0..1500).map(|n| format!("{n:05}")).collect();
    keys.iter().for_each(|key| store.put(key));
    keys.iter().for_each(|key| store.put(key));
    assert_eq!(store.read(&store.live, 3000, 1500), Ok((1..=1500).collect()));
    let part = KeyRange::from_wire("00100".into(), "01400".into());
    let found = read_at(&store.live, 3000, &store.history, &store.records, &part, 1500, 7);
    let found = found.expect("nothing is compacted");
    assert_eq!((found.items.len(), found.count), (7, 1300));
    assert_eq!(found.items[0].mod_revision(), 101);
}

#[test]
fn compaction_forgets_in_portions_what_nobody_can_ask_for() {
    let mut store = Store::default();
    store.put("a"); // 1, superseded at 2
    store.put("a"); // 2, superseded at 3
    store.delete("a"); // 3
    store.put("b"); // 4, superseded at 5
    store.put("b"); // 5
    let at = |main| Revision::new(main, 0);
    assert_eq!(store.history.superseded_in(b"a", 3), Some(at(2)));
    assert_eq!(store.history.prune(4, 1), [at(1)]);
    assert_eq!(store.history.prune(4, 10), [at(2), at(3)]);
    assert_eq!(store.history.prune(4, 10), []);
    assert_eq!(store.history.superseded_in(b"a", 3), None);
    assert_eq!(store.read(&store.live, 5, 4), Ok(vec![4]));
    assert_eq!(store.read(&store.live, 5, 3), Err(ReadError::Compacted(3)));
    // A delete at the compacted revision itself is still an event for a watch from there.
    store.delete("b");
    assert_eq!(store.history.prune(6, 10), [at(4)]);
    assert_eq!(store.history.prune(7, 10), [at(5), at(6)]);
    assert!(store.history.is_empty());
}

#[test]
fn what_a_transaction_replaced_is_found_wherever_in_it_that_happened() {
    let mut store = Store::default();
    store.put("a");
    store.put("b");
    let replace = |store: &mut Store, key: &[u8], sub| {
        let at = Revision::new(3, sub);
        let item = Item::new(key, b"", 1, at, 2, LeaseId::NONE);
        let prev = store.live.insert(item.clone());
        store.history.extend(&[Change { at, what: What::Put(item), prev, author: None }]);
    };
    replace(&mut store, b"a", 0);
    replace(&mut store, b"b", 1);
    replace(&mut store, b"b", 2);
    let before = |key: &[u8]| store.history.superseded_in(key, 3);
    assert_eq!(before(b"a"), Some(Revision::new(1, 0)));
    assert_eq!(before(b"b"), Some(Revision::new(2, 0)));
    assert_eq!(before(b"c"), None);
}

#[test]
fn the_last_change_up_to_a_revision_is_a_put_or_a_delete() {
    let mut store = Store::default();
    store.put("a"); // 1
    store.put("a"); // 2
    store.delete("a"); // 3
    store.put("a"); // 4, live: no fact
    let last = |revision| store.history.last_change(b"a", revision).map(|at| at.main);
    assert_eq!([1, 2, 3, 4].map(last), [Some(1), Some(2), Some(3), Some(3)]);
    assert_eq!(store.history.last_change(b"b", 4), None);
}

#[test]
fn a_record_that_compaction_took_meanwhile_is_told_from_a_lost_one() {
    let mut store = Store::default();
    store.put("a");
    store.put("a");
    store.records.clear();
    let missing = store.read(&store.live, 2, 1);
    assert!(matches!(missing, Err(ReadError::Record(_))), "{missing:?}");
    store.history.prune(2, 0);
    assert_eq!(store.read(&store.live, 2, 1), Err(ReadError::Compacted(1)));
}
