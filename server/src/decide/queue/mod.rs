//! Queues, as decisions. All of a queue lies in ordinary keys under its name, in order, so that any
//! client can look at it and watch it:
//!
//! | key under `QUEUE/` | holds |
//! |---|---|
//! | `items/PPPP/ID` | an item that may leave; `PPPP` is 65535 less its priority, `ID` its number, both in hexadecimal, so that the first key is the next to leave |
//! | `delayed/MS/ID` | an item that may not leave before that time |
//! | `taken/ID` | an item that was delivered |
//! | `claims/ID` | who has it, under the consumer's lease; its create revision is the claim's token |
//! | `dead/ID` | an item that was delivered too often, or given up |
//! | `dedup/ids/X`, `dedup/until/MS/X` | ids not to be put in again, and until when |
//! | `seq` | the last item's number, in decimal; what makes a name a queue |
//! | `config`, `condition` | texts that any client may put, see [`config`] and [`condition`] |
//! | `batch` | items that may still leave since `size>=N` was last met, and the condition's revision |
//!
//! Nothing is counted: the tree counts ranges in O(log n), so a queue of 100,000 items is served as
//! one of a hundred. A claim that ended with its lease leaves `taken/ID` without `claims/ID`. Both
//! are in order of number, so the first such item is where they first differ: a binary search.
//! Such items go back to their place, or to the dead letters, with the next dequeue; when there are
//! many, or nothing would leave otherwise, that is a decision of its own ([`Refusal::Untidy`]).

mod ack;
mod ask;
mod calendar;
mod clock_time;
pub mod condition;
mod config;
mod dequeue;
mod enqueue;
mod evaluate;
mod keys;
mod parser;
mod read;
mod redrive;
mod refusal;
mod remove;
mod sequential;
mod settle;
mod tidy;
mod withdraw;

pub(super) use ask::{check, decide, growth};
pub use ask::{claim_key, prefix, txn};
pub use evaluate::{condition_binding, plugin_of, ready_key};
pub use keys::Queue;
pub use read::{blocks, explain, peek, stats, tidied};
pub use refusal::QueueRefusal;
pub(super) use settle::check_put;

#[cfg(test)]
mod condition_test;
#[cfg(test)]
mod figures_test;
#[cfg(test)]
mod model_test;
#[cfg(test)]
mod queue_test;
#[cfg(test)]
mod redrive_test;
