//! Put and DeleteRange: every option and refusal.

use portunus_proto::etcdserverpb as pb;
use portunus_tests::{key_value, key_values, refusal};
use tonic::Code;

use crate::fixture::{FROM_KEY, Single, delete, keys, put, range, revision};

#[tokio::test]
async fn each_put_is_a_revision_and_a_version() {
    let mut single = Single::start().await;
    for n in 1..4 {
        let request = pb::PutRequest { prev_kv: true, ..put("a", "v") };
        let answer = single.rpc.kv.put(request).await.unwrap().into_inner();
        assert_eq!(revision(&answer.header), n + 1);
        let version = key_value(&answer.prev_kv).map_or(0, |kv| kv.version);
        assert_eq!(version, n - 1, "the version before");
    }
    let answer = single.rpc.kv.put(put("a", "v")).await.unwrap().into_inner();
    assert!(answer.prev_kv.is_empty(), "nobody asked for it");
}

#[tokio::test]
async fn a_put_may_keep_the_value_or_the_lease() {
    let mut single = Single::start().await;
    let granted = pb::LeaseGrantRequest { id: 5, ttl: 600 };
    single.rpc.lease.lease_grant(granted).await.unwrap();
    single.rpc.kv.put(pb::PutRequest { lease: 5, ..put("a", "1") }).await.unwrap();
    single.rpc.kv.put(pb::PutRequest { ignore_lease: true, ..put("a", "2") }).await.unwrap();
    let answer = single.rpc.kv.range(range("a")).await.unwrap().into_inner();
    let kv = key_values(&answer.kvs).remove(0);
    assert_eq!((&kv.value[..], kv.lease, kv.version), (&b"2"[..], 5, 2));
    single.rpc.kv.put(pb::PutRequest { ignore_value: true, ..put("a", "") }).await.unwrap();
    let answer = single.rpc.kv.range(range("a")).await.unwrap().into_inner();
    let kv = key_values(&answer.kvs).remove(0);
    assert_eq!((&kv.value[..], kv.lease, kv.version), (&b"2"[..], 0, 3));
}

#[tokio::test]
async fn refused_puts_change_nothing() {
    use Code::{InvalidArgument, NotFound};
    let mut single = Single::start().await;
    single.put("a", "1").await;
    let keep_value = |key, value| pb::PutRequest { ignore_value: true, ..put(key, value) };
    let keep_lease = |key| pb::PutRequest { ignore_lease: true, ..put(key, "v") };
    let cases = [
        (put("", "v"), InvalidArgument, "etcdserver: key is not provided"),
        (keep_value("a", "v"), InvalidArgument, "etcdserver: value is provided"),
        (keep_value("b", ""), InvalidArgument, "etcdserver: key not found"),
        (
            pb::PutRequest { lease: 9, ..keep_lease("a") },
            InvalidArgument,
            "etcdserver: lease is provided",
        ),
        (keep_lease("b"), InvalidArgument, "etcdserver: key not found"),
        (
            pb::PutRequest { lease: 9, ..put("a", "v") },
            NotFound,
            "etcdserver: requested lease not found",
        ),
    ];
    for (request, code, text) in cases {
        let refused = refusal(single.rpc.kv.put(request.clone()).await);
        assert_eq!(refused, (code, text.to_owned()), "{request:?}");
    }
    assert_eq!(single.put("last", "1").await, 3, "no refusal made a revision");
}

#[tokio::test]
async fn a_delete_tells_what_it_took() {
    let mut single = Single::start().await;
    for key in ["a", "b", "c"] {
        single.put(key, key).await;
    }
    let nothing = single.rpc.kv.delete_range(delete("x")).await.unwrap().into_inner();
    assert_eq!((revision(&nothing.header), nothing.deleted), (4, 0), "no new revision");
    let request =
        pb::DeleteRangeRequest { range_end: FROM_KEY.into(), prev_kv: true, ..delete("b") };
    let answer = single.rpc.kv.delete_range(request).await.unwrap().into_inner();
    assert_eq!((revision(&answer.header), answer.deleted), (5, 2), "one revision for all");
    assert_eq!(keys(&key_values(&answer.prev_kvs)), ["b", "c"]);
    let one = single.rpc.kv.delete_range(delete("a")).await.unwrap().into_inner();
    assert_eq!((one.deleted, one.prev_kvs.len()), (1, 0), "nobody asked for it");
    assert_eq!(single.live().await, []);
    single.put("a", "again").await;
    let answer = single.rpc.kv.range(range("a")).await.unwrap().into_inner();
    let kv = key_values(&answer.kvs).remove(0);
    assert_eq!((kv.create_revision, kv.version), (7, 1), "a key that was deleted begins anew");
    let refused = refusal(single.rpc.kv.delete_range(delete("")).await);
    let text = "etcdserver: key is not provided".to_owned();
    assert_eq!(refused, (Code::InvalidArgument, text));
}
