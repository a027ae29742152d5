//! Whether there is room, and the alarms that stop writes.

use pb::request_op::Request as Op;
use portunus_proto::etcdserverpb as pb;

use super::{Cx, Refusal, Request, Write, lock, queue};
use crate::effect::AlarmKind;
use crate::limits::{QUOTA_LEASE_BYTES, QUOTA_PUT_OVERHEAD_BYTES};
use crate::machine::State;

/// Refuses what the alarms or the quota forbid. Deletes, compactions and reads cost nothing and
/// are how space is won back.
pub(super) fn check(
    head: &State,
    request: &Request,
    added: &[Write],
    cx: &Cx<'_>,
) -> Result<(), Refusal> {
    let alarms = head.registry();
    if is_clients(request) && alarms.is_raised(AlarmKind::Corrupt) {
        return Err(Refusal::Corrupt);
    }
    let cost = cost(request) + added.iter().map(added_cost).sum::<i64>();
    if cost == 0 {
        return Ok(());
    }
    let full = cx.quota_bytes.is_some_and(|quota| cx.db_size_bytes.saturating_add(cost) >= quota);
    if full || cx.disk_is_short || alarms.is_raised(AlarmKind::NoSpace) {
        return Err(Refusal::NoSpace);
    }
    Ok(())
}

/// Requests on keys and leases, as opposed to those that keep the cluster going.
fn is_clients(request: &Request) -> bool {
    use Request::{
        Advance, Call, Compact, DeleteRange, LeaseExpire, LeaseGrant, LeaseRevoke, Lock, Put,
        Queue, Txn,
    };
    matches!(
        request,
        Put(_)
            | DeleteRange(_)
            | Txn(_)
            | Compact(_)
            | LeaseGrant(_)
            | LeaseRevoke(_)
            | LeaseExpire(_)
            | Call(_)
            | Advance(_)
            | Lock(_)
            | Queue(_)
    )
}

/// What a request is charged, in bytes.
fn cost(request: &Request) -> i64 {
    match request {
        Request::Put(put) => put_cost(put),
        Request::Txn(txn) => txn_cost(txn),
        Request::LeaseGrant(_) => QUOTA_LEASE_BYTES,
        Request::Lock(ask) => lock::growth(ask) as i64,
        Request::Queue(ask) => queue::growth(ask) as i64,
        Request::Deploy(deploy) => deploy.components.iter().map(|c| c.bytes.len() as i64).sum(),
        _ => 0,
    }
}

/// What a plugin puts is charged as if the client had.
fn added_cost(write: &Write) -> i64 {
    match write {
        Write::Put { key, value, .. } => {
            QUOTA_PUT_OVERHEAD_BYTES + (key.len() + value.len()) as i64
        }
        Write::Delete { .. } | Write::By(_) => 0,
    }
}

fn put_cost(put: &pb::PutRequest) -> i64 {
    QUOTA_PUT_OVERHEAD_BYTES + (put.key.len() + put.value.len()) as i64
}

/// The dearer branch, nested transactions included.
fn txn_cost(txn: &pb::TxnRequest) -> i64 {
    let branch = |ops: &[pb::RequestOp]| ops.iter().map(op_cost).sum::<i64>();
    branch(&txn.success).max(branch(&txn.failure))
}

fn op_cost(op: &pb::RequestOp) -> i64 {
    match &op.request {
        Some(Op::RequestPut(put)) => put_cost(put),
        Some(Op::RequestTxn(txn)) => txn_cost(txn),
        _ => 0,
    }
}
