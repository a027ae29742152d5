//! Decisions: functions of what the store holds and what was asked, with etcd's semantics. They
//! run on the leader's head, change it as they go and leave the effects to replicate. Pure: no
//! clock, no randomness, no IO beyond reading an older revision through [`Past`].

pub mod kv;
pub mod lock;
pub mod queue;
pub mod txn;

mod alarm;
mod auth;
mod compact;
mod context;
mod draft;
mod gate;
mod guard;
mod lease;
mod permit;
mod plugin_check;
mod plugin_request;
mod policy;
mod quota;
mod refusal;
mod registry;
mod request;
mod run;
mod trigger;
mod writer;

pub use auth::AuthAsk;
pub use context::{Cx, Past, PastView};
pub use draft::Draft;
pub use lock::LockRefusal;
pub use permit::{
    permit, permit_lease_keys, permit_range, permit_recipe, permit_renew, permit_txn,
};
pub use plugin_request::{
    Advance, Deploy, RecipeCall, Rollback, SetMode, SetTrigger, TriggerChange, Undeploy,
};
pub use policy::{Write, resolve};
pub use queue::QueueRefusal;
pub use refusal::Refusal;
pub use request::{Reply, Request};
pub use run::{check, decide};

#[cfg(test)]
mod model;
#[cfg(test)]
mod model_test;
#[cfg(test)]
mod registry_test;
#[cfg(test)]
mod requests;
#[cfg(test)]
mod stepper;

#[cfg(test)]
#[path = "decide_test.rs"]
mod tests;
