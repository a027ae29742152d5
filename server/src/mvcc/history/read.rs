//! Reading a range as it was at an older revision.

use super::facts::{History, Key};
use crate::mvcc::Tree;
use crate::types::{Item, KeyRange, Revision};

/// Where the values of superseded revisions are.
pub trait Records {
    /// The item put at `at`; `None` when there is no such record.
    fn record(&self, at: Revision) -> Result<Option<Item>, RecordError>;
}

/// The store could not read a record.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot read the record at {at}: {why}")]
pub struct RecordError {
    pub at: Revision,
    pub why: String,
}

/// Why a read of the past has no result.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    #[error("revision {0} is compacted")]
    Compacted(i64),
    #[error(transparent)]
    Record(#[from] RecordError),
}

/// A range as it was.
#[derive(Debug, Default, PartialEq)]
pub struct PastItems {
    /// In order of key, as many as were asked for.
    pub items: Vec<Item>,
    /// How many there were.
    pub count: usize,
}

/// Reads `range` as it was at `revision`, up to `limit` items. `live` and `now` are one state's
/// items and revision; `revision` is not above `now`.
pub fn read_at(
    live: &Tree<Item>,
    now: i64,
    history: &History,
    records: &dyn Records,
    range: &KeyRange,
    revision: i64,
    limit: usize,
) -> Result<PastItems, ReadError> {
    let past = history.live_at(range, revision, now).ok_or(ReadError::Compacted(revision))?;
    let mut past = past.into_iter().peekable();
    let mut found = PastItems::default();
    let mut take = |which: Which| -> Result<(), ReadError> {
        found.count += 1;
        if found.items.len() < limit {
            found.items.push(match which {
                Which::Live(item) => item.clone(),
                Which::Past(at) => fetch(history, records, at, revision)?,
            });
        }
        Ok(())
    };
    for item in live.range(range).filter(|item| item.mod_revision() <= revision) {
        while let Some((_, at)) = past.next_if(|(key, _): &(Key, _)| key.bytes() < item.key()) {
            take(Which::Past(at))?;
        }
        take(Which::Live(item))?;
    }
    for (_, at) in past {
        take(Which::Past(at))?;
    }
    Ok(found)
}

enum Which<'a> {
    Live(&'a Item),
    Past(Revision),
}

fn fetch(
    history: &History,
    records: &dyn Records,
    at: Revision,
    revision: i64,
) -> Result<Item, ReadError> {
    match records.record(at)? {
        Some(item) => Ok(item),
        // Compaction may pass the reader between the fact and its record.
        None if revision < history.floor() => Err(ReadError::Compacted(revision)),
        None => Err(RecordError { at, why: "it is missing".to_owned() }.into()),
    }
}
