//! Write Portunus plugins: your own logic inside the server, as plain functions.
//!
//! A plugin is a library crate of type `cdylib`. An attribute makes a function what the server
//! calls, and a plugin has as many of the five kinds as it needs:
//!
//! - [`write_policy`]: asked about every transaction that writes under the binding's prefix; it
//!   allows, refuses, or adds writes to the same transaction. At most one.
//! - [`trigger`]: told what has happened under the prefix, with an effect that happens exactly
//!   once. At most one.
//! - [`recipe`](macro@recipe): called by clients by its name, one transaction each call, which
//!   may wait. Any number of them, listed in [`recipes!`].
//! - [`lock_admission`](macro@lock_admission): decides who may hold a lock under the prefix: it
//!   admits, lets wait, or refuses. At most one.
//! - [`queue_condition`](macro@queue_condition): decides which items may leave a queue whose
//!   condition names the plugin. At most one.
//!
//! ```
//! use portunus_sdk::prelude::*;
//! use serde::{Deserialize, Serialize};
//!
//! recipes!(add);
//!
//! #[derive(Serialize, Deserialize)]
//! struct Add {
//!     name: String,
//!     by: i64,
//! }
//!
//! /// Adds to a counter, which no client can then take below zero.
//! #[recipe]
//! fn add(cx: &Context, args: Add) -> Result<i64> {
//!     let key = cx.key(&args.name);
//!     let total = cx.get_json::<i64>(&key)?.unwrap_or(0) + args.by;
//!     if total < 0 {
//!         return refuse(format!("{} would be {total}", args.name));
//!     }
//!     cx.put_json(&key, &total)?;
//!     Ok(total)
//! }
//! # fn main() {
//! # use portunus_sdk::testing::*;
//! # let cluster = Cluster::new();
//! # cluster.deploy(Plugin::new("counter").under("count/").recipes(RECIPES));
//! # let client = cluster.client("alice");
//! # let by = |by| client.call("counter", "add", &Add { name: "a".into(), by });
//! # assert_eq!(by(2).reply::<i64>(), Ok(2));
//! # assert_eq!(by(-3).reply::<i64>().unwrap_err().to_string(), "refused by counter: a would be -1");
//! # }
//! ```
//!
//! Every function gets a [`Context`] first, with the store, the caller, the configuration, time
//! and randomness. It ends with a value or with an [`Error`], which drops what it wrote: see
//! [`refuse`], [`wait`] and `?`. In `cargo test` the functions run natively, in the fake cluster
//! of [`testing`]. In the server they run sandboxed, with bounds on time, memory, reads and
//! writes, and must not keep anything between two calls. A panic refuses, and its text and place
//! reach the plugin's log.
//!
//! In the server a plugin has a small allocator of the SDK's; without the default feature
//! `allocator` it has the standard library's, or its own.

extern crate self as portunus_sdk;

#[allow(
    missing_docs,
    clippy::all,
    clippy::too_many_lines,
    clippy::unwrap_used,
    reason = "generated from wit/"
)]
#[rustfmt::skip]
mod bindings {
    pub mod host;
    pub mod lock_admission;
    pub mod queue_condition;
    pub mod recipe;
    pub mod trigger;
    pub mod write_policy;
}
mod config;
mod context;
mod error;
#[cfg(any(all(target_arch = "wasm32", feature = "allocator"), test))]
mod heap;
mod host;
mod items;
pub mod json;
mod lines;
mod lock_admission;
pub mod log;
pub mod metrics;
mod queue_condition;
mod range;
mod recipe;
mod rt;
mod tape;
#[cfg(not(target_arch = "wasm32"))]
pub mod testing;
mod time;
mod trigger;
mod write_policy;

pub use bindings::host::portunus::plugin::types::{
    Delete, DeleteEvent, Event, Item, Put, PutEvent, Write,
};
pub use bindings::lock_admission::portunus::plugin::locks::{LockMode, Place};
pub use bindings::queue_condition::portunus::plugin::queues::QueueItem;
#[doc(hidden)]
pub use bindings::recipe::exports::portunus::plugin::recipe::Outcome;
pub use bindings::trigger::exports::portunus::plugin::trigger::Missed;
pub use bindings::write_policy::exports::portunus::plugin::write_policy::Verdict;
pub use context::Context;
pub use error::{Error, OrStop, Result, invalid, refuse, wait, wait_until};
pub use lock_admission::{Admission, IntoAdmission, Lock};
pub use portunus_sdk_macros::{lock_admission, queue_condition, recipe, trigger, write_policy};
pub use queue_condition::{IntoReadiness, Queue, Readiness};
pub use range::Scan;
pub use recipe::{Args, Bytes, IntoOutcome, Recipes, Reply};
pub use time::Time;
pub use trigger::{Batch, IntoHandled, Told};
pub use write_policy::IntoVerdict;

/// Everything a plugin usually needs.
pub mod prelude {
    // A queue's answers are written `Readiness::Wait`: there is one short `Wait`, a lock's.
    pub use crate::Admission::{Admit, Wait};
    pub use crate::{
        Admission, Batch, Bytes, Context, Delete, Error, Event, Item, Lock, LockMode, OrStop,
        Place, Put, Queue, QueueItem, Readiness, Result, Time, Verdict, Write, invalid,
        lock_admission, log, metrics, queue_condition, recipe, recipes, refuse, trigger, wait,
        wait_until, write_policy,
    };
}

/// What the attributes' expansions refer to. Not for use by hand.
#[doc(hidden)]
pub mod __rt {
    pub use crate::bindings::host::portunus::plugin::types::Context as Call;
    pub use crate::bindings::{
        host, lock_admission, queue_condition, recipe, trigger, write_policy,
    };
    pub use crate::lock_admission::admit;
    pub use crate::queue_condition::ready;
    pub use crate::recipe::{Entry, Listed, Recipe, answer};
    pub use crate::trigger::handle;
    pub use crate::write_policy::check;
    pub use crate::{Outcome, rt::init};
    pub use wit_bindgen;
}
