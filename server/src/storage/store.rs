//! The store as the layers above see it. Calls that write return before the disk is touched; calls
//! that read look at what waits first, then at the tables.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::RwLock;

use super::engine::Engine;
use super::error::Error;
use super::forget::Forgets;
use super::install::{Installed, Installer};
use super::layout::Layout;
use super::mark::Mark;
use super::options::Options;
use super::queue::{Batch, Queue, Stop};
use super::record::Record;
use super::row_key;
use super::scan::Scan;
use super::snapshot::Snapshot;
use super::writer::{Control, Shared, Writer};
use crate::types::Revision;

/// Nice value of the writer and of the engine's thread, which it starts: behind whoever answers
/// clients, yet never starved.
const WRITER_NICE: i32 = 5;
/// How long closing waits for the engine's thread, which may be in a compaction. The process can
/// end without it: nothing it does matters before it is complete.
const CLOSE_PATIENCE: Duration = Duration::from_millis(200);

/// The store on disk, a checkpoint behind the log. Dropping it without [`Store::close`] leaves the
/// disk as it is, as a crash would.
pub struct Store {
    shared: Arc<Shared>,
    layout: Layout,
    cache_bytes: u64,
    writer: Option<JoinHandle<Result<(), Error>>>,
}

/// What was found on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opened {
    /// The log is to be replayed after this index; 0 in a fresh store. Everything up to it is there.
    pub applied_index: u64,
    /// The log may be purged up to and including this index.
    pub durable_index: u64,
    /// The highest revision ever stored up to `applied_index`.
    pub head: Revision,
    /// Records ahead of `applied_index` that were removed: the replay writes them again.
    pub ahead: u64,
}

struct Found {
    layout: Layout,
    engine: Engine,
    mark: Mark,
    forgets: Forgets,
    ahead: u64,
}

impl Store {
    /// Opens or creates the store in `dir`. [`Error::is_damage`] tells whether
    /// [`Store::set_aside`] is the way out of a failure.
    pub fn open(dir: &Path, options: Options) -> Result<(Self, Opened), Error> {
        let (send, found) = channel();
        let (dir, cache_bytes) = (dir.to_path_buf(), options.cache_bytes);
        let thread = std::thread::Builder::new().name("store-writer".into());
        // The engine is opened on the writer's thread: its own inherits the priority.
        let writer = thread.spawn(move || {
            if let Err(error) = rustix::process::setpriority_process(None, WRITER_NICE) {
                tracing::debug!(%error, "priority of the store's writer not lowered");
            }
            let found = match find(&dir, options.cache_bytes) {
                Ok(found) => found,
                Err(error) => {
                    let _ = send.send(Err(error));
                    return Ok(());
                }
            };
            let Found { layout, engine, mark, forgets, ahead } = found;
            let shared = Arc::new(share(engine, mark, &options));
            let _ = send.send(Ok((shared.clone(), layout.clone(), mark, ahead)));
            let on_fatal = options.on_fatal.clone();
            let writer = Writer::new(shared.clone(), layout, options, mark, forgets);
            let result = catch_unwind(AssertUnwindSafe(|| writer.run()))
                .unwrap_or_else(|_| Err(Error::Stopped("its writer panicked".into())));
            match &result {
                Ok(()) => shared.queue.end("it is closed"),
                Err(error) => {
                    tracing::error!(%error, "the store cannot go on");
                    shared.queue.end(&error.to_string());
                    on_fatal(&error.to_string());
                }
            }
            result
        });
        let writer = writer.map_err(Error::io("start the writer"))?;
        let found = found
            .recv()
            .unwrap_or_else(|_| Err(Error::Stopped("its writer panicked while opening".into())));
        let (shared, layout, mark, ahead) = found?;
        let opened = Opened {
            applied_index: mark.index,
            durable_index: mark.previous,
            head: mark.head,
            ahead,
        };
        Ok((Self { shared, layout, cache_bytes, writer: Some(writer) }, opened))
    }

