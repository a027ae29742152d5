//! One member at work. The sequencer decides and proposes while this member leads; the applier
//! takes what is committed; reads are served from the applied state after a read-index round; a
//! follower hands questions to the leader. Nothing above this module writes to raft or the store.

mod answer;
mod applied;
mod applier;
mod ask;
mod batch;
mod blame;
mod confirm;
mod desk;
mod duties;
mod error;
mod forward;
mod handle;
mod lane;
mod lease_book;
mod lifecycle;
mod lock;
mod members;
pub mod metrics;
mod parked;
mod past;
mod pipeline;
mod plugin;
mod plugins;
mod policies;
mod position;
mod queue;
mod readings;
mod reads;
mod reaper;
mod reign;
mod reserve;
mod route;
mod sequencer;
mod sequencer_leases;
mod shared;
mod snapshot;
mod sole_voter;
mod space;
mod start;
mod verdicts;
mod wire;
mod wire_plugin;
mod wire_refusal;

pub use ask::{KeepAlive, TimeToLive};
pub use blame::Blame;
pub use duties::AutoCompaction;
pub use error::{Error, Failure};
pub use handle::Node;
pub use lock::{
    Acquired, Elected, LineError, LockCourse, LockNews, Observation, Place, Standing,
};
pub use members::{Member, NodeStatus};
pub use plugins::{Deployed, Deployment};
pub use queue::Consumer;
pub use reads::HashKv;
pub use shared::{Identity, Options};
pub use start::{Parts, StartError, start};

#[cfg(test)]
mod rules_test;
