//! The past as reads and watches ask for it: the store's records behind the traits that the core
//! and the watch hub declare.

use std::sync::Arc;

use arc_swap::ArcSwap;
use bytes::Bytes;

use super::applied::Applied;
use crate::machine::{Change, What};
use crate::mvcc::{History, RecordError, Records};
use crate::storage::{Body, Record, Store};
use crate::types::{Item, KeyRange, Revision};
use crate::watch::{self, Chunk, Committed, Event, HistoryError};

/// Records by revision, from the store.
pub struct StoreRecords(pub Arc<Store>);

impl Records for StoreRecords {
    fn record(&self, at: Revision) -> Result<Option<Item>, RecordError> {
        match self.0.record(at) {
            Ok(Some(Record { body: Body::Put(item), .. })) => Ok(Some(item)),
            Ok(_) => Ok(None),
            Err(error) => Err(RecordError { at, why: error.to_string() }),
        }
    }
}

/// What watchers that are older than the hub's memory are told.
pub struct WatchPast {
    pub store: Arc<Store>,
    pub applied: Arc<Applied>,
    pub history: Arc<ArcSwap<History>>,
}

impl watch::History for WatchPast {
    fn scan(
        &self,
        from: i64,
        to: i64,
        ranges: &[KeyRange],
        bytes_max: usize,
    ) -> Result<Chunk, HistoryError> {
        let mut gathered = Gathered::default();
        let mut next = to + 1;
        let records = self.store.scan(Revision::new(from, 0), Revision::new(to + 1, 0));
        for record in records {
            let (at, record) = record.map_err(|e| HistoryError::Failed(e.to_string()))?;
            if gathered.bytes >= bytes_max && !gathered.is_within(at.main) {
                next = at.main;
                break;
            }
            if ranges.iter().any(|range| range.contains(record.key())) {
                gathered.push(at, record);
            }
        }
        // Looked at after the read: what was compacted meanwhile may have been missing.
        let compacted = self.applied.with(|version| version.state.compacted);
        if from < compacted {
            return Err(HistoryError::Compacted(compacted));
        }
        Ok(Chunk { revisions: gathered.finish(), next })
    }

    fn before(&self, key: &[u8], revision: i64) -> Result<Option<Item>, HistoryError> {
        let failed = |error: RecordError| HistoryError::Failed(error.to_string());
        let records = StoreRecords(self.store.clone());
        let history = self.history.load();
        // Looked up before the live item: what is superseded in between is in the history then.
        let live = self.applied.with(|version| version.state.get(key).cloned());
        match history.superseded_in(key, revision) {
            Some(at) => records.record(at).map_err(failed),
            None => Ok(live.filter(|item| item.mod_revision() < revision)),
        }
    }
}

/// Records on their way to becoming revisions.
#[derive(Default)]
struct Gathered {
    revisions: Vec<(i64, Vec<Event>)>,
    bytes: usize,
}

impl Gathered {
    fn is_within(&self, revision: i64) -> bool {
        self.revisions.last().is_some_and(|(last, _)| *last == revision)
    }

    fn push(&mut self, at: Revision, record: Record) {
        self.bytes += record.encoded_len();
        let Record { body, author } = record;
        let event = Event::new(change(body), None).by(author);
        match self.revisions.last_mut() {
            Some((last, events)) if *last == at.main => events.push(event),
            _ => self.revisions.push((at.main, vec![event])),
        }
    }

    fn finish(self) -> Vec<Committed> {
        let revisions = self.revisions.into_iter();
        revisions.map(|(revision, events)| Committed::new(revision, events)).collect()
    }
}

fn change(body: Body) -> watch::Change {
    match body {
        Body::Put(item) => watch::Change::Put(item),
        Body::Delete { key } => watch::Change::Delete { key },
    }
}

/// Groups changes by revision, as watchers hear of them.
pub fn committed(changes: Vec<Change>) -> Vec<Arc<Committed>> {
    let mut all: Vec<(i64, Vec<Event>)> = Vec::new();
    for Change { at, what, prev, author } in changes {
        let prev = prev.and_then(|item| before_revision(item, at.main, &all));
        let event = Event::new(watched(what), prev).by(author);
        match all.last_mut() {
            Some((last, events)) if *last == at.main => events.push(event),
            _ => all.push((at.main, vec![event])),
        }
    }
    let revisions = all.into_iter();
    revisions.map(|(revision, events)| Arc::new(Committed::new(revision, events))).collect()
}

/// Watchers hear what a key held before the revision, not what the revision itself put there
/// before it deleted it again.
fn before_revision(prev: Item, revision: i64, all: &[(i64, Vec<Event>)]) -> Option<Item> {
    if prev.mod_revision() < revision {
        return Some(prev);
    }
    let (_, events) = all.last()?;
    let first = events.iter().find(|event| event.key() == prev.key())?;
    first.prev().cloned()
}

fn watched(what: What) -> watch::Change {
    match what {
        What::Put(item) => watch::Change::Put(item),
        What::Delete { key } => watch::Change::Delete { key },
    }
}

/// The record that a change leaves in the store.
pub fn record(change: &Change) -> (Revision, Record) {
    let body = match &change.what {
        What::Put(item) => Body::Put(item.clone()),
        What::Delete { key } => Body::Delete { key: Bytes::clone(key) },
    };
    (change.at, Record { body, author: change.author.clone() })
}

/// The change that a stored record stands for.
pub fn what(record: Record) -> What {
    match record.body {
        Body::Put(item) => What::Put(item),
        Body::Delete { key } => What::Delete { key },
    }
}
