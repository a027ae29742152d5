//! Range and RangeStream: every option.

use pb::range_request::{SortOrder, SortTarget};
use portunus_proto::etcdserverpb as pb;
use portunus_tests::{key_values, refusal};
use tonic::Code;

use crate::fixture::{FROM_KEY, Single, keys, range, revision};

/// Keys a to d of revisions 2 to 5, then a second version of a and of c: at revision 7.
async fn filled() -> Single {
    let mut single = Single::start().await;
    for (key, value) in [("a", "3"), ("b", "1"), ("c", "2"), ("d", "0"), ("a", "9"), ("c", "5")] {
        single.put(key, value).await;
    }
    single
}

fn all() -> pb::RangeRequest {
    pb::RangeRequest { range_end: FROM_KEY.into(), ..range("\0") }
}

async fn found(single: &mut Single, request: pb::RangeRequest) -> (Vec<String>, bool, i64) {
    let answer = single.rpc.kv.range(request).await.unwrap().into_inner();
    assert_eq!(revision(&answer.header), 7, "the header tells the current revision");
    (keys(&key_values(&answer.kvs)), answer.more, answer.count)
}

fn names(keys: &str) -> Vec<String> {
    keys.chars().map(String::from).collect()
}

#[tokio::test]
async fn a_fresh_store_is_at_revision_one() {
    let mut single = Single::start().await;
    let answer = single.rpc.kv.range(all()).await.unwrap().into_inner();
    assert_eq!((revision(&answer.header), answer.count, answer.more), (1, 0, false));
}

#[tokio::test]
async fn a_key_comes_with_its_revisions_and_version() {
    let mut single = filled().await;
    let answer = single.rpc.kv.range(range("a")).await.unwrap().into_inner();
    let kvs = key_values(&answer.kvs);
    let kv = &kvs[0];
    let numbers = (kv.create_revision, kv.mod_revision, kv.version, kv.lease);
    assert_eq!((numbers, &kv.value[..]), ((2, 6, 2, 0), &b"9"[..]));
}

#[tokio::test]
async fn ranges_are_half_open_and_have_two_open_ends() {
    let mut single = filled().await;
    let cases = [
        ("b", "d", "bc"),
        ("c", "b", ""),
        ("b", "b", ""),
        ("b", "\0", "bcd"),
        ("\0", "\0", "abcd"),
        ("b", "", "b"),
        ("x", "", ""),
    ];
    for (key, end, expected) in cases {
        let request = pb::RangeRequest { range_end: end.into(), ..range(key) };
        let (keys, more, count) = found(&mut single, request).await;
        assert_eq!(keys, names(expected), "{key:?} to {end:?}");
        assert_eq!((more, count), (false, expected.len() as i64), "{key:?} to {end:?}");
    }
}

#[tokio::test]
async fn orders_limits_and_counts() {
    use SortOrder::{Ascend, Descend, None};
    use SortTarget::{Create, Key, Mod, Value, Version};
    let mut single = filled().await;
    let cases = [
        (Key, None, 0, "abcd", false),
        (Key, Ascend, 2, "ab", true),
        (Key, Descend, 3, "dcb", true),
        (Key, Descend, 4, "dcba", false),
        (Value, Ascend, 0, "dbca", false),
        (Value, Descend, 2, "ac", true),
        (Mod, Descend, 1, "c", true),
        (Mod, Ascend, 0, "bdac", false),
        (Create, Descend, 0, "dcba", false),
        (Version, Ascend, 0, "bdac", false),
        (Value, None, 0, "dbca", false),
    ];
    for (target, order, limit, expected, expected_more) in cases {
        let (sort_target, sort_order) = (target.into(), order.into());
        let request = pb::RangeRequest { sort_target, sort_order, limit, ..all() };
        let (keys, more, count) = found(&mut single, request).await;
        assert_eq!((keys, more), (names(expected), expected_more), "{target:?} {order:?} {limit}");
        assert_eq!(count, 4, "the count knows no limit");
    }
}

