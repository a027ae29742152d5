//! What the store measures of the disk.

use std::sync::LazyLock;

use prometheus::{Histogram, IntCounter};

use crate::metrics;

/// One group of batches written to the engine. Nobody waits for it here, unlike in etcd: it is the
/// pace of what follows behind the log.
pub static COMMIT_SECONDS: LazyLock<Histogram> = LazyLock::new(|| {
    metrics::histogram(
        "etcd_disk_backend_commit_duration_seconds",
        "The latency distribution of commits of the store behind the log.",
        metrics::disk_buckets(),
    )
});

/// A checkpoint: memtables flushed to tables and synced.
pub static CHECKPOINT_SECONDS: LazyLock<Histogram> = LazyLock::new(|| {
    metrics::histogram(
        "portunus_disk_store_checkpoint_duration_seconds",
        "The latency distribution of checkpoints of the store behind the log.",
        metrics::disk_buckets(),
    )
});

/// Revisions erased after a compaction.
pub static COMPACTED_KEYS: LazyLock<IntCounter> = LazyLock::new(|| {
    metrics::counter(
        "etcd_debugging_mvcc_db_compaction_keys_total",
        "Total number of revisions erased from the store by compaction.",
    )
});

/// Makes them known before the first use.
pub fn register() {
    LazyLock::force(&COMMIT_SECONDS);
    LazyLock::force(&CHECKPOINT_SECONDS);
    LazyLock::force(&COMPACTED_KEYS);
}
