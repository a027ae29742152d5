//! Requests written by hand: every option once, and what must be refused.

mod kv;
mod lease;
mod members;
mod script;
mod txn;
mod upkeep;
mod watch;

pub use script::script;
