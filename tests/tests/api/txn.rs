//! Txn: compares, branches, nesting, and what is refused as a whole.

use pb::compare::{CompareResult, CompareTarget, TargetUnion};
use pb::request_op::Request as Op;
use pb::response_op::Response;
use portunus_proto::etcdserverpb as pb;
use portunus_tests::{key_values, refusal};
use tonic::Code;

use crate::fixture::{Single, delete, put, range, revision};

fn ops(list: impl IntoIterator<Item = Op>) -> Vec<pb::RequestOp> {
    list.into_iter().map(|op| pb::RequestOp { request: Some(op) }).collect()
}

fn then(list: impl IntoIterator<Item = Op>) -> pb::TxnRequest {
    pb::TxnRequest { success: ops(list), ..Default::default() }
}

fn compare(key: &'static str, result: CompareResult, union: TargetUnion) -> pb::Compare {
    let target = match &union {
        TargetUnion::Version(_) => CompareTarget::Version,
        TargetUnion::CreateRevision(_) => CompareTarget::Create,
        TargetUnion::ModRevision(_) => CompareTarget::Mod,
        TargetUnion::Value(_) => CompareTarget::Value,
        TargetUnion::Lease(_) => CompareTarget::Lease,
    };
    pb::Compare {
        result: result.into(),
        target: target.into(),
        key: key.into(),
        target_union: Some(union),
        range_end: Default::default(),
    }
}

async fn holds(single: &mut Single, compare: pb::Compare) -> bool {
    let request = pb::TxnRequest { compare: vec![compare], ..Default::default() };
    single.rpc.kv.txn(request).await.unwrap().into_inner().succeeded
}

/// A key of create revision 2, modified at 3, version 2, lease 5, value `v`.
async fn with_key() -> Single {
    let mut single = Single::start().await;
    single.rpc.lease.lease_grant(pb::LeaseGrantRequest { id: 5, ttl: 600 }).await.unwrap();
    single.put("k", "u").await;
    single.rpc.kv.put(pb::PutRequest { lease: 5, ..put("k", "v") }).await.unwrap();
    single
}

#[tokio::test]
async fn every_target_compares_in_every_way() {
    use CompareResult::{Equal, Greater, Less, NotEqual};
    let mut single = with_key().await;
    type Target = fn(i64) -> TargetUnion;
    let numbers: [(Target, i64); 4] = [
        (TargetUnion::Version, 2),
        (TargetUnion::CreateRevision, 2),
        (TargetUnion::ModRevision, 3),
        (TargetUnion::Lease, 5),
    ];
    for (union, own) in numbers {
        for wanted in [own - 1, own, own + 1] {
            let order = own.cmp(&wanted);
            let expected = [
                (Equal, order.is_eq()),
                (NotEqual, order.is_ne()),
                (Greater, order.is_gt()),
                (Less, order.is_lt()),
            ];
            for (result, expected) in expected {
                let asked = compare("k", result, union(wanted));
                assert_eq!(holds(&mut single, asked.clone()).await, expected, "{asked:?}");
            }
        }
    }
    for (result, wanted, expected) in
        [(Equal, "v", true), (NotEqual, "v", false), (Greater, "u", true), (Less, "va", true)]
    {
        let asked = compare("k", result, TargetUnion::Value(wanted.into()));
        assert_eq!(holds(&mut single, asked.clone()).await, expected, "{asked:?}");
    }
}

#[tokio::test]
async fn what_is_missing_compares_as_zero_and_has_no_value() {
    use CompareResult::{Equal, Less, NotEqual};
    let mut single = with_key().await;
    assert!(holds(&mut single, compare("x", Equal, TargetUnion::Version(0))).await);
    assert!(holds(&mut single, compare("x", Less, TargetUnion::ModRevision(1))).await);
    for result in [Equal, NotEqual, Less] {
        assert!(!holds(&mut single, compare("x", result, TargetUnion::Value("a".into()))).await);
    }
}

#[tokio::test]
async fn a_compare_of_a_range_must_hold_for_all_of_it() {
    use CompareResult::{Equal, Less};
    let mut single = with_key().await;
    single.put("l", "v").await;
    let over = |end: &'static str, compare| pb::Compare { range_end: end.into(), ..compare };
    let value = |result| compare("k", result, TargetUnion::Value("v".into()));
    let version = |number| compare("k", Equal, TargetUnion::Version(number));
    assert!(holds(&mut single, over("m", value(Equal))).await);
    assert!(!holds(&mut single, over("m", version(2))).await, "not of l");
    assert!(holds(&mut single, over("l", version(2))).await, "only k is in it");
    assert!(holds(&mut single, over("\0", compare("k", Less, TargetUnion::Version(3)))).await);
    assert!(holds(&mut single, over("b", compare("a", Equal, TargetUnion::Version(0)))).await);
}

