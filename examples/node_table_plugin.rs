//! The node table again, as a plugin: partitions are shared out over living nodes. With keys each
//! node lists nodes and partitions, works out its share, and writes it in a transaction that fails
//! when another was faster; with the `membership` plugin it joins and asks for its share.

use anyhow::Result;
use etcd_client::{Client, Compare, CompareOp, GetOptions, PutOptions, Txn, TxnOp};
use portunus_examples::{Trips, begin, call, channel, portunus};
use serde_json::json;

const DIR: &str = "examples/share/";
const NODES: usize = 6;
const PARTITIONS: usize = 24;

/// With keys: the plan is one key, compared and swapped.
async fn with_keys(mut client: Client, node: usize, trips: &Trips) -> Result<()> {
    let lease = client.lease_grant(60, None).await?.id();
    let options = Some(PutOptions::new().with_lease(lease));
    trips.of(client.put(format!("{DIR}nodes/{node}"), "", options)).await?;
    loop {
        let all = GetOptions::new().with_prefix();
        let nodes = trips.of(client.get(format!("{DIR}nodes/"), Some(all))).await?;
        let plan = trips.of(client.get(format!("{DIR}plan"), None)).await?;
        let seen = plan.kvs().first().map_or(0, |kv| kv.mod_revision());
        let owner = |partition: usize| partition % nodes.kvs().len();
        let owners: Vec<usize> = (0..PARTITIONS).map(owner).collect();
        let unchanged = Compare::mod_revision(format!("{DIR}plan"), CompareOp::Equal, seen);
        let put = TxnOp::put(format!("{DIR}plan"), json!(owners).to_string(), None);
        if trips.of(client.txn(Txn::new().when([unchanged]).and_then([put]))).await?.succeeded() {
            return Ok(());
        }
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let mut client = begin(DIR).await?;
    let (at, channel) = (format!("{DIR}groups/"), channel().await?);
    portunus(&["plugin", "deploy", "builtin:membership", "--recipe", &at, "--trigger", &at])?;
    let group = async |function, args| call(&channel, "membership", function, args).await;
    let (keys, plugin) = (Trips::default(), Trips::default());
    for node in 0..NODES {
        with_keys(client.clone(), node, &keys).await?;
        let lease = client.lease_grant(60, None).await?.id();
        let join = json!({ "group": "g", "member": node.to_string(), "lease": lease });
        plugin.of(group("join", join)).await?;
    }
    let items: Vec<String> = (0..PARTITIONS).map(|n| format!("p{n:02}")).collect();
    group("share", json!({ "group": "g", "items": items })).await?;
    for node in 0..NODES {
        let mine = json!({ "group": "g", "member": node.to_string() });
        println!("node {node} has {}", plugin.of(group("mine", mine)).await?["own"]);
    }
    let (keys, plugin) = (keys.count(), plugin.count());
    println!("with keys: {keys} round trips, with the plugin: {plugin}; saved: {}", keys - plugin);
    Ok(())
}
