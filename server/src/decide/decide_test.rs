//! The rules that random requests do not reach: space, alarms, expiry, added writes,
//! duplicates, streams.

use std::collections::HashSet;

use bytes::Bytes;
use pb::request_op::Request as Op;
use portunus_proto::etcdserverpb as pb;
use triomphe::Arc;

use super::{Cx, Draft, Refusal, Reply, Request, Write, check, decide, kv, resolve, txn};
use crate::effect::{Author, Effect};
use crate::machine::{State, What};
use crate::types::{Item, LeaseId, MemberId};
use crate::view::{ReadSet, Recent};

fn cx() -> Cx<'static> {
    Cx {
        max_txn_ops: 128,
        quota_bytes: None,
        db_size_bytes: 0,
        disk_is_short: false,
        lease_ttl_min: 2,
        now_ms: 0,
        past: None,
    }
}

fn put_request(key: &'static str, value: &'static str, lease: i64) -> pb::PutRequest {
    pb::PutRequest { key: key.into(), value: value.into(), lease, ..Default::default() }
}

fn put(key: &'static str, value: &'static str) -> Request {
    Request::Put(put_request(key, value, 0))
}

fn delete(key: &'static str, end: &'static str) -> pb::DeleteRangeRequest {
    pb::DeleteRangeRequest { key: key.into(), range_end: end.into(), prev_kv: false }
}

fn run(state: &mut State, request: &Request) -> Result<Reply, Refusal> {
    decide(state, request, &[], &cx(), &mut Draft::default())
}

fn grant(state: &mut State, id: i64) {
    let request = Request::LeaseGrant(pb::LeaseGrantRequest { ttl: 60, id });
    run(state, &request).expect("a new lease");
}

fn keys(state: &State) -> Vec<String> {
    let name = |item: &Item| String::from_utf8_lossy(item.key()).into_owned();
    state.items().iter().map(name).collect()
}

fn op(op: Op) -> pb::RequestOp {
    pb::RequestOp { request: Some(op) }
}

fn then(ops: Vec<Op>) -> pb::TxnRequest {
    pb::TxnRequest { success: ops.into_iter().map(op).collect(), ..Default::default() }
}

fn otherwise(ops: Vec<Op>) -> pb::TxnRequest {
    pb::TxnRequest { failure: ops.into_iter().map(op).collect(), ..Default::default() }
}

fn putting(key: &'static str) -> Op {
    Op::RequestPut(put_request(key, "", 0))
}

fn deleting(key: &'static str, end: &'static str) -> Op {
    Op::RequestDeleteRange(delete(key, end))
}

#[test]
fn keys_are_written_once_on_each_path() {
    let nested = |then_ops: Vec<Op>, else_ops: Vec<Op>| {
        let failure = otherwise(else_ops).failure;
        Op::RequestTxn(pb::TxnRequest { failure, ..then(then_ops) })
    };
    let duplicate = [
        then(vec![putting("a"), putting("a")]),
        otherwise(vec![putting("a"), putting("a")]),
        then(vec![deleting("a", ""), putting("a")]),
        then(vec![putting("b"), deleting("a", "c")]),
        then(vec![nested(vec![putting("a")], vec![]), putting("a")]),
        then(vec![nested(vec![], vec![putting("a")]), nested(vec![putting("a")], vec![])]),
        then(vec![deleting("a", "b"), nested(vec![], vec![putting("aa")])]),
        then(vec![nested(vec![deleting("a", "")], vec![]), putting("a")]),
        then(vec![nested(vec![nested(vec![putting("a")], vec![])], vec![]), putting("a")]),
    ];
    for txn in duplicate {
        assert_eq!(txn::check(&txn, 128), Err(Refusal::DuplicateKey), "{txn:?}");
    }
    let fine = [
        then(vec![putting("a"), putting("b"), deleting("c", "")]),
        then(vec![deleting("a", "c"), deleting("b", "d")]),
        then(vec![nested(vec![putting("a")], vec![putting("a")])]),
        then(vec![deleting("a", "b"), putting("b")]),
        then(vec![nested(vec![deleting("a", "")], vec![putting("a")])]),
        // As in etcd: what a later nested transaction deletes does not count, nor an open end.
        then(vec![nested(vec![putting("a")], vec![]), nested(vec![deleting("a", "")], vec![])]),
        then(vec![deleting("a", "\0"), putting("b")]),
    ];
    for txn in fine {
        assert_eq!(txn::check(&txn, 128), Ok(()), "{txn:?}");
    }
}

