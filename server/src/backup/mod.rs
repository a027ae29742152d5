//! Snapshots in the form of etcd's: what a store holds, written as the file that an etcd of the
//! same history would have, and read from one. Revisions, leases and alarms keep their numbers both
//! ways, users and roles their passwords and permissions; tokens are not carried. What etcd has no place for (plugins, triggers' cursors, authors) lies in a bucket of our
//! own, which etcd carries along and does not look at.
//!
//! It knows files and stores, not members: whose the restored data is to be, and where it begins
//! in Raft's log, is [`crate::node`]'s business.

mod error;
mod export;
mod import;
mod own;
mod revision_key;
mod schema;
mod sealed;
mod status;

#[cfg(test)]
mod backup_test;

pub use error::Error;
pub use export::{Origin, OriginMember, export, hashed_record};
pub use import::{Imported, Options, import};
pub use schema::STORAGE_VERSION;
pub use sealed::{CHECKSUM_BYTES, open, open_checked};
pub use status::{Status, status};
