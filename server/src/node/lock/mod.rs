//! Locks and elections as etcd has them: whoever puts `name/<lease>` first holds, the others wait
//! in the order in which their keys were created. The keys are the only state, so waiting survives
//! a change of leader, any member can serve it, and clients that do the same with plain
//! transactions stand in the same line.
//!
//! A waiter's turn is a decision that waits on the key before its own, so that a release wakes one,
//! and that grants when its own key, and with it its lease, is there on the state that decides.

mod election;
mod follow;
mod held;
mod line;
mod place;
mod turn;

pub use election::{Elected, Observation};
pub use held::{Acquired, LockCourse, LockNews};
pub use line::LineError;
#[cfg(test)]
pub(super) use line::take_place;
pub use place::{Place, Standing};
