//! The store on disk: every revision's record once, keyed by revision, and the system's rows; a
//! checkpoint behind the log. The only user of fjall. It knows nothing of keys, leases or Raft.
//!
//! # What may be relied on after a crash
//!
//! The store claims one log index (the *mark*), and what it then shows is exactly what the batches
//! up to that index left. Nothing depends on fjall's journal, nor on anything unsynced:
//!
//! - **Records** go to fjall as they come and may reach tables before the mark does. A record is
//!   keyed by its revision and never changes, so being ahead loses nothing; at open every record
//!   above the mark's `head` is removed, and the replay of the log writes it again. No reader ever
//!   sees a record ahead of what was replayed.
//! - **Rows** are overwritten in place, so a row ahead of the mark would be a state that never was
//!   (a chain id that makes the replay look void, a lease that is already gone). They are therefore
//!   held in memory and reach fjall at checkpoints only: one batch with all of them and the mark,
//!   into a memtable that holds nothing else, flushed after the records are. fjall installs the
//!   tables of a flush atomically (new tables and their list synced, then one rename), so after a
//!   crash there are the rows and the mark of the last checkpoint, or both of the one before.
//! - **Forgetting** destroys, so it waits until a checkpoint covers the entry that asked for it,
//!   and the list of what to erase is a row of that checkpoint: a crash half-way is made up for,
//!   and loading leaves out what is on a list whether it is erased yet or not.
//! - The journal is replaced by an empty one at every open. What it held is in the log, and a
//!   start that never reads it cannot fail on it.
//! - The log may be purged up to the checkpoint *before* the last (`durable_index`).
//!
//! # Threads
//!
//! One writer takes batches in order and owns every change on disk; fjall has one thread of its own
//! for flushes and compactions; a rewrite of all tables, rare, has a third while it runs, and
//! flushes may wait for it, while writes go to memory up to the bound. Callers wait for none of
//! them unless the bound is reached.

mod engine;
mod error;
mod forget;
mod install;
mod layout;
mod mark;
pub mod metrics;
mod options;
mod queue;
mod reclaim;
mod record;
mod row_key;
mod scan;
mod snapshot;
mod store;
mod writer;

#[cfg(test)]
mod model;

pub use error::Error;
pub use install::{Installed, Installer};
pub use options::{Checkpoint, OnCheckpoint, OnFatal, Options};
pub use queue::Batch;
pub use record::{Body, MalformedRecord, Record};
pub use scan::Scan;
pub use snapshot::Snapshot;
pub use store::{Opened, Store};
