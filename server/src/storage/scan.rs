//! Reading a stretch of history, in chunks, so that neither a lock nor a view of the engine is held
//! while the reader works.

use std::sync::Arc;

use super::error::Error;
use super::record::Record;
use super::writer::Shared;
use crate::types::Revision;

/// Records per chunk: some tens of microseconds of lock and table work.
const CHUNK: usize = 256;

/// Records of `[from, to)` in revision order, waiting ones included. What is written to that
/// stretch while it runs may or may not be seen.
pub struct Scan {
    shared: Arc<Shared>,
    from: Option<Revision>,
    to: Revision,
    chunk: std::collections::btree_map::IntoIter<Revision, Record>,
}

impl Scan {
    pub(super) fn new(shared: Arc<Shared>, from: Revision, to: Revision) -> Self {
        let from = (from < to).then_some(from);
        Self { shared, from, to, chunk: Default::default() }
    }

    fn fetch(&mut self, from: Revision) -> Result<(), Error> {
        // What waits is read first: a record on its way to the engine is in one of the two.
        let mut found = self.shared.queue.records(from, self.to, CHUNK);
        let engine = self.shared.engine.read().clone();
        found.extend(engine.records(from, self.to, CHUNK)?);
        // Each side gave its lowest, so only the lowest of both together are complete.
        let rest = found.keys().nth(CHUNK).copied();
        if let Some(rest) = rest {
            found.split_off(&rest);
        }
        self.from = match (found.len() == CHUNK, found.keys().next_back()) {
            (true, Some(last)) => next(*last).filter(|from| *from < self.to),
            _ => None,
        };
        self.chunk = found.into_iter();
        Ok(())
    }
}

impl Iterator for Scan {
    type Item = Result<(Revision, Record), Error>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(found) = self.chunk.next() {
                return Some(Ok(found));
            }
            let from = self.from?;
            if let Err(error) = self.fetch(from) {
                self.from = None;
                return Some(Err(error));
            }
        }
    }
}

fn next(after: Revision) -> Option<Revision> {
    match after.sub.checked_add(1) {
        Some(sub) => Some(Revision::new(after.main, sub)),
        None => Some(Revision::new(after.main.checked_add(1)?, 0)),
    }
}
