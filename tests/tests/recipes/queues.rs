//! The Queue service and `portunus queue`.

use std::collections::BTreeMap;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use portunus_proto::etcdserverpb as pb;
use portunus_proto::portunus::v1::queue_client::QueueClient;
use portunus_proto::portunus::v1::{
    QueueAckRequest, QueueConfigureRequest, QueueConsumeRequest, QueueDelivery,
    QueueDequeueRequest, QueueEnqueueRequest, QueueExplainRequest, QueueNewItem, QueueStatsRequest,
    QueueStatsResponse,
};
use portunus_tests::{Cluster, Member, Rpc, eventually};
use tonic::transport::Channel;

use crate::fixture::Single;

type Queue = QueueClient<Channel>;

fn queue(single: &Single) -> Queue {
    QueueClient::new(single.rpc.channel.clone())
}

async fn enqueue(queue: &mut Queue, name: &'static str, payloads: &[&str]) -> Result<Vec<u64>> {
    let item = |payload: &&str| QueueNewItem {
        payload: (*payload).to_owned().into(),
        ..Default::default()
    };
    let items = payloads.iter().map(item).collect();
    let request = QueueEnqueueRequest { queue: name.into(), items, wait: false };
    Ok(queue.enqueue(request).await?.into_inner().ids)
}

fn taking(name: &'static str, wait: bool) -> QueueDequeueRequest {
    QueueDequeueRequest { queue: name.into(), wait, ..Default::default() }
}

async fn take(queue: &mut Queue, name: &'static str) -> Result<Vec<QueueDelivery>> {
    Ok(queue.dequeue(taking(name, false)).await?.into_inner().deliveries)
}

async fn ack(queue: &mut Queue, name: &'static str, it: &QueueDelivery) -> Result<bool> {
    let claims = it.claim.into_iter().collect();
    let request = QueueAckRequest { queue: name.into(), claims, txn: None };
    Ok(queue.ack(request).await?.into_inner().acked)
}

async fn stats(queue: &mut Queue, name: &'static str) -> Result<QueueStatsResponse> {
    Ok(queue.stats(QueueStatsRequest { queue: name.into() }).await?.into_inner())
}

fn payload(delivery: &QueueDelivery) -> String {
    let item = delivery.item.as_ref().expect("an item");
    String::from_utf8_lossy(&item.payload).into_owned()
}

const ITEMS: usize = 300;
const CONSUMERS: usize = 8;