#[test]
fn each_level_of_a_txn_takes_from_the_budget_of_those_below() {
    let inner = then(vec![putting("a"), putting("b")]);
    let outer = then(vec![Op::RequestTxn(inner), putting("c"), putting("d")]);
    assert_eq!(txn::check(&outer, 5), Ok(()));
    assert_eq!(txn::check(&outer, 4), Err(Refusal::TooManyOps));
    let empty = pb::TxnRequest { success: vec![pb::RequestOp::default()], ..Default::default() };
    assert_eq!(txn::check(&empty, 5), Err(Refusal::KeyNotFound));
    let compare = pb::TxnRequest { compare: vec![pb::Compare::default()], ..Default::default() };
    assert_eq!(txn::check(&compare, 5), Err(Refusal::EmptyKey));
}

#[test]
fn malformed_requests_are_refused_without_a_state() {
    let base = put_request("a", "v", 5);
    let cases = [
        (pb::PutRequest { key: Bytes::new(), ..base.clone() }, Refusal::EmptyKey),
        (pb::PutRequest { ignore_value: true, ..base.clone() }, Refusal::ValueProvided),
        (pb::PutRequest { ignore_lease: true, ..base.clone() }, Refusal::LeaseProvided),
    ];
    for (request, refusal) in cases {
        assert_eq!(check(&Request::Put(request), 128), Err(refusal));
    }
    let range = pb::RangeRequest { key: "a".into(), ..Default::default() };
    let odd = pb::RangeRequest { sort_target: 9, ..range.clone() };
    assert_eq!(kv::check_range(&odd), Err(Refusal::InvalidSortOption));
    let odd = pb::RangeRequest { sort_order: -1, ..range };
    assert_eq!(kv::check_range(&odd), Err(Refusal::InvalidSortOption));
}

#[test]
fn a_txn_that_fails_half_way_leaves_nothing() {
    let mut state = State::default();
    run(&mut state, &put("b", "kept")).expect("a plain put");
    let before = (state.revision, state.digest);
    let keep = pb::PutRequest { ignore_value: true, ..put_request("b", "", 0) };
    let txn = then(vec![putting("a0"), deleting("a", "\0"), Op::RequestPut(keep)]);
    // An open-ended delete passes the check for duplicates and takes "b" away from the last put.
    let mut draft = Draft::default();
    let result = decide(&mut state, &Request::Txn(txn), &[], &cx(), &mut draft);
    assert_eq!(result, Err(Refusal::KeyNotFound));
    assert_eq!((state.revision, state.digest), before);
    assert!(draft.effects.is_empty() && draft.changes.is_empty());
    assert_eq!(keys(&state), ["b"]);
}