#[tokio::test]
async fn filters_count_only_and_keys_only() {
    let mut single = filled().await;
    let filtered = pb::RangeRequest { min_mod_revision: 5, max_mod_revision: 6, ..all() };
    assert_eq!(found(&mut single, filtered).await, (names("ad"), false, 4));
    let created = pb::RangeRequest { min_create_revision: 3, max_create_revision: 4, ..all() };
    assert_eq!(found(&mut single, created.clone()).await, (names("bc"), false, 4));
    let first = pb::RangeRequest { limit: 1, ..created };
    assert_eq!(found(&mut single, first).await, (names("b"), true, 4), "filtered, then cut");
    let counted = pb::RangeRequest { count_only: true, limit: 1, ..all() };
    assert_eq!(found(&mut single, counted).await, (vec![], false, 4));
    let bare = pb::RangeRequest { keys_only: true, ..range("a") };
    let answer = single.rpc.kv.range(bare).await.unwrap().into_inner();
    let kvs = key_values(&answer.kvs);
    let numbers = (kvs[0].create_revision, kvs[0].mod_revision, kvs[0].version);
    assert_eq!((numbers, kvs[0].value.len()), ((2, 6, 2), 0), "a key only has its numbers");
}

#[tokio::test]
async fn older_revisions_are_read_as_they_were() {
    let mut single = filled().await;
    for (revision, expected) in [(1, ""), (3, "ab"), (5, "abcd"), (7, "abcd"), (0, "abcd")] {
        let request = pb::RangeRequest { revision, ..all() };
        let (keys, _, count) = found(&mut single, request).await;
        assert_eq!((keys, count), (names(expected), expected.len() as i64), "at {revision}");
    }
    let then = pb::RangeRequest { revision: 5, serializable: true, ..range("a") };
    let answer = single.rpc.kv.range(then).await.unwrap().into_inner();
    assert_eq!(&key_values(&answer.kvs)[0].value[..], b"3");
}

#[tokio::test]
async fn refusals() {
    let mut single = filled().await;
    let (sort_target, sort_order) = (9, 9);
    let cases = [
        (range(""), Code::InvalidArgument, "etcdserver: key is not provided"),
        (
            pb::RangeRequest { sort_order, ..all() },
            Code::InvalidArgument,
            "etcdserver: invalid sort option",
        ),
        (
            pb::RangeRequest { sort_target, ..all() },
            Code::InvalidArgument,
            "etcdserver: invalid sort option",
        ),
        (
            pb::RangeRequest { revision: 8, ..all() },
            Code::OutOfRange,
            "etcdserver: mvcc: required revision is a future revision",
        ),
    ];
    for (request, code, text) in cases {
        let refused = refusal(single.rpc.kv.range(request.clone()).await);
        assert_eq!(refused, (code, text.to_owned()), "{request:?}");
    }
}

#[tokio::test]
async fn a_stream_has_all_keys_in_pieces_of_one_revision() {
    let mut single = Single::start().await;
    for n in 0..40 {
        single.put(&format!("{n:02}"), "v").await;
    }
    let mut pieces = single.rpc.kv.range_stream(all()).await.unwrap().into_inner();
    let first = pieces.message().await.unwrap().unwrap().range_response.unwrap();
    assert!(first.header.is_none() && first.count == 0, "only the last piece has a header");
    // A write after the first piece is not seen by the others.
    single.put("99", "late").await;
    let mut seen = keys(&key_values(&first.kvs));
    let mut last = first;
    while let Some(piece) = pieces.message().await.unwrap() {
        last = piece.range_response.unwrap();
        seen.extend(keys(&key_values(&last.kvs)));
    }
    assert_eq!(seen, (0..40).map(|n| format!("{n:02}")).collect::<Vec<_>>());
    assert_eq!((revision(&last.header), last.count, last.more), (41, 40, false));
    let sorted = pb::RangeRequest { sort_order: SortOrder::Descend.into(), ..all() };
    let refused = refusal(single.rpc.kv.range_stream(sorted).await);
    let text = "RangeStream does not support custom sort orders";
    assert_eq!(refused, (Code::Unimplemented, text.to_owned()));
    let filtered = pb::RangeRequest { min_mod_revision: 2, ..all() };
    let refused = refusal(single.rpc.kv.range_stream(filtered).await);
    let text = "RangeStream does not support revision filters";
    assert_eq!(refused, (Code::Unimplemented, text.to_owned()));
}