    /// Moves a store that will not open, or reads as damaged, out of the way, so that the next open
    /// starts an empty one. The last one set aside is kept. Returns where it is.
    pub fn set_aside(dir: &Path) -> Result<Option<PathBuf>, Error> {
        let aside = Layout::open(dir)?.set_aside()?;
        if aside.is_some() {
            tracing::warn!("store set aside, to be rebuilt");
        }
        Ok(aside)
    }

    /// Streams the whole store: every row, then every record in revision order. To be called once,
    /// before the first write. Returns the log index the contents belong to.
    pub fn load(
        &self,
        mut on_row: impl FnMut(Bytes, Bytes),
        mut on_record: impl FnMut(Revision, Record),
    ) -> Result<u64, Error> {
        let snapshot = self.ask(|reply| Control::Snapshot { counts: true, reply })?;
        for (key, value) in snapshot.rows()? {
            on_row(key, value);
        }
        let mut live = 0;
        for stored in snapshot.stored() {
            let (revision, record, counts) = stored?;
            live += super::engine::record_bytes(record.encoded_len());
            if counts {
                on_record(revision, record);
            }
        }
        self.shared.live_bytes.fetch_add(live, Ordering::Relaxed);
        self.shared.live_known.store(true, Ordering::Release);
        Ok(snapshot.index())
    }

    /// Hands over a batch: its records are readable at once, the disk follows. Blocks only while
    /// more than [`Options::pending_bytes`] wait; watch [`Store::pending_bytes`] to push back
    /// before that.
    pub fn write(&self, batch: Batch) -> Result<(), Error> {
        self.shared.queue.push(batch)
    }

    /// The record of one revision. A forgotten one may still be found until it is erased.
    pub fn record(&self, at: Revision) -> Result<Option<Record>, Error> {
        if let Some(record) = self.shared.queue.record(at) {
            return Ok(Some(record));
        }
        let engine = self.shared.engine.read().clone();
        engine.record(at)
    }

    /// The records of `[from, to)` in order; see [`Scan`].
    pub fn scan(&self, from: Revision, to: Revision) -> Scan {
        Scan::new(self.shared.clone(), from, to)
    }

    /// A consistent view of everything written so far; waits for the batches before it.
    pub fn snapshot(&self) -> Result<Snapshot, Error> {
        self.ask(|reply| Control::Snapshot { counts: false, reply })
    }

    /// Makes everything written so far durable. Returns the index it covers.
    pub fn checkpoint_now(&self) -> Result<u64, Error> {
        self.ask(|reply| Control::Checkpoint { reply })
    }

    /// Waits until what was forgotten so far is erased and no longer counts in
    /// [`Store::live_bytes`]. Writes go on meanwhile.
    pub fn settle(&self) -> Result<(), Error> {
        self.ask(|reply| Control::Settle { reply })
    }

    /// Starts to receive a snapshot beside the current contents.
    pub fn installer(&self) -> Result<Installer, Error> {
        Installer::new(&self.layout, self.cache_bytes)
    }

    /// Switches to an installed snapshot, after everything written so far. Atomic: a crash leaves
    /// one or the other.
    pub fn replace(&self, installed: Installed) -> Result<(), Error> {
        let installed = Box::new(installed);
        self.ask(|reply| Control::Replace { installed, reply })
    }

    /// Asks for the tables to be rewritten without what was forgotten, in the background.
    pub fn reclaim(&self) -> Result<(), Error> {
        self.shared.queue.control(Control::Reclaim)
    }

    /// Index of the last checkpoint.
    pub fn checkpoint_index(&self) -> u64 {
        self.shared.checkpoint.load(Ordering::Acquire)
    }

    /// Index of the checkpoint before the last: the log may be purged up to and including it.
    pub fn durable_index(&self) -> u64 {
        self.shared.durable.load(Ordering::Acquire)
    }

    /// Bytes that wait for the disk.
    pub fn pending_bytes(&self) -> usize {
        self.shared.queue.pending_bytes()
    }

