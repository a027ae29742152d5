//! The thread that owns the disk: it takes batches in order, groups them, makes checkpoints, erases
//! what is forgotten, and hands out snapshots between batches.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::Sender;
use std::time::Duration;

use parking_lot::RwLock;

use super::engine::{Engine, Rows};
use super::error::Error;
use super::forget::Forgets;
use super::install::Installed;
use super::layout::Layout;
use super::mark::Mark;
use super::metrics;
use super::options::{Checkpoint, Options};
use super::queue::{Batch, Queue, Stop, Work};
use super::reclaim::Reclaim;
use super::row_key;
use super::snapshot::Snapshot;
use crate::clock::{Clock, Tick};
use crate::types::Revision;

/// Batches written in one go: enough to amortise a commit, little enough to stay responsive.
const GROUP_BYTES: usize = 4 * 1024 * 1024;
/// A store that has been quiet this long makes a checkpoint: memtables empty, a restart is quick.
const IDLE_CHECKPOINT: Duration = Duration::from_secs(10);
/// What is to be forgotten waits for a quiet moment to be covered by a checkpoint, at most this
/// long.
const FORGET_PATIENCE: Duration = Duration::from_secs(2);
/// Rows that await a checkpoint are held in memory; they count towards it with this on top.
const ROW_OVERHEAD_BYTES: usize = 64;

/// What callers see of the writer.
pub struct Shared {
    pub queue: Queue,
    pub engine: RwLock<Arc<Engine>>,
    /// Index of the last checkpoint, and of the one before.
    pub checkpoint: AtomicU64,
    pub durable: AtomicU64,
    /// Bytes of the records stored and not erased; right once `live_known`.
    pub live_bytes: AtomicU64,
    pub live_known: AtomicBool,
}

/// Requests that need the writer's place in the order.
pub enum Control {
    Snapshot {
        counts: bool,
        reply: Sender<Snapshot>,
    },
    Checkpoint {
        reply: Sender<u64>,
    },
    /// Answered once nothing is left to erase of what was forgotten before.
    Settle {
        reply: Sender<()>,
    },
    Replace {
        installed: Box<Installed>,
        reply: Sender<()>,
    },
    Reclaim,
    Reclaimed(Result<(), Error>),
}

/// State of the thread.
pub struct Writer {
    shared: Arc<Shared>,
    layout: Layout,
    options: Options,
    engine: Arc<Engine>,
    /// The last checkpoint.
    mark: Mark,
    /// What is written, ahead of the mark.
    index: u64,
    head: Revision,
    /// Rows since the last checkpoint: they reach the engine with the next.
    rows: Rows,
    forgets: Forgets,
    /// Bytes that a restart would replay.
    unsaved: usize,
    clock: Clock,
    last_write: Tick,
    last_checkpoint: Tick,
    reclaim: Reclaim,
    /// Who waits until all lists that a checkpoint covers are erased.
    settling: Vec<Sender<()>>,
}

impl Writer {
    pub fn new(
        shared: Arc<Shared>,
        layout: Layout,
        options: Options,
        mark: Mark,
        forgets: Forgets,
    ) -> Self {
        let engine = shared.engine.read().clone();
        let clock = Clock::system();
        Self {
            shared,
            layout,
            options,
            engine,
            mark,
            index: mark.index,
            head: mark.head,
            rows: Rows::new(),
            forgets,
            unsaved: 0,
            last_write: clock.now(),
            last_checkpoint: clock.now(),
            clock,
            reclaim: Reclaim::default(),
            settling: Vec::new(),
        }
    }

    /// Works until told to stop.
    pub fn run(mut self) -> Result<(), Error> {
        loop {
            match self.shared.queue.next(self.patience(), GROUP_BYTES) {
                Work::Batches(batches) => self.write(&batches)?,
                Work::Control(control) => self.obey(control)?,
                Work::Stop(Stop::Now) => return Ok(()),
                Work::Stop(Stop::Orderly) => return self.checkpoint().map(drop),
                Work::Nothing => self.engine.health()?,
            }
            self.erase_portion()?;
            if self.forgets.portion().is_none() {
                // Who no longer waits is no failure.
                for reply in self.settling.drain(..) {
                    let _ = reply.send(());
                }
            }
            if self.checkpoint_is_due() {
                self.checkpoint()?;
            }
            self.reclaim.start_if_due(&self.shared, &self.engine);
        }
    }

    fn patience(&self) -> Duration {
        if self.forgets.portion().is_some() { Duration::ZERO } else { IDLE_CHECKPOINT }
    }

    fn checkpoint_is_due(&self) -> bool {
        let quiet = || self.clock.now().since(self.last_write) >= IDLE_CHECKPOINT;
        let idle = || self.shared.queue.pending_bytes() == 0;
        let forgotten = self.forgets.is_waiting() || self.reclaim.awaits_checkpoint();
        self.unsaved >= self.options.checkpoint_bytes
            || (self.is_ahead() && quiet())
            || (forgotten
                && (idle() || self.clock.now().since(self.last_checkpoint) >= FORGET_PATIENCE))
    }

