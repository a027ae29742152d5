//! The write-ahead log: segments of checksummed frames, commits in groups, and
//! recovery that tells a torn tail from damage. It knows entries, positions and a vote as bytes;
//! what they mean is Raft's business.
//!
//! An LSN is a byte position in the log as a whole. Every frame says up to which LSN the log was
//! known to be on disk when it was written; that is what recovery judges by.

mod commit;
mod disk;
mod error;
mod frame;
mod header;
mod index;
mod log;
mod options;
mod queue;
mod read;
mod recovery;
mod replay;
mod scan;
mod segment;
mod supply;
mod writer;

#[cfg(test)]
mod commit_test;
#[cfg(test)]
mod fault_test;
#[cfg(test)]
mod log_test;
#[cfg(test)]
mod model_test;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod torture_test;

pub use disk::SyncStats;
pub use error::OpenError;
pub use log::Wal;
pub use options::{Entry, Faults, Identity, Options, Position};
pub use queue::Done;
pub use read::ReadPlan;
