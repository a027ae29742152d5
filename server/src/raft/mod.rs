//! Replication: the only user of openraft. It owns the group's types, the log store over
//! [`crate::wal`], the state machine over an [`Applier`], the peer protocol and snapshots' way
//! between members. What entries mean is the business of the levels above.
//!
//! A node starts a [`Group`] and speaks to it alone.

mod applier;
mod types;

pub use applier::{Applier, CHUNK_BYTES_MAX, Installer, Payload, SnapshotSource, Staged, Stager};
pub use types::{
    CommittedLeaderId, Entry, EntryPayload, LogId, Outcome, Peer, Proposal, StoredMembership,
    TypeConfig, Vote, log_id,
};
