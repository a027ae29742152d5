//! The peer protocol: how members of one group reach each other over gRPC. It moves openraft's
//! messages, snapshots and forwarded requests; it decides nothing.
//!
//! Three kinds of connection lead to each peer, so that a sign of life never queues behind bulk
//! data: control (votes, heartbeats, read indexes, transfers), log, and snapshots. Forwarded
//! requests have a fourth, outside raft's own runtime.

mod append;
mod client;
mod convert;
mod forward;
mod forward_server;
mod identity;
mod inquiry;
mod listener;
mod pool;
mod receive;
mod send;
mod server;
mod tuning;

pub use client::Network;
pub use convert::{Incomplete, membership_from_wire, membership_to_wire};
pub use forward::{ForwardError, Forwarder};
pub use forward_server::{Forwards, PeerHandler};
pub use identity::Identity;
pub use inquiry::{Roll, RollMember, ask_members, ask_rolls};
pub use listener::{PeerListener, PeerSocket};
pub use pool::{Pool, Target, Use};
pub use server::{PeerServer, Raft as PeerRaft, serve};
