//! Strategies for random requests over a handful of keys, leases and revisions, so that they meet.

use bytes::Bytes;
use pb::request_op::Request as Op;
use portunus_proto::etcdserverpb as pb;
use proptest::prelude::*;

use super::Request;

pub fn key() -> impl Strategy<Value = Bytes> {
    prop::sample::select(vec!["a", "aa", "b", "b\0", "c", "d", "e"]).prop_map(Bytes::from)
}

fn end() -> impl Strategy<Value = Bytes> {
    prop_oneof![
        4 => Just(Bytes::new()),
        1 => Just(Bytes::from_static(b"\0")),
        3 => key(),
    ]
}

fn value() -> impl Strategy<Value = Bytes> {
    prop::sample::select(vec!["", "x", "y", "zz"]).prop_map(Bytes::from)
}

fn lease() -> impl Strategy<Value = i64> {
    prop_oneof![3 => Just(0), 2 => 1i64..4]
}

/// Mostly revisions that exist.
fn revision() -> impl Strategy<Value = i64> {
    prop_oneof![3 => Just(0i64), 3 => 1i64..40]
}

fn put() -> impl Strategy<Value = pb::PutRequest> {
    (key(), value(), lease(), any::<bool>(), 0..8).prop_map(|(key, value, lease, prev_kv, keep)| {
        let put = pb::PutRequest { key, value, lease, prev_kv, ..Default::default() };
        match keep {
            0 => pb::PutRequest { ignore_value: true, value: Bytes::new(), lease: 0, ..put },
            1 => pb::PutRequest { ignore_lease: true, lease: 0, ..put },
            _ => put,
        }
    })
}

fn delete() -> impl Strategy<Value = pb::DeleteRangeRequest> {
    (key(), end(), any::<bool>()).prop_map(|(key, range_end, prev_kv)| pb::DeleteRangeRequest {
        key,
        range_end,
        prev_kv,
    })
}

pub fn range() -> impl Strategy<Value = pb::RangeRequest> {
    let filters = prop::array::uniform4(prop_oneof![5 => Just(0i64), 1 => 1i64..20]);
    let flags = (prop::bool::weighted(0.2), prop::bool::weighted(0.1));
    (key(), end(), 0i64..4, revision(), 0i32..3, 0i32..5, flags, filters).prop_map(
        |(key, range_end, limit, revision, order, target, (keys_only, count_only), filters)| {
            let [min_mod_revision, max_mod_revision, min_create_revision, max_create_revision] =
                filters;
            pb::RangeRequest {
                key,
                range_end,
                limit,
                revision,
                sort_order: order,
                sort_target: target,
                serializable: false,
                keys_only,
                count_only,
                min_mod_revision,
                max_mod_revision,
                min_create_revision,
                max_create_revision,
            }
        },
    )
}

fn compare() -> impl Strategy<Value = pb::Compare> {
    use pb::compare::TargetUnion::{CreateRevision, Lease, ModRevision, Value, Version};
    (key(), end(), 0i32..4, 0i32..5, 0i64..8, value()).prop_map(
        |(key, range_end, result, target, number, value)| {
            let target_union = Some(match target {
                0 => Version(number),
                1 => CreateRevision(number),
                2 => ModRevision(number),
                3 => Value(value),
                _ => Lease(number),
            });
            pb::Compare { result, target, key, range_end, target_union }
        },
    )
}

fn txn() -> impl Strategy<Value = pb::TxnRequest> {
    let simple = prop_oneof![
        4 => put().prop_map(Op::RequestPut),
        3 => delete().prop_map(Op::RequestDeleteRange),
        2 => range().prop_map(Op::RequestRange),
    ];
    let op =
        simple.prop_recursive(2, 10, 3, |inner| txn_of(inner.boxed()).prop_map(Op::RequestTxn));
    txn_of(op.boxed())
}

fn txn_of(op: BoxedStrategy<Op>) -> impl Strategy<Value = pb::TxnRequest> {
    let list = |op| {
        prop::collection::vec(op, 0..4).prop_map(|ops: Vec<Op>| {
            ops.into_iter().map(|op| pb::RequestOp { request: Some(op) }).collect::<Vec<_>>()
        })
    };
    (prop::collection::vec(compare(), 0..3), list(op.clone()), list(op))
        .prop_map(|(compare, success, failure)| pb::TxnRequest { compare, success, failure })
}

pub fn request() -> impl Strategy<Value = Request> {
    prop_oneof![
        6 => put().prop_map(Request::Put),
        2 => delete().prop_map(Request::DeleteRange),
        6 => txn().prop_map(Request::Txn),
        1 => (0i64..40).prop_map(|revision| {
            Request::Compact(pb::CompactionRequest { revision, physical: false })
        }),
        2 => (1i64..4, prop::sample::select(vec![-1, 1, 60, 9_000_000_001])).prop_map(|(id, ttl)| {
            Request::LeaseGrant(pb::LeaseGrantRequest { id, ttl })
        }),
        1 => (1i64..4).prop_map(|id| Request::LeaseRevoke(pb::LeaseRevokeRequest { id })),
    ]
}
