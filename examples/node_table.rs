//! Load balancing: a small table that everybody reads from the nearest member, and a table of
//! living nodes over which requests are spread. When a node dies, only its own requests move.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use anyhow::{Context, Result};
use etcd_client::{Client, GetOptions, PutOptions};

const CODES: &str = "examples/table/codes/";
const NODES: &str = "examples/table/nodes/";
const REQUESTS: usize = 12;

async fn table(client: &mut Client, prefix: &str) -> Result<BTreeMap<String, String>> {
    // Serializable: answered by the member that is asked, without a word to the others.
    let options = GetOptions::new().with_prefix().with_serializable();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let read = client.get(prefix, Some(options)).await?;
    let row = |kv: &etcd_client::KeyValue| (text(&kv.key()[prefix.len()..]), text(kv.value()));
    Ok(read.kvs().iter().map(row).collect())
}

/// Where a request goes: to the node with the highest hash of both.
fn route(nodes: &BTreeMap<String, String>, request: usize) -> Option<&String> {
    nodes.keys().max_by_key(|node| {
        let mut hash = DefaultHasher::new();
        (node, request).hash(&mut hash);
        hash.finish()
    })
}

#[tokio::main]
async fn main() -> Result<()> {
    let mut client = portunus_examples::begin("examples/table/").await?;
    for (code, meaning) in [("at", "Austria"), ("ch", "Switzerland")] {
        client.put(format!("{CODES}{code}"), meaning, None).await?;
    }
    println!("codes: {:?}", table(&mut client, CODES).await?);
    let mut leases = Vec::new();
    for (node, address) in [("a", "10.0.0.1"), ("b", "10.0.0.2"), ("c", "10.0.0.3")] {
        let lease = client.lease_grant(60, None).await?.id();
        let options = Some(PutOptions::new().with_lease(lease));
        client.put(format!("{NODES}{node}"), address, options).await?;
        leases.push(lease);
    }
    let before = table(&mut client, NODES).await?;
    let routes: Vec<_> = (0..REQUESTS).filter_map(|request| route(&before, request)).collect();
    println!("{REQUESTS} requests over {:?}: {routes:?}", before.keys());
    client.lease_revoke(leases[1]).await?;
    let after = table(&mut client, NODES).await?;
    let moved: Vec<_> =
        (0..REQUESTS).filter(|it| route(&before, *it) != route(&after, *it)).collect();
    let its: Vec<_> = (0..REQUESTS).filter(|it| routes[*it] == "b").collect();
    println!("b is gone, {:?} are left; requests that moved: {moved:?}", after.keys());
    anyhow::ensure!(moved == its, "only those of b: {its:?}");
    println!("all of them were b's");
    before.get("b").map(drop).context("b was there")
}
