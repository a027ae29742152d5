//! The multi-version key space: the persistent tree that holds the live items, and the facts about
//! superseded revisions. Pure: values of the past come from whoever implements [`Records`].

// mod history;
mod tree;

// history
pub use tree::{Keyed, Range, Tree};
