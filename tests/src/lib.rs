//! The harness of the tests that run the real program: members as processes, clusters of them with
//! links that can be cut, and histories checked for linearizability. Tests say what must hold; how
//! processes are started, stopped and cut off is known here alone.

pub mod certificates;
mod cluster;
mod growing;
pub mod http;
mod links;
mod member;
mod plugins;
mod ports;
mod register;
mod rpc;
pub mod snapshots;
pub mod tally;
mod until;
mod usage;
mod users;
mod wire;

pub use cluster::Cluster;
pub use growing::{Growing, Newcomer};
pub use links::Links;
pub use member::{Flags, Member};
pub use plugins::{Plugins, binding, plugin};
pub use ports::free_ports;
pub use register::{Observed, Recorder, is_linearizable};
pub use rpc::{Rpc, Seen, events, key_value, key_values, refusal};
pub use until::{eventually, eventually_within};
pub use usage::usage;
pub use users::{Token, Users, login};
pub use wire::Wire;
