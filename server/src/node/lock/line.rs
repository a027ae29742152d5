//! Waiting in line: the transactions that take, check and leave a place, and the wait between.

use bytes::Bytes;
use portunus_proto::etcdserverpb as pb;

use super::place::{Place, prefix_of};
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

impl From<Failure> for LineError {
    fn from(failure: Failure) -> Self {
        Self::Node(failure.into())
    }
}

impl Node {
    /// Waits until everybody who came before is gone, and returns the revision at which the place
    /// was seen to be first and its key there.
    ///
    /// # Errors
    /// The key went meanwhile, or the member stops. Without a leader it waits on.
    pub async fn await_turn(&self, name: &Bytes, place: &Place) -> Result<i64, LineError> {
        let line = KeyRange::prefix(prefix_of(name));
        loop {
            let version = self.shared.applied.load();
            if !is_there(&version.state, place) {
                return Err(LineError::Lost);
            }
            let Some(before) = predecessor(&version.state, &line, place.revision) else { break };
            let both = [before, place.key.clone()];
            self.until_deleted(&both, version.state.revision + 1).await?;
        }
        self.confirm_place(place).await
    }

    /// The decision to grant: nobody can come before any more, so what counts is that the key is
    /// still there, and with it the lease, on a state that is the newest there is.
    async fn confirm_place(&self, place: &Place) -> Result<i64, LineError> {
        loop {
            match self.transact(if_created_at(&place.key, place.revision, Vec::new())).await {
                Ok(answer) if answer.succeeded => {
                    return Ok(answer.header.map_or(0, |header| header.revision));
                }
                Ok(_) => return Err(LineError::Lost),
                Err(Error::Failed(failure)) if is_passing(failure) => {
                    tracing::debug!(%failure, "a place in line is looked at again");
                }
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// Failures of a read that another try may not meet; each has taken its time.
fn is_passing(failure: Failure) -> bool {
    matches!(failure, Failure::NoLeader | Failure::TimedOut | Failure::LeaderChanged)
}

fn is_there(state: &State, place: &Place) -> bool {
    state.get(&place.key).is_some_and(|item| item.create_revision() == place.revision)
}

/// The key of the line that was created last before `revision`.
fn predecessor(state: &State, line: &KeyRange, revision: i64) -> Option<Bytes> {
    let before = state.items().range(line).filter(|item| item.create_revision() < revision);
    let last = before.max_by_key(|item| item.create_revision());
    last.map(|item| Bytes::copy_from_slice(item.key()))
}

/// The item of a line that was created first.
pub(super) fn first_in_line<'a>(state: &'a State, name: &[u8]) -> Option<&'a Item> {
    let line = KeyRange::prefix(prefix_of(name));
    state.items().range(&line).min_by_key(|item| item.create_revision())
}

/// Takes a place, unless it is taken, and tells who came first.
pub(super) fn take_place(
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