#[test]
fn without_space_only_what_grows_the_store_is_refused() {
    let mut state = State::default();
    run(&mut state, &put("a", "")).expect("there is space");
    let full = Cx { quota_bytes: Some(1000), db_size_bytes: 743, ..cx() };
    let fits = Cx { db_size_bytes: 742, ..full };
    let short = Cx { disk_is_short: true, ..cx() };
    let nested = then(vec![Op::RequestTxn(then(vec![putting("b")]))]);
    let growing = [
        put("b", ""),
        Request::Txn(nested),
        Request::LeaseGrant(pb::LeaseGrantRequest { ttl: 60, id: 1 }),
    ];
    let draft = &mut Draft::default();
    assert_eq!(decide(&mut state, &growing[0], &[], &full, draft), Err(Refusal::NoSpace));
    assert!(decide(&mut state.clone(), &growing[0], &[], &fits, draft).is_ok());
    let alarm = Request::raise_no_space(&state, MemberId(3)).expect("not raised yet");
    run(&mut state, &alarm).expect("an alarm can always be raised");
    assert_eq!(Request::raise_no_space(&state, MemberId(3)), None);
    for request in &growing {
        assert_eq!(run(&mut state, request), Err(Refusal::NoSpace), "{request:?}");
        let mut fresh = State::default();
        assert_eq!(decide(&mut fresh, request, &[], &short, draft), Err(Refusal::NoSpace));
    }
    let reading = then(vec![deleting("a", "")]);
    assert!(run(&mut state, &Request::Txn(reading)).is_ok());
    assert!(run(&mut state, &Request::Compact(pb::CompactionRequest::default())).is_ok());
    let clear = pb::AlarmRequest { action: 2, member_id: 3, alarm: 1 };
    let Ok(Reply::Alarm(cleared)) = run(&mut state, &Request::Alarm(clear)) else {
        panic!("an alarm can always be cleared");
    };
    assert_eq!(cleared.alarms, [pb::AlarmMember { member_id: 3, alarm: 1 }]);
    assert!(run(&mut state, &growing[0]).is_ok());
}

#[test]
fn a_corrupt_cluster_serves_no_writes() {
    let mut state = State::default();
    let alarm = pb::AlarmRequest { action: 1, member_id: 3, alarm: 2 };
    run(&mut state, &Request::Alarm(alarm)).expect("an alarm can always be raised");
    let requests = [put("a", ""), Request::lease_revoke(LeaseId(1))];
    for request in requests {
        assert_eq!(run(&mut state, &request), Err(Refusal::Corrupt));
    }
    let get = pb::AlarmRequest::default();
    let Ok(Reply::Alarm(all)) = run(&mut state, &Request::Alarm(get)) else {
        panic!("alarms can always be listed");
    };
    assert_eq!(all.alarms.len(), 1);
}

#[test]
fn each_expired_lease_ends_at_a_revision_of_its_own() {
    let mut state = State::default();
    [1, 2].into_iter().for_each(|id| grant(&mut state, id));
    for (key, lease) in [("b", 1), ("a", 1), ("c", 2), ("d", 0)] {
        run(&mut state, &Request::Put(put_request(key, "", lease))).expect("a known lease");
    }
    let (mut draft, revision) = (Draft::default(), state.revision);
    let request = Request::LeaseExpire(vec![LeaseId(1), LeaseId(9), LeaseId(2)]);
    let reply = decide(&mut state, &request, &[], &cx(), &mut draft);
    assert_eq!(reply, Ok(Reply::LeaseExpire(vec![LeaseId(1), LeaseId(2)])));
    let ends: Vec<_> = draft.changes.iter().map(|c| (c.key(), c.at.main, c.at.sub)).collect();
    let expected = [(&b"a"[..], revision + 1, 0), (b"b", revision + 1, 1), (b"c", revision + 2, 0)];
    assert_eq!(ends, expected);
    assert_eq!((keys(&state), state.leases().len()), (vec!["d".to_owned()], 0));
}

#[test]
fn a_put_moves_its_key_from_lease_to_lease() {
    let mut state = State::default();
    [1, 2].into_iter().for_each(|id| grant(&mut state, id));
    run(&mut state, &Request::Put(put_request("a", "", 1))).expect("a known lease");
    run(&mut state, &Request::Put(put_request("a", "", 2))).expect("a known lease");
    run(&mut state, &Request::lease_revoke(LeaseId(1))).expect("a known lease");
    assert_eq!(keys(&state), ["a"]);
    assert_eq!(state.lease_keys(LeaseId(2)), ["a"]);
    run(&mut state, &put("a", "no lease")).expect("a plain put");
    run(&mut state, &Request::lease_revoke(LeaseId(2))).expect("a known lease");
    assert_eq!(keys(&state), ["a"]);
    assert_eq!(run(&mut state, &Request::lease_revoke(LeaseId(2))), Err(Refusal::LeaseNotFound));
}

