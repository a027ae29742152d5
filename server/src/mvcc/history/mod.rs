//! Facts about superseded revisions since the last compaction: which revision of which key was
//! live from when to when. Reads of the past and watch events need them; the values themselves
//! stay with whoever implements [`Records`].
//!
//! The history is outside the persistent state: it only grows at its end and shrinks at its
//! beginning, and a reader tells by a fact's revisions whether it belongs to what it sees.

mod facts;
mod read;

pub use facts::{Fact, History};
pub use read::{PastItems, ReadError, RecordError, Records, read_at};

#[cfg(test)]
#[path = "history_test.rs"]
mod tests;
