//! A store for tests: every revision in a list, compactable, readable as history; and a client
//! that checks each answer against it.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;

use super::history::{Chunk, History, HistoryError};
use super::{Change, Committed, Event, NO_WATCHER, Response};
use crate::types::{Item, KeyRange, LeaseId, Revision};

/// A change to ask for: a put with a value, or a delete.
pub type Wish = (Bytes, Option<Bytes>);

#[derive(Clone, Debug)]
pub struct Record {
    pub revision: i64,
    pub change: Change,
    pub prev: Option<Item>,
}

impl Record {
    pub fn event(&self) -> Event {
        Event::new(self.change.clone(), self.prev.clone())
    }
}

#[derive(Debug, Default)]
struct Log {
    /// Never shortened: the truth. What is compacted is only not readable as history.
    records: Vec<Record>,
    current: BTreeMap<Bytes, Item>,
    revision: i64,
    compacted: i64,
}

/// A store that keeps everything and forgets what it was told to.
#[derive(Debug)]
pub struct Store {
    log: Mutex<Log>,
    revisions_per_scan: usize,
}

impl Store {
    /// At revision 1, as a fresh etcd.
    pub fn new(revisions_per_scan: usize) -> Arc<Self> {
        let log = Log { revision: 1, ..Log::default() };
        Arc::new(Self { log: Mutex::new(log), revisions_per_scan })
    }

    pub fn revision(&self) -> i64 {
        self.log.lock().revision
    }

    pub fn compacted(&self) -> i64 {
        self.log.lock().compacted
    }

    pub fn compact(&self, revision: i64) {
        self.log.lock().compacted = revision;
    }

    /// Shows everything ever committed, and the compacted revision.
    pub fn show<T>(&self, look: impl FnOnce(&[Record], i64) -> T) -> T {
        let log = self.log.lock();
        look(&log.records, log.compacted)
    }

    /// Commits what of the wishes changes something; `None` when nothing does.
    pub fn commit(&self, wishes: &[Wish]) -> Option<Arc<Committed>> {
        let mut log = self.log.lock();
        let revision = log.revision + 1;
        let mut made = Vec::new();
        for (sub, (key, value)) in wishes.iter().enumerate() {
            if wishes[..sub].iter().any(|(earlier, _)| earlier == key) {
                continue;
            }
            let prev = log.current.get(key).cloned();
            let change = match value {
                Some(value) => {
                    let created = prev.as_ref().map_or(revision, Item::create_revision);
                    let version = prev.as_ref().map_or(0, Item::version) + 1;
                    let at = Revision::new(revision, sub as u32);
                    let item = Item::new(key, value, created, at, version, LeaseId::NONE);
                    log.current.insert(key.clone(), item.clone());
                    Change::Put(item)
                }
                None if prev.is_none() => continue,
                None => {
                    log.current.remove(key);
                    Change::Delete { key: key.clone() }
                }
            };
            made.push(Record { revision, change, prev });
        }
        if made.is_empty() {
            return None;
        }
        log.revision = revision;
        log.records.extend(made.iter().cloned());
        Some(Arc::new(Committed::new(revision, made.iter().map(Record::event).collect())))
    }
}

impl History for Store {
    fn scan(
        &self,
        from: i64,
        to: i64,
        ranges: &[KeyRange],
        _bytes_max: usize,
    ) -> Result<Chunk, HistoryError> {
        let log = self.log.lock();
        if from < log.compacted {
            return Err(HistoryError::Compacted(log.compacted));
        }
        let last = to.min(from + self.revisions_per_scan as i64 - 1);
        let start = log.records.partition_point(|record| record.revision < from);
        let records = log.records[start..].iter().take_while(|record| record.revision <= last);
        let mut revisions: Vec<(i64, Vec<Event>)> = Vec::new();
        for record in records {
            let event = Event::new(record.change.clone(), None);
            if !ranges.iter().any(|range| range.contains(event.key())) {
                continue;
            }
            match revisions.last_mut() {
                Some((revision, events)) if *revision == record.revision => events.push(event),
                _ => revisions.push((record.revision, vec![event])),
            }
        }
        let committed = |(revision, events)| Committed::new(revision, events);
        let revisions = revisions.into_iter().map(committed).collect();
        Ok(Chunk { revisions, next: last + 1 })
    }

