//! Queues at work: where their waiting decisions stand in the sequencer, and what the services ask
//! for. What a queue does is decided in [`crate::decide::queue`].

mod consume;
mod lines;
mod service;
mod waiting;

pub use consume::Consumer;
pub(super) use lines::Lines;
