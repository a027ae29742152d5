//! Compact: what is forgotten and what is not.

use portunus_proto::etcdserverpb as pb;
use portunus_tests::{key_values, refusal};
use tonic::Code;

use crate::fixture::{Single, range, revision};

fn compact(revision: i64, physical: bool) -> pb::CompactionRequest {
    pb::CompactionRequest { revision, physical }
}

const COMPACTED: &str = "etcdserver: mvcc: required revision has been compacted";
const FUTURE: &str = "etcdserver: mvcc: required revision is a future revision";

#[tokio::test]
async fn older_revisions_are_gone_and_the_rest_is_as_before() {
    let mut single = Single::start().await;
    for value in ["1", "2", "3", "4"] {
        single.put("a", value).await;
    }
    for physical in [false, true] {
        let at = if physical { 4 } else { 3 };
        let done = single.rpc.kv.compact(compact(at, physical)).await.unwrap().into_inner();
        assert_eq!(revision(&done.header), 5, "compacting makes no revision");
        let past = pb::RangeRequest { revision: at - 1, ..range("a") };
        let refused = refusal(single.rpc.kv.range(past).await);
        assert_eq!(refused, (Code::OutOfRange, COMPACTED.to_owned()));
        let there = pb::RangeRequest { revision: at, ..range("a") };
        let answer = single.rpc.kv.range(there).await.unwrap().into_inner();
        assert_eq!(key_values(&answer.kvs)[0].version, at - 1);
    }
    let answer = single.rpc.kv.range(range("a")).await.unwrap().into_inner();
    assert_eq!(key_values(&answer.kvs)[0].version, 4, "versions go on");
}

#[tokio::test]
async fn refusals() {
    let mut single = Single::start().await;
    single.put("a", "1").await;
    let refused = refusal(single.rpc.kv.compact(compact(3, false)).await);
    assert_eq!(refused, (Code::OutOfRange, FUTURE.to_owned()));
    single.rpc.kv.compact(compact(2, false)).await.unwrap();
    for gone in [2, 1, 0, -1] {
        let refused = refusal(single.rpc.kv.compact(compact(gone, false)).await);
        assert_eq!(refused, (Code::OutOfRange, COMPACTED.to_owned()), "{gone}");
    }
}

#[tokio::test]
async fn a_compaction_outlives_a_restart() {
    let mut single = Single::start().await;
    single.put("a", "1").await;
    single.put("a", "2").await;
    single.rpc.kv.compact(compact(3, true)).await.unwrap();
    single.member.kill().unwrap();
    single.member.start().unwrap();
    let mut client = single.member.client().await.unwrap();
    let options = etcd_client::GetOptions::new().with_revision(2);
    let refused = client.get("a", Some(options)).await.expect_err("compacted");
    assert!(refused.to_string().contains(COMPACTED), "{refused}");
    assert_eq!(client.get("a", None).await.unwrap().kvs()[0].value(), b"2");
}
