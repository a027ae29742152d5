//! What becomes of a claim: done, not done, or more time.

use std::collections::BTreeSet;

use portunus_proto::etcdserverpb as pb;
use portunus_proto::portunus::v1::{
    QueueAckRequest, QueueAckResponse, QueueClaim, QueueClaimRecord, QueueExtendRequest,
    QueueExtendResponse, QueueNackRequest,
};
use prost::Message;

use super::keys::Queue;
use super::{config, tidy};
use crate::decide::writer::Writer;
use crate::decide::{Cx, QueueRefusal, Refusal, lease, txn};
use crate::effect::Effect;
use crate::types::{KeyRange, LeaseId};

/// Refuses claims that are over: their items are with others, or on their way.
fn check(writer: &mut Writer<'_>, queue: Queue<'_>, claims: &[QueueClaim]) -> Result<(), Refusal> {
    for (n, claim) in claims.iter().enumerate() {
        let found = writer.get(&queue.claim_key(claim.id));
        let is_held = found.is_some_and(|item| item.create_revision() == claim.token);
        if !is_held || claims[..n].iter().any(|other| other.id == claim.id) {
            return Err(Refusal::Queue(QueueRefusal::ClaimLost { id: claim.id }));
        }
    }
    Ok(())
}

/// Takes claims away, and the leases that were granted for them alone.
pub fn end(writer: &mut Writer<'_>, queue: Queue<'_>, claims: &[QueueClaim]) {
    let mut own_leases = BTreeSet::new();
    for claim in claims {
        let key = queue.claim_key(claim.id);
        own_leases.extend(writer.get(&key).and_then(own_lease));
        writer.delete(&KeyRange::single(key));
    }
    revoke_empty(writer, &own_leases);
}

fn own_lease(claim: &crate::types::Item) -> Option<LeaseId> {
    let record = QueueClaimRecord::decode(claim.value()).ok()?;
    record.own_lease.then_some(claim.lease())
}

fn revoke_empty(writer: &mut Writer<'_>, leases: &BTreeSet<LeaseId>) {
    for id in leases {
        let is_empty = writer.head.leases().attached_count(*id) == 0;
        if is_empty && writer.head.lease(*id).is_some() {
            writer.emit(Effect::LeaseRevoke { id: *id });
        }
    }
}

/// The items are done. Where the consumer's transaction does not hold, they are not, and its other
/// branch was run.
pub fn ack(
    writer: &mut Writer<'_>,
    request: &QueueAckRequest,
    cx: &Cx<'_>,
) -> Result<QueueAckResponse, Refusal> {
    let queue = Queue::named(&request.queue)?;
    check(writer, queue, &request.claims)?;
    let txn = match &request.txn {
        Some(txn) => Some(txn::run(writer, txn, cx.past)?),
        None => None,
    };
    let acked = txn.as_ref().is_none_or(|txn: &pb::TxnResponse| txn.succeeded);
    if acked {
        for claim in &request.claims {
            writer.delete(&KeyRange::single(queue.taken_key(claim.id)));
        }
        end(writer, queue, &request.claims);
    }
    Ok(QueueAckResponse { header: None, acked, txn })
}

/// The items go back, at once or later, or to the dead letters.
pub fn nack(
    writer: &mut Writer<'_>,
    request: &QueueNackRequest,
    now_ms: u64,
) -> Result<(), Refusal> {
    let queue = Queue::named(&request.queue)?;
    check(writer, queue, &request.claims)?;
    let config = config::read(writer, queue);
    let why = match &request.reason[..] {
        "" => "given back",
        reason => reason,
    };
    for claim in &request.claims {
        let key = queue.taken_key(claim.id);
        let Some(item) = tidy::read(writer, &key) else { continue };
        writer.delete(&KeyRange::single(key));
        let is_over = config.max_attempts.is_some_and(|max| item.attempts >= max);
        match u64::try_from(request.delay_ms) {
            _ if request.dead => tidy::put_dead(writer, queue, item, why.to_owned()),
            Ok(delay) if delay > 0 && !is_over => {
                let key = queue.delayed_key(now_ms.saturating_add(delay), item.id);
                writer.put(&key, &item.encode_to_vec(), LeaseId::NONE);
            }
            _ => tidy::again_or_dead(writer, queue, item, &config, why),
        }
    }
    end(writer, queue, &request.claims);
    Ok(())
}

/// Moves the claims to a new lease; their tokens stay.
pub fn extend(
    writer: &mut Writer<'_>,
    request: &QueueExtendRequest,
    cx: &Cx<'_>,
) -> Result<QueueExtendResponse, Refusal> {
    let queue = Queue::named(&request.queue)?;
    check(writer, queue, &request.claims)?;
    let id = request.own_lease;
    let grant = pb::LeaseGrantRequest { id, ttl: request.seconds };
    lease::grant(writer, &grant, cx.lease_ttl_min)?;
    let mut left = BTreeSet::new();
    let mut claims = Vec::with_capacity(request.claims.len());
    for claim in &request.claims {
        let key = queue.claim_key(claim.id);
        let found = writer.get(&key).cloned();
        left.extend(found.as_ref().and_then(own_lease));
        let record = found.and_then(|item| QueueClaimRecord::decode(item.value()).ok());
        let record = QueueClaimRecord { own_lease: true, ..record.unwrap_or_default() };
        writer.put(&key, &record.encode_to_vec(), LeaseId(id));
        claims.push(QueueClaim { lease: id, ..*claim });
    }
    revoke_empty(writer, &left);
    Ok(QueueExtendResponse { header: None, claims })
}
