//! Notification and coordination: a console and its workers meet only in a directory that both
//! watch. The console steers by a key, workers report progress, and one that dies is noticed.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use etcd_client::{Client, EventType, PutOptions};
use portunus_examples::{begin, watch};

const DIR: &str = "examples/push/";
const STEPS: u32 = 3;

/// A worker: waits for the word, then works and reports. The third dies on its way.
async fn work(mut client: Client, name: &str) -> Result<()> {
    let mut word = watch(&mut client, &format!("{DIR}steer")).await?;
    let lease = client.lease_grant(60, None).await?.id();
    let options = || Some(PutOptions::new().with_lease(lease));
    client.put(format!("{DIR}alive/{name}"), "", options()).await?;
    word.message().await?.context("the watch goes on")?;
    for step in 1..=STEPS {
        if name == "w3" && step == 2 {
            client.lease_revoke(lease).await?;
            return Ok(());
        }
        client.put(format!("{DIR}progress/{name}"), format!("{step}/{STEPS}"), options()).await?;
    }
    Ok(())
}

#[tokio::main]
async fn main() -> Result<()> {
    let mut console = begin(DIR).await?;
    let mut news = watch(&mut console, DIR).await?;
    for name in ["w1", "w2", "w3"] {
        tokio::spawn(work(console.clone(), name));
    }
    let mut workers = BTreeMap::new();
    let mut ended = 0;
    while ended < 3 {
        for event in news.message().await?.context("the watch goes on")?.events() {
            let kv = event.kv().context("a key")?;
            let (key, value) = (kv.key_str()?, kv.value_str()?.to_owned());
            let (kind, name) = key[DIR.len()..].split_once('/').unwrap_or(("steer", ""));
            match (kind, event.event_type()) {
                ("alive", EventType::Put) => drop(workers.insert(name.to_owned(), String::new())),
                ("alive", EventType::Delete) => println!("{name} died at {}", workers[name]),
                ("progress", EventType::Put) => drop(workers.insert(name.to_owned(), value)),
                ("steer", _) => println!("the console says {value}"),
                _ => {}
            }
            let died = kind == "alive" && event.event_type() == EventType::Delete;
            ended += usize::from(died || kind == "progress" && workers[name] == "3/3");
            if kind == "alive" && !died && workers.len() == 3 {
                console.put(format!("{DIR}steer"), "go", None).await?;
            }
        }
    }
    println!("progress: {workers:?}");
    Ok(())
}
