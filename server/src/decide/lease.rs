//! Granting and revoking leases.

use portunus_proto::etcdserverpb as pb;

use super::request::header;
use super::writer::Writer;
use super::{Refusal, Reply, lock};
use crate::effect::Effect;
use crate::limits::LEASE_TTL_SECONDS_MAX;
use crate::types::LeaseId;

pub(super) fn grant(
    writer: &mut Writer<'_>,
    request: &pb::LeaseGrantRequest,
    ttl_min: i64,
) -> Result<pb::LeaseGrantResponse, Refusal> {
    let id = LeaseId(request.id);
    if id.is_none() {
        return Err(Refusal::LeaseNotFound);
    }
    if request.ttl > LEASE_TTL_SECONDS_MAX {
        return Err(Refusal::LeaseTtlTooLarge);
    }
    let exists = writer.head.lease(id).is_some();
    if let Some(reads) = writer.reads() {
        reads.note_lease(id, exists);
    }
    if exists {
        return Err(Refusal::LeaseExists);
    }
    let ttl = request.ttl.max(ttl_min);
    writer.emit(Effect::LeaseGrant { id, ttl });
    let error = String::new();
    Ok(pb::LeaseGrantResponse { header: header(writer.head.revision), id: id.0, ttl, error })
}

pub(super) fn revoke(
    writer: &mut Writer<'_>,
    request: &pb::LeaseRevokeRequest,
) -> Result<pb::LeaseRevokeResponse, Refusal> {
    let id = LeaseId(request.id);
    if id.is_none() {
        return Err(Refusal::LeaseNotFound);
    }
    writer.check_lease(id)?;
    end(writer, id);
    Ok(pb::LeaseRevokeResponse { header: header(writer.head.revision) })
}

/// Revokes each lease that exists, at a revision of its own.
pub(super) fn expire(writer: &mut Writer<'_>, ids: &[LeaseId], now_ms: u64) -> Vec<LeaseId> {
    let mut revoked = Vec::with_capacity(ids.len());
    for id in ids {
        if writer.check_lease(*id).is_ok() && !id.is_none() {
            writer.begin_revision();
            let held = lock::held_by(writer.head, *id);
            end(writer, *id);
            lock::delay_after(writer, &held, now_ms);
            revoked.push(*id);
        }
    }
    revoked
}

/// Deletes the lease's keys in order and then the lease.
fn end(writer: &mut Writer<'_>, id: LeaseId) {
    let keys = writer.head.lease_keys(id);
    if let Some(reads) = writer.reads() {
        reads.note_lease_keys(id, keys.len());
        for key in &keys {
            writer.get(key);
        }
    }
    for key in keys {
        writer.delete_key(key);
    }
    writer.emit(Effect::LeaseRevoke { id });
}

/// Replicates what is left of a lease; one that is gone meanwhile is nobody's loss.
pub(super) fn checkpoint(writer: &mut Writer<'_>, id: LeaseId, remaining: i64) -> Reply {
    if writer.head.lease(id).is_some_and(|lease| lease.remaining != remaining) {
        writer.emit(Effect::LeaseCheckpoint { id, remaining });
    }
    Reply::Done { revision: writer.head.revision }
}
