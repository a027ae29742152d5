//! What raft needs from the level above: somebody who applies entries and can give away and take
//! over the whole state. Raft calls it from one task; it never learns about openraft.

use std::any::Any;
use std::io;

use bytes::Bytes;

use super::types::{LogId, Outcome, StoredMembership};

/// What a committed entry asks for.
#[derive(Clone, Debug, PartialEq)]
pub enum Payload {
    /// Nothing: a new leader's first entry.
    Blank,
    Membership(StoredMembership),
    /// An encoded [`crate::effect::Entry`].
    Effects(Bytes),
}

/// Applies committed entries, in order, each exactly once since the position it started from.
///
/// Nothing here may fail: an applier that cannot go on stops the process itself and says why.
pub trait Applier: Send + 'static {
    /// The last entry whose effects the state holds, and the last membership among them.
    fn applied(&self) -> (Option<LogId>, StoredMembership);

    /// In memory and without waiting. What it changed need not be visible before [`Self::flush`].
    fn apply(&mut self, log_id: LogId, payload: Payload) -> Outcome;

    /// Ends a batch of applied entries: publish, wake watchers, answer callers.
    fn flush(&mut self);

    /// True while [`Self::flush`] may have to wait, for a store that is behind, say. Raft then
    /// applies where it does not hold up heartbeats, at some cost for each batch.
    fn is_congested(&self) -> bool {
        false
    }

    /// The state at [`Self::applied`], unaffected by what is applied later. It may wait for a store
    /// to catch up; the reading itself is the source's.
    fn snapshot(&mut self) -> Box<dyn SnapshotSource>;

    /// Receives snapshots while entries are still being applied. Asked for once, at the start.
    fn stager(&self) -> Box<dyn Stager>;

    /// Replaces all state by a staged snapshot, whose position is `last`. May take as long as it
    /// needs; nothing is applied meanwhile. An error leaves the old state and stops this member.
    fn install(
        &mut self,
        last: Option<LogId>,
        membership: StoredMembership,
        staged: Staged,
    ) -> io::Result<()>;
}

/// The bytes of a snapshot, in order. Read on a thread of its own, so it may block.
pub trait SnapshotSource: Send + 'static {
    /// The next chunk, of at most [`CHUNK_BYTES_MAX`]; `None` at the end.
    fn next_chunk(&mut self) -> io::Result<Option<Bytes>>;
}

/// Bytes of one snapshot chunk. Large enough that a chunk's overhead does not count, small enough
/// for several to be on their way.
pub const CHUNK_BYTES_MAX: usize = 1024 * 1024;

/// Opens places where an incoming snapshot is gathered.
pub trait Stager: Send + Sync + 'static {
    fn begin(&self, last: Option<LogId>) -> io::Result<Box<dyn Installer>>;
}

/// Gathers one incoming snapshot beside the live state. Called on a thread of its own, so it may
/// block. Dropping it before [`Installer::finish`] leaves nothing behind.
pub trait Installer: Send + 'static {
    fn chunk(&mut self, bytes: Bytes) -> io::Result<()>;

    /// All chunks are here and sound.
    fn finish(self: Box<Self>) -> io::Result<Staged>;
}

/// A complete snapshot beside the live state, in the applier's own form. Dropping it unused leaves
/// nothing behind.
pub struct Staged(Box<dyn Any + Send>);

impl Staged {
    pub fn new<T: Send + 'static>(staged: T) -> Self {
        Self(Box::new(staged))
    }

    /// What [`Staged::new`] was given. Panics on another type: an applier meets only what its own
    /// stager has made.
    pub fn take<T: 'static>(self) -> T {
        *self.0.downcast().expect("a staged snapshot comes from the applier's own stager")
    }
}
