//! A naive store for tests: the whole key space is copied at every revision, every rule is spelled
//! out once more, and nothing is fast.

use std::collections::BTreeMap;

use pb::compare::{CompareResult, CompareTarget, TargetUnion};
use pb::range_request::{SortOrder, SortTarget};
use pb::request_op::Request as Op;
use pb::response_op::Response;
use portunus_proto::etcdserverpb as pb;
use portunus_proto::mvccpb::KeyValue;
use prost::Message;

use super::{Refusal, Reply, Request};

pub type Keys = BTreeMap<Vec<u8>, KeyValue>;

#[derive(Clone)]
pub struct Model {
    pub revision: i64,
    pub compacted: i64,
    /// The key space as of each revision.
    pub at: BTreeMap<i64, Keys>,
    pub leases: BTreeMap<i64, i64>,
    /// Written by the decision under way.
    dirty: bool,
}

impl Model {
    pub fn new() -> Self {
        let at = BTreeMap::from([(1, Keys::new())]);
        Self { revision: 1, compacted: -1, at, leases: BTreeMap::new(), dirty: false }
    }

    pub fn live(&self) -> &Keys {
        &self.at[&self.revision]
    }

    /// What the request does and answers; on a refusal the model is as before.
    pub fn decide(&mut self, request: &Request) -> Result<Reply, Refusal> {
        let before = self.clone();
        self.dirty = false;
        let reply = self.run(request);
        if reply.is_err() {
            *self = before;
        }
        reply
    }

    fn run(&mut self, request: &Request) -> Result<Reply, Refusal> {
        Ok(match request {
            Request::Put(put) => {
                self.may_put(put)?;
                Reply::Put(self.put(put)?)
            }
            Request::DeleteRange(delete) => Reply::DeleteRange(self.delete(delete)),
            Request::Txn(txn) => {
                let start = self.clone();
                self.may_run(&start, txn)?;
                let mut reply = self.txn(&start, txn)?;
                reply.header = self.header();
                Reply::Txn(reply)
            }
            Request::Compact(compact) if compact.revision <= self.compacted => {
                return Err(Refusal::Compacted);
            }
            Request::Compact(compact) if compact.revision > self.revision => {
                return Err(Refusal::FutureRevision);
            }
            Request::Compact(compact) => {
                self.compacted = compact.revision;
                Reply::Compact(pb::CompactionResponse { header: self.header() })
            }
            Request::LeaseGrant(grant) => Reply::LeaseGrant(self.grant(grant)?),
            Request::LeaseRevoke(revoke) => {
                self.leases.remove(&revoke.id).ok_or(Refusal::LeaseNotFound)?;
                let hung = |kv: &KeyValue| kv.lease == revoke.id;
                if self.live().values().any(hung) {
                    self.write().retain(|_, kv| !hung(kv));
                }
                Reply::LeaseRevoke(pb::LeaseRevokeResponse { header: self.header() })
            }
            other => unreachable!("the model does not know {other:?}"),
        })
    }

    fn header(&self) -> Option<pb::ResponseHeader> {
        Some(pb::ResponseHeader { revision: self.revision, ..Default::default() })
    }

    /// The key space to write to, one revision up at the first write of a decision.
    fn write(&mut self) -> &mut Keys {
        if !self.dirty {
            self.dirty = true;
            let copy = self.live().clone();
            self.revision += 1;
            self.at.insert(self.revision, copy);
        }
        self.at.get_mut(&self.revision).expect("just inserted")
    }

    fn grant(&mut self, grant: &pb::LeaseGrantRequest) -> Result<pb::LeaseGrantResponse, Refusal> {
        if grant.ttl > 9_000_000_000 {
            return Err(Refusal::LeaseTtlTooLarge);
        }
        if self.leases.contains_key(&grant.id) {
            return Err(Refusal::LeaseExists);
        }
        let ttl = grant.ttl.max(2);
        self.leases.insert(grant.id, ttl);
        let header = self.header();
        Ok(pb::LeaseGrantResponse { header, id: grant.id, ttl, error: String::new() })
    }

