//! Service discovery: instances register under a lease and heartbeat; a client keeps the list,
//! watches it, and balances among them. An instance that dies disappears when its TTL ends.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, Result};
use etcd_client::{Client, EventType, GetOptions, PutOptions, WatchOptions};
use tokio::task::JoinHandle;

const SERVICE: &str = "examples/discovery/search/";
const TTL_SECONDS: i64 = 2;

/// Registers an instance; its heartbeat goes on until the task ends.
async fn register(mut client: Client, address: &str) -> Result<JoinHandle<()>> {
    let lease = client.lease_grant(TTL_SECONDS, None).await?.id();
    let options = PutOptions::new().with_lease(lease);
    client.put(format!("{SERVICE}{address}"), "healthy", Some(options)).await?;
    Ok(tokio::spawn(async move {
        let Ok((mut keeper, mut answers)) = client.lease_keep_alive(lease).await else { return };
        while keeper.keep_alive().await.is_ok() && answers.message().await.is_ok() {
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }))
}

fn balance(instances: &BTreeSet<String>) {
    for (request, instance) in (1..=6).zip(instances.iter().cycle()) {
        println!("request {request} goes to {instance}");
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let mut client = portunus_examples::begin(SERVICE).await?;
    let mut heartbeats = Vec::new();
    for address in ["10.0.0.1:80", "10.0.0.2:80", "10.0.0.3:80"] {
        heartbeats.push(register(client.clone(), address).await?);
    }
    let found = client.get(SERVICE, Some(GetOptions::new().with_prefix())).await?;
    let after = found.header().context("a header")?.revision() + 1;
    let name = |key: &[u8]| String::from_utf8_lossy(&key[SERVICE.len()..]).into_owned();
    let mut instances: BTreeSet<_> = found.kvs().iter().map(|kv| name(kv.key())).collect();
    println!("found {instances:?}");
    balance(&instances);
    let options = WatchOptions::new().with_prefix().with_start_revision(after);
    let mut changes = client.watch(SERVICE, Some(options)).await?;
    heartbeats[1].abort();
    println!("10.0.0.2:80 dies");
    while instances.len() == 3 {
        let told = changes.message().await?.context("the watch goes on")?;
        for event in told.events().iter().filter(|it| it.event_type() == EventType::Delete) {
            let gone = name(event.kv().context("a key")?.key());
            println!("{gone} is gone: its TTL ended");
            instances.remove(&gone);
        }
    }
    balance(&instances);
    Ok(())
}