#[tokio::test]
async fn operations_see_those_before_them_and_share_a_revision() {
    let mut single = with_key().await;
    let nested = Op::RequestTxn(pb::TxnRequest {
        // Compares see what was there before the transaction, at every level.
        compare: vec![compare("n", CompareResult::Equal, TargetUnion::Version(0))],
        success: ops([Op::RequestRange(range("n")), Op::RequestPut(put("o", "2"))]),
        failure: vec![],
    });
    let request = then([
        Op::RequestPut(put("n", "1")),
        nested,
        Op::RequestDeleteRange(pb::DeleteRangeRequest { prev_kv: true, ..delete("k") }),
        Op::RequestRange(range("k")),
    ]);
    let answer = single.rpc.kv.txn(request).await.unwrap().into_inner();
    assert_eq!((revision(&answer.header), answer.succeeded), (4, true));
    let responses: Vec<Response> =
        answer.responses.into_iter().map(|op| op.response.unwrap()).collect();
    let [
        Response::ResponsePut(made),
        Response::ResponseTxn(nested),
        Response::ResponseDeleteRange(deleted),
        Response::ResponseRange(read),
    ] = &responses[..]
    else {
        panic!("answers of other kinds: {responses:?}")
    };
    assert_eq!(made.header.as_ref().unwrap().revision, 4);
    assert!(nested.succeeded, "compares are made before anything is written");
    let Some(Response::ResponseRange(inner)) = &nested.responses[0].response else {
        panic!("{nested:?}")
    };
    assert_eq!(key_values(&inner.kvs)[0].mod_revision, 4, "reads see what is written");
    assert_eq!((deleted.deleted, deleted.prev_kvs.len(), read.count), (1, 1, 0));
    assert_eq!(single.put("next", "1").await, 5);
}

#[tokio::test]
async fn duplicate_keys_are_refused_unless_in_different_branches() {
    let mut single = with_key().await;
    let write = |key| Op::RequestPut(put(key, "1"));
    let remove = |key| Op::RequestDeleteRange(delete(key));
    let all =
        || Op::RequestDeleteRange(pb::DeleteRangeRequest { range_end: "z".into(), ..delete("a") });
    let both = |success, failure| {
        let (success, failure) = (ops(success), ops(failure));
        Op::RequestTxn(pb::TxnRequest { compare: vec![], success, failure })
    };
    let refused = [
        vec![write("a"), write("a")],
        vec![write("a"), remove("a")],
        vec![all(), write("a")],
        vec![both(vec![write("a")], vec![]), write("a")],
        vec![both(vec![], vec![write("a")]), both(vec![write("a")], vec![])],
        vec![both(vec![write("a"), write("a")], vec![])],
    ];
    for list in refused {
        let answer = refusal(single.rpc.kv.txn(then(list.clone())).await);
        let text = "etcdserver: duplicate key given in txn request".to_owned();
        assert_eq!(answer, (Code::InvalidArgument, text), "{list:?}");
    }
    let fine = [
        vec![both(vec![write("a")], vec![write("a")])],
        vec![remove("a"), remove("a"), all()],
        vec![write("a"), write("b")],
    ];
    for list in fine {
        single.rpc.kv.txn(then(list.clone())).await.unwrap_or_else(|e| panic!("{list:?}: {e}"));
    }
}

#[tokio::test]
async fn a_refused_operation_refuses_the_whole() {
    use Code::{InvalidArgument, NotFound, OutOfRange};
    let mut single = with_key().await;
    let at = |revision| Op::RequestRange(pb::RangeRequest { revision, ..range("k") });
    single.rpc.kv.compact(pb::CompactionRequest { revision: 3, physical: true }).await.unwrap();
    let cases = [
        (at(99), OutOfRange, "etcdserver: mvcc: required revision is a future revision"),
        (at(2), OutOfRange, "etcdserver: mvcc: required revision has been compacted"),
        (
            Op::RequestPut(pb::PutRequest { lease: 77, ..put("x", "1") }),
            NotFound,
            "etcdserver: requested lease not found",
        ),
        (
            Op::RequestPut(pb::PutRequest { ignore_value: true, ..put("x", "") }),
            InvalidArgument,
            "etcdserver: key not found",
        ),
        (Op::RequestPut(put("", "1")), InvalidArgument, "etcdserver: key is not provided"),
        (Op::RequestRange(range("")), InvalidArgument, "etcdserver: key is not provided"),
        (Op::RequestDeleteRange(delete("")), InvalidArgument, "etcdserver: key is not provided"),
    ];
    for (bad, code, text) in cases {
        let request = then([Op::RequestPut(put("y", "1")), bad.clone()]);
        let answer = refusal(single.rpc.kv.txn(request).await);
        assert_eq!(answer, (code, text.to_owned()), "{bad:?}");
    }
    let empty = pb::RequestOp { request: None };
    let request = pb::TxnRequest { success: vec![empty], ..Default::default() };
    let answer = refusal(single.rpc.kv.txn(request).await);
    assert_eq!(answer, (InvalidArgument, "etcdserver: key not found".to_owned()));
    assert_eq!(single.live().await.len(), 1, "nothing was written");
}

#[tokio::test]
async fn the_budget_of_operations_counts_the_longest_list_and_shrinks_inside() {
    let mut single = Single::with(&["--max-txn-ops=5"]).await;
    let reads = |count: usize| ops((0..count).map(|_| Op::RequestRange(range("k"))));
    let nested =
        |count| Op::RequestTxn(pb::TxnRequest { success: reads(count), ..Default::default() });
    let cases = [
        (pb::TxnRequest { success: reads(5), failure: reads(5), ..Default::default() }, true),
        (pb::TxnRequest { failure: reads(6), ..Default::default() }, false),
        (
            pb::TxnRequest {
                compare: vec![compare("k", CompareResult::Equal, TargetUnion::Version(0)); 6],
                ..Default::default()
            },
            false,
        ),
        (then([nested(4)]), true),
        (then([nested(5)]), false),
    ];
    for (request, fits) in cases {
        let answer = refusal(single.rpc.kv.txn(request.clone()).await);
        let too_many = "etcdserver: too many operations in txn request".to_owned();
        let expected =
            if fits { (Code::Ok, String::new()) } else { (Code::InvalidArgument, too_many) };
        assert_eq!(answer, expected, "{request:?}");
    }
}
