//! One member at work. The sequencer decides and proposes while this member leads; the applier
//! takes what is committed; reads are served from the applied state after a read-index round; a
//! follower hands questions to the leader. Nothing above this module writes to raft or the store.

mod answer;
mod applied;
mod applier;
mod ask;
mod auth;
mod backup;
mod batch;
mod blame;
mod bootstrap;
mod budget;
mod confirm;
mod corruption;
mod desk;
mod duties;
mod error;
mod explain;
mod feature_level;
mod finishing;
mod forward;
mod handle;
mod hash;
mod hearing;
mod join;
mod lane;
mod lease_book;
mod lifecycle;
mod lock;
mod member_rules;
mod members;
mod membership;
pub mod metrics;
mod parked;
mod past;
mod patience;
mod peer_hash;
mod pipeline;
mod plugin;
mod plugin_facts;
mod plugins;
mod policies;
mod position;
mod queue;
mod readings;
mod reads;
mod reaper;
mod recipes;
mod reign;
mod removal;
mod reserve;
mod restore;
mod route;
mod sequencer;
mod sequencer_leases;
mod shared;
mod snapshot;
mod sole_voter;
mod space;
mod start;
mod timing;
mod triggers;
mod verdicts;
mod wire;
mod wire_auth;
mod wire_plugin;
mod wire_refusal;

pub use ask::{KeepAlive, TimeToLive};
pub use backup::SnapshotFile;
pub use blame::Blame;
pub use bootstrap::{has_data, identity_on_disk};
pub use corruption::Inconsistent;
pub use duties::AutoCompaction;
pub use error::{Error, Failure};
pub use explain::Explained;
pub use handle::Node;
pub use hash::HashKv;
pub use join::{JoinError, Newcomer, join};
pub use lock::{Acquired, Elected, LineError, LockCourse, LockNews, Observation, Place, Standing};
pub use member_rules::{MemberAsk, MemberRefusal};
pub use members::{Member, NodeStatus};
pub use membership::MemberError;
pub use plugin::Said as PolicySaid;
pub use plugin_facts::{BindingFacts, Blamed, Inspection, TriggerFacts};
pub use plugins::{Source, Wanted};
pub use policies::Inspected;
pub use queue::Consumer;
pub use recipes::Called;
pub use restore::{Plan as RestorePlan, RestoreError, restore};
pub use shared::{Identity, Options};
pub use start::{Parts, StartError, start};
pub use triggers::TriggerReport;

#[cfg(test)]
mod admission_hearing_test;
#[cfg(test)]
mod admission_test;
#[cfg(test)]
mod condition_test;
#[cfg(test)]
mod feature_level_test;
#[cfg(test)]
mod hand_test;
#[cfg(test)]
mod lane_test;
#[cfg(test)]
mod rules_test;
#[cfg(test)]
mod takeback_test;
#[cfg(test)]
mod waiting_test;
