//! Checks of a transaction that need no state.

use std::collections::HashSet;

use pb::request_op::Request as Op;
use portunus_proto::etcdserverpb as pb;

use crate::decide::Refusal;
use crate::decide::kv::{check_delete, check_put, check_range};

/// Refuses what is malformed, too large, or writes a key twice on one path.
pub fn check(txn: &pb::TxnRequest, max_ops: usize) -> Result<(), Refusal> {
    check_level(txn, max_ops)?;
    Written::by(&txn.success)?;
    Written::by(&txn.failure)?;
    Ok(())
}

/// True when no branch can write.
pub fn is_read_only(txn: &pb::TxnRequest) -> bool {
    all_ops(txn, &|op| match op {
        Some(Op::RequestRange(_)) => true,
        Some(Op::RequestTxn(nested)) => is_read_only(nested),
        _ => false,
    })
}

/// True when no branch asks for a linearizable read.
pub fn is_serializable(txn: &pb::TxnRequest) -> bool {
    all_ops(txn, &|op| match op {
        Some(Op::RequestRange(range)) => range.serializable,
        Some(Op::RequestTxn(nested)) => is_serializable(nested),
        _ => true,
    })
}

fn all_ops(txn: &pb::TxnRequest, holds: &dyn Fn(Option<&Op>) -> bool) -> bool {
    txn.success.iter().chain(&txn.failure).all(|op| holds(op.request.as_ref()))
}

/// `budget` shrinks with each level by what the level itself uses.
fn check_level(txn: &pb::TxnRequest, budget: usize) -> Result<(), Refusal> {
    let ops = txn.compare.len().max(txn.success.len()).max(txn.failure.len());
    let left = budget.checked_sub(ops).ok_or(Refusal::TooManyOps)?;
    if txn.compare.iter().any(|compare| compare.key.is_empty()) {
        return Err(Refusal::EmptyKey);
    }
    for op in txn.success.iter().chain(&txn.failure) {
        match &op.request {
            Some(Op::RequestRange(range)) => check_range(range)?,
            Some(Op::RequestPut(put)) => check_put(put)?,
            Some(Op::RequestDeleteRange(delete)) => check_delete(delete)?,
            Some(Op::RequestTxn(nested)) => check_level(nested, left)?,
            None => return Err(Refusal::KeyNotFound),
        }
    }
    Ok(())
}

/// What a list of operations may write.
#[derive(Default)]
struct Written<'a> {
    puts: HashSet<&'a [u8]>,
    deletes: Vec<&'a pb::DeleteRangeRequest>,
}

impl<'a> Written<'a> {
    /// Refuses two puts of one key, and a put and a delete of one key, unless they stand in
    /// different branches of one nested transaction.
    fn by(ops: &'a [pb::RequestOp]) -> Result<Self, Refusal> {
        let mut all = Self::default();
        let ops = || ops.iter().filter_map(|op| op.request.as_ref());
        all.deletes.extend(ops().filter_map(|op| match op {
            Op::RequestDeleteRange(delete) => Some(delete),
            _ => None,
        }));
        for op in ops() {
            if let Op::RequestTxn(nested) = op {
                let (then, other) = (Self::by(&nested.success)?, Self::by(&nested.failure)?);
                let either: HashSet<_> = then.puts.union(&other.puts).copied().collect();
                for key in either {
                    all.put(key)?;
                }
                all.deletes.extend(then.deletes.into_iter().chain(other.deletes));
            }
        }
        for op in ops() {
            if let Op::RequestPut(put) = op {
                all.put(&put.key)?;
            }
        }
        Ok(all)
    }

    fn put(&mut self, key: &'a [u8]) -> Result<(), Refusal> {
        let deleted = self.deletes.iter().any(|delete| deletes(delete, key));
        if deleted || !self.puts.insert(key) { Err(Refusal::DuplicateKey) } else { Ok(()) }
    }
}

/// As etcd counts it: here an end of one zero byte is taken literally, so that "from the key on"
/// overlaps with nothing.
fn deletes(delete: &pb::DeleteRangeRequest, key: &[u8]) -> bool {
    match &delete.range_end[..] {
        [] => key == delete.key,
        end => key >= &delete.key[..] && key < end,
    }
}
