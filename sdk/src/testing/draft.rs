//! A transaction that is being decided: the newest state with its own writes on top, and what it
//! has read.

use std::collections::BTreeSet;
use std::rc::Rc;

use super::store::{Items, Store, items_within};
use crate::range::Span;
use crate::{Delete, DeleteEvent, Event, Item, Put, PutEvent, Write};

#[derive(Debug, Clone)]
pub(crate) struct Draft {
    /// The state that it was begun on.
    base: Rc<Items>,
    /// The same, with the writes carried out.
    pub(crate) items: Rc<Items>,
    revision: i64,
    /// The keys of all writes, in order; one that is written twice is here twice.
    written: Vec<Vec<u8>>,
    /// How many of them [`Draft::take_written`] has given out.
    given: usize,
    /// Keys that a policy has to leave alone, as the transaction writes them itself.
    pub(crate) taken: BTreeSet<Vec<u8>>,
    pub(crate) reads: Vec<Span>,
    /// A lock admission has heard that others wait before its request.
    pub(crate) is_behind: bool,
}

impl Draft {
    pub(crate) fn on(store: &Store) -> Self {
        Self {
            base: store.items.clone(),
            items: store.items.clone(),
            revision: store.revision + 1,
            written: Vec::new(),
            given: 0,
            taken: BTreeSet::new(),
            reads: Vec::new(),
            is_behind: false,
        }
    }

    /// The state as it was `before`, with all that has been read since.
    pub(crate) fn undone_to(self, before: Self) -> Self {
        Self { reads: self.reads, ..before }
    }

    /// Whether the key was there before the transaction.
    pub(crate) fn existed(&self, key: &[u8]) -> bool {
        self.base.contains_key(key)
    }

    pub(crate) fn get(&mut self, key: &[u8]) -> Option<Item> {
        self.reads.push((key.to_vec(), Some([key, &[0]].concat())));
        self.items.get(key).cloned()
    }

    /// A range that is cut short was read only as far as it goes.
    pub(crate) fn range(&mut self, span: &Span, limit: usize) -> Vec<Item> {
        let found: Vec<Item> = items_within(&self.items, span).take(limit).cloned().collect();
        let end = match found.last() {
            Some(last) if found.len() == limit => Some([&last.key[..], &[0]].concat()),
            _ => span.1.clone(),
        };
        self.reads.push((span.0.clone(), end));
        found
    }

    pub(crate) fn count(&mut self, span: &Span) -> u64 {
        self.reads.push(span.clone());
        items_within(&self.items, span).count() as u64
    }

    /// Writes a key. However often a transaction does, the key gets one new version.
    pub(crate) fn put(&mut self, key: &[u8], value: &[u8], lease: i64) {
        let revision = self.revision;
        let (create_revision, version) = self
            .base
            .get(key)
            .map_or((revision, 1), |item| (item.create_revision, item.version + 1));
        let (key, value) = (key.to_vec(), value.to_vec());
        self.written.push(key.clone());
        let item = Item {
            key: key.clone(),
            value,
            create_revision,
            mod_revision: revision,
            version,
            lease,
        };
        Rc::make_mut(&mut self.items).insert(key, item);
    }

    pub(crate) fn delete(&mut self, span: &Span) -> u64 {
        self.reads.push(span.clone());
        let keys: Vec<_> = items_within(&self.items, span).map(|item| item.key.clone()).collect();
        for key in &keys {
            Rc::make_mut(&mut self.items).remove(key);
            self.written.push(key.clone());
        }
        keys.len() as u64
    }

    /// The keys that were written since the last time.
    pub(crate) fn take_written(&mut self) -> Vec<Vec<u8>> {
        let written = self.written[self.given..].to_vec();
        self.given = self.written.len();
        written
    }

    /// What the transaction changes, in the order in which it came to the keys first.
    pub(crate) fn events(&self) -> Vec<Event> {
        let mut seen = BTreeSet::new();
        let keys = self.written.iter().filter(|key| seen.insert(*key));
        keys.filter_map(|key| {
            let previous = self.base.get(key).cloned();
            match self.items.get(key) {
                Some(item) => Some(Event::Put(PutEvent { item: item.clone(), previous })),
                None if previous.is_none() => None,
                None => Some(Event::Delete(DeleteEvent {
                    key: key.clone(),
                    mod_revision: self.revision,
                    previous,
                })),
            }
        })
        .collect()
    }

    /// What the transaction now does to `keys`, as a policy is told; each key once.
    pub(crate) fn writes<'a>(&self, keys: impl Iterator<Item = &'a Vec<u8>>) -> Vec<Write> {
        let mut seen = BTreeSet::new();
        keys.filter(|key| seen.insert(*key))
            .filter_map(|key| match (self.items.get(key), self.base.get(key)) {
                (Some(Item { key, value, lease, .. }), previous) => Some(Write::Put(Put {
                    key: key.clone(),
                    value: value.clone(),
                    lease: *lease,
                    previous: previous.cloned(),
                })),
                (None, Some(previous)) => {
                    Some(Write::Delete(Delete { key: key.clone(), previous: previous.clone() }))
                }
                (None, None) => None,
            })
            .collect()
    }
}
