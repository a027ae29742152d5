//! What the operator may set: one table of flags ([`flags`]), how arguments and environment are
//! read against it ([`read`]), and the checked, typed result ([`Config`]). It opens no file, no
//! socket, and knows no other component's inner workings.
//!
//! Arguments → [`read::Values`] (texts with their origin) → [`Config`] (typed, relations checked).

pub mod address;
mod build;
mod cluster;
mod discovery;
mod duration;
mod error;
mod file;
pub mod flags;
mod former;
pub mod help;
mod identity;
pub mod nearest;
mod options;
mod parse;
pub mod read;
mod tls;

pub use address::Url;
pub use discovery::{Bootstrap, Discovery};
pub use duration::parse as parse_duration;
pub use error::Error;
pub use file::{read as read_file, requested as requested_file};
pub use identity::{cluster_id, member_id};
pub use options::{
    Auth, AutoCompaction, Checks, ClusterState, Config, InitialCluster, InitialMember, LogConfig,
    LogFormat, LogOutput, Serving,
};
pub use tls::Tls;

#[cfg(test)]
mod config_test;
