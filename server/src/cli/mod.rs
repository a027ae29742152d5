//! The commands of the program. stdout carries what was asked for, stderr everything else; the
//! exit code is 0, 1 for a failure, 2 for arguments that were refused.

mod bench;
mod connection;
mod dispatch;
mod output;
mod plugin;
mod recipe;
mod serve;

pub use dispatch::run;
