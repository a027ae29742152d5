//! Comfort for the types of the write policy.

use std::borrow::Cow;
use std::fmt::Display;

use crate::{Change, Item, NewValue, Verdict, Write};

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

impl Verdict {
    /// Refuses the whole transaction; `reason` reaches its caller.
    pub fn refuse(reason: impl Into<String>) -> Self {
        Verdict::Refuse(reason.into())
    }

    /// Allows it with further writes in the same transaction.
    pub fn allow_with(changes: impl IntoIterator<Item = Change>) -> Self {
        Verdict::AllowWith(changes.into_iter().collect())
    }
}

/// A policy may return `Result<(), E>`: an error refuses.
impl<E: Display> From<Result<(), E>> for Verdict {
    fn from(result: Result<(), E>) -> Self {
        match result {
            Ok(()) => Verdict::Allow,
            Err(reason) => Verdict::refuse(reason.to_string()),
        }
    }
}

/// A policy may return `Result<Verdict, E>`: an error refuses.
impl<E: Display> From<Result<Verdict, E>> for Verdict {
    fn from(result: Result<Verdict, E>) -> Self {
        result.unwrap_or_else(|reason| Verdict::refuse(reason.to_string()))
    }
}

impl Change {
    /// Puts `value` under `key`, on no lease.
    pub fn put(key: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) -> Self {
        Change::Put(NewValue { key: key.into(), value: value.into(), lease: 0 })
    }

    /// The same put, on `lease`. A delete stays as it is.
    #[must_use]
    pub fn on_lease(self, lease: i64) -> Self {
        match self {
            Change::Put(put) => Change::Put(NewValue { lease, ..put }),
            Change::Delete(key) => Change::Delete(key),
        }
    }

    /// Deletes `key`; no effect when it does not exist.
    pub fn delete(key: impl Into<Vec<u8>>) -> Self {
        Change::Delete(key.into())
    }
}
