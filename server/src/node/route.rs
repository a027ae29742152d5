//! Where a question is decided: by the sequencer itself, or first by plugins in the lane.

use std::sync::Arc;

use bytes::Bytes;
use portunus_proto::etcdserverpb as pb;
use portunus_proto::etcdserverpb::request_op::Request as Op;
use portunus_proto::portunus::v1::lock_ask::Ask as LockKind;
use portunus_proto::portunus::v1::queue_ask::Ask as QueueKind;
use portunus_proto::portunus::v1::{LockAsk, QueueAsk};

use super::plugin::{Bindings, Named};
use crate::decide::{self, RecipeCall, Refusal, Request};
use crate::effect::Mode;
use crate::machine::State;
use crate::types::{KeyRange, LeaseId};

/// The way of a question.
pub enum Route<'a> {
    /// No plugin has a say in it.
    Here,
    /// Into the queue of this binding.
    Lane(&'a Arc<Named>),
    Refused(Refusal),
}

/// The way of `request` on this head.
pub fn route<'a>(head: &State, bindings: &'a Bindings, request: &Request) -> Route<'a> {
    match request {
        Request::Call(call) => recipe(head, bindings, call),
        Request::Lock(ask) if bindings.admits() => match admission(head, bindings, ask) {
            Some(named) => Route::Lane(named),
            None => policies(head, bindings, request),
        },
        Request::Queue(ask) if bindings.has_conditions() => match condition(head, bindings, ask) {
            Some(named) => Route::Lane(named),
            None => policies(head, bindings, request),
        },
        _ => policies(head, bindings, request),
    }
}

/// Where policies may have a say: into the queue of the first of them.
fn policies<'a>(head: &State, bindings: &'a Bindings, request: &Request) -> Route<'a> {
    match bindings.has_policies() {
        false => Route::Here,
        true => {
            let places = bindings.over(&possible_writes(head, request));
            places.first().map_or(Route::Here, |first| Route::Lane(bindings.policy(*first)))
        }
    }
}

/// Who is asked first about a lock that somebody wants.
fn admission<'a>(head: &State, bindings: &'a Bindings, ask: &LockAsk) -> Option<&'a Arc<Named>> {
    let wanted = matches!(ask.ask, Some(LockKind::Enlist(_) | LockKind::AwaitTurn(_)));
    let names = if wanted { decide::lock::names(ask) } else { Vec::new() };
    let asked = |name: &Bytes| decide::lock::admission::admitting(head, name).next();
    names.iter().find_map(asked).and_then(|binding| bindings.named(&binding.id()))
}

/// Who is asked whether something may leave a queue.
fn condition<'a>(head: &State, bindings: &'a Bindings, ask: &QueueAsk) -> Option<&'a Arc<Named>> {
    let Some(QueueKind::Dequeue(request)) = &ask.ask else { return None };
    let plugin = decide::queue::plugin_of(head, &request.queue)?;
    let binding = decide::queue::condition_binding(head, &request.queue, &plugin)?;
    bindings.named(&binding.id()).filter(|named| named.binding.mode != Mode::Disabled)
}

fn recipe<'a>(head: &State, bindings: &'a Bindings, call: &RecipeCall) -> Route<'a> {
    let plugin = || call.plugin.clone();
    match bindings.recipe(&call.plugin) {
        Some(named) if named.binding.mode == Mode::Disabled => {
            Route::Refused(Refusal::PluginDisabled(plugin()))
        }
        Some(named) => Route::Lane(named),
        None if head.registry().plugins.contains_key(&call.plugin) => {
            Route::Refused(Refusal::NoRecipe(plugin()))
        }
        None => Route::Refused(Refusal::PluginNotFound(plugin())),
    }
}

/// Everything that a client's request might write, whatever branch it takes. What a recipe writes
/// is known only when it has run.
pub fn possible_writes(head: &State, request: &Request) -> Vec<KeyRange> {
    let mut ranges = Vec::new();
    match request {
        Request::Put(put) => ranges.push(KeyRange::single(put.key.clone())),
        Request::DeleteRange(delete) => ranges.push(delete_range(delete)),
        Request::Txn(txn) => collect(txn, &mut ranges),
        Request::LeaseRevoke(revoke) => {
            let keys = head.lease_keys(LeaseId(revoke.id));
            ranges.extend(keys.into_iter().map(KeyRange::single));
        }
        Request::Lock(ask) => {
            // Their lines, and what is noted beside them.
            for name in decide::lock::names(ask) {
                let keys = [b"/", b"!"].map(|mark| KeyRange::prefix([&name[..], mark].concat()));
                ranges.extend(keys);
            }
        }
        Request::Queue(ask) => {
            ranges.push(KeyRange::prefix(decide::queue::prefix(ask)));
            if let Some(txn) = decide::queue::txn(ask) {
                collect(txn, &mut ranges);
            }
        }
        _ => {}
    }
    ranges
}

fn collect(txn: &pb::TxnRequest, ranges: &mut Vec<KeyRange>) {
    for op in txn.success.iter().chain(&txn.failure) {
        match &op.request {
            Some(Op::RequestPut(put)) => ranges.push(KeyRange::single(put.key.clone())),
            Some(Op::RequestDeleteRange(delete)) => ranges.push(delete_range(delete)),
            Some(Op::RequestTxn(txn)) => collect(txn, ranges),
            Some(Op::RequestRange(_)) | None => {}
        }
    }
}

fn delete_range(delete: &pb::DeleteRangeRequest) -> KeyRange {
    KeyRange::from_wire(delete.key.clone(), delete.range_end.clone())
}
