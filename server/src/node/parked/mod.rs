//! Decisions that wait: each parked on what it read, woken exactly when something of it changes or
//! its time comes. Only the sequencer's thread touches them, so nothing changes between the check
//! that a decision may park and its being found by the next change.

mod index;
mod lot;

pub use lot::{Lot, Pending};
