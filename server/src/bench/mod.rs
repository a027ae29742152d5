//! `portunus bench`: a load generator that speaks only etcd v3, and so measures any server of
//! that API alike. It shares no state with a server in this process; where it needs one to compare
//! with ([`echo`]) it starts another process.
//!
//! [`options`] → [`driver`] (threads of [`client`]s that run a [`workload`] on a [`schedule`],
//! into [`recorder`]s) → [`report`], with [`server_usage`] and [`progress`] beside them.

mod client;
mod driver;
mod echo;
mod options;
mod progress;
mod recorder;
mod report;
mod run;
mod schedule;
mod server_usage;
mod time;
mod workload;

pub use options::Command;
pub use run::run;
pub use server_usage::{Usage, UsageProbe};
