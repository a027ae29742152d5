//! Answers as text to compare: everything in them but who answered, terms, sizes and times.

use std::fmt::Debug;

use bytes::Bytes;
use pb::response_op::Response;
use portunus_proto::etcdserverpb as pb;
use portunus_tests::{key_value, key_values};

/// The revision, and whether ids and term are filled in.
pub fn header(header: &Option<pb::ResponseHeader>) -> String {
    match header {
        None => "no header".to_owned(),
        Some(header) => {
            let full = header.cluster_id != 0 && header.member_id != 0 && header.raft_term != 0;
            let who = if full { "signed" } else { "unsigned" };
            format!("{who} at {}", header.revision)
        }
    }
}

pub fn range(answer: &pb::RangeResponse) -> String {
    let pb::RangeResponse { header: head, kvs, more, count } = answer;
    format!("range {} {:?} more={more} count={count}", header(head), Shown(&key_values(kvs)))
}

pub fn put(answer: &pb::PutResponse) -> String {
    let prev = key_value(&answer.prev_kv);
    format!("put {} prev={:?}", header(&answer.header), Shown(prev.as_slice()))
}

pub fn delete(answer: &pb::DeleteRangeResponse) -> String {
    let pb::DeleteRangeResponse { header: head, deleted, prev_kvs } = answer;
    format!("delete {} {deleted} prev={:?}", header(head), Shown(&key_values(prev_kvs)))
}

pub fn txn(answer: &pb::TxnResponse) -> String {
    let responses: Vec<String> = answer
        .responses
        .iter()
        .map(|op| match &op.response {
            Some(Response::ResponseRange(answer)) => range(answer),
            Some(Response::ResponsePut(answer)) => put(answer),
            Some(Response::ResponseDeleteRange(answer)) => delete(answer),
            Some(Response::ResponseTxn(answer)) => txn(answer),
            None => "nothing".to_owned(),
        })
        .collect();
    format!("txn {} {} {responses:?}", header(&answer.header), answer.succeeded)
}

/// Code and text, where they are etcd's own; the transport's words are its own affair.
pub fn refused(status: &tonic::Status) -> String {
    format!("refused {:?} {:?}", status.code(), status.message())
}

/// Key-values in one line each.
pub struct Shown<'a>(pub &'a [portunus_proto::mvccpb::KeyValue]);

impl Debug for Shown<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.0.iter().map(one)).finish()
    }
}

fn one(kv: &portunus_proto::mvccpb::KeyValue) -> String {
    let text = |bytes: &Bytes| bytes.escape_ascii().to_string();
    format!(
        "{}={} created {} modified {} version {} lease {}",
        text(&kv.key),
        text(&kv.value),
        kv.create_revision,
        kv.mod_revision,
        kv.version,
        kv.lease
    )
}
