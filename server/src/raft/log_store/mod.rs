//! The log and the vote, kept in a [`crate::wal::Wal`] the way openraft asks for them. It turns
//! raft's values into bytes and back; order and durability are the log's.

mod begin;
mod codec;
mod reader;
mod store;

#[cfg(test)]
mod store_test;
#[cfg(test)]
mod suite_test;

pub use begin::{append_membership, begin_log_behind};
pub use reader::LogReader;
pub use store::LogStore;
