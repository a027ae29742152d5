//! Calls in no hurry: whoever takes a place in a line behind others learns by the answer that it
//! must wait, so its place may share the sync of whatever comes next. On a contended lock that is
//! the holder's release, which would otherwise queue behind the sync of a place nobody waits for.

use std::time::Duration;

use portunus_proto::etcdserverpb as pb;
use portunus_proto::etcdserverpb::request_op::Request as Op;

use super::answer::Call;
use super::ask::Ask;
use super::batch::Batch;
use super::sequencer::Sequencer;
use crate::clock::Tick;
use crate::decide::Request;
use crate::limits::ENTRY_DECISIONS_MAX;
use crate::machine::State;
use crate::types::KeyRange;

/// How long such a call waits for company once no entry is on its way. A sync takes about as long.
const PATIENCE: Duration = Duration::from_millis(1);

/// The calls that wait for the next entry, in the order in which they came.
#[derive(Default)]
pub struct Patience {
    calls: Vec<Call>,
    /// The later of when the last of them came and when the last entry came home.
    quiet_since: Tick,
}

impl Patience {
    /// The last entry on its way came home.
    pub fn came_home(&mut self, now: Tick) {
        self.quiet_since = now;
    }

    pub fn is_empty(&self) -> bool {
        self.calls.is_empty()
    }

    pub fn drain(&mut self) -> std::vec::Drain<'_, Call> {
        self.calls.drain(..)
    }
}

impl Sequencer {
    /// Keeps the call for the next entry if it may wait; gives it back if not.
    pub(super) fn postpone(&mut self, call: Call) -> Option<Call> {
        let may_wait = self.reign.leading().is_some()
            && self.patience.calls.len() < ENTRY_DECISIONS_MAX
            && matches!(&call.ask, Ask::Decide(Request::Txn(txn)) if is_behind_others(&self.head, txn));
        if !may_wait {
            return Some(call);
        }
        self.patience.quiet_since = self.shared.clock.now();
        self.patience.calls.push(call);
        None
    }

    /// When those in no hurry have waited long enough; an entry on its way is still waited for.
    pub(super) fn patience_ends(&self) -> Option<Tick> {
        let waits = !self.patience.calls.is_empty() && self.outstanding.is_empty();
        waits.then(|| self.patience.quiet_since.after(PATIENCE))
    }

    /// They join an entry that is made anyway.
    pub(super) fn join_in(&mut self, batch: &mut Batch) {
        if batch.has_effects() && !self.patience.calls.is_empty() {
            let calls = std::mem::take(&mut self.patience.calls);
            self.decide_into(calls, batch);
        }
    }

    /// Nothing came that they could have joined.
    pub(super) fn lose_patience(&mut self) {
        let calls = std::mem::take(&mut self.patience.calls);
        self.decide_again(calls);
        self.decide_released();
    }
}

/// True for the transaction with which etcd's clients, and our Lock service, take a place in a
/// line (put a key under a lease if it is not there, and read the first of its line), where others
/// stand already.
fn is_behind_others(state: &State, txn: &pb::TxnRequest) -> bool {
    let [compare] = &txn.compare[..] else { return false };
    let [put, first] = &txn.success[..] else { return false };
    let (Some(Op::RequestPut(put)), Some(Op::RequestRange(first))) = (&put.request, &first.request)
    else {
        return false;
    };
    let is_absent = compare.target == i32::from(pb::compare::CompareTarget::Create)
        && compare.result == i32::from(pb::compare::CompareResult::Equal)
        && compare.target_union == Some(pb::compare::TargetUnion::CreateRevision(0))
        && compare.range_end.is_empty()
        && compare.key == put.key;
    let is_first = first.limit == 1
        && first.sort_target == i32::from(pb::range_request::SortTarget::Create)
        && first.sort_order == i32::from(pb::range_request::SortOrder::Ascend);
    if !is_absent || !is_first || put.lease == 0 {
        return false;
    }
    let line = KeyRange::from_wire(first.key.clone(), first.range_end.clone());
    line.contains(&put.key)
        && state.get(&put.key).is_none()
        && state.items().range(&line).next().is_some()
}

#[cfg(test)]
#[path = "patience_test.rs"]
mod tests;
