//! What a call has taken: found again when its answer was lost, and given back when its caller has
//! gone. Each claim names the call that made it.

use portunus_proto::portunus::v1::{
    QueueClaim, QueueClaimRecord, QueueDelivery, QueueItem, QueueWithdrawRequest,
};
use prost::Message;

use super::keys::{self, Queue};
use super::{ack, evaluate, tidy};
use crate::decide::Refusal;
use crate::decide::writer::Writer;
use crate::types::{KeyRange, LeaseId};

/// What the call has taken and still has, in order of number.
pub fn taken_by(
    writer: &mut Writer<'_>,
    queue: Queue<'_>,
    lease: LeaseId,
    call: i64,
) -> Vec<QueueDelivery> {
    let on_lease = writer.head.lease_keys(lease);
    if let Some(reads) = writer.reads() {
        reads.note_lease_keys(lease, on_lease.len());
    }
    let claims = queue.claims();
    let mut deliveries = Vec::new();
    for key in on_lease.into_iter().filter(|key| claims.contains(key)) {
        let (Some(id), Some(claim)) = (keys::id(&key), writer.get(&key)) else { continue };
        let token = claim.create_revision();
        let is_its = QueueClaimRecord::decode(claim.value()).is_ok_and(|made| made.call == call);
        if !is_its {
            continue;
        }
        let item = tidy::read(writer, &queue.taken_key(id));
        let claim = QueueClaim { id, token, lease: lease.0 };
        deliveries.push(QueueDelivery { item, claim: Some(claim) });
    }
    deliveries
}

/// Puts back what the call has taken, as if it had not. Returns how many items that were.
pub fn withdraw(writer: &mut Writer<'_>, request: &QueueWithdrawRequest) -> Result<u64, Refusal> {
    let queue = Queue::named(&request.queue)?;
    let taken = taken_by(writer, queue, LeaseId(request.lease), request.call);
    let mut fresh = 0;
    for item in taken.iter().filter_map(|delivery| delivery.item.clone()) {
        writer.delete(&KeyRange::single(queue.taken_key(item.id)));
        let item = QueueItem { attempts: item.attempts.saturating_sub(1), ..item };
        fresh += u64::from(item.attempts == 0);
        tidy::put_ready(writer, queue, &item);
    }
    let claims: Vec<QueueClaim> = taken.iter().filter_map(|delivery| delivery.claim).collect();
    ack::end(writer, queue, &claims);
    // They passed the condition on size, if there is one, and may leave once more.
    let has_size = evaluate::condition_of(writer, queue).is_ok_and(|it| it.size().is_some());
    if fresh > 0 && has_size {
        let open = evaluate::open_batch(writer, queue);
        evaluate::set_batch(writer, queue, open + fresh);
    }
    Ok(claims.len() as u64)
}
