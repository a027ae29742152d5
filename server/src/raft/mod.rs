//! Replication: the only user of openraft. It owns the group's types, the log store over
//! [`crate::wal`], the state machine over an [`Applier`], the peer protocol and snapshots' way
//! between members. What entries mean is the business of the levels above.
//!
//! A node starts a [`Group`] and speaks to it alone.

mod applier;
mod contact;
mod fatal;
mod group;
mod leadership;
mod log_store;
pub mod metrics;
mod network;
mod operate;
mod propose;
mod read;
mod snapshot;
mod state_machine;
mod timing;
mod types;

#[cfg(test)]
mod cluster_test;
#[cfg(test)]
mod forward_test;
#[cfg(test)]
mod group_test;
#[cfg(test)]
mod memory_test;
#[cfg(test)]
mod proxy_test;
#[cfg(test)]
mod snapshot_test;

pub use applier::{Applier, CHUNK_BYTES_MAX, Installer, Payload, SnapshotSource, Staged, Stager};
pub use fatal::FatalHook;
pub use group::{Group, Options, StartError};
pub use leadership::Leadership;
pub use log_store::{LogStore, append_membership, begin_log_behind};
pub use network::{
    ForwardError, Identity, Incomplete, PeerHandler, PeerListener, PeerSocket, Roll, RollMember,
    ask_members, ask_rolls, membership_from_wire, membership_to_wire,
};
pub use operate::{ChangeError, MemberChange, PurgeError, Status, TransferError};
pub use propose::{ProposeError, Proposed};
pub use read::ReadError;
pub use timing::Timing;
pub use types::{
    CommittedLeaderId, Entry, EntryPayload, LogId, Outcome, Peer, Proposal, StoredMembership,
    TypeConfig, Vote, log_id,
};
