//! `portunus proxy`: the way to a cluster for programs that have no member beside them. It passes
//! on every call over a few connections, goes on with another member when one fails, makes many
//! watches of the same keys into one, and may put all keys of its clients under a prefix.
//!
//! A call passes as bytes; only what must be is looked into: watches (`watch/`), leases that are
//! kept alive (`keep_alive.rs`) and, with a prefix, the keys in every message (`namespace/`).

mod asked;
mod candidates;
mod connection;
mod endpoint;
mod forward;
mod front;
mod gateway;
mod keep_alive;
mod members;
mod methods;
mod metrics;
mod namespace;
mod options;
mod passage;
mod passed;
mod serve;
mod source;
mod sync;
mod upstream;
mod watch;

pub use gateway::{Gateway, run as run_gateway};
pub use options::Options;
pub use serve::run;
