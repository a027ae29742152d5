//! A state with the writes of a transaction in the making on top: what a plugin reads and writes
//! during its call. One write is kept for each key, the last; nothing underneath is touched.

use std::collections::BTreeMap;
use std::iter::Peekable;

use bytes::Bytes;

use crate::decide::Write;
use crate::effect::Author;
use crate::machine::State;
use crate::types::{Item, KeyRange, LeaseId, Revision};

/// One key as the transaction leaves it.
#[derive(Clone, Debug)]
struct Own {
    /// `None` when it is deleted.
    item: Option<Item>,
    /// Place in the order in which keys were first written, and who wrote last.
    order: usize,
    author: usize,
}

/// The writes on top, apart from the state they lie on.
#[derive(Clone, Debug, Default)]
pub struct Writes {
    keys: BTreeMap<Bytes, Own>,
    authors: Vec<Author>,
}

impl Writes {
    pub fn contains(&self, key: &[u8]) -> bool {
        self.keys.contains_key(key)
    }

    /// What is written from here on is `author`'s.
    pub fn begin(&mut self, author: Author) {
        self.authors.push(author);
    }

    /// The keys that were written last since the latest [`Writes::begin`].
    pub fn latest(&self) -> impl Iterator<Item = &Bytes> {
        let last = self.authors.len().wrapping_sub(1);
        self.keys.iter().filter(move |(_, own)| own.author == last).map(|(key, _)| key)
    }

    /// The writes for the decision, in order, each author before its own. A delete of what was
    /// never there is none.
    pub fn to_decide(&self) -> Vec<Write> {
        let mut keys: Vec<_> = self.keys.iter().collect();
        keys.sort_unstable_by_key(|(_, own)| own.order);
        let mut writes = Vec::with_capacity(keys.len() + self.authors.len());
        let mut by = None;
        for (key, own) in keys {
            if by != Some(own.author) {
                by = Some(own.author);
                writes.extend(self.authors.get(own.author).cloned().map(Write::By));
            }
            let key = key.clone();
            writes.push(match &own.item {
                Some(item) => {
                    let value = Bytes::copy_from_slice(item.value());
                    Write::Put { key, value, lease: item.lease() }
                }
                None => Write::Delete { key },
            });
        }
        writes
    }

    /// A key's write: `Some(None)` is a delete.
    pub fn get(&self, key: &[u8]) -> Option<Option<&Item>> {
        self.keys.get(key).map(|own| own.item.as_ref())
    }

    fn set(&mut self, key: Bytes, item: Option<Item>) {
        let next = self.keys.len();
        let author = self.authors.len().wrapping_sub(1);
        let own = self.keys.entry(key).or_insert(Own { item: None, order: next, author });
        own.item = item;
        own.author = author;
    }
}

/// A state and the writes on top of it.
pub struct Overlay<'a> {
    pub state: &'a State,
    pub writes: &'a mut Writes,
    /// The revision that the transaction will have, as it is foreseen.
    pub at: i64,
}

impl Overlay<'_> {
    pub fn get(&self, key: &[u8]) -> Option<&Item> {
        match self.writes.get(key) {
            Some(own) => own,
            None => self.state.get(key),
        }
    }

    /// At most `limit` items of `range`, in order of key.
    pub fn range(&self, range: &KeyRange, limit: usize) -> Vec<Item> {
        self.merged(range).take(limit).cloned().collect()
    }

    pub fn count(&self, range: &KeyRange) -> usize {
        let below = self.state.items().count(range);
        let own = self.own(range);
        own.fold(below, |count, (key, own)| {
            match (self.state.get(key).is_some(), own.item.is_some()) {
                (true, false) => count - 1,
                (false, true) => count + 1,
                _ => count,
            }
        })
    }

    pub fn put(&mut self, key: &[u8], value: &[u8], lease: LeaseId) {
        let at = Revision::new(self.at, 0);
        let item = match self.state.get(key) {
            Some(old) => Item::new(key, value, old.create_revision(), at, old.version() + 1, lease),
            None => Item::new(key, value, at.main, at, 1, lease),
        };
        self.writes.set(Bytes::copy_from_slice(key), Some(item));
    }

    /// Deletes at most `max` keys of `range` and tells how many; `None` when there are more.
    pub fn delete(&mut self, range: &KeyRange, max: usize) -> Option<usize> {
        let keys: Vec<Bytes> = self.merged(range).take(max + 1).map(key_of).collect();
        let count = keys.len();
        if count > max {
            return None;
        }
        keys.into_iter().for_each(|key| self.writes.set(key, None));
        Some(count)
    }

    fn own(&self, range: &KeyRange) -> impl Iterator<Item = (&Bytes, &Own)> {
        let range = range.clone();
        let from = self.writes.keys.range(range.start.clone()..);
        from.take_while(move |(key, _)| range.contains(key))
    }

    fn merged(&self, range: &KeyRange) -> impl Iterator<Item = &Item> {
        let below = self.state.items().range(range).peekable();
        Merged { below, own: self.own(range).peekable() }
    }
}

/// Two sequences in order of key as one; where both have a key the upper one counts.
struct Merged<'a, B, O>
where
    B: Iterator<Item = &'a Item>,
    O: Iterator<Item = (&'a Bytes, &'a Own)>,
{
    below: Peekable<B>,
    own: Peekable<O>,
}

impl<'a, B, O> Iterator for Merged<'a, B, O>
where
    B: Iterator<Item = &'a Item>,
    O: Iterator<Item = (&'a Bytes, &'a Own)>,
{
    type Item = &'a Item;

    fn next(&mut self) -> Option<&'a Item> {
        loop {
            let own = self.own.peek().map(|(key, _)| &key[..]);
            let below = self.below.peek().map(|item| item.key());
            let take_own = match (own, below) {
                (None, _) => return self.below.next(),
                (Some(_), None) => true,
                (Some(own), Some(below)) => {
                    if own == below {
                        self.below.next();
                    }
                    own <= below
                }
            };
            if !take_own {
                return self.below.next();
            }
            if let Some(item) = self.own.next().and_then(|(_, own)| own.item.as_ref()) {
                return Some(item);
            }
        }
    }
}

fn key_of(item: &Item) -> Bytes {
    Bytes::copy_from_slice(item.key())
}

#[cfg(test)]
#[path = "overlay_test.rs"]
mod tests;
