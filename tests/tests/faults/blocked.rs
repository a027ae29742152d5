//! Consumers that wait while their leader dies, is stopped, or is cut off: none notices.

use anyhow::{Context, Result, ensure};
use portunus_proto::portunus::v1::queue_client::QueueClient;
use portunus_proto::portunus::v1::{
    QueueConsumeRequest, QueueDequeueRequest, QueueEnqueueRequest, QueueNewItem, QueueStatsRequest,
};
use portunus_tests::http::get;
use portunus_tests::{Cluster, eventually};
use tokio::task::JoinSet;

use crate::driver::turn;
use crate::session::{Clock, Lease, connect, soon};

const EACH: usize = 5;

#[derive(Clone, Copy, Debug)]
enum Fault {
    Kill,
    Pause,
    Cut,
}

/// The numbers of the items that a consumer of each kind gets.
async fn consume(kind: usize, url: String, lease: i64) -> Result<Vec<u64>> {
    let mut queue = QueueClient::new(connect(&url)?);
    let deliveries = match kind {
        0 | 1 => {
            let request = QueueDequeueRequest {
                queue: "jobs".into(),
                lease: if kind == 0 { 0 } else { lease },
                visibility_seconds: 600,
                wait: true,
                ..Default::default()
            };
            queue.dequeue(request).await?.into_inner().deliveries
        }
        _ => {
            let request = QueueConsumeRequest { queue: "jobs".into(), lease, ..Default::default() };
            let mut stream = queue.consume(request).await?.into_inner();
            stream.message().await?.context("it goes on")?.deliveries
        }
    };
    Ok(deliveries.iter().filter_map(|it| it.claim).map(|claim| claim.id).collect())
}

async fn enqueue(url: &str, count: usize) {
    let item = |n: usize| QueueNewItem { dedup_id: n.to_string(), ..Default::default() };
    let items: Vec<_> = (0..count).map(item).collect();
    eventually("an enqueue", || async {
        let mut queue = QueueClient::new(connect(url)?);
        let (queue_name, items) = ("jobs".into(), items.clone());
        let request = QueueEnqueueRequest { queue: queue_name, items, wait: false };
        soon(queue.enqueue(request)).await.map(drop)
    })
    .await;
}

async fn survive(fault: Fault) -> Result<()> {
    let _turn = turn().await;
    let mut cluster = Cluster::three(&[]).await?;
    let leader = cluster.leader().await;
    let survivors: Vec<String> =
        (1..3).map(|n| cluster.members[(leader + n) % 3].client_url.clone()).collect();
    let (channel, clock) = (connect(&survivors[0])?, Clock::start());
    // The clients' leases outlive the test; they are not what it is about.
    let lease = Lease::grant(&channel, clock, 600).await?;
    let mut consumers = JoinSet::new();
    for n in 0..EACH * 3 {
        consumers.spawn(consume(n % 3, survivors[n % 2].clone(), lease.id));
    }
    eventually("all of them in line", || async {
        let metrics = get(&cluster.members[leader].client_url, "/metrics").await?.body;
        let line = format!("portunus_server_waiting_decisions {}", EACH * 3);
        ensure!(metrics.lines().any(|it| it == line), "not all wait yet");
        Ok(())
    })
    .await;
    match fault {
        Fault::Kill => cluster.members[leader].kill()?,
        Fault::Pause => cluster.members[leader].pause()?,
        Fault::Cut => cluster.links.cut(leader),
    }
    enqueue(&survivors[1], EACH * 3).await;
    let mut taken = Vec::new();
    while let Some(consumed) = consumers.join_next().await {
        taken.extend(consumed?.context("nobody notices the change")?);
    }
    taken.sort_unstable();
    let all: Vec<u64> = (1..=EACH as u64 * 3).collect();
    assert_eq!(taken, all, "each to one consumer");
    match fault {
        Fault::Kill => {}
        Fault::Pause => cluster.members[leader].resume()?,
        Fault::Cut => cluster.links.heal(leader),
    }
    // What was on its way when the leader went takes nothing from anybody later.
    let mut queue = QueueClient::new(channel);
    let stats = soon(queue.stats(QueueStatsRequest { queue: "jobs".into() })).await?.into_inner();
    ensure!(stats.ready == 0 && stats.delayed == 0 && stats.dead == 0, "{stats:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn blocked_consumers_do_not_notice_that_the_leader_is_killed() -> Result<()> {
    survive(Fault::Kill).await
}

#[tokio::test(flavor = "multi_thread")]
async fn blocked_consumers_do_not_notice_that_the_leader_is_stopped() -> Result<()> {
    survive(Fault::Pause).await
}

#[tokio::test(flavor = "multi_thread")]
async fn blocked_consumers_do_not_notice_that_the_leader_is_cut_off() -> Result<()> {
    survive(Fault::Cut).await
}
