//! How long writes stay away when the leader is killed: `cargo run -p portunus-tests --example
//! failover_times` kills ten leaders of a three-member cluster with default timeouts, one after
//! the other, and prints each time and the median, from the kill to the first acknowledged write
//! through a member that was not the leader.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use etcd_client::{Client, ConnectOptions};
use portunus_tests::Cluster;

const ROUNDS: usize = 10;
const PATIENCE: Duration = Duration::from_secs(2);

#[tokio::main]
async fn main() -> Result<()> {
    let mut cluster = Cluster::three(&[]).await?;
    let mut times = Vec::new();
    for round in 1..=ROUNDS {
        let leader = cluster.leader().await;
        let url = cluster.members[(leader + 1) % 3].client_url.clone();
        put(&url).await?;
        cluster.members[leader].kill()?;
        let killed = Instant::now();
        while put(&url).await.is_err() {
            ensure!(killed.elapsed() < Duration::from_secs(60), "writes do not resume");
        }
        let time = killed.elapsed();
        println!("{round:2}: {time:?}");
        times.push(time);
        cluster.restart(leader).await?;
        cluster.assert_equal().await;
    }
    times.sort();
    println!("median {:?}, longest {:?}", times[ROUNDS / 2], times[ROUNDS - 1]);
    Ok(())
}

async fn put(url: &str) -> Result<()> {
    let options = ConnectOptions::new().with_connect_timeout(PATIENCE).with_timeout(PATIENCE);
    let mut client = Client::connect([url], Some(options)).await?;
    client.put("key", "value", None).await?;
    Ok(())
}
