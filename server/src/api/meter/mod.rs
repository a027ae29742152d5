//! Counts what goes through the client port: calls by method and outcome, messages and bytes. Sits
//! around all services, so that a call through the JSON gateway counts as any other.

mod body;
mod messages;
mod service;
mod table;
mod versions;

pub use body::Metered as MeteredBody;
pub use service::{Metered, MeteredFuture};
pub use table::{Table, Timing};
