//! The one way in: checks that need no state, then space and alarms, then the decision itself.

use bytes::Bytes;

use super::writer::Writer;
use super::{Cx, Draft, Refusal, Reply, Request, Write};
use super::{
    alarm, auth, compact, gate, guard, kv, lease, lock, policy, queue, quota, registry, trigger,
    txn,
};
use crate::machine::State;

/// Checks that need nothing but the request, so that they can be made before it is queued.
pub fn check(request: &Request, max_txn_ops: usize) -> Result<(), Refusal> {
    match request {
        Request::Put(put) => kv::check_put(put),
        Request::DeleteRange(delete) => kv::check_delete(delete),
        Request::Txn(txn) => txn::check(txn, max_txn_ops),
        Request::Deploy(deploy) => registry::check(deploy),
        Request::Queue(ask) => queue::check(ask, max_txn_ops),
        _ => Ok(()),
    }
}

/// Decides `request` on `head`: the head takes the effects, `draft` gets them, and the answer says
/// what came of it. `added` are writes that policies put into the same transaction, after the
/// request's own. On a refusal head and draft are as before.
pub fn decide(
    head: &mut State,
    request: &Request,
    added: &[Write],
    cx: &Cx<'_>,
    draft: &mut Draft,
) -> Result<Reply, Refusal> {
    check(request, cx.max_txn_ops)?;
    quota::check(head, request, added, cx)?;
    let mut writer = Writer::new(head, draft);
    let before = gate::before(&writer);
    let guarded = guard::before(&writer);
    policy::check(added, &mut writer)?;
    let mut reply = match request {
        Request::Put(put) => {
            queue::check_put(&mut writer, &put.key, &put.value)?;
            Reply::Put(kv::put(&mut writer, put)?)
        }
        Request::DeleteRange(delete) => Reply::DeleteRange(kv::delete_range(&mut writer, delete)),
        Request::Txn(request) => Reply::Txn(txn::run(&mut writer, request, cx.past)?),
        Request::Compact(request) => Reply::Compact(compact::compact(&mut writer, request)?),
        Request::LeaseGrant(request) => {
            Reply::LeaseGrant(lease::grant(&mut writer, request, cx.lease_ttl_min)?)
        }
        Request::LeaseRevoke(request) => Reply::LeaseRevoke(lease::revoke(&mut writer, request)?),
        Request::LeaseCheckpoint { id, remaining } => {
            lease::checkpoint(&mut writer, *id, *remaining)
        }
        Request::LeaseExpire(ids) => Reply::LeaseExpire(lease::expire(&mut writer, ids, cx.now_ms)),
        Request::Alarm(request) => Reply::Alarm(alarm::alarm(&mut writer, request)),
        Request::Deploy(request) => registry::deploy(&mut writer, request)?,
        Request::Undeploy(request) => registry::undeploy(&mut writer, request)?,
        Request::Rollback(request) => registry::roll_back(&mut writer, request)?,
        Request::SetMode(request) => registry::set_mode(&mut writer, request)?,
        Request::Call(_) => Reply::Called { revision: writer.head.revision, payload: Bytes::new() },
        Request::Advance(request) => trigger::advance(&mut writer, request)?,
        Request::SetTrigger(request) => trigger::set(&mut writer, request)?,
        Request::Lock(ask) => Reply::Lock(lock::decide(&mut writer, ask, cx.now_ms)?),
        Request::Queue(ask) => Reply::Queue(queue::decide(&mut writer, ask, cx)?),
        Request::Auth(ask) => auth::decide(&mut writer, ask, cx.now_ms)?,
        Request::Publish(own) => registry::publish(&mut writer, own),
        Request::RaiseFeatureLevel(level) => registry::raise_level(&mut writer, *level),
    };
    if !added.is_empty() {
        policy::write(added, &mut writer);
        reply.set_revision(writer.head.revision);
    }
    guard::check(&mut writer, request, guarded)?;
    gate::check(&mut writer, before)?;
    Ok(reply)
}
