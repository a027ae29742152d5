//! Every call of the queue service as one decision: which file decides it, what it may write and
//! what it costs. Not the rules themselves.

use bytes::Bytes;
use portunus_proto::etcdserverpb as pb;
use portunus_proto::portunus::v1::{QueueAsk, QueueSaid, queue_ask::Ask, queue_said::Said};
use prost::Message;

use super::{
    QueueRefusal, ack, dequeue, enqueue, keys, redrive, remove, sequential, settle, tidy, withdraw,
};
use crate::decide::txn as transaction;
use crate::decide::writer::Writer;
use crate::decide::{Cx, Refusal};

/// Decides about queues.
pub(in crate::decide) fn decide(
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
pub(in crate::decide) fn check(ask: &QueueAsk, max_txn_ops: usize) -> Result<(), Refusal> {
    match &ask.ask {
        Some(Ask::Ack(request)) => {
            request.txn.as_ref().map_or(Ok(()), |txn| transaction::check(txn, max_txn_ops))
        }
        _ => Ok(()),
    }
}

/// Bytes that an ask may add to the store. Getting items out and done with must go on when space
/// is short.
pub(in crate::decide) fn growth(ask: &QueueAsk) -> usize {
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
