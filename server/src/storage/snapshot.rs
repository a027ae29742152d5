//! The store at one point between two batches, while writes go on. It holds files that would be
//! compacted away and counts against memory for the rows not yet checkpointed, so its holder must
//! let go of it in minutes, not hours.

use std::collections::HashSet;
use std::sync::Arc;

use bytes::Bytes;

use super::engine::{Engine, Rows};
use super::error::Error;
use super::record::Record;
use super::row_key;
use crate::types::Revision;

/// A consistent view of rows and records at one log index.
pub struct Snapshot {
    view: fjall::Snapshot,
    index: u64,
    head: Revision,
    rows: Rows,
    hidden: HashSet<Revision>,
    // After the view: a view must not outlive its engine.
    engine: Arc<Engine>,
}

impl Snapshot {
    /// Called by the writer only, between batches: the engine's view could see half of one.
    pub(super) fn new(
        engine: Arc<Engine>,
        index: u64,
        head: Revision,
        rows: Rows,
        hidden: HashSet<Revision>,
    ) -> Self {
        Self { view: engine.view(), index, head, rows, hidden, engine }
    }

    /// Log index of the last entry it contains.
    pub fn index(&self) -> u64 {
        self.index
    }

    /// The highest revision ever stored up to [`Snapshot::index`].
    pub fn head(&self) -> Revision {
        self.head
    }

    /// All rows by key.
    pub fn rows(&self) -> Result<Vec<(Bytes, Bytes)>, Error> {
        let mut all = Rows::new();
        for row in self.engine.rows_of(&self.view) {
            let (key, value) = row?;
            all.insert(key, Some(value));
        }
        all.extend(self.rows.iter().map(|(key, value)| (key.clone(), value.clone())));
        let rows = all.iter().filter_map(|(key, value)| {
            Some((Bytes::copy_from_slice(row_key::as_caller(key)?), value.clone()?))
        });
        Ok(rows.collect())
    }

    /// All records in revision order, without those forgotten by then.
    pub fn records(&self) -> impl Iterator<Item = Result<(Revision, Record), Error>> + '_ {
        self.records_from(Revision::default())
    }

    /// The same from one revision on.
    pub fn records_from(
        &self,
        from: Revision,
    ) -> impl Iterator<Item = Result<(Revision, Record), Error>> + '_ {
        let counts = |read: &Result<(Revision, Record), Error>| match read {
            Ok((revision, _)) => !self.hidden.contains(revision),
            Err(_) => true,
        };
        let found = self.engine.records_from(&self.view, from);
        found.map(|guard| self.engine.read(guard)).filter(counts)
    }

    /// All records that take space, forgotten or not: what loading counts as live bytes.
    pub(super) fn stored(
        &self,
    ) -> impl Iterator<Item = Result<(Revision, Record, bool), Error>> + '_ {
        let read = self.engine.records_of(&self.view).map(|guard| self.engine.read(guard));
        read.map(|read| read.map(|(at, record)| (at, record, !self.hidden.contains(&at))))
    }
}
