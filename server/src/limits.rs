//! Every bound of the server in one place, each with its unit and its reason. Bounds that a flag
//! can change are defaults here; the rest are fixed.

use std::time::Duration;

/// Operations in one branch of a txn (`--max-txn-ops`), as etcd.
pub const TXN_OPS_DEFAULT: usize = 128;
/// A client request's size (`--max-request-bytes`), as etcd.
pub const REQUEST_BYTES_DEFAULT: usize = 1536 * 1024;
/// What gRPC framing may add to a request of that size, as etcd.
pub const REQUEST_OVERHEAD_BYTES: usize = 512 * 1024;
/// Backend quota when the flag is 0, as etcd.
pub const QUOTA_BYTES_DEFAULT: i64 = 2 * 1024 * 1024 * 1024;
/// What a put is charged on top of key and value in the quota check, as etcd.
pub const QUOTA_PUT_OVERHEAD_BYTES: i64 = 256;
/// What a lease is charged in the quota check, as etcd.
pub const QUOTA_LEASE_BYTES: i64 = 64;

/// The longest lease in seconds, as etcd.
pub const LEASE_TTL_SECONDS_MAX: i64 = 9_000_000_000;
/// Leases revoked for expiry per second, as etcd: a storm of expiries must not starve writers.
pub const LEASE_REVOKES_PER_SECOND: usize = 1000;
/// The least time between two checkpoints of leases: each costs an effect a lease.
pub const LEASE_CHECKPOINT_INTERVAL_MIN: Duration = Duration::from_secs(1);

/// Bytes of effects in one log entry; above it a batch is split. Keeps one entry's encode, fsync
/// and replication in the low milliseconds.
pub const ENTRY_BYTES_MAX: usize = 1024 * 1024;
/// Decisions in one log entry: bounds the time between two looks at the queue.
pub const ENTRY_DECISIONS_MAX: usize = 1024;
/// Entries proposed and not yet applied: one on its way and one behind it keep disk and network
/// busy. With more, batches are smaller and each decision dearer (measured: 1, 2 and 4).
pub const ENTRIES_IN_FLIGHT_MAX: usize = 2;
/// Requests waiting for the sequencer; beyond it `too many requests`.
pub const REQUESTS_QUEUED_MAX: usize = 16_384;

/// What a request may take on top of two elections before `request timed out`, as etcd.
pub const REQUEST_TIMEOUT_BASE: Duration = Duration::from_secs(5);
/// A drained shutdown must be over by then; what is left is cut off.
pub const SHUTDOWN_GRACE: Duration = Duration::from_millis(1200);

/// How often a watch with `progress_notify` hears from an idle server, as etcd.
pub const WATCH_PROGRESS_INTERVAL: Duration = Duration::from_secs(600);

/// A wasm component's size: it travels in one log entry.
pub const COMPONENT_BYTES_MAX: usize = 4 * 1024 * 1024;
/// The components of one deploy together: they travel in one log entry too, and raft's messages
/// carry several times that.
pub const DEPLOY_BYTES_MAX: usize = 8 * 1024 * 1024;
/// A plugin's name, which stands in metrics, log lines and refusals.
pub const PLUGIN_NAME_BYTES_MAX: usize = 64;
/// Bindings of all plugins together: each has a queue, metrics and, when it is used, an instance.
pub const BINDINGS_MAX: usize = 10_000;
/// A binding's configuration: it is handed to the guest with every call.
pub const PLUGIN_CONFIG_BYTES_MAX: usize = 64 * 1024;
/// Ranges that one binding may be granted, for reading and for writing: each read is held against
/// all of them.
pub const PLUGIN_GRANTS_MAX: usize = 64;
/// Earlier generations of a plugin that a rollback can reach.
pub const PLUGIN_GENERATIONS_KEPT: usize = 5;
/// Linear memory of one plugin instance.
pub const PLUGIN_MEMORY_BYTES: usize = 16 * 1024 * 1024;
/// Time one plugin call may take.
pub const PLUGIN_CALL_TIME: Duration = Duration::from_millis(50);

/// Rounds in which plugins may answer each other's writes, within one transaction and from one to
/// the next.
pub const CASCADE_DEPTH_MAX: u8 = 8;
/// Events that a trigger is handed at once: enough to share one entry among many, few enough for
/// one call's time.
pub const TRIGGER_BATCH_EVENTS: usize = 256;
/// Bytes of such a batch.
pub const TRIGGER_BATCH_BYTES: usize = 1024 * 1024;
/// Failures in a row after which a trigger is paused.
pub const TRIGGER_FAILURES_MAX: u32 = 10;

/// Calls that wait for one binding's plugin; beyond it `too many requests`. Several seconds' worth
/// of a plugin that takes a millisecond.
pub const LANE_QUEUED_MAX: usize = 4096;
/// Decisions that wait for something to change; beyond it `too many requests`. Each holds its
/// request and its read set, some kilobytes.
pub const PARKED_MAX: usize = 65_536;
/// Free space below which writes are refused: room for raft's own records, one segment and a
/// checkpoint, so that the node itself never meets a full disk.
pub const DISK_RESERVE_BYTES: u64 = 192 * 1024 * 1024;

/// Simple tokens whose time is over that are forgotten when a new one is given out: more than one,
/// so that their number falls, and few enough for one entry.
pub const TOKENS_FORGOTTEN_AT_ONCE: usize = 16;
