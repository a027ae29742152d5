//! The multi-version key space: the persistent tree that holds the live items, and the facts about
//! superseded revisions. Pure: values of the past come from whoever implements [`Records`].

mod change;
mod history;
mod tree;

pub use change::{Change, What};
pub use history::{Fact, History, PastItems, ReadError, RecordError, Records, read_at};
pub use tree::{Keyed, Range, Tree};
