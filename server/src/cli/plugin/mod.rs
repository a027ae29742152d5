//! `portunus plugin`: makes, tests and deploys plugins, and shows what they do. A client of
//! `portunus.v1.Plugin`; it never looks into a component, the server does.

mod blame;
mod build;
mod deploy;
mod explain;
mod key_range;
mod lifecycle;
mod limits;
mod logs;
mod manifest;
mod new;
mod options;
mod show;
mod source;
mod status;
mod table;

pub use options::{command, run};