#[test]
fn added_writes_share_the_revision_and_name_their_author() {
    let mut state = State::default();
    run(&mut state, &put("old", "")).expect("a plain put");
    let author = Author { plugin: "audit".into(), ..Author::default() };
    let added = [
        Write::By(author.clone()),
        Write::Put { key: "z/audit".into(), value: "k".into(), lease: LeaseId::NONE },
        Write::Delete { key: "old".into() },
        Write::Delete { key: "never was".into() },
    ];
    let mut draft = Draft::default();
    let reply = decide(&mut state, &put("k", "v"), &added, &cx(), &mut draft);
    let Ok(Reply::Put(reply)) = reply else { panic!("{reply:?}") };
    assert_eq!(reply.header.map(|header| header.revision), Some(3));
    assert!(draft.changes.iter().map(|c| (c.at.main, c.at.sub)).eq([(3, 0), (3, 1), (3, 2)]));
    assert_eq!(draft.effects[1], Effect::By { main: 3, author: Arc::new(author.clone()) });
    let authors: Vec<_> = draft.changes.iter().map(|c| c.author.as_deref()).collect();
    assert_eq!(authors, [None, Some(&author), Some(&author)]);
    let mut next = Draft::default();
    decide(&mut state, &put("k", "mine"), &[], &cx(), &mut next).expect("a plain put");
    assert_eq!(next.changes[0].author, None, "an author is one revision's");
    assert_eq!(keys(&state), ["k", "z/audit"]);
    let wrong = [Write::Put { key: "x".into(), value: Bytes::new(), lease: LeaseId(77) }];
    let before = state.digest;
    let refused = decide(&mut state, &put("k", "w"), &wrong, &cx(), &mut Draft::default());
    assert_eq!((refused, state.digest), (Err(Refusal::LeaseNotFound), before));
}

#[test]
fn a_request_resolves_to_the_writes_of_the_branches_taken() {
    let mut state = State::default();
    run(&mut state, &put("a", "1")).expect("a plain put");
    let nested = Op::RequestTxn(then(vec![putting("n"), deleting("a", "")]));
    let txn = pb::TxnRequest { failure: vec![op(putting("no"))], ..then(vec![nested]) };
    let (mut after, reads) = (state.clone(), ReadSet::on(&state));
    let (resolved, _) = resolve(&mut after, &Request::Txn(txn), &[], reads, &cx());
    let changes = resolved.expect("nothing to refuse");
    let writes: Vec<_> = changes.iter().map(|c| (c.key(), c.prev.is_some())).collect();
    assert_eq!(writes, [(&b"n"[..], false), (b"a", true)]);
    assert!(matches!(changes[1].what, What::Delete { .. }));
    assert_eq!((keys(&state), keys(&after)), (vec!["a".into()], vec!["n".into()]));
}

#[test]
fn what_a_revocation_deletes_belongs_to_its_read_set() {
    let mut state = State::default();
    grant(&mut state, 1);
    run(&mut state, &Request::Put(put_request("a", "", 1))).expect("a known lease");
    let revoke = Request::lease_revoke(LeaseId(1));
    let reads = ReadSet::on(&state);
    let (resolved, reads) = resolve(&mut state.clone(), &revoke, &[], reads, &cx());
    resolved.expect("a known lease");
    let stands = |between: Vec<pb::PutRequest>| {
        let (mut head, mut recent) = (state.clone(), Recent::default());
        for put in between {
            let mut draft = Draft::default();
            decide(&mut head, &Request::Put(put), &[], &cx(), &mut draft).expect("a known lease");
            draft.changes.iter().for_each(|change| recent.push(change));
        }
        reads.still_valid(&head, &recent, &HashSet::new())
    };
    assert!(stands(vec![put_request("b", "", 0)]));
    assert!(!stands(vec![put_request("a", "", 0)]), "a key left the lease");
    assert!(!stands(vec![put_request("b", "", 1)]), "a key came to the lease");
    assert!(!stands(vec![put_request("a", "", 0), put_request("b", "", 1)]), "one for another");
}

