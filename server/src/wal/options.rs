//! What a caller gives the log: its identity, its options, its entries and positions.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use bytes::Bytes;

use crate::clock::Clock;

/// A segment's size unless an option says otherwise: large enough that making one is rare, small
/// enough that a purge frees space in useful steps.
pub const SEGMENT_BYTES_DEFAULT: u64 = 64 * 1024 * 1024;
/// Offsets in a segment are kept in 32 bits.
pub const SEGMENT_BYTES_MAX: u64 = 1024 * 1024 * 1024;
/// Payloads kept in memory for readers (apply and every follower read each entry again).
pub const RING_BYTES_DEFAULT: usize = 32 * 1024 * 1024;
/// One entry's payload; what raft is given is far smaller ([`crate::limits::ENTRY_BYTES_MAX`]).
pub const PAYLOAD_BYTES_MAX: usize = 256 * 1024 * 1024;
/// A vote's bytes: it must fit a segment's header.
pub const VOTE_BYTES_MAX: usize = 256;

/// Whose log it is. A directory of another identity is refused, so that a member cannot come up
/// with the promises of someone else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    pub cluster: u64,
    pub member: u64,
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "member {:x} of cluster {:x}", self.member, self.cluster)
    }
}

/// Where an entry stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    pub term: u64,
    pub index: u64,
}

/// An entry: bytes under a position. `tag` is the caller's and comes back as it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub term: u64,
    pub index: u64,
    pub tag: u8,
    pub payload: Bytes,
}

impl Entry {
    pub fn position(&self) -> Position {
        Position { term: self.term, index: self.index }
    }
}

/// How a log is kept.
#[derive(Clone)]
pub struct Options {
    /// Size of a segment in bytes, its header included.
    pub segment_bytes: u64,
    /// Bytes of payload kept in memory; what is not yet written stays beyond it.
    pub ring_bytes: usize,
    /// Never wait for the disk (etcd's `--unsafe-no-fsync`): a power loss may then leave a log
    /// that is refused.
    pub no_fsync: bool,
    pub clock: Clock,
    /// Called once when the disk refuses a write or a sync. It must not return in a server: what
    /// the kernel holds can no longer be trusted. The default logs and aborts the process.
    pub on_fatal: Arc<dyn Fn(&str) + Send + Sync>,
    /// Told how long each write took, by whoever committed; for a histogram.
    pub on_write: Option<Arc<dyn Fn(Duration) + Send + Sync>>,
    /// Told how long each sync took, by whoever committed; for a histogram.
    pub on_sync: Option<Arc<dyn Fn(Duration) + Send + Sync>>,
    /// Failures to inject; all off unless a test turns one on.
    pub faults: Arc<Faults>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            segment_bytes: SEGMENT_BYTES_DEFAULT,
            ring_bytes: RING_BYTES_DEFAULT,
            no_fsync: false,
            clock: Clock::system(),
            on_fatal: Arc::new(|reason| {
                tracing::error!(reason, "write-ahead log failed, aborting");
                std::process::abort();
            }),
            on_write: None,
            on_sync: None,
            faults: Arc::default(),
        }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("segment_bytes", &self.segment_bytes)
            .field("ring_bytes", &self.ring_bytes)
            .field("no_fsync", &self.no_fsync)
            .finish_non_exhaustive()
    }
}

/// Failures a test can turn on while the log is open.
#[derive(Debug, Default)]
pub struct Faults {
    /// Making a segment fails as on a full disk.
    pub no_space: AtomicBool,
    /// Syncing data fails.
    pub sync_fails: AtomicBool,
    /// Writing frames fails.
    pub write_fails: AtomicBool,
    /// Syncs of what was appended wait while this is set: a slow disk.
    pub sync_hangs: AtomicBool,
}
