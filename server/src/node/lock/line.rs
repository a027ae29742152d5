//! Waiting in line: the transactions that take, check and leave a place, and the wait between.

use bytes::Bytes;
use portunus_proto::etcdserverpb as pb;
use portunus_proto::portunus::v1::{LockAsk, LockAwait, LockPlace, lock_ask::Ask};

use super::place::{Place, prefix_of};
use crate::decide::{LockRefusal, Refusal, Reply, Request};
use crate::machine::State;
use crate::node::{Error, Failure, Node};
use crate::types::{Item, KeyRange, LeaseId, RangeEnd};

/// Why somebody in line did not get there.
#[derive(Debug, thiserror::Error)]
pub enum LineError {
    /// Its key is gone: the lease ended, or somebody deleted it.
    #[error("the place in line is lost")]
    Lost,
    #[error(transparent)]
    Node(#[from] Error),
}

impl Node {
    /// Waits until everybody who came before is gone, and returns the revision at which the place
    /// was seen to be first and its key there. The leader decides it, on the very state in which
    /// the one before lets go, so that the grant leaves together with the answer to the release.
    ///
    /// # Errors
    /// The key went meanwhile, or the member stops. Without a leader it waits on.
    pub async fn await_turn(&self, name: &Bytes, place: &Place) -> Result<i64, LineError> {
        let request = turn(name.clone(), place.key.clone(), place.revision);
        match self.decide_waiting(request, true).await {
            Ok(Reply::Lock(said)) => Ok(said.revision),
            Ok(_) => Err(LineError::Node(Failure::TimedOutConnectionLost.into())),
            Err(Error::Refused(Refusal::Lock(LockRefusal::Lost { .. }))) => Err(LineError::Lost),
            Err(error) => Err(error.into()),
        }
    }
}

/// Asks for the turn of a place whose key was created at `token`.
pub(super) fn turn(name: Bytes, key: Bytes, token: i64) -> Request {
    let places = vec![LockPlace { name, key, token, holds: 0 }];
    let ask = Some(Ask::AwaitTurn(LockAwait { places }));
    Request::Lock(LockAsk { ask, ..LockAsk::default() })
}

/// The item of a line that was created first.
pub(super) fn first_in_line<'a>(state: &'a State, name: &[u8]) -> Option<&'a Item> {
    let line = KeyRange::prefix(prefix_of(name));
    state.items().range(&line).min_by_key(|item| item.create_revision())
}

/// Takes a place, unless it is taken, and tells who came first.
pub(in crate::node) fn take_place(
    key: &Bytes,
    lease: LeaseId,
    value: &Bytes,
    prefix: &Bytes,
) -> pb::TxnRequest {
    use pb::request_op::Request as Op;
    let put = pb::PutRequest {
        key: key.clone(),
        value: value.clone(),
        lease: lease.0,
        ..Default::default()
    };
    let own = pb::RangeRequest { key: key.clone(), ..Default::default() };
    let RangeEnd::Before(range_end) = KeyRange::prefix(prefix.clone()).end else {
        unreachable!("a line's prefix ends in a slash");
    };
    let first = pb::RangeRequest {
        key: prefix.clone(),
        range_end,
        limit: 1,
        sort_order: pb::range_request::SortOrder::Ascend.into(),
        sort_target: pb::range_request::SortTarget::Create.into(),
        ..Default::default()
    };
    let first = Op::RequestRange(first);
    let failure = vec![op(Op::RequestRange(own)), op(first.clone())];
    let txn = if_created_at(key, 0, vec![Op::RequestPut(put), first]);
    pb::TxnRequest { failure, ..txn }
}

/// Does `then` if the key was created at `revision`, 0 for a key that is not there.
pub(super) fn if_created_at(
    key: &Bytes,
    revision: i64,
    then: Vec<pb::request_op::Request>,
) -> pb::TxnRequest {
    let compare = pb::Compare {
        result: pb::compare::CompareResult::Equal.into(),
        target: pb::compare::CompareTarget::Create.into(),
        key: key.clone(),
        range_end: Bytes::new(),
        target_union: Some(pb::compare::TargetUnion::CreateRevision(revision)),
    };
    let success = then.into_iter().map(op).collect();
    pb::TxnRequest { compare: vec![compare], success, failure: Vec::new() }
}

fn op(request: pb::request_op::Request) -> pb::RequestOp {
    pb::RequestOp { request: Some(request) }
}
