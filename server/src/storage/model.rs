//! What a store must hold: the same batches, applied to two maps. For tests.

use std::collections::BTreeMap;
use std::path::Path;

use bytes::Bytes;

use super::{Batch, Body, Error, Opened, Options, Record, Snapshot, Store};
use crate::types::{Item, LeaseId, Revision};

/// The contents of a store.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Model {
    pub records: BTreeMap<Revision, Record>,
    pub rows: BTreeMap<Bytes, Bytes>,
}

impl Model {
    /// What the first batches of a log leave.
    pub fn of(log: &[Batch]) -> Self {
        let mut model = Self::default();
        log.iter().for_each(|batch| model.apply(batch));
        model
    }

    pub fn apply(&mut self, batch: &Batch) {
        self.records.extend(batch.records.iter().cloned());
        for (key, value) in &batch.rows {
            match value {
                Some(value) => self.rows.insert(key.clone(), value.clone()),
                None => self.rows.remove(key),
            };
        }
        batch.forget.iter().for_each(|revision| {
            self.records.remove(revision);
        });
    }

    pub fn loaded(store: &Store) -> Self {
        let (mut rows, mut records) = (BTreeMap::new(), Vec::new());
        let row = |key, value| {
            rows.insert(key, value);
        };
        store.load(row, |at, record| records.push((at, record))).expect("loaded");
        assert!(records.is_sorted_by_key(|(at, _)| *at), "records come in order");
        Self { records: records.into_iter().collect(), rows }
    }

    pub fn seen(snapshot: &Snapshot) -> Self {
        Self {
            records: snapshot.records().collect::<Result<_, Error>>().expect("read"),
            rows: snapshot.rows().expect("read").into_iter().collect(),
        }
    }
}

pub fn open(dir: &Path) -> (Store, Opened) {
    Store::open(dir, Options::default()).expect("the store opens")
}

pub fn put(main: i64, sub: u32, value: &[u8]) -> (Revision, Record) {
    let at = Revision::new(main, sub);
    let key = format!("key/{}", main % 17);
    let item = Item::new(key.as_bytes(), value, main, at, 1, LeaseId::NONE);
    (at, Record::new(Body::Put(item)))
}

pub fn delete(main: i64, sub: u32) -> (Revision, Record) {
    let key = Bytes::from(format!("key/{}", main % 17));
    (Revision::new(main, sub), Record::new(Body::Delete { key }))
}

pub fn row(key: &str, value: &str) -> (Bytes, Option<Bytes>) {
    (Bytes::from(key.to_owned()), Some(Bytes::from(value.to_owned())))
}

/// A batch that differs by index in every part, and overwrites and removes rows of earlier ones.
pub fn batch(index: u64) -> Batch {
    let main = index as i64;
    let mut rows = vec![row("applied", &index.to_string()), row(&format!("r{}", index % 5), "x")];
    rows.push((Bytes::from(format!("r{}", (index + 2) % 5)), None));
    let forget = if index > 10 { vec![Revision::new(main - 10, 0)] } else { vec![] };
    let records = vec![put(main, 0, &[index as u8; 200]), delete(main, 1)];
    Batch { index, records, rows, forget }
}