    fn before(&self, key: &[u8], revision: i64) -> Result<Option<Item>, HistoryError> {
        let log = self.log.lock();
        let at = log
            .records
            .iter()
            .rev()
            .find(|record| record.revision == revision && record.event().key() == key);
        let prev = at.and_then(|record| record.prev.clone());
        // Superseded at or before the compacted revision: removed.
        Ok(prev.filter(|_| revision > log.compacted))
    }
}

/// What one watcher must be sent, and how far that has come.
#[derive(Clone, Debug)]
pub struct Expect {
    pub range: KeyRange,
    pub start: i64,
    pub no_put: bool,
    pub no_delete: bool,
    pub prev_kv: bool,
    pub fragment: bool,
    /// Records looked at, and the last revision received.
    pub seen: usize,
    pub last: i64,
}

impl Expect {
    fn wants(&self, record: &Record) -> bool {
        let event = record.event();
        let filtered = if event.is_put() { self.no_put } else { self.no_delete };
        record.revision >= self.start && !filtered && self.range.contains(event.key())
    }

    /// The next record that must come, skipping those that are not for it.
    pub fn peek<'a>(&mut self, records: &'a [Record]) -> Option<&'a Record> {
        while let Some(record) = records.get(self.seen) {
            if self.wants(record) {
                return Some(record);
            }
            self.seen += 1;
        }
        None
    }

    fn receive(&mut self, response: &Response, records: &[Record], compacted: i64) {
        for event in &response.events {
            let record = self.peek(records).expect("an event that nobody committed").clone();
            let whole = record.event();
            let plain = whole.encoded(record.revision, false);
            let full = whole.encoded(record.revision, self.prev_kv);
            let lost_prev = record.revision <= compacted && event == plain;
            assert!(event == full || lost_prev, "{event:?} came, {record:?} was next");
            self.seen += 1;
            self.last = record.revision;
        }
        assert_eq!(response.revision, self.last, "the header is the last event's revision");
        assert!(self.fragment || !response.fragment);
        if !response.fragment {
            let next = self.peek(records).map(|record| record.revision);
            assert_ne!(next, Some(self.last), "revision {} was cut", self.last);
        }
    }
}

/// A client of one stream, by watch id.
#[derive(Debug, Default)]
pub struct Client {
    pub watching: BTreeMap<i64, Expect>,
    /// Cancelled by us; answers that were under way may still come, in order.
    pub leaving: BTreeMap<i64, Expect>,
    pub progress_answers: usize,
    pub lost_to_compaction: usize,
}

impl Client {
    /// Checks one answer to the last detail. `created` answers are the caller's.
    pub fn receive(&mut self, response: &Response, store: &Store) {
        store.show(|records, compacted| self.check(response, records, compacted));
    }

    fn check(&mut self, response: &Response, records: &[Record], compacted: i64) {
        let id = response.watch_id;
        if response.compact_revision != 0 {
            assert!(response.canceled && response.cancel_reason.is_empty());
            assert_eq!(response.revision, 0, "such an answer has none");
            // The answer may have waited while the store was compacted further.
            let at = response.compact_revision;
            assert!(at <= compacted, "{at} is not compacted, {compacted} is");
            // A cancel that came too late is not answered.
            let lost = self.watching.remove(&id).or_else(|| self.leaving.remove(&id));
            let lost = lost.expect("only a watcher is cancelled");
            let next = lost.start.max(lost.last + 1);
            assert!(next < at, "{next} is not compacted at {at}");
            self.lost_to_compaction += 1;
        } else if response.canceled {
            assert!(self.leaving.remove(&id).is_some(), "{id} was not cancelled by us");
        } else if !response.events.is_empty() {
            let expect = match self.leaving.get_mut(&id) {
                Some(expect) => expect,
                None => self.watching.get_mut(&id).expect("events of a watcher that is there"),
            };
            expect.receive(response, records, compacted);
        } else {
            self.progress_answers += 1;
            let about =
                self.watching.iter_mut().filter(|(watch, _)| id == NO_WATCHER || **watch == id);
            for (_, expect) in about {
                assert!(
                    response.revision + 1 >= expect.start,
                    "resuming would go before the start"
                );
                let next = expect.peek(records).map(|record| record.revision);
                assert!(
                    next.is_none_or(|next| next > response.revision),
                    "progress overtook {next:?}"
                );
            }
        }
    }
}