    fn may_put(&self, put: &pb::PutRequest) -> Result<(), Refusal> {
        let exists = self.live().contains_key(&put.key[..]);
        // Alone, a put is refused for its lease first; the order tells only when both are wrong,
        // and the strategies never ask for both.
        if (put.ignore_lease || put.ignore_value) && !exists {
            return Err(Refusal::KeyNotFound);
        }
        let known = put.lease == 0 || self.leases.contains_key(&put.lease);
        known.then_some(()).ok_or(Refusal::LeaseNotFound)
    }

    fn put(&mut self, put: &pb::PutRequest) -> Result<pb::PutResponse, Refusal> {
        let old = self.live().get(&put.key[..]).cloned();
        if (put.ignore_lease || put.ignore_value) && old.is_none() {
            return Err(Refusal::KeyNotFound);
        }
        let new = self.write();
        let mut kv = old.clone().unwrap_or_default();
        kv.key = put.key.clone();
        kv.version += 1;
        if !put.ignore_value {
            kv.value = put.value.clone();
        }
        if !put.ignore_lease {
            kv.lease = put.lease;
        }
        let key = put.key.to_vec();
        let revision = {
            new.insert(key.clone(), kv);
            self.revision
        };
        let stored = self.write().get_mut(&key).expect("just put");
        stored.mod_revision = revision;
        if stored.create_revision == 0 {
            stored.create_revision = revision;
        }
        let prev_kv = match old {
            Some(old) if put.prev_kv => old.encode_to_vec().into(),
            _ => Default::default(),
        };
        Ok(pb::PutResponse { header: self.header(), prev_kv })
    }

    fn delete(&mut self, delete: &pb::DeleteRangeRequest) -> pb::DeleteRangeResponse {
        let gone = within(self.live(), &delete.key, &delete.range_end);
        if !gone.is_empty() {
            let keys = self.write();
            gone.iter().for_each(|kv| drop(keys.remove(&kv.key[..])));
        }
        let deleted = gone.len() as i64;
        let prev_kvs = if delete.prev_kv { encoded(gone) } else { Vec::new() };
        pb::DeleteRangeResponse { header: self.header(), deleted, prev_kvs }
    }

    /// The range as of its revision; `revision` 0 is what the decision sees now.
    pub fn range(&self, range: &pb::RangeRequest) -> Result<pb::RangeResponse, Refusal> {
        let at = if range.revision > 0 { range.revision } else { self.revision };
        if at > self.revision {
            return Err(Refusal::FutureRevision);
        }
        if at < self.compacted {
            return Err(Refusal::Compacted);
        }
        let mut kvs = within(&self.at[&at], &range.key, &range.range_end);
        let count = kvs.len() as i64;
        if range.count_only {
            kvs.clear();
        }
        let limit = if range.limit > 0 { range.limit as usize } else { usize::MAX };
        let filters = [
            range.min_mod_revision,
            range.max_mod_revision,
            range.min_create_revision,
            range.max_create_revision,
        ];
        let bounds = |value, min: i64, max: i64| value >= min && (max == 0 || value <= max);
        kvs.retain(|kv| {
            bounds(kv.mod_revision, filters[0], filters[1])
                && bounds(kv.create_revision, filters[2], filters[3])
        });
        if range.sort_order() == SortOrder::None && filters == [0; 4] {
            kvs.truncate(limit.saturating_add(1));
        }
        match range.sort_target() {
            SortTarget::Key => {}
            SortTarget::Version => kvs.sort_by_key(|kv| kv.version),
            SortTarget::Create => kvs.sort_by_key(|kv| kv.create_revision),
            SortTarget::Mod => kvs.sort_by_key(|kv| kv.mod_revision),
            SortTarget::Value => kvs.sort_by(|a, b| a.value.cmp(&b.value)),
        }
        if range.sort_order() == SortOrder::Descend {
            // Equal ones keep the order of their keys.
            match range.sort_target() {
                SortTarget::Key => kvs.reverse(),
                SortTarget::Version => kvs.sort_by_key(|kv| -kv.version),
                SortTarget::Create => kvs.sort_by_key(|kv| -kv.create_revision),
                SortTarget::Mod => kvs.sort_by_key(|kv| -kv.mod_revision),
                SortTarget::Value => {
                    let mut keyed = kvs.clone();
                    keyed.sort_by(|a, b| b.value.cmp(&a.value).then(a.key.cmp(&b.key)));
                    kvs = keyed;
                }
            }
        }
        let more = kvs.len() > limit;
        kvs.truncate(limit);
        if range.keys_only {
            kvs.iter_mut().for_each(|kv| kv.value.clear());
        }
        Ok(pb::RangeResponse { header: self.header(), kvs: encoded(kvs), more, count })
    }