    fn is_ahead(&self) -> bool {
        self.unsaved > 0 || !self.rows.is_empty() || self.index != self.mark.index
    }

    fn write(&mut self, batches: &[Batch]) -> Result<(), Error> {
        let records = || batches.iter().flat_map(|batch| &batch.records);
        let started = self.clock.now();
        self.engine.append(records())?;
        metrics::COMMIT_SECONDS.observe(self.clock.now().since(started).as_secs_f64());
        self.shared.queue.written(batches);
        let mut bytes = 0;
        for (revision, record) in records() {
            self.head = self.head.max(*revision);
            bytes += super::engine::record_bytes(record.encoded_len());
        }
        self.shared.live_bytes.fetch_add(bytes, Ordering::Relaxed);
        self.unsaved += bytes as usize;
        for batch in batches {
            self.index = self.index.max(batch.index);
            for (key, value) in &batch.rows {
                self.unsaved += key.len() + value.as_ref().map_or(0, |v| v.len());
                self.unsaved += ROW_OVERHEAD_BYTES;
                self.rows.insert(row_key::caller(key), value.clone());
            }
            self.forgets.defer(&batch.forget, &mut self.rows);
        }
        self.last_write = self.clock.now();
        Ok(())
    }

    fn erase_portion(&mut self) -> Result<(), Error> {
        let Some(list) = self.forgets.portion() else { return Ok(()) };
        let (count, bytes) = self.engine.erase(&list.revisions)?;
        metrics::COMPACTED_KEYS.inc_by(count);
        self.forgets.erased(&mut self.rows);
        self.unsaved += count as usize * ROW_OVERHEAD_BYTES;
        let live = &self.shared.live_bytes;
        let _ = live.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |live| {
            Some(live.saturating_sub(bytes))
        });
        self.last_write = self.clock.now();
        if self.forgets.portion().is_none() {
            self.reclaim.erased(&self.shared, &self.engine);
        }
        Ok(())
    }

    fn obey(&mut self, control: Control) -> Result<(), Error> {
        // A caller that no longer waits for its answer is no failure.
        match control {
            Control::Snapshot { counts, reply } => {
                if counts {
                    self.shared.live_bytes.store(0, Ordering::Relaxed);
                }
                let _ = reply.send(self.snapshot());
            }
            Control::Checkpoint { reply } => {
                let index = self.checkpoint()?;
                let _ = reply.send(index);
            }
            Control::Settle { reply } => {
                // What was forgotten before may be erased from here on, a portion at a time.
                self.checkpoint()?;
                self.settling.push(reply);
            }
            Control::Replace { installed, reply } => {
                self.replace(*installed)?;
                let _ = reply.send(());
            }
            Control::Reclaim => self.reclaim.request(),
            Control::Reclaimed(result) => {
                self.reclaim.done(result)?;
                // The engine lets go of the old tables once something newer is flushed.
                self.save()?;
            }
        }
        Ok(())
    }

    fn snapshot(&self) -> Snapshot {
        let (engine, rows) = (self.engine.clone(), self.rows.clone());
        Snapshot::new(engine, self.index, self.head, rows, self.forgets.hidden())
    }

    fn checkpoint(&mut self) -> Result<u64, Error> {
        if self.is_ahead() {
            self.save()?;
        }
        self.last_checkpoint = self.clock.now();
        self.reclaim.checkpointed();
        Ok(self.mark.index)
    }

    fn save(&mut self) -> Result<(), Error> {
        let started = self.clock.now();
        let mark = Mark { index: self.index, head: self.head, previous: self.mark.index };
        self.engine.checkpoint(&self.rows, mark)?;
        let took = self.clock.now().since(started);
        metrics::CHECKPOINT_SECONDS.observe(took.as_secs_f64());
        tracing::debug!(
            index = mark.index,
            bytes = self.unsaved,
            rows = self.rows.len(),
            micros = took.as_micros() as u64,
            "checkpoint of the store"
        );
        self.rows.clear();
        self.unsaved = 0;
        self.forgets.release();
        self.announce(mark);
        Ok(())
    }

    fn announce(&mut self, mark: Mark) {
        self.mark = mark;
        self.shared.checkpoint.store(mark.index, Ordering::Release);
        self.shared.durable.store(mark.previous, Ordering::Release);
        (self.options.on_checkpoint)(Checkpoint { index: mark.index, durable: mark.previous });
    }

    fn replace(&mut self, installed: Installed) -> Result<(), Error> {
        let (generation, engine, mark, live) = installed.into_parts();
        self.layout.flip(generation)?;
        let old = std::mem::replace(&mut self.engine, engine.clone());
        *self.shared.engine.write() = engine;
        old.retire();
        self.rows.clear();
        self.forgets = Forgets::default();
        self.unsaved = 0;
        (self.index, self.head) = (mark.index, mark.head);
        self.shared.live_bytes.store(live, Ordering::Relaxed);
        self.shared.live_known.store(true, Ordering::Release);
        tracing::info!(index = mark.index, generation, "store replaced by a snapshot");
        self.announce(mark);
        // Closing the old engine and deleting its files takes a while; nothing waits for it.
        std::thread::spawn(move || drop(old));
        Ok(())
    }
}
