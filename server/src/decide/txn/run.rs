//! Running a transaction: choose the branches at every level, check what the state may refuse
//! along the chosen path, then write. Once something is written only one corner can still fail, and
//! is undone.

use std::collections::VecDeque;

use pb::request_op::Request as Op;
use pb::response_op::Response;
use portunus_proto::etcdserverpb as pb;

use super::check::is_read_only;
use super::compare::all_hold;
use crate::decide::request::header;
use crate::decide::writer::Writer;
use crate::decide::{Draft, Past, Refusal, kv, queue};
use crate::machine::State;
use crate::types::LeaseId;
use crate::view::ReadSet;

/// What is settled before the first write.
#[derive(Default)]
struct Plan {
    /// Whether the compares hold, for each transaction on the path, outer before inner.
    branches: VecDeque<bool>,
    /// Answers of the ranges that name a revision, in the order in which they are met.
    pinned: VecDeque<pb::RangeResponse>,
    /// Some put keeps a value or lease that an earlier delete of this transaction may take away:
    /// a delete "from the key on" passes the check for duplicate keys.
    may_fail: bool,
}

/// Runs a transaction that passed [`super::check()`].
pub(in crate::decide) fn run(
    writer: &mut Writer<'_>,
    txn: &pb::TxnRequest,
    past: Option<&dyn Past>,
) -> Result<pb::TxnResponse, Refusal> {
    let mut plan = Plan::default();
    plan.choose(writer.head, txn, writer.draft.reads.as_mut());
    let branches = plan.branches.clone();
    plan.check(writer, txn, past)?;
    plan.branches = branches;
    let mark = plan.may_fail.then(|| writer.mark());
    let mut response = plan.execute(writer, txn).inspect_err(|_| {
        if let Some(mark) = mark {
            writer.undo_to(mark);
        }
    })?;
    response.header = header(writer.head.revision);
    Ok(response)
}

/// Runs a checked transaction that cannot write on a state that nobody changes.
pub fn read_only(
    state: &State,
    txn: &pb::TxnRequest,
    past: Option<&dyn Past>,
) -> Result<pb::TxnResponse, Refusal> {
    debug_assert!(is_read_only(txn), "a writing transaction belongs to the sequencer");
    let (mut state, mut draft) = (state.clone(), Draft::default());
    run(&mut Writer::new(&mut state, &mut draft), txn, past)
}

fn taken(txn: &pb::TxnRequest, holds: bool) -> &[pb::RequestOp] {
    if holds { &txn.success } else { &txn.failure }
}

impl Plan {
    fn choose(&mut self, state: &State, txn: &pb::TxnRequest, mut reads: Option<&mut ReadSet>) {
        let holds = all_hold(state, &txn.compare, reads.as_deref_mut());
        self.branches.push_back(holds);
        for op in taken(txn, holds) {
            if let Some(Op::RequestTxn(nested)) = &op.request {
                self.choose(state, nested, reads.as_deref_mut());
            }
        }
    }

    fn next_branch(&mut self) -> bool {
        self.branches.pop_front().expect("one choice for each transaction on the path")
    }

    /// Refuses in the order of the operations, and answers the ranges that name a revision: they
    /// see none of this transaction's writes.
    fn check(
        &mut self,
        writer: &mut Writer<'_>,
        txn: &pb::TxnRequest,
        past: Option<&dyn Past>,
    ) -> Result<(), Refusal> {
        let holds = self.next_branch();
        for op in taken(txn, holds) {
            match &op.request {
                Some(Op::RequestRange(range)) => {
                    kv::check_revision(writer.head, range)?;
                    if range.revision > 0 {
                        let reads = writer.draft.reads.as_mut();
                        self.pinned.push_back(kv::answer(writer.head, past, range, reads)?);
                    }
                }
                Some(Op::RequestPut(put)) => {
                    self.may_fail |= put.ignore_value || put.ignore_lease;
                    check_put(writer, put)?;
                }
                Some(Op::RequestTxn(nested)) => self.check(writer, nested, past)?,
                Some(Op::RequestDeleteRange(_)) | None => {}
            }
        }
        Ok(())
    }

    fn execute(
        &mut self,
        writer: &mut Writer<'_>,
        txn: &pb::TxnRequest,
    ) -> Result<pb::TxnResponse, Refusal> {
        let succeeded = self.next_branch();
        let ops = taken(txn, succeeded);
        let mut responses = Vec::with_capacity(ops.len());
        for op in ops {
            let response = match &op.request {
                Some(Op::RequestRange(range)) => {
                    Some(Response::ResponseRange(self.range(writer, range)?))
                }
                Some(Op::RequestPut(put)) => Some(Response::ResponsePut(kv::put(writer, put)?)),
                Some(Op::RequestDeleteRange(delete)) => {
                    Some(Response::ResponseDeleteRange(kv::delete_range(writer, delete)))
                }
                Some(Op::RequestTxn(nested)) => {
                    Some(Response::ResponseTxn(self.execute(writer, nested)?))
                }
                None => None,
            };
            responses.push(pb::ResponseOp { response });
        }
        // Only the outermost header tells the revision, as in etcd.
        Ok(pb::TxnResponse { header: header(0), succeeded, responses })
    }

    fn range(
        &mut self,
        writer: &mut Writer<'_>,
        range: &pb::RangeRequest,
    ) -> Result<pb::RangeResponse, Refusal> {
        if range.revision <= 0 {
            return kv::answer(writer.head, None, range, writer.draft.reads.as_mut());
        }
        let mut answer = self.pinned.pop_front().expect("answered while checking");
        answer.header = header(writer.head.revision);
        Ok(answer)
    }
}

/// What the state may refuse about a put.
fn check_put(writer: &mut Writer<'_>, put: &pb::PutRequest) -> Result<(), Refusal> {
    if (put.ignore_value || put.ignore_lease) && writer.get(&put.key).is_none() {
        return Err(Refusal::KeyNotFound);
    }
    queue::check_put(writer, &put.key, &put.value)?;
    writer.check_lease(LeaseId(put.lease))
}
