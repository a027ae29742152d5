//! What a member counts while it works. What it knows anyway is read when asked for, see
//! [`super::readings`].

use std::sync::LazyLock;

use prometheus::{Histogram, IntCounter, IntGauge};

use crate::metrics::{self, growing};

macro_rules! counters {
    ($($name:ident: $metric:literal, $help:literal;)*) => {
        $(
            pub static $name: LazyLock<IntCounter> =
                LazyLock::new(|| metrics::counter($metric, $help));
        )*
        fn register_counters() {
            $(LazyLock::force(&$name);)*
        }
    };
}

counters! {
    PUTS: "etcd_mvcc_put_total", "Total number of puts applied by this member.";
    DELETES: "etcd_mvcc_delete_total", "Total number of keys deleted by what this member applied.";
    TXNS: "etcd_mvcc_txn_total",
        "Total number of revisions of more than one change applied by this member.";
    RANGES: "etcd_mvcc_range_total", "Total number of ranges served by this member.";
    LEASES_GRANTED: "etcd_debugging_lease_granted_total",
        "Total number of leases granted, as applied by this member.";
    LEASES_REVOKED: "etcd_debugging_lease_revoked_total",
        "Total number of leases revoked, as applied by this member.";
    LEASES_RENEWED: "etcd_debugging_lease_renewed_total",
        "Total number of keep-alives that this member answered with a lease.";
    LEASES_EXPIRED: "etcd_debugging_server_lease_expired_total",
        "Total number of leases that this member, as leader, has revoked for their expiry.";
    LEADER_CHANGES: "etcd_server_leader_changes_seen_total",
        "Total number of leaders that this member has seen come.";
    LEARNERS_PROMOTED: "etcd_server_learner_promote_successes",
        "Total number of learners that were promoted at the request of this member's clients.";
    PROPOSALS_FAILED: "etcd_server_proposals_failed_total",
        "Total number of changes asked of this member that failed or whose fate is unknown.";
    READ_INDEXES_FAILED: "etcd_server_read_indexes_failed_total",
        "Total number of read-index rounds that failed.";
    READ_INDEXES_SLOW: "etcd_server_slow_read_indexes_total",
        "Total number of linearizable reads that timed out before they had an index.";
    SLOW_APPLIES: "etcd_server_slow_apply_total",
        "Total number of batches whose apply took more than 100 ms.";
}

/// Changes asked of this member that wait for their answer.
pub static PROPOSALS_PENDING: LazyLock<IntGauge> = LazyLock::new(|| {
    metrics::gauge(
        "etcd_server_proposals_pending",
        "Number of changes asked of this member that wait for their answer.",
    )
});

/// Decisions that wait on this member, which leads, for something to change.
pub static WAITING_DECISIONS: LazyLock<IntGauge> = LazyLock::new(|| {
    metrics::gauge(
        "portunus_server_waiting_decisions",
        "Number of locks, dequeues and recipe calls that wait on this leader for a change.",
    )
});

/// Bytes of all items put since the start.
pub static PUT_BYTES: LazyLock<IntGauge> = LazyLock::new(|| {
    metrics::gauge(
        "etcd_debugging_mvcc_total_put_size_in_bytes",
        "Total number of bytes of the items put, as applied by this member.",
    )
});

pub static SNAPSHOTS_APPLYING: LazyLock<IntGauge> = LazyLock::new(|| {
    metrics::gauge(
        "etcd_server_snapshot_apply_in_progress_total",
        "1 while this member takes its state from a snapshot, 0 otherwise.",
    )
});

pub static DEFRAGMENTS: LazyLock<IntGauge> = LazyLock::new(|| {
    metrics::gauge("etcd_disk_defrag_inflight", "Number of defragment requests under way.")
});

macro_rules! histograms {
    ($($name:ident: $metric:literal, $help:literal, $buckets:expr;)*) => {
        $(
            pub static $name: LazyLock<Histogram> =
                LazyLock::new(|| metrics::histogram($metric, $help, $buckets));
        )*
        fn register_histograms() {
            $(LazyLock::force(&$name);)*
        }
    };
}

histograms! {
    WAL_FSYNC_SECONDS: "etcd_disk_wal_fsync_duration_seconds",
        "The latency distribution of fdatasync called by the write-ahead log.",
        metrics::disk_buckets();
    LEASE_TTL_SECONDS: "etcd_debugging_lease_ttl_total",
        "The distribution of the time for which leases were granted, in seconds.",
        growing(1.0, 2.0, 24);
    COMPACTION_MILLIS: "etcd_debugging_mvcc_db_compaction_total_duration_milliseconds",
        "The time a compaction took in the background, in milliseconds.",
        growing(100.0, 2.0, 14);
    COMPACTION_PAUSE_MILLIS: "etcd_debugging_mvcc_index_compaction_pause_duration_milliseconds",
        "How long a compaction held the history at a time, in milliseconds.",
        growing(0.5, 2.0, 14);
    WAL_WRITE_SECONDS: "etcd_disk_wal_write_duration_seconds",
        "The latency distribution of write called by the write-ahead log.",
        metrics::disk_buckets();
    HASH_SECONDS: "etcd_mvcc_hash_duration_seconds",
        "The latency distribution of hashing all of the store.",
        growing(0.01, 2.0, 15);
    HASH_REVISION_SECONDS: "etcd_mvcc_hash_rev_duration_seconds",
        "The latency distribution of hashing the store at a revision.",
        growing(0.01, 2.0, 15);
    SNAPSHOT_SECONDS: "etcd_disk_backend_snapshot_duration_seconds",
        "How long taking a snapshot of the store held up the apply of entries.",
        growing(0.01, 2.0, 17);
    DEFRAGMENT_SECONDS: "etcd_disk_backend_defrag_duration_seconds",
        "How long a defragment request waited for the store to settle; nothing is held up.",
        growing(0.1, 2.0, 13);
}

/// Batches of committed entries, from the first entry to their visibility.
pub static APPLY_SECONDS: LazyLock<Histogram> = LazyLock::new(|| {
    let buckets = growing(0.0001, 2.0, 20);
    metrics::histogram_vec(
        "etcd_server_apply_duration_seconds",
        "The latency distribution of applying a batch of committed entries.",
        &["version", "op", "success"],
        buckets,
    )
    .with_label_values(&["v3", "Batch", "true"])
});

/// Makes them known before the first use, so that a scrape shows zeros and not gaps.
pub fn register() {
    register_counters();
    register_histograms();
    LazyLock::force(&PROPOSALS_PENDING);
    LazyLock::force(&WAITING_DECISIONS);
    LazyLock::force(&PUT_BYTES);
    LazyLock::force(&DEFRAGMENTS);
    LazyLock::force(&SNAPSHOTS_APPLYING);
    LazyLock::force(&APPLY_SECONDS);
    super::timing::register();
    crate::storage::metrics::register();
    crate::raft::metrics::register();
}

/// A change that is under way; counts itself as pending until it is dropped.
pub struct Pending(());

impl Pending {
    pub fn begin() -> Self {
        PROPOSALS_PENDING.inc();
        Self(())
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        PROPOSALS_PENDING.dec();
    }
}
