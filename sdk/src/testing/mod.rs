//! Runs plugins natively, in `cargo test`: a fake [`Cluster`] with a store that has revisions,
//! transactions and leases as the real one, a clock that stands still until a test moves it, and
//! randomness that is the same in every run.
//!
//! Policies, triggers, recipes, lock admissions and queue conditions of any number of plugins work
//! together in one cluster. A
//! [`Client`]'s requests are carried out one after the other, in the order in which the test makes
//! them. What the server does by itself happens when the test says so: a parked [`Call`] that was
//! woken runs with [`Call::run`], a trigger is told its next events with [`Cluster::deliver`], and
//! [`Cluster::settle`] does both until nothing is left to do.
//!
//! ```
//! use portunus_sdk::prelude::*;
//! use portunus_sdk::testing::{Cluster, Plugin};
//!
//! recipes!(take);
//!
//! /// Takes the first item of a queue; waits while there is none.
//! #[recipe]
//! fn take(cx: &Context) -> Result<Bytes> {
//!     let first = cx.prefix(cx.binding_prefix()).next().or_wait()?;
//!     cx.delete(&first.key);
//!     Ok(Bytes(first.value))
//! }
//!
//! # fn main() {
//! let cluster = Cluster::new();
//! cluster.deploy(Plugin::new("queue").under("q/").recipes(RECIPES));
//! let (alice, bob) = (cluster.client("alice"), cluster.client("bob"));
//!
//! let call = alice.call("queue", "take", &());
//! bob.put("elsewhere", "x").unwrap();
//! assert!(call.is_parked() && !call.is_woken());
//!
//! bob.put("q/1", "work").unwrap();
//! assert!(call.is_woken());
//! cluster.settle();
//! assert_eq!(call.reply_bytes(), Ok(b"work".to_vec()));
//! assert_eq!((call.runs(), bob.get("q/1")), (2, None));
//! # }
//! ```

mod call;
mod client;
mod cluster;
mod delivery;
mod draft;
mod failure;
pub(crate) mod host;
mod judge;
mod leases;
mod limits;
mod locks;
mod plugin;
mod queues;
mod records;
mod running;
mod store;
mod txn;

pub use call::Call;
pub use client::Client;
pub use cluster::{Cluster, Line};
pub use delivery::Delivery;
pub use failure::Failure;
pub use limits::Limits;
pub use locks::{LockCall, LockRequest};
pub use plugin::Plugin;
pub use queues::{Dequeue, NewItem};
pub use txn::{Txn, TxnReply};

#[cfg(test)]
mod binding_test;
#[cfg(test)]
mod locks_test;
#[cfg(test)]
mod queues_test;
#[cfg(test)]
mod recipes_test;
#[cfg(test)]
mod store_test;
#[cfg(test)]
mod triggers_test;
