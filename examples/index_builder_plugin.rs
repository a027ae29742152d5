//! The index builder again, as a plugin: one node does the expensive work and the others get its
//! result. With an election each node campaigns, looks, and watches; with the `once` plugin each
//! asks once, and the server answers when the work is done.

use anyhow::{Context, Result};
use etcd_client::{Client, LeaderKey, ResignOptions};
use portunus_examples::{Trips, begin, call, channel, portunus};
use serde_json::json;

const DIR: &str = "examples/once/";
const NODES: usize = 8;

/// With an election: whoever leads looks whether it is done already; if not, it does it.
async fn with_election(mut client: Client, trips: &Trips) -> Result<bool> {
    let lease = client.lease_grant(60, None).await?.id();
    let elected = trips.of(client.campaign(format!("{DIR}leader"), "", lease)).await?;
    let leader: LeaderKey = elected.leader().context("it leads")?.clone();
    let done = trips.of(client.get(format!("{DIR}result"), None)).await?;
    let is_mine = done.count() == 0;
    if is_mine {
        trips.of(client.put(format!("{DIR}result"), "the index", None)).await?;
    }
    let resign = ResignOptions::new().with_leader(leader);
    trips.of(client.resign(Some(resign))).await?;
    Ok(is_mine)
}

/// With the plugin.
async fn with_plugin(mut client: Client, trips: &Trips) -> Result<bool> {
    let channel = channel().await?;
    let lease = client.lease_grant(60, None).await?.id();
    let job = json!({ "job": "index", "lease": lease });
    let turn = trips.of(call(&channel, "once", "begin", job)).await?;
    let is_mine = turn["run"] == true;
    if is_mine {
        let done = json!({ "job": "index", "lease": lease, "result": "the index" });
        trips.of(call(&channel, "once", "finish", done)).await?;
    }
    Ok(is_mine)
}

#[tokio::main]
async fn main() -> Result<()> {
    let client = begin(DIR).await?;
    portunus(&["plugin", "deploy", "builtin:once", "--recipe", "examples/once/jobs/"])?;
    let (election, plugin) = (Trips::default(), Trips::default());
    let (mut built, mut built_by_plugin) = (0, 0);
    // One after the other: at once, their order varies, not the count.
    for _ in 0..NODES {
        built += usize::from(with_election(client.clone(), &election).await?);
        built_by_plugin += usize::from(with_plugin(client.clone(), &plugin).await?);
    }
    println!(
        "{NODES} nodes, built {built} time with an election, {built_by_plugin} with the plugin"
    );
    let (election, plugin) = (election.count(), plugin.count());
    println!("election: {election} round trips, plugin: {plugin}; saved: {}", election - plugin);
    Ok(())
}
