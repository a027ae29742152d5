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

use bytes::Bytes;
use portunus_proto::etcdserverpb as pb;
use portunus_proto::portunus::v1::{QueueAsk, QueueSaid, queue_ask::Ask, queue_said::Said};
use prost::Message;

use super::writer::Writer;
use super::{Cx, Refusal, txn};
pub(super) use settle::check_put;

pub use evaluate::{condition_binding, plugin_of, ready_key};
pub use keys::Queue;
pub use read::{blocks, explain, peek, stats};
pub use refusal::QueueRefusal;

/// Decides about queues.
pub(super) fn decide(
    writer: &mut Writer<'_>,
    ask: &QueueAsk,
    cx: &Cx<'_>,
) -> Result<QueueSaid, Refusal> {
    let now = cx.now_ms;
    let said = match &ask.ask {
        Some(Ask::Enqueue(request)) => Said::Enqueued(enqueue::enqueue(writer, request, now)?),
        Some(Ask::Dequeue(request)) => {
            let said = ask.readiness.as_ref();
            Said::Dequeued(dequeue::dequeue(writer, request, said, cx)?)
        }
        Some(Ask::Ack(request)) => Said::Acked(ack::ack(writer, request, cx)?),
        Some(Ask::Nack(request)) => {
            ack::nack(writer, request, now)?;
            Said::Count(request.claims.len() as u64)
        }
        Some(Ask::Extend(request)) => Said::Extended(ack::extend(writer, request, cx)?),
        Some(Ask::Remove(request)) => Said::Count(remove::remove(writer, request)?),
        Some(Ask::Purge(request)) => Said::Count(remove::purge(writer, request)?),
        Some(Ask::Configure(request)) => {
            settle::configure(writer, request)?;
            Said::Count(0)
        }
        Some(Ask::Redrive(request)) => Said::Redriven(redrive::redrive(writer, request)?),
        Some(Ask::PutSequential(request)) => Said::Put(sequential::put(writer, request)?),
        Some(Ask::Tidy(queue)) => Said::Count(tidy::tidy(writer, queue, now, tidy::AT_ONCE) as u64),
        Some(Ask::Withdraw(request)) => Said::Count(withdraw::withdraw(writer, request)?),
        None => return Err(Refusal::Queue(QueueRefusal::Unnamed)),
    };
    Ok(QueueSaid { revision: writer.head.revision, said: Some(said) })
}

/// Checks that need no state.
pub(super) fn check(ask: &QueueAsk, max_txn_ops: usize) -> Result<(), Refusal> {
    match &ask.ask {
        Some(Ask::Ack(request)) => {
            request.txn.as_ref().map_or(Ok(()), |txn| txn::check(txn, max_txn_ops))
        }
        _ => Ok(()),
    }
}

/// Bytes that an ask may add to the store. Getting items out and done with must go on when space
/// is short.
pub(super) fn growth(ask: &QueueAsk) -> usize {
    match &ask.ask {
        Some(Ask::Enqueue(request)) => request.encoded_len() + request.items.len() * ITEM_BYTES,
        Some(Ask::PutSequential(request)) => request.encoded_len() + ITEM_BYTES,
        _ => 0,
    }
}

/// What an item is charged beside its content.
const ITEM_BYTES: usize = 256;

/// The prefix of all that an ask may write, its consumer's own writes aside.
pub fn prefix(ask: &QueueAsk) -> Bytes {
    let queue = match &ask.ask {
        Some(Ask::Enqueue(request)) => &request.queue,
        Some(Ask::Dequeue(request)) => &request.queue,
        Some(Ask::Ack(request)) => &request.queue,
        Some(Ask::Nack(request)) => &request.queue,
        Some(Ask::Extend(request)) => &request.queue,
        Some(Ask::Remove(request)) => &request.queue,
        Some(Ask::Purge(request)) => &request.queue,
        Some(Ask::Configure(request)) => &request.queue,
        Some(Ask::Redrive(request)) => &request.queue,
        Some(Ask::PutSequential(request)) => return request.prefix.clone(),
        Some(Ask::Tidy(queue)) => queue,
        Some(Ask::Withdraw(request)) => &request.queue,
        None => return Bytes::new(),
    };
    [&queue[..], b"/"].concat().into()
}

/// A consumer's own writes.
pub fn txn(ask: &QueueAsk) -> Option<&pb::TxnRequest> {
    match &ask.ask {
        Some(Ask::Ack(request)) => request.txn.as_ref(),
        _ => None,
    }
}

/// The key of an item's claim.
pub fn claim_key(queue: &[u8], id: u64) -> Bytes {
    keys::Queue::known(queue).claim_key(id)
}

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