    /// Bytes the store takes, waste included, preallocation and the engine's journal not.
    pub fn disk_bytes(&self) -> u64 {
        let engine = self.shared.engine.read().clone();
        engine.disk_bytes() + self.pending_bytes() as u64
    }

    /// Bytes of the records that are not erased; complete after [`Store::load`].
    pub fn live_bytes(&self) -> u64 {
        self.shared.live_bytes.load(Ordering::Relaxed)
    }

    /// Writes what waits, makes a checkpoint and closes the store.
    pub fn close(mut self) -> Result<(), Error> {
        self.shared.queue.stop(Stop::Orderly);
        let result = self.join();
        let (closed, wait) = channel::<()>();
        std::thread::spawn(move || {
            drop(self);
            drop(closed);
        });
        // It ends by the sender going away, or the patience does.
        let _ = wait.recv_timeout(CLOSE_PATIENCE);
        result
    }

    fn join(&mut self) -> Result<(), Error> {
        match self.writer.take().map(JoinHandle::join) {
            Some(Ok(result)) => result,
            Some(Err(_)) => Err(Error::Stopped("its writer panicked".into())),
            None => Ok(()),
        }
    }

    fn ask<T>(
        &self,
        control: impl FnOnce(std::sync::mpsc::Sender<T>) -> Control,
    ) -> Result<T, Error> {
        let (reply, answer): (_, Receiver<T>) = channel();
        self.shared.queue.control(control(reply))?;
        answer.recv().map_err(|_| self.shared.queue.why_ended())
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        if self.writer.is_some() {
            self.shared.queue.stop(Stop::Now);
            // Its failure was reported when it happened.
            let _ = self.join();
        }
    }
}

fn share(engine: Engine, mark: Mark, options: &Options) -> Shared {
    Shared {
        queue: Queue::new(options.pending_bytes),
        engine: RwLock::new(Arc::new(engine)),
        checkpoint: AtomicU64::new(mark.index),
        durable: AtomicU64::new(mark.previous),
        live_bytes: AtomicU64::new(0),
        live_known: AtomicBool::new(mark == Mark::default()),
    }
}

/// Brings the directory to one complete generation that holds exactly its checkpoint.
fn find(dir: &Path, cache_bytes: u64) -> Result<Found, Error> {
    let layout = Layout::open(dir)?;
    let Some(generation) = layout.current()? else {
        return create(layout, cache_bytes);
    };
    let engine = Engine::open(&layout, generation, cache_bytes)?;
    let Some(mark) = engine.mark()? else {
        let what = "the checkpoint mark is gone".into();
        return Err(Error::Damaged { path: layout.path(generation), what });
    };
    layout.flip(generation)?;
    layout.clean(generation)?;
    let ahead = engine.erase_above(mark.head)?;
    let mut lists = Vec::new();
    for row in engine.rows_of(&engine.view()) {
        let (key, value) = row?;
        lists.extend(row_key::as_forget(&key).map(|number| (number, value)));
    }
    let Some(forgets) = Forgets::resume(lists) else {
        let what = "a list of revisions to forget is malformed".into();
        return Err(Error::Damaged { path: layout.path(generation), what });
    };
    tracing::info!(applied = mark.index, durable = mark.previous, ahead, "store opened");
    Ok(Found { layout, engine, mark, forgets, ahead })
}

fn create(layout: Layout, cache_bytes: u64) -> Result<Found, Error> {
    let generation = layout.create_generation()?;
    let engine = Engine::open(&layout, generation, cache_bytes)?;
    let mark = Mark::default();
    engine.checkpoint(&Default::default(), mark)?;
    engine.mark_ready()?;
    layout.flip(generation)?;
    layout.clean(generation)?;
    tracing::info!("store created");
    Ok(Found { layout, engine, mark, forgets: Forgets::default(), ahead: 0 })
}

#[cfg(test)]
#[path = "store_test.rs"]
mod tests;

#[cfg(test)]
#[path = "crash_test.rs"]
mod crash_tests;

#[cfg(test)]
#[path = "figures_test.rs"]
mod figures;
