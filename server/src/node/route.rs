//! Where a question is decided: by the sequencer itself, or first by plugins in the lane.

use std::sync::Arc;

use portunus_proto::etcdserverpb as pb;
use portunus_proto::etcdserverpb::request_op::Request as Op;

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
        _ if !bindings.has_policies() => Route::Here,
        _ => {
            let places = bindings.over(&possible_writes(head, request));
            places.first().map_or(Route::Here, |first| Route::Lane(bindings.policy(*first)))
        }
    }
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
            let names = decide::lock::names(ask).into_iter();
            ranges.extend(names.map(|name| KeyRange::prefix([&name[..], b"/"].concat())));
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
