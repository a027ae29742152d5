//! The commands of the program. stdout carries what was asked for, stderr everything else; the
//! exit code is 0, 1 for a failure, 2 for arguments that were refused.

mod bench;
mod connection;
mod describe;
mod dispatch;
mod lock;
mod lock_client;
mod lock_hold;
mod output;
mod plugin;
mod proxy;
mod queue;
mod queue_work;
mod recipe;
mod serve;
mod snapshot;

pub use dispatch::run;
