//! Notification and coordination again, as a plugin: a console waits until all its workers are
//! done. With keys and a watch it is told of each step; with the `latch` plugin it asks once, and
//! the server wakes it once, with the last step.

use anyhow::{Context, Result};
use etcd_client::{Client, GetOptions};
use portunus_examples::{Trips, begin, call, channel, named, portunus, watch};
use serde_json::json;

const KEYS: &str = "examples/steps/";
const WORKERS: usize = 8;

/// As an etcd client: counts the keys, then counts what the watch tells.
async fn with_keys(client: &mut Client, trips: &Trips) -> Result<()> {
    let mut console = client.clone();
    let mut steps = trips.of(watch(&mut console, KEYS)).await?;
    let begun = trips.of(console.get(KEYS, Some(GetOptions::new().with_prefix()))).await?;
    let mut seen = begun.count() as usize;
    for worker in 0..WORKERS {
        trips.of(client.put(format!("{KEYS}{worker}"), "done", None)).await?;
        // A step at a time, as they come in life; told together they would be fewer messages.
        while seen <= worker {
            seen += trips.of(steps.message()).await?.context("it goes on")?.events().len();
        }
    }
    Ok(())
}

/// With the plugin: who waits asks once.
async fn with_plugin(trips: &Trips) -> Result<()> {
    let channel = channel().await?;
    call(&channel, "latch", "remove", named("steps")).await?;
    let create = json!({ "name": "steps", "count": WORKERS });
    trips.of(call(&channel, "latch", "create", create)).await?;
    let done = trips.of(call(&channel, "latch", "pass", named("steps")));
    let work = async {
        for worker in 0..WORKERS {
            let down = json!({ "name": "steps", "id": worker.to_string() });
            trips.of(call(&channel, "latch", "down", down)).await?;
        }
        anyhow::Ok(())
    };
    tokio::try_join!(done, work).map(drop)
}

#[tokio::main]
async fn main() -> Result<()> {
    let mut client = begin(KEYS).await?;
    portunus(&["plugin", "deploy", "builtin:latch", "--recipe", "examples/latch/"])?;
    let (keys, plugin) = (Trips::default(), Trips::default());
    with_keys(&mut client, &keys).await?;
    with_plugin(&plugin).await?;
    let (keys, plugin) = (keys.count(), plugin.count());
    println!("{WORKERS} workers and a console that waits for all of them");
    println!("with keys: {keys} messages, with the plugin: {plugin}; saved: {}", keys - plugin);
    Ok(())
}
