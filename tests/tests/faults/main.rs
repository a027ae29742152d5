//! Locks and queues while members and clients are killed, stopped and cut off. Clients record what
//! they asked and what they were told; the store's own history, revision by revision, is what that
//! is held against. The checkers are tested on histories that are wrong.

mod blocked;
mod driver;
mod history;
mod lock_check;
mod lock_users;
mod locks;
mod queue_check;
mod queue_replay;
mod queue_users;
mod queues;
mod session;
mod waiters;
