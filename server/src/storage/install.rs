//! Receiving a snapshot: rows and records go into a generation of their own beside the current one.
//! It counts only when the store switches to it; given up before that, it leaves nothing behind.

use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;

use bytes::Bytes;

use super::engine::{Engine, Rows, record_bytes};
use super::error::Error;
use super::layout::Layout;
use super::mark::Mark;
use super::record::Record;
use super::row_key;
use crate::types::Revision;

/// Records between the receiver and the thread that writes tables.
const FEED_MAX: usize = 1024;

/// Builds a store from a snapshot. Dropping it unfinished removes what it wrote.
pub struct Installer {
    feed: Option<SyncSender<(Revision, Vec<u8>)>>,
    ingest: Option<JoinHandle<Result<(), Error>>>,
    rows: Rows,
    last: Option<Revision>,
    live_bytes: u64,
    fresh: Fresh,
}

/// A generation nobody counts on yet.
struct Fresh {
    engine: Arc<Engine>,
    generation: u64,
    kept: bool,
}

impl Drop for Fresh {
    fn drop(&mut self) {
        if !self.kept {
            self.engine.retire();
        }
    }
}

/// A complete store that [`Store::replace`](super::Store::replace) switches to.
pub struct Installed {
    fresh: Fresh,
    mark: Mark,
    live_bytes: u64,
}

impl Installer {
    pub(super) fn new(layout: &Layout, cache_bytes: u64) -> Result<Self, Error> {
        let generation = layout.create_generation()?;
        let engine = Engine::open(layout, generation, cache_bytes);
        let engine = Arc::new(engine.inspect_err(|_| layout.remove(generation))?);
        let fresh = Fresh { engine: engine.clone(), generation, kept: false };
        let (feed, records) = sync_channel(FEED_MAX);
        let ingest = std::thread::Builder::new()
            .name("store-install".into())
            .spawn(move || engine.ingest(records.into_iter()))
            .map_err(Error::io("start the installing thread"))?;
        Ok(Self {
            feed: Some(feed),
            ingest: Some(ingest),
            rows: Rows::new(),
            last: None,
            live_bytes: 0,
            fresh,
        })
    }

    /// Takes a row; at any time, in any order.
    pub fn row(&mut self, key: &[u8], value: Bytes) {
        self.rows.insert(row_key::caller(key), Some(value));
    }

    /// Takes the next record in revision order. Waits for the disk.
    pub fn record(&mut self, at: Revision, record: &Record) -> Result<(), Error> {
        if let Some(last) = self.last.filter(|last| *last >= at) {
            return Err(Error::OutOfOrder { last, next: at });
        }
        self.last = Some(at);
        self.live_bytes += record_bytes(record.encoded_len());
        let feed = self.feed.as_ref().expect("fed until finished");
        if feed.send((at, record.encode())).is_err() {
            // The thread left before its input ended: it has the reason.
            self.close()?;
        }
        Ok(())
    }

    /// Everything is there: `index` is the last log entry it contains, `head` the highest revision
    /// ever stored up to it. Makes it durable.
    pub fn finish(mut self, index: u64, head: Revision) -> Result<Installed, Error> {
        self.close()?;
        let head = self.last.map_or(head, |last| last.max(head));
        let mark = Mark { index, head, previous: index };
        self.fresh.engine.checkpoint(&self.rows, mark)?;
        self.fresh.engine.mark_ready()?;
        let Self { fresh, live_bytes, .. } = self;
        Ok(Installed { fresh, mark, live_bytes })
    }

    fn close(&mut self) -> Result<(), Error> {
        self.feed = None;
        match self.ingest.take().map(JoinHandle::join) {
            None => Ok(()),
            Some(Ok(result)) => result,
            Some(Err(_)) => Err(Error::Stopped("the installing thread panicked".into())),
        }
    }
}

impl Installed {
    /// Log index of the last entry it contains.
    pub fn index(&self) -> u64 {
        self.mark.index
    }

    pub(super) fn into_parts(mut self) -> (u64, Arc<Engine>, Mark, u64) {
        self.fresh.kept = true;
        (self.fresh.generation, self.fresh.engine.clone(), self.mark, self.live_bytes)
    }
}
