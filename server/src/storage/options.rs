//! How a store is opened, and what it tells while it runs.

use std::sync::Arc;

/// What a checkpoint made durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Log index it covers.
    pub index: u64,
    /// Index of the checkpoint before: the log may be purged up to and including this entry.
    pub durable: u64,
}

/// Called on the writer's thread after each checkpoint; must not wait for the store.
pub type OnCheckpoint = Arc<dyn Fn(Checkpoint) + Send + Sync>;
/// Called once with the reason when the store cannot go on; the node is to stop.
pub type OnFatal = Arc<dyn Fn(&str) + Send + Sync>;

/// Sizes and hooks of a store.
#[derive(Clone)]
pub struct Options {
    /// Bytes that may wait for the disk before [`write`](super::Store::write) blocks.
    pub pending_bytes: usize,
    /// Bytes after which a checkpoint is made: what a restart replays at most, about.
    pub checkpoint_bytes: usize,
    /// The engine's block cache.
    pub cache_bytes: u64,
    pub on_checkpoint: OnCheckpoint,
    pub on_fatal: OnFatal,
}

impl Default for Options {
    fn default() -> Self {
        const MIB: usize = 1024 * 1024;
        Self {
            pending_bytes: 64 * MIB,
            checkpoint_bytes: 64 * MIB,
            cache_bytes: 32 * MIB as u64,
            on_checkpoint: Arc::new(|_| {}),
            on_fatal: Arc::new(|_| {}),
        }
    }
}
