//! One queue under faults of all kinds, while its condition changes.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, ensure};
use etcd_client::{Client, ConnectOptions, GetOptions};
use parking_lot::Mutex;
use portunus_tests::{Cluster, eventually_within};
use rand::Rng;

use crate::driver::{harm, turn, wires};
use crate::history;
use crate::queue_check::{Record, check};
use crate::queue_replay::{CONDITIONS, FIRST, GATE};
use crate::queue_users::{Consumer, produce};
use crate::session::{Clock, Stop};

const PRODUCERS: usize = 2;
const CONSUMERS: usize = 6;
/// Acknowledgements between two faults.
const STEP: usize = 60;
/// Between two changes of the condition: the load's own pace, so that items leave under each.
const PACE: Duration = Duration::from_millis(60);
/// Far more than the last claims take to end and their items to be worked off.
const DRAINED_WITHIN: Duration = Duration::from_secs(90);

/// Opens and shuts the queue, in all the ways that its condition knows, until told to stop; then it
/// is open.
async fn rule(cluster_urls: Vec<String>, stop: Stop) -> Result<()> {
    let options = ConnectOptions::new().with_timeout(Duration::from_secs(2));
    let mut client = Client::connect(&cluster_urls, Some(options)).await?;
    while !stop.is_set() {
        let draw: [usize; 2] = std::array::from_fn(|_| rand::rng().random_range(0..100));
        // Whether it worked is told by the history.
        let _ = match draw[0] % 6 {
            0 => client.put(GATE, "open", None).await.map(drop),
            1 => client.put(GATE, "shut", None).await.map(drop),
            2 => client.put(FIRST, "", None).await.map(drop),
            3 => client.delete(FIRST, None).await.map(drop),
            _ => {
                let condition = CONDITIONS[draw[1] % CONDITIONS.len()];
                client.put("jobs/condition", condition, None).await.map(drop)
            }
        };
        tokio::time::sleep(PACE).await;
    }
    loop {
        if client.put("jobs/condition", "", None).await.is_ok() {
            return Ok(());
        }
    }
}

async fn is_drained(client: &mut Client) -> Result<()> {
    for shelf in ["items", "delayed", "taken"] {
        let options = GetOptions::new().with_prefix().with_count_only();
        let left = client.get(format!("jobs/{shelf}/"), Some(options)).await?.count();
        ensure!(left == 0, "{left} in {shelf}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_or_done_twice_and_nothing_leaves_before_its_time() -> Result<()> {
    let _turn = turn().await;
    let mut cluster = Cluster::three(&[]).await?;
    let wires = wires(&cluster, PRODUCERS + CONSUMERS).await?;
    let (clock, stop, drained) = (Clock::start(), Stop::default(), Stop::default());
    let record: Arc<Mutex<Record>> = Arc::default();
    let (mut producers, mut consumers) = (Vec::new(), Vec::new());
    for (id, wire) in (0..).zip(&wires) {
        let (url, record) = (wire.url.clone(), Arc::clone(&record));
        if (id as usize) < PRODUCERS {
            producers.push(tokio::spawn(produce(id, url, record, stop.clone())));
        } else {
            let consumer = Consumer::new(id, &url, clock, record)?;
            consumers.push(tokio::spawn(consumer.work(drained.clone())));
        }
    }
    let urls = cluster.members.iter().map(|member| member.client_url.clone()).collect();
    let ruler = tokio::spawn(rule(urls, stop.clone()));
    harm(&mut cluster, &wires, STEP, || record.lock().acked.len()).await?;
    stop.set();
    ruler.await??;
    for producer in producers {
        producer.await??;
    }
    let client = cluster.client().await?;
    eventually_within(DRAINED_WITHIN, "an empty queue", || {
        let mut client = client.clone();
        async move { is_drained(&mut client).await }
    })
    .await;
    drained.set();
    for consumer in consumers {
        consumer.await?;
    }
    let record = record.lock().clone();
    let history = history::read(&mut client.clone()).await?;
    let told = check(&record, &history).map_err(anyhow::Error::msg)?;
    println!(
        "{} items, {} deliveries, {} under a condition",
        record.enqueued.len(),
        record.delivered.len(),
        told.conditional
    );
    ensure!(told.conditional > 0, "no condition was put to the test");
    cluster.assert_equal().await;
    Ok(())
}
