//! What passes: every service, as if the member itself were asked.

use anyhow::{Context, Result};
use etcd_client::{
    Compare, CompareOp, GetOptions, LockOptions, PutOptions, Txn, TxnOp, WatchOptions,
};
use portunus_proto::portunus::v1;
use portunus_proto::portunus::v1::queue_client::QueueClient;
use portunus_tests::{Rpc, refusal};
use tonic::Code;

use crate::fixture::Pair;

#[tokio::test(flavor = "multi_thread")]
async fn etcds_services_are_those_of_the_member() -> Result<()> {
    let pair = Pair::start(&[])?;
    let mut client = pair.proxy.client().await?;
    let mut direct = pair.member.client().await?;
    let put = client.put("k", "1", None).await?;
    let read = direct.get("k", None).await?;
    assert_eq!(read.kvs()[0].value_str()?, "1");
    let header = put.header().context("a header")?;
    assert_eq!(read.header().context("a header")?.cluster_id(), header.cluster_id());
    let txn = Txn::new()
        .when([Compare::version("k", CompareOp::Equal, 1)])
        .and_then([TxnOp::put("k", "2", None), TxnOp::get("k", None)]);
    assert!(client.txn(txn).await?.succeeded());
    let range = client.get("", Some(GetOptions::new().with_all_keys())).await?;
    assert_eq!((range.count(), range.kvs()[0].value_str()?), (1, "2"));

    let mut events = client.watch("w", Some(WatchOptions::new().with_prev_key())).await?;
    // The client does not wait for it: until then a write elsewhere may come before the watch.
    assert!(events.message().await?.context("an answer")?.created());
    direct.put("w", "x", None).await?;
    let event = loop {
        let answer = events.message().await?.context("an event")?;
        if let Some(event) = answer.events().first() {
            break event.clone();
        }
    };
    assert_eq!(event.kv().context("a key")?.value_str()?, "x");
    assert_eq!(client.delete("k", None).await?.deleted(), 1);

    let lease = client.lease_grant(60, None).await?.id();
    client.put("l", "", Some(PutOptions::new().with_lease(lease))).await?;
    assert!(client.lease_time_to_live(lease, None).await?.ttl() > 0);
    let name = client.lock("lock", Some(LockOptions::new().with_lease(lease))).await?;
    client.unlock(name.key()).await?;
    let won = client.campaign("seat", "me", lease).await?;
    let leader = client.leader("seat").await?;
    assert_eq!(leader.kv().context("a leader")?.value_str()?, "me");
    let resign =
        etcd_client::ResignOptions::new().with_leader(won.leader().context("mine")?.clone());
    client.resign(Some(resign)).await?;
    client.lease_revoke(lease).await?;
    assert_eq!(direct.get("l", None).await?.count(), 0);
    assert_eq!(client.member_list().await?.members()[0].name(), "m0");
    assert_eq!(client.status().await?.leader(), direct.status().await?.leader());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn our_own_services_and_refusals_pass_too() -> Result<()> {
    let pair = Pair::start(&[])?;
    let rpc = Rpc::connect(&pair.proxy.url).await?;
    let mut queues = QueueClient::new(rpc.channel.clone());
    let item = v1::QueueNewItem { payload: "job".into(), ..Default::default() };
    let enqueue =
        v1::QueueEnqueueRequest { queue: "q".into(), items: vec![item], ..Default::default() };
    queues.enqueue(enqueue).await?;
    let dequeue = v1::QueueDequeueRequest { queue: "q".into(), ..Default::default() };
    let taken = queues.dequeue(dequeue).await?.into_inner();
    assert_eq!(taken.deliveries[0].item.as_ref().context("an item")?.payload, "job");
    let empty = portunus_proto::etcdserverpb::PutRequest::default();
    let expected = (Code::InvalidArgument, "etcdserver: key is not provided".to_owned());
    assert_eq!(refusal(rpc.kv.clone().put(empty).await), expected);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_stay_with_a_proxy_that_names_itself() -> Result<()> {
    let pair = Pair::start(&["--advertise-client-url=http://proxy.example:23790"])?;
    let members = pair.proxy.client().await?.member_list().await?;
    let urls: Vec<_> = members.members().iter().map(|member| member.client_urls()).collect();
    assert_eq!(urls, [["http://proxy.example:23790"]]);
    Ok(())
}
