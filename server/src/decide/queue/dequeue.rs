//! Taking items out.

use bytes::Bytes;
use portunus_proto::etcdserverpb as pb;
use portunus_proto::portunus::v1::{
    QueueClaim, QueueClaimRecord, QueueDelivery, QueueDequeueRequest, QueueDequeueResponse,
    QueueReadiness,
};
use prost::Message;

use super::evaluate::{self, allowance, set_batch, sooner};
use super::keys::{self, Queue};
use super::{tidy, withdraw};
use crate::decide::writer::Writer;
use crate::decide::{Cx, Refusal, lease};
use crate::types::{KeyRange, LeaseId};

/// Items brought back within a dequeue; more are a decision of their own.
const TIDIED_INLINE: usize = 16;
/// Items of one call: bounds the decision and its entry.
const ITEMS_AT_ONCE_MAX: u32 = 256;
/// Time of a claim for which the client named none.
const VISIBILITY_SECONDS: i64 = 30;

/// Takes the next items and claims them. When none may leave it waits, or answers with none.
pub fn dequeue(
    writer: &mut Writer<'_>,
    request: &QueueDequeueRequest,
    said: Option<&QueueReadiness>,
    cx: &Cx<'_>,
) -> Result<QueueDequeueResponse, Refusal> {
    let queue = Queue::named(&request.queue)?;
    let lease = LeaseId(request.lease);
    writer.check_lease(lease)?;
    if lease.is_none() && request.own_lease == 0 {
        return Err(Refusal::LeaseNotFound);
    }
    if request.again {
        let lease = if lease.is_none() { LeaseId(request.own_lease) } else { lease };
        let deliveries = withdraw::taken_by(writer, queue, lease, request.call);
        if !deliveries.is_empty() {
            return Ok(QueueDequeueResponse { header: None, deliveries });
        }
    }
    let untidy = || Refusal::Untidy { queue: Bytes::copy_from_slice(queue.name()) };
    if tidy::backlog(writer.head, queue, cx.now_ms, TIDIED_INLINE + 1) > TIDIED_INLINE {
        return Err(untidy());
    }
    if let Some(reads) = writer.reads() {
        let ranges = [queue.ready(), queue.delayed(), queue.taken(), queue.claims()];
        ranges.iter().for_each(|range| reads.note_range(range));
    }
    let mark = writer.mark();
    let served = serve(writer, queue, request, said, cx);
    let Served { deliveries, tidied, until_ms } = match served {
        Ok(served) => served,
        Err(refusal) => {
            writer.undo_to(mark);
            return Err(refusal);
        }
    };
    if !deliveries.is_empty() || !request.wait {
        return Ok(QueueDequeueResponse { header: None, deliveries });
    }
    writer.undo_to(mark);
    let until_ms = sooner(until_ms, tidy::next_due(writer.head, queue));
    Err(if tidied { untidy() } else { Refusal::Wait { until_ms } })
}

/// What a look at the queue came to.
struct Served {
    deliveries: Vec<QueueDelivery>,
    /// Items were brought back.
    tidied: bool,
    /// When its condition may hold.
    until_ms: Option<u64>,
}

fn serve(
    writer: &mut Writer<'_>,
    queue: Queue<'_>,
    request: &QueueDequeueRequest,
    said: Option<&QueueReadiness>,
    cx: &Cx<'_>,
) -> Result<Served, Refusal> {
    let tidied = tidy::tidy(writer, queue.name(), cx.now_ms, TIDIED_INLINE) > 0;
    let allowed = allowance(writer, queue, said, cx.now_ms)?;
    let wanted = u64::from(request.max.clamp(1, ITEMS_AT_ONCE_MAX));
    let wanted = allowed.items.map_or(wanted, |items| items.min(wanted));
    let keys = match said {
        Some(said) if said.ready && !said.ids.is_empty() && wanted > 0 => {
            picked(writer, queue, said, wanted as usize)?
        }
        _ => next(writer, queue, wanted as usize),
    };
    let mut deliveries = Vec::new();
    if !keys.is_empty() {
        deliveries = take(writer, queue, request, cx, &keys)?;
    }
    let is_fresh =
        |delivery: &&QueueDelivery| delivery.item.as_ref().is_some_and(|item| item.attempts == 1);
    let fresh = deliveries.iter().filter(is_fresh).count() as u64;
    if let Some(items) = allowed.items.filter(|_| fresh > 0) {
        // The batch begins with the first.
        set_batch(writer, queue, items.saturating_sub(fresh));
    }
    Ok(Served { deliveries, tidied, until_ms: allowed.verdict.until_ms })
}

/// The next keys, passing over what is none of an item's.
fn next(writer: &Writer<'_>, queue: Queue<'_>, count: usize) -> Vec<Bytes> {
    let ready = writer.head.items().range(&queue.ready());
    let items = ready.filter(|item| keys::id(item.key()).is_some());
    items.take(count).map(|item| Bytes::copy_from_slice(item.key())).collect()
}

/// The keys of the items that a plugin has picked, in its order.
fn picked(
    writer: &Writer<'_>,
    queue: Queue<'_>,
    said: &QueueReadiness,
    count: usize,
) -> Result<Vec<Bytes>, Refusal> {
    let find = |id: &u64| {
        evaluate::ready_key(writer.head, queue, *id).ok_or_else(|| Refusal::PolicyRefused {
            binding: said.plugin.clone(),
            reason: format!("the queue-condition failed: it picked item {id}, which is not ready"),
        })
    };
    let keys: Vec<Bytes> = said.ids.iter().map(find).collect::<Result<_, _>>()?;
    Ok(keys.into_iter().take(count).collect())
}

fn take(
    writer: &mut Writer<'_>,
    queue: Queue<'_>,
    request: &QueueDequeueRequest,
    cx: &Cx<'_>,
    keys: &[Bytes],
) -> Result<Vec<QueueDelivery>, Refusal> {
    let own_lease = request.lease == 0;
    let lease = if own_lease { request.own_lease } else { request.lease };
    if own_lease {
        let ttl = match request.visibility_seconds {
            ..=0 => VISIBILITY_SECONDS,
            seconds => seconds,
        };
        // Asked again after what it took has ended, it has a lease already.
        if writer.check_lease(LeaseId(lease)).is_err() {
            let grant = pb::LeaseGrantRequest { id: lease, ttl };
            lease::grant(writer, &grant, cx.lease_ttl_min)?;
        }
    }
    let claim =
        QueueClaimRecord { consumer: request.consumer.clone(), own_lease, call: request.call };
    let claim = claim.encode_to_vec();
    let mut deliveries = Vec::with_capacity(keys.len());
    for key in keys {
        let Some(mut item) = tidy::read(writer, key) else { continue };
        item.attempts += 1;
        writer.delete(&KeyRange::single(key.clone()));
        writer.put(&queue.taken_key(item.id), &item.encode_to_vec(), LeaseId::NONE);
        let claim_key = queue.claim_key(item.id);
        writer.put(&claim_key, &claim, LeaseId(lease));
        let token = writer.get(&claim_key).map_or(0, |item| item.create_revision());
        let claim = QueueClaim { id: item.id, token, lease };
        deliveries.push(QueueDelivery { item: Some(item), claim: Some(claim) });
    }
    Ok(deliveries)
}
