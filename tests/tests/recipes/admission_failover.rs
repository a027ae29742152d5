//! Locks and queues that plugins decide about, over three members, through the end of the one that
//! leads: nobody who waits is lost, and no more are let in than may be.

use std::collections::VecDeque;

use anyhow::{Context, Result, ensure};
use etcd_client::{Client, EventType, WatchOptions};
use portunus_proto::portunus::v1::lock_client::LockClient;
use portunus_proto::portunus::v1::queue_client::QueueClient;
use portunus_proto::portunus::v1::{
    LockAcquireRequest, LockReleaseRequest, QueueAckRequest, QueueClaim, QueueDequeueRequest,
    QueueEnqueueRequest, QueueNewItem,
};
use portunus_tests::{Cluster, Rpc, eventually};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tonic::transport::Channel;

use crate::fixture::{deploy, lease, stand};

const PERMITS: usize = 3;
const CALLERS: usize = PERMITS + 20;

async fn connected(cluster: &Cluster, n: usize) -> Result<Channel> {
    Ok(Rpc::connect(&cluster.members[n].client_url).await?.channel)
}

async fn release(channel: &Channel, name: &'static str, lease: i64) {
    eventually("a release", || {
        let mut lock = LockClient::new(channel.clone());
        let names = vec![name.into()];
        async move { lock.release(LockReleaseRequest { names, lease, entirely: true }).await.map(drop) }
    })
    .await;
}

