//! When to give space back. Erasing leaves tombstones; the engine's own compactions drop them as
//! they come by, and when a good part of the tables is still waste, all tables are rewritten, on a
//! thread of its own.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::engine::Engine;
use super::error::Error;
use super::writer::{Control, Shared};

/// Waste below this is not worth a rewrite.
const WASTE_BYTES_MIN: u64 = 8 * 1024 * 1024;
/// Rewrite when at least one part in this many is waste.
const WASTE_SHARE: u64 = 3;

/// Where the rewriting stands.
#[derive(Default)]
pub struct Reclaim {
    wanted: bool,
    /// The tombstones are in tables: the rewrite will meet them.
    flushed: bool,
    running: bool,
}

impl Reclaim {
    /// Rewrites after the next checkpoint, whatever the waste.
    pub fn request(&mut self) {
        self.wanted = true;
        self.flushed = false;
    }

    /// A run of erasing is over: is a rewrite worth it?
    pub fn erased(&mut self, shared: &Shared, engine: &Engine) {
        if !shared.live_known.load(Ordering::Acquire) {
            return;
        }
        let stored = engine.record_table_bytes();
        // Tables carry an index and a filter; an eighth is more than they take.
        let live = shared.live_bytes.load(Ordering::Relaxed) / 8 * 9;
        let waste = stored.saturating_sub(live);
        if waste >= WASTE_BYTES_MIN.max(stored / WASTE_SHARE) {
            self.request();
        }
    }

    pub fn awaits_checkpoint(&self) -> bool {
        self.wanted && !self.flushed
    }

    pub fn checkpointed(&mut self) {
        self.flushed = self.wanted;
    }

    /// Starts the rewrite once everything is in place. It needs room for what is left; without it,
    /// the waste stays until the next run of erasing.
    pub fn start_if_due(&mut self, shared: &Arc<Shared>, engine: &Arc<Engine>) {
        if !self.wanted || !self.flushed || self.running {
            return;
        }
        self.wanted = false;
        let (before, free) = (engine.record_table_bytes(), engine.free_bytes());
        if free < before {
            tracing::warn!(free_bytes = free, table_bytes = before, "no room to compact the store");
            return;
        }
        self.running = true;
        let (shared, engine) = (shared.clone(), engine.clone());
        std::thread::spawn(move || {
            let result = engine.compact();
            let after = engine.record_table_bytes();
            tracing::info!(before_bytes = before, after_bytes = after, "store compacted");
            drop(engine);
            // The writer may be gone; then nobody needs to know.
            let _ = shared.queue.control(Control::Reclaimed(result));
        });
    }

    pub fn done(&mut self, result: Result<(), Error>) -> Result<(), Error> {
        self.running = false;
        result
    }
}
