//! Who may ask for what. Checked on the state that the decision is made on, each time it is made:
//! a right that was taken away is gone for everything that is decided later.

use bytes::Bytes;
use pb::alarm_request::AlarmAction;
use pb::request_op::Request as Op;
use portunus_proto::etcdserverpb as pb;
use portunus_proto::portunus::v1::queue_ask::Ask as QueueKind;
use portunus_proto::portunus::v1::{LockAsk, QueueAsk};

use super::{Refusal, Request, Write, lock, queue};
use crate::auth::{AuthRefusal, Caller, Rights};
use crate::machine::State;
use crate::types::{KeyRange, LeaseId};

/// Refuses what the caller may not ask for.
pub fn permit(head: &State, caller: &Caller, request: &Request) -> Result<(), Refusal> {
    let auth = head.auth();
    if !auth.enabled || caller.is_server() {
        return Ok(());
    }
    if only_root(request) {
        return Ok(auth.root(caller)?);
    }
    let rights = auth.rights(caller)?;
    if rights.hold_everything() {
        return Ok(());
    }
    match request {
        Request::Put(request) => put(head, &rights, request)?,
        Request::DeleteRange(request) => delete(&rights, request)?,
        Request::Txn(request) => txn(head, &rights, request)?,
        Request::LeaseRevoke(request) => lease(head, &rights, LeaseId(request.id))?,
        Request::Lock(ask) => locks(head, &rights, ask)?,
        Request::Queue(ask) => queues(head, &rights, ask)?,
        // What a recipe reads and writes is checked when that is known; for the rest it is enough
        // to be somebody.
        _ => {}
    }
    Ok(())
}

/// What only root may ask for. The server's own requests are among it.
fn only_root(request: &Request) -> bool {
    match request {
        Request::Put(_)
        | Request::DeleteRange(_)
        | Request::Txn(_)
        | Request::LeaseGrant(_)
        | Request::LeaseRevoke(_)
        | Request::Call(_)
        | Request::Lock(_)
        | Request::Queue(_) => false,
        Request::Alarm(request) => request.action() != AlarmAction::Get,
        Request::Compact(_)
        | Request::LeaseCheckpoint { .. }
        | Request::LeaseExpire(_)
        | Request::Deploy(_)
        | Request::Undeploy(_)
        | Request::Rollback(_)
        | Request::SetMode(_)
        | Request::Advance(_)
        | Request::SetTrigger(_)
        | Request::Auth(_)
        | Request::Publish(_)
        | Request::RaiseFeatureLevel(_) => true,
    }
}

/// Refuses a read that the caller may not make.
pub fn permit_range(
    state: &State,
    caller: &Caller,
    key: &Bytes,
    range_end: &Bytes,
) -> Result<(), Refusal> {
    Ok(state.auth().rights(caller)?.read(&asked(key, range_end))?)
}

/// Refuses a transaction of which some part, in whatever branch, may not be made.
pub fn permit_txn(state: &State, caller: &Caller, request: &pb::TxnRequest) -> Result<(), Refusal> {
    Ok(txn(state, &state.auth().rights(caller)?, request)?)
}

/// Refuses what a recipe read and wrote, as far as its caller may not: it never widens anybody's
/// rights.
pub fn permit_recipe(
    head: &State,
    caller: &Caller,
    mut reads: impl Iterator<Item = KeyRange>,
    writes: &[Write],
) -> Result<(), Refusal> {
    let rights = head.auth().rights(caller)?;
    if rights.hold_everything() {
        return Ok(());
    }
    reads.try_for_each(|range| rights.read(&range))?;
    for write in writes {
        match write {
            Write::By(_) => {}
            Write::Put { key, lease: id, .. } => {
                rights.write(&KeyRange::single(key.clone()))?;
                lease(head, &rights, *id)?;
            }
            Write::Delete { key } => rights.write(&KeyRange::single(key.clone()))?,
        }
    }
    Ok(())
}

fn asked(key: &Bytes, range_end: &Bytes) -> KeyRange {
    KeyRange::from_wire(key.clone(), range_end.clone())
}

fn put(head: &State, rights: &Rights<'_>, put: &pb::PutRequest) -> Result<(), AuthRefusal> {
    let key = KeyRange::single(put.key.clone());
    rights.write(&key)?;
    lease(head, rights, LeaseId(put.lease))?;
    if put.prev_kv { rights.read(&key) } else { Ok(()) }
}

fn delete(rights: &Rights<'_>, delete: &pb::DeleteRangeRequest) -> Result<(), AuthRefusal> {
    let range = asked(&delete.key, &delete.range_end);
    rights.write(&range)?;
    if delete.prev_kv { rights.read(&range) } else { Ok(()) }
}

/// Refuses who may not renew a lease.
pub fn permit_renew(head: &State, caller: &Caller, id: LeaseId) -> Result<(), Refusal> {
    Ok(lease(head, &head.auth().rights(caller)?, id)?)
}

/// Refuses who may not see all keys under a lease.
pub fn permit_lease_keys(state: &State, caller: &Caller, id: LeaseId) -> Result<(), Refusal> {
    let rights = state.auth().rights(caller)?;
    if rights.hold_everything() {
        return Ok(());
    }
    let mut keys = state.leases().keys(id);
    Ok(keys.try_for_each(|key| rights.read(&KeyRange::single(Bytes::copy_from_slice(key))))?)
}

/// Whoever ends or renews a lease, or puts a key under it, must be able to write all that hangs
/// on it.
fn lease(head: &State, rights: &Rights<'_>, id: LeaseId) -> Result<(), AuthRefusal> {
    if id.is_none() || rights.hold_everything() {
        return Ok(());
    }
    let mut keys = head.leases().keys(id);
    keys.try_for_each(|key| rights.write(&KeyRange::single(Bytes::copy_from_slice(key))))
}

fn txn(head: &State, rights: &Rights<'_>, txn: &pb::TxnRequest) -> Result<(), AuthRefusal> {
    for compare in &txn.compare {
        rights.read(&asked(&compare.key, &compare.range_end))?;
    }
    for op in txn.success.iter().chain(&txn.failure) {
        match &op.request {
            Some(Op::RequestRange(range)) => rights.read(&asked(&range.key, &range.range_end))?,
            Some(Op::RequestPut(request)) => put(head, rights, request)?,
            Some(Op::RequestDeleteRange(request)) => delete(rights, request)?,
            Some(Op::RequestTxn(nested)) => self::txn(head, rights, nested)?,
            None => {}
        }
    }
    Ok(())
}

/// Whoever takes part in a lock sees its line and changes it.
fn locks(head: &State, rights: &Rights<'_>, ask: &LockAsk) -> Result<(), AuthRefusal> {
    for name in lock::names(ask) {
        let places = KeyRange::prefix([&name[..], b"/"].concat());
        rights.write(&places)?;
        rights.read(&places)?;
    }
    lease(head, rights, lock::lease(ask))
}

fn queues(head: &State, rights: &Rights<'_>, ask: &QueueAsk) -> Result<(), AuthRefusal> {
    let keys = KeyRange::prefix(queue::prefix(ask));
    rights.write(&keys)?;
    // Who only puts something in learns nothing of what is there.
    if !matches!(&ask.ask, Some(QueueKind::Enqueue(_) | QueueKind::PutSequential(_))) {
        rights.read(&keys)?;
    }
    queue::txn(ask).map_or(Ok(()), |request| txn(head, rights, request))
}