/// How many held the lock at most at any revision, and how many were ever let in, as the store's
/// own history tells it.
async fn history(client: &mut Client, from: i64) -> Result<(usize, usize)> {
    let options = WatchOptions::new().with_prefix().with_start_revision(from);
    let mut watch = client.watch("l/a!holders/", Some(options)).await?;
    let (mut held, mut most, mut granted) = (0_usize, 0, 0);
    loop {
        let told = watch.message().await?.context("it goes on")?;
        for event in told.events() {
            match event.event_type() {
                EventType::Put => (held, granted) = (held + 1, granted + 1),
                EventType::Delete => held = held.checked_sub(1).context("nobody held it")?,
            }
            most = most.max(held);
        }
        if granted >= CALLERS && held == 0 {
            return Ok((most, granted));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_who_wait_on_a_semaphore_are_all_let_in_three_at_a_time() -> Result<()> {
    let mut cluster = Cluster::three(&[]).await?;
    let leader = cluster.leader().await;
    let survivors: Vec<_> = (1..3).map(|n| (leader + n) % 3).collect();
    let client = cluster.members[survivors[0]].client().await?;
    let config = format!("permits={PERMITS}");
    let url = cluster.members[survivors[0]].client_url.clone();
    deploy(&url, "semaphore", &["--lock-admission", "l/", "--config", &config])?;
    let begin = client.kv_client().put("begin", "", None).await?;
    let begin = begin.header().context("a header")?.revision();
    let (granted, mut grants) = mpsc::unbounded_channel();
    let mut leases = Vec::new();
    for n in 0..CALLERS {
        let mut lock = LockClient::new(connected(&cluster, survivors[n % 2]).await?);
        let (lease, granted) = (lease(&client).await?, granted.clone());
        leases.push(lease);
        let names = vec!["l/a".into()];
        let request = LockAcquireRequest { names, lease, ..Default::default() };
        tokio::spawn(async move {
            // The test ends with the first that fails.
            let _ = granted.send((n, lock.acquire(request).await));
        });
        stand(&client, "l/a", n + 1).await;
    }
    let channel = connected(&cluster, survivors[0]).await?;
    let (mut tokens, mut held) = (vec![0; CALLERS], VecDeque::new());
    for count in 0..CALLERS {
        let (n, acquired) = grants.recv().await.context("a grant")?;
        let place = acquired.context("nobody notices the change")?.into_inner().held.remove(0);
        ensure!(tokens[n] == 0, "{n} is let in twice");
        tokens[n] = place.token;
        held.push_back(n);
        if count == PERMITS + 4 {
            // Twelve and more are in line, three hold it.
            cluster.members[leader].kill()?;
        }
        while held.len() >= PERMITS || (count + 1 == CALLERS && !held.is_empty()) {
            let oldest = held.pop_front().context("somebody holds it")?;
            release(&channel, "l/a", leases[oldest]).await;
        }
    }
    assert!(tokens.is_sorted_by(|one, other| one < other), "in line, and growing: {tokens:?}");
    let mut client = cluster.members[survivors[1]].client().await?;
    assert_eq!(history(&mut client, begin).await?, (PERMITS, CALLERS));
    Ok(())
}

fn dequeue(
    channel: &Channel,
    queue: &'static str,
    wait: bool,
) -> JoinHandle<Result<Vec<QueueClaim>>> {
    let mut client = QueueClient::new(channel.clone());
    let request = QueueDequeueRequest {
        queue: queue.into(),
        max: 10,
        wait,
        visibility_seconds: 600,
        ..Default::default()
    };
    tokio::spawn(async move {
        let deliveries = client.dequeue(request).await?.into_inner().deliveries;
        Ok(deliveries.into_iter().filter_map(|delivery| delivery.claim).collect())
    })
}

fn ids(claims: &[QueueClaim]) -> Vec<u64> {
    claims.iter().map(|claim| claim.id).collect()
}

async fn enqueue(
    channel: &Channel,
    queue: &'static str,
    header: Option<(&str, &str)>,
) -> Result<u64> {
    let headers = header.into_iter().map(|(name, value)| (name.into(), value.into()));
    let items = vec![QueueNewItem { headers: headers.collect(), ..Default::default() }];
    let request = QueueEnqueueRequest { queue: queue.into(), items, wait: false };
    Ok(QueueClient::new(channel.clone()).enqueue(request).await?.into_inner().ids[0])
}

async fn ack(channel: &Channel, queue: &'static str, claim: QueueClaim) {
    eventually("an acknowledgement", || {
        let mut client = QueueClient::new(channel.clone());
        let request = QueueAckRequest { queue: queue.into(), claims: vec![claim], txn: None };
        async move {
            match client.ack(request).await {
                // An earlier one whose answer was lost.
                Err(status) if status.code() == tonic::Code::FailedPrecondition => Ok(()),
                acked => acked.map(drop),
            }
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_plugins_hold_back_leaves_in_order_under_a_new_leader() -> Result<()> {
    let mut cluster = Cluster::three(&[]).await?;
    let leader = cluster.leader().await;
    let survivor = (leader + 1) % 3;
    let url = cluster.members[survivor].client_url.clone();
    let client = cluster.members[survivor].client().await?;
    let channel = connected(&cluster, survivor).await?;
    deploy(&url, "dag", &["--queue-condition", "dag/"])?;
    deploy(&url, "concurrency-limit", &["--queue-condition", "groups/"])?;
    deploy(&url, "capacity", &["--lock-admission", "l/", "--config", "capacity=10"])?;
    client.kv_client().put("dag/q/condition", "plugin dag", None).await?;
    client.kv_client().put("groups/q/condition", "plugin concurrency-limit", None).await?;
    let last = enqueue(&channel, "dag/q", Some(("after", "2"))).await?;
    let first = enqueue(&channel, "dag/q", None).await?;
    let mut grouped = Vec::new();
    for group in ["a", "a", "b"] {
        grouped.push(enqueue(&channel, "groups/q", Some(("group", group))).await?);
    }
    let built = dequeue(&channel, "dag/q", false).await??;
    let taken = dequeue(&channel, "groups/q", false).await??;
    assert_eq!((ids(&built), ids(&taken)), (vec![first], vec![grouped[0], grouped[2]]));
    let [six, big, small] = [lease(&client).await?, lease(&client).await?, lease(&client).await?];
    let weigh = |lease, weight| {
        let mut lock = LockClient::new(channel.clone());
        let names = vec!["l/a".into()];
        let request = LockAcquireRequest { names, lease, weight, ..Default::default() };
        tokio::spawn(
            async move { Ok::<_, tonic::Status>(lock.acquire(request).await?.into_inner()) },
        )
    };
    weigh(six, 6).await??;
    let waits = weigh(big, 8);
    stand(&client, "l/a", 2).await;
    let passed = weigh(small, 4).await??.held.remove(0);
    let next = [dequeue(&channel, "dag/q", true), dequeue(&channel, "groups/q", true)];
    cluster.members[leader].kill()?;
    release(&channel, "l/a", six).await;
    ack(&channel, "dag/q", built[0]).await;
    ack(&channel, "groups/q", taken[0]).await;
    let [built, taken] = next;
    assert_eq!(ids(&built.await??), [last]);
    assert_eq!(ids(&taken.await??), [grouped[1]]);
    // Eight and four are more than ten.
    assert!(!waits.is_finished());
    release(&channel, "l/a", small).await;
    assert!(waits.await??.held.remove(0).token > passed.token);
    Ok(())
}
