//! A proxy with a prefix, looked at from both sides.

use anyhow::{Context, Result};
use etcd_client::{
    Compare, CompareOp, DeleteOptions, EventType, GetOptions, LockOptions, PutOptions, Txn, TxnOp,
    WatchOptions,
};
use portunus_proto::portunus::v1;
use portunus_proto::portunus::v1::lock_client::LockClient;
use portunus_proto::portunus::v1::plugin_client::PluginClient;
use portunus_tests::http::post;
use portunus_tests::{Rpc, refusal};
use tonic::Code;

use crate::fixture::Pair;

fn keys(answer: &etcd_client::GetResponse) -> Vec<String> {
    answer.kvs().iter().map(|kv| String::from_utf8_lossy(kv.key()).into_owned()).collect()
}

fn all() -> Option<GetOptions> {
    Some(GetOptions::new().with_all_keys())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_sees_a_store_of_its_own() -> Result<()> {
    let pair = Pair::start(&["--namespace=app/"])?;
    let mut inside = pair.proxy.client().await?;
    let mut outside = pair.member.client().await?;
    for key in ["app", "app.", "app0", "other", "zz"] {
        outside.put(key, "not ours", None).await?;
    }
    inside.put("k", "1", None).await?;
    outside.put("app/m", "2", None).await?;
    assert_eq!(outside.get("app/k", None).await?.kvs()[0].value_str()?, "1");
    assert_eq!(keys(&inside.get("", all()).await?), ["k", "m"]);
    let from = Some(GetOptions::new().with_from_key());
    assert_eq!(keys(&inside.get("l", from).await?), ["m"]);

    let inner = Txn::new()
        .when([Compare::value("k", CompareOp::Equal, "1")])
        .and_then([TxnOp::put("n", "3", None), TxnOp::get("n", None)]);
    let txn = Txn::new()
        .when([Compare::version("absent", CompareOp::Equal, 0)])
        .and_then([TxnOp::txn(inner), TxnOp::get("", all())]);
    let done = inside.txn(txn).await?;
    let ranges: Vec<_> = done.op_responses().into_iter().collect();
    let etcd_client::TxnOpResponse::Get(range) = &ranges[1] else { panic!("{ranges:?}") };
    assert_eq!(keys(range), ["k", "m", "n"]);
    assert_eq!(outside.get("app/n", None).await?.count(), 1);

    let lease = inside.lease_grant(60, None).await?.id();
    inside.put("leased", "", Some(PutOptions::new().with_lease(lease))).await?;
    outside.put("apart", "", Some(PutOptions::new().with_lease(lease))).await?;
    let options = Some(etcd_client::LeaseTimeToLiveOptions::new().with_keys());
    assert_eq!(inside.lease_time_to_live(lease, options).await?.keys(), [b"leased".to_vec()]);

    let held = inside.lock("lock", Some(LockOptions::new().with_lease(lease))).await?;
    assert_eq!(held.key(), format!("lock/{lease:x}").as_bytes());
    assert_eq!(outside.get(format!("app/lock/{lease:x}"), None).await?.count(), 1);
    inside.unlock(held.key()).await?;
    let won = inside.campaign("seat", "me", lease).await?;
    let leader = won.leader().context("a leader")?.clone();
    assert_eq!(leader.key(), format!("seat/{lease:x}").as_bytes());
    inside
        .proclaim("still me", Some(etcd_client::ProclaimOptions::new().with_leader(leader)))
        .await?;
    let seen = inside.leader("seat").await?;
    assert_eq!(seen.kv().context("a leader")?.key_str()?, format!("seat/{lease:x}"));
    assert_eq!(outside.leader("app/seat").await?.kv().context("one")?.value_str()?, "still me");

    let gone =
        inside.delete("", Some(DeleteOptions::new().with_all_keys().with_prev_key())).await?;
    assert!(gone.prev_kvs().iter().all(|kv| !kv.key().starts_with(b"app")), "{gone:?}");
    let left = keys(&outside.get("", all()).await?);
    assert_eq!(left, ["apart", "app", "app.", "app0", "other", "zz"]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn events_have_the_keys_that_the_client_knows() -> Result<()> {
    let pair = Pair::start(&["--namespace=app/"])?;
    let mut inside = pair.proxy.client().await?;
    let mut outside = pair.member.client().await?;
    let options = WatchOptions::new().with_all_keys().with_prev_key();
    let mut stream = inside.watch("", Some(options)).await?;
    outside.put("app0", "not ours", None).await?;
    outside.put("app/k", "1", None).await?;
    outside.delete("app/k", None).await?;
    outside.put("app", "not ours", None).await?;
    inside.put("last", "", None).await?;
    let mut seen = Vec::new();
    while seen.len() < 3 {
        for event in stream.message().await?.context("events")?.events() {
            let key = event.kv().context("a key")?.key_str()?.to_owned();
            let before = event.prev_kv().map(|kv| kv.key_str().map(ToOwned::to_owned));
            seen.push((event.event_type(), key, before.transpose()?));
        }
    }
    let k = || "k".to_owned();
    let expected = [
        (EventType::Put, k(), None),
        (EventType::Delete, k(), Some(k())),
        (EventType::Put, "last".to_owned(), None),
    ];
    assert_eq!(seen, expected);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_kept_to_the_prefix_is_refused_by_name() -> Result<()> {
    let pair = Pair::start(&["--namespace=app/"])?;
    let rpc = Rpc::connect(&pair.proxy.url).await?;
    let mut plugins = PluginClient::new(rpc.channel.clone());
    let (code, text) = refusal(plugins.list(v1::ListRequest::default()).await);
    assert_eq!(code, Code::Unimplemented);
    assert!(text.contains("portunus.v1.Plugin/List") && text.contains("--namespace"), "{text}");
    let snapshot = portunus_proto::etcdserverpb::SnapshotRequest {};
    let (code, text) = refusal(rpc.maintenance.clone().snapshot(snapshot).await);
    assert!(code == Code::Unimplemented && text.contains("Maintenance/Snapshot"), "{text}");
    let empty = portunus_proto::etcdserverpb::PutRequest::default();
    let expected = (Code::InvalidArgument, "etcdserver: key is not provided".to_owned());
    assert_eq!(refusal(rpc.kv.clone().put(empty).await), expected);
    // Our own locks know the prefix; the gateway speaks through the same services.
    let mut locks = LockClient::new(rpc.channel.clone());
    let names = vec!["own".into()];
    let held = locks.acquire(v1::LockAcquireRequest { names, ..Default::default() }).await?;
    let place = &held.get_ref().held[0];
    assert_eq!(place.name, "own");
    assert!(place.key.starts_with(b"own/"), "{place:?}");
    let put = post(&pair.proxy.url, "/v3/kv/put", r#"{"key":"Zm9v","value":"YmFy"}"#).await?;
    assert_eq!(put.status, 200, "{}", put.body);
    let read = post(&pair.proxy.url, "/v3alpha/kv/range", r#"{"key":"Zm9v"}"#).await?;
    assert_eq!(read.json()["kvs"][0]["key"], "Zm9v");
    assert_eq!(pair.member.client().await?.get("app/foo", None).await?.count(), 1);
    Ok(())
}
