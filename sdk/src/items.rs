//! Comfort for the contract's types: items, writes that are to happen, events that have happened.

use std::borrow::Cow;

use crate::{Event, Item, Write};

impl Item {
    /// The key for use in a message; what is not UTF-8 in it is replaced.
    pub fn key_text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.key)
    }
}

impl Write {
    /// The key that is put or deleted.
    pub fn key(&self) -> &[u8] {
        match self {
            Write::Put(put) => &put.key,
            Write::Delete(delete) => &delete.key,
        }
    }

    /// The key for use in a message; what is not UTF-8 in it is replaced.
    pub fn key_text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(self.key())
    }

    /// The value that is put; none for a delete.
    pub fn value(&self) -> Option<&[u8]> {
        match self {
            Write::Put(put) => Some(&put.value),
            Write::Delete(_) => None,
        }
    }

    /// What the key holds before the write; none when the write creates it.
    pub fn previous(&self) -> Option<&Item> {
        match self {
            Write::Put(put) => put.previous.as_ref(),
            Write::Delete(delete) => Some(&delete.previous),
        }
    }
}

impl Event {
    /// The key that was put or deleted.
    pub fn key(&self) -> &[u8] {
        match self {
            Event::Put(put) => &put.item.key,
            Event::Delete(delete) => &delete.key,
        }
    }

    /// The key for use in a message; what is not UTF-8 in it is replaced.
    pub fn key_text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(self.key())
    }

    /// What the key holds since the event; none for a delete.
    pub fn item(&self) -> Option<&Item> {
        match self {
            Event::Put(put) => Some(&put.item),
            Event::Delete(_) => None,
        }
    }

    /// The value that was put; none for a delete.
    pub fn value(&self) -> Option<&[u8]> {
        self.item().map(|item| &item.value[..])
    }

    /// What the key held before; none when the event created it, and when that revision is
    /// compacted away.
    pub fn previous(&self) -> Option<&Item> {
        match self {
            Event::Put(put) => put.previous.as_ref(),
            Event::Delete(delete) => delete.previous.as_ref(),
        }
    }

    /// The revision that the event is part of.
    pub fn revision(&self) -> i64 {
        match self {
            Event::Put(put) => put.item.mod_revision,
            Event::Delete(delete) => delete.mod_revision,
        }
    }

    /// Whether the event created the key.
    pub fn is_create(&self) -> bool {
        self.item().is_some_and(|item| item.version == 1)
    }
}