#[test]
fn a_stream_brings_the_same_as_the_range_while_others_write() {
    let mut state = State::default();
    for n in 0..500 {
        let value = "v".repeat(n % 97);
        let key = format!("k/{n:04}").into();
        let request = pb::PutRequest { key, value: value.into(), ..Default::default() };
        run(&mut state, &Request::Put(request)).expect("a plain put");
    }
    for limit in [0, 1, 10, 11, 499, 500, 501] {
        let request = pb::RangeRequest {
            key: "k/".into(),
            range_end: "k0".into(),
            limit,
            ..Default::default()
        };
        let whole = kv::range(&state, None, &request).expect("a plain range");
        let mut stream = kv::RangeStream::new(&state, &request, 1000).expect("a plain range");
        let mut chunks = Vec::new();
        while let Some(chunk) = stream.next(&state, None).expect("nothing is compacted") {
            chunks.push(chunk);
        }
        let last = chunks.last().expect("at least one chunk");
        assert_eq!((last.count, last.more), (whole.count, whole.more), "limit {limit}");
        assert!(last.header.is_some());
        let rest = &chunks[..chunks.len() - 1];
        assert!(rest.iter().all(|c| c.header.is_none() && !c.more && c.count == 0));
        assert!(rest.iter().all(|c| c.kvs.iter().map(Bytes::len).sum::<usize>() < 4000));
        let kvs: Vec<_> = chunks.into_iter().flat_map(|chunk| chunk.kvs).collect();
        assert_eq!(kvs, whole.kvs, "limit {limit}");
    }
    let sorted = pb::RangeRequest { key: "k".into(), sort_order: 2, ..Default::default() };
    assert_eq!(kv::RangeStream::new(&state, &sorted, 1).err(), Some(Refusal::StreamSorted));
    let filtered = pb::RangeRequest { key: "k".into(), min_mod_revision: 2, ..Default::default() };
    assert_eq!(kv::RangeStream::new(&state, &filtered, 1).err(), Some(Refusal::StreamFiltered));
}

/// Each chunk is then sorted by itself, as in etcd, and none is left out or brought twice for it.
#[test]
fn a_stream_with_a_target_and_no_order_brings_every_key_once() {
    let mut state = State::default();
    for n in 0..100 {
        let (key, value) = (format!("k/{n:04}").into(), format!("{:04}", 9999 - n).into());
        let request = pb::PutRequest { key, value, ..Default::default() };
        run(&mut state, &Request::Put(request)).expect("a plain put");
    }
    let all = pb::RangeRequest { key: "k/".into(), range_end: "k0".into(), ..Default::default() };
    let by_value = pb::RangeRequest {
        sort_target: pb::range_request::SortTarget::Value.into(),
        ..all.clone()
    };
    let mut stream = kv::RangeStream::new(&state, &by_value, 1000).expect("it has no order");
    let (mut kvs, mut chunks) = (Vec::new(), 0);
    while let Some(chunk) = stream.next(&state, None).expect("nothing is compacted") {
        let keys: Vec<_> = chunk.kvs.iter().map(|kv| Item::from_encoded(kv, 0)).collect();
        let keys: Vec<_> = keys.iter().flatten().map(Item::key).collect();
        assert!(keys.is_sorted_by(|a, b| a > b), "by value, which falls as keys rise");
        kvs.extend(chunk.kvs);
        chunks += 1;
    }
    assert!(chunks > 3, "{chunks}");
    let mut whole = kv::range(&state, None, &all).expect("a plain range").kvs;
    kvs.sort();
    whole.sort();
    assert_eq!(kvs, whole);
    let keys_only = pb::RangeRequest { keys_only: true, limit: 5, ..by_value };
    let mut stream = kv::RangeStream::new(&state, &keys_only, 1000).expect("it has no order");
    let chunk = stream.next(&state, None).expect("nothing is compacted").expect("one chunk");
    let items: Vec<_> = chunk.kvs.iter().flat_map(|kv| Item::from_encoded(kv, 0)).collect();
    assert!(items.iter().all(|item| item.value().is_empty()));
    let keys: Vec<_> = items.iter().map(Item::key).collect();
    assert_eq!(keys, [b"k/0004", b"k/0003", b"k/0002", b"k/0001", b"k/0000"]);
}