#[tokio::test(flavor = "multi_thread")]
async fn consumers_share_the_items_and_each_is_done_once() -> Result<()> {
    let single = Single::start().await?;
    let mut producer = queue(&single);
    let (done, mut results) = tokio::sync::mpsc::unbounded_channel();
    for _ in 0..CONSUMERS {
        let (mut queue, done) = (queue(&single), done.clone());
        tokio::spawn(async move {
            loop {
                let taken = queue.dequeue(taking("jobs", true)).await.unwrap().into_inner();
                for delivery in taken.deliveries {
                    assert!(ack(&mut queue, "jobs", &delivery).await.unwrap());
                    if done.send(payload(&delivery)).is_err() {
                        return;
                    }
                }
            }
        });
    }
    for n in 0..ITEMS {
        enqueue(&mut producer, "jobs", &[&n.to_string()]).await?;
    }
    let mut seen = BTreeMap::new();
    for _ in 0..ITEMS {
        *seen.entry(results.recv().await.context("a result")?).or_insert(0) += 1;
    }
    assert_eq!(seen.len(), ITEMS, "each once");
    let left = stats(&mut producer, "jobs").await?;
    assert_eq!((left.ready, left.taken, left.returning), (0, 0, 0));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_consumer_leaves_goes_to_another() -> Result<()> {
    let single = Single::start().await?;
    let mut queue = queue(&single);
    enqueue(&mut queue, "jobs", &["a", "b", "c"]).await?;
    let request = QueueConsumeRequest { queue: "jobs".into(), max: 2, ..Default::default() };
    let mut other = QueueClient::new(Rpc::connect(&single.member.client_url).await?.channel);
    let mut stream = other.consume(request).await?.into_inner();
    let mut ahead = Vec::new();
    while ahead.len() < 2 {
        ahead.extend(stream.message().await?.context("items")?.deliveries);
    }
    assert_eq!(ahead.iter().map(payload).collect::<Vec<_>>(), ["a", "b"], "no more than asked for");
    assert_eq!(stats(&mut queue, "jobs").await?.ready, 1);
    assert!(ack(&mut queue, "jobs", &ahead[0]).await?);
    let next = stream.message().await?.context("room for one more")?.deliveries;
    assert_eq!(payload(&next[0]), "c");
    drop(stream);
    let again = queue.dequeue(taking("jobs", true)).await?.into_inner().deliveries;
    let item = again[0].item.as_ref().context("an item")?;
    assert_eq!((&item.payload[..], item.attempts), (&b"b"[..], 2));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn any_client_sets_the_condition_and_hears_of_its_mistake() -> Result<()> {
    let mut single = Single::start().await?;
    let mut queue = queue(&single);
    enqueue(&mut queue, "jobs", &["a", "b"]).await?;
    let error = single.client.put("jobs/condition", "all(size>=3, kee x)", None).await.unwrap_err();
    let text = "at byte 13: kee is not a condition";
    assert!(error.to_string().contains(text), "{error}");
    single.client.put("jobs/condition", "all(size>=3, key gate = open)", None).await?;
    let mut consumer = queue.clone();
    let waiting = tokio::spawn(async move { consumer.dequeue(taking("jobs", true)).await });
    let explain = QueueExplainRequest { queue: "jobs".into() };
    let explained = queue.explain(explain).await?.into_inner();
    let waits = ["size>=3: 2 are ready", "key gate: it is not there"];
    assert_eq!(
        (explained.serves, &explained.waits_for[..]),
        (false, &waits.map(str::to_owned)[..])
    );
    enqueue(&mut queue, "jobs", &["c"]).await?;
    assert!(take(&mut queue, "jobs").await?.is_empty());
    single.client.put("gate", "open", None).await?;
    let taken = waiting.await??.into_inner().deliveries;
    assert_eq!(payload(&taken[0]), "a");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ack_carries_the_consumers_writes() -> Result<()> {
    let mut single = Single::start().await?;
    let mut queue = queue(&single);
    enqueue(&mut queue, "jobs", &["a"]).await?;
    let delivery = take(&mut queue, "jobs").await?.remove(0);
    let put = pb::PutRequest { key: "result".into(), value: "1".into(), ..Default::default() };
    let put = pb::RequestOp { request: Some(pb::request_op::Request::RequestPut(put)) };
    let txn = Some(pb::TxnRequest { success: vec![put], ..Default::default() });
    let claims = delivery.claim.into_iter().collect();
    let request = QueueAckRequest { queue: "jobs".into(), claims, txn };
    let acked = queue.ack(request.clone()).await?.into_inner();
    let at = acked.header.context("a header")?.revision;
    let result = single.client.get("result", None).await?;
    assert_eq!(result.kvs()[0].mod_revision(), at, "one revision for all of it");
    assert!(queue.ack(request).await.is_err(), "once");
    assert_eq!(single.client.get("result", None).await?.kvs()[0].version(), 1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bounded_queue_holds_its_producers() -> Result<()> {
    let single = Single::start().await?;
    let mut queue = queue(&single);
    let config = Some("max-length 1 overflow block".to_owned());
    let request = QueueConfigureRequest { queue: "jobs".into(), config, condition: None };
    queue.configure(request).await?;
    enqueue(&mut queue, "jobs", &["a"]).await?;
    let mut producer = queue.clone();
    let waiting = tokio::spawn(async move { enqueue(&mut producer, "jobs", &["b"]).await });
    let first = take(&mut queue, "jobs").await?;
    assert_eq!(payload(&first[0]), "a");
    assert_eq!(waiting.await??, [2]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn blocked_consumers_do_not_notice_that_the_leader_is_killed() -> Result<()> {
    let mut cluster = Cluster::three(&[]).await?;
    let leader = cluster.leader().await;
    let url = cluster.members[(leader + 1) % 3].client_url.clone();
    let mut waiting = Vec::new();
    for _ in 0..10 {
        let mut queue = QueueClient::new(Rpc::connect(&url).await?.channel);
        waiting.push(tokio::spawn(async move { queue.dequeue(taking("jobs", true)).await }));
    }
    let mut producer = QueueClient::new(Rpc::connect(&url).await?.channel);
    enqueue(&mut producer, "other", &["x"]).await?;
    cluster.members[leader].kill()?;
    let mut ids = Vec::new();
    for n in 0..10 {
        let id = eventually("an enqueue", || {
            let mut producer = producer.clone();
            // An enqueue whose answer was lost must not count twice.
            let item = QueueNewItem { dedup_id: format!("{n}"), ..Default::default() };
            let request =
                QueueEnqueueRequest { queue: "jobs".into(), items: vec![item], wait: false };
            async move { Ok::<_, tonic::Status>(producer.enqueue(request).await?.into_inner().ids) }
        })
        .await;
        ids.extend(id);
    }
    let mut taken = Vec::new();
    for one in waiting {
        let deliveries = one.await?.context("nobody notices the change")?.into_inner().deliveries;
        taken.extend(deliveries.iter().filter_map(|it| it.item.as_ref()).map(|item| item.id));
    }
    taken.sort_unstable();
    assert_eq!(taken, ids, "each to one consumer");
    Ok(())
}

fn cli(single: &Single, arguments: &[&str]) -> Result<(bool, String)> {
    let mut command = Command::new(Member::program()?);
    command.arg("queue").arg(format!("--endpoints={}", single.member.client_url));
    let output = tokio::task::block_in_place(|| command.args(arguments).output())?;
    Ok((output.status.success(), String::from_utf8(output.stdout)?))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_puts_takes_works_and_tells() -> Result<()> {
    let single = Single::start().await?;
    assert_eq!(cli(&single, &["put", "jobs", "a", "b", "c"])?, (true, "1\n2\n3\n".into()));
    let (_, line) = cli(&single, &["take", "jobs"])?;
    let taken: serde_json::Value = serde_json::from_str(&line)?;
    assert_eq!((&taken["id"], &taken["payload"]), (&1.into(), &"a".into()));
    let claim = taken["claim"].as_str().context("a claim")?;
    assert!(cli(&single, &["ack", "jobs", claim])?.0);
    assert!(!cli(&single, &["ack", "jobs", claim])?.0, "once");
    let script = "read x; test \"$x\" = b && echo done $x $PORTUNUS_ITEM_ID";
    let configured = cli(&single, &["configure", "jobs", "--config", "max-attempts 2"])?;
    assert!(configured.0);
    let (worked, out) = cli(&single, &["work", "jobs", "--drain", "--", "sh", "-c", script])?;
    assert_eq!((worked, out.as_str()), (true, "done b 2\n"));
    let (_, told) = cli(&single, &["stats", "jobs"])?;
    let dead = told.lines().find(|line| line.starts_with("dead")).context("a line")?;
    ensure!(dead.ends_with(" 1"), "{told}");
    assert!(cli(&single, &["explain", "jobs"])?.1.contains("an item"));
    let (accepted, _) = cli(&single, &["configure", "jobs", "--condition", "size>10"])?;
    assert!(!accepted, "a mistake");
    Ok(())
}
