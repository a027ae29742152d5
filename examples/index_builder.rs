//! Monitoring and election: one elected leader does the expensive work, building the full index,
//! and hands the result to the others. When it vanishes, all notice, and the next one leads.

use anyhow::{Context, Result, anyhow};
use etcd_client::{Client, EventType};
use portunus_examples::{begin, watch};
use tokio::sync::oneshot;

const ELECTION: &str = "examples/index/leader";
const RESULT: &str = "examples/index/result";

/// Stands for election, builds the index when it leads, and goes on leading until told to crash.
async fn node(mut client: Client, name: &str, crash: oneshot::Receiver<()>) -> Result<()> {
    let lease = client.lease_grant(60, None).await?.id();
    let elected = client.campaign(ELECTION, name, lease).await?;
    let term = elected.leader().context("it leads")?.rev();
    println!("{name} leads");
    client.put(RESULT, format!("index by {name}"), None).await?;
    if crash.await.is_ok() {
        // What a crash comes to in the end: the lease is gone, and all that hung on it.
        println!("{name} vanishes from term {term}");
        client.lease_revoke(lease).await?;
    }
    Ok(())
}

#[tokio::main]
async fn main() -> Result<()> {
    let mut client = begin("examples/index/").await?;
    let mut results = watch(&mut client, RESULT).await?;
    let mut monitor = watch(&mut client, &format!("{ELECTION}/")).await?;
    let mut crashes = Vec::new();
    for name in ["node-1", "node-2", "node-3"] {
        let (crash, crashed) = oneshot::channel();
        tokio::spawn(node(client.clone(), name, crashed));
        // Each stands before the next one comes, so that their order is known.
        monitor.message().await?.context("the watch goes on")?;
        crashes.push(crash);
    }
    for crash in crashes {
        let built = results.message().await?.context("the watch goes on")?;
        for event in built.events() {
            println!("all others use: {}", event.kv().context("a key")?.value_str()?);
        }
        crash.send(()).map_err(|()| anyhow!("the leader is not there"))?;
        let gone = |event: &etcd_client::Event| event.event_type() == EventType::Delete;
        while !monitor.message().await?.context("it goes on")?.events().iter().any(gone) {}
        println!("the monitor noticed at once");
    }
    println!("nobody is left");
    Ok(())
}