    fn may_run(&self, start: &Model, txn: &pb::TxnRequest) -> Result<(), Refusal> {
        for op in branch(start, txn) {
            match op.request.as_ref().expect("checked before") {
                Op::RequestRange(range) => drop(start.range(range)?),
                Op::RequestPut(put) => start.may_put(put)?,
                Op::RequestDeleteRange(_) => {}
                Op::RequestTxn(nested) => self.may_run(start, nested)?,
            }
        }
        Ok(())
    }

    fn txn(&mut self, start: &Model, txn: &pb::TxnRequest) -> Result<pb::TxnResponse, Refusal> {
        let mut responses = Vec::new();
        for op in branch(start, txn) {
            let response = match op.request.as_ref().expect("checked before") {
                Op::RequestRange(range) => {
                    let mut answer = self.range(range)?;
                    if range.revision > 0 {
                        answer = start.range(range)?;
                        answer.header = self.header();
                    }
                    Response::ResponseRange(answer)
                }
                Op::RequestPut(put) => Response::ResponsePut(self.put(put)?),
                Op::RequestDeleteRange(delete) => {
                    Response::ResponseDeleteRange(self.delete(delete))
                }
                Op::RequestTxn(nested) => Response::ResponseTxn(self.txn(start, nested)?),
            };
            responses.push(pb::ResponseOp { response: Some(response) });
        }
        let succeeded = succeeds(start, txn);
        Ok(pb::TxnResponse { header: Some(Default::default()), succeeded, responses })
    }
}

fn encoded(kvs: Vec<KeyValue>) -> Vec<bytes::Bytes> {
    kvs.iter().map(|kv| kv.encode_to_vec().into()).collect()
}

fn within(keys: &Keys, key: &[u8], end: &[u8]) -> Vec<KeyValue> {
    let inside = |candidate: &[u8]| match end {
        [] => candidate == key,
        [0] => candidate >= key,
        end => candidate >= key && candidate < end,
    };
    keys.values().filter(|kv| inside(&kv.key)).cloned().collect()
}

fn branch<'a>(start: &Model, txn: &'a pb::TxnRequest) -> &'a [pb::RequestOp] {
    if succeeds(start, txn) { &txn.success } else { &txn.failure }
}

fn succeeds(start: &Model, txn: &pb::TxnRequest) -> bool {
    txn.compare.iter().all(|compare| {
        let kvs = within(start.live(), &compare.key, &compare.range_end);
        match kvs.is_empty() {
            true if compare.target() == CompareTarget::Value => false,
            true => matches(&KeyValue::default(), compare),
            false => kvs.iter().all(|kv| matches(kv, compare)),
        }
    })
}

fn matches(kv: &KeyValue, compare: &pb::Compare) -> bool {
    let order = match compare.target_union.as_ref().expect("always generated") {
        TargetUnion::Version(version) => kv.version.cmp(version),
        TargetUnion::CreateRevision(revision) => kv.create_revision.cmp(revision),
        TargetUnion::ModRevision(revision) => kv.mod_revision.cmp(revision),
        TargetUnion::Value(value) => kv.value.cmp(value),
        TargetUnion::Lease(lease) => kv.lease.cmp(lease),
    };
    match compare.result() {
        CompareResult::Equal => order.is_eq(),
        CompareResult::NotEqual => order.is_ne(),
        CompareResult::Greater => order.is_gt(),
        CompareResult::Less => order.is_lt(),
    }
}
