//! Replication: the only user of openraft. For now its types and the log store over
//! [`crate::wal`].

mod log_store;
mod types;

pub use log_store::LogStore;
pub use types::{
    CommittedLeaderId, Entry, EntryPayload, LogId, Outcome, Peer, Proposal, StoredMembership,
    TypeConfig, Vote, log_id,
};
