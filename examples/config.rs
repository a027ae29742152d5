//! Configuration, published and subscribed: an application reads its directory once, then watches
//! it from that revision on, so that no change is missed; an operator changes values by hand.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use etcd_client::{Client, Compare, CompareOp, EventType, GetOptions, Txn, TxnOp, WatchOptions};

const APP: &str = "examples/config/search/";

/// What an operator does, here in another task.
async fn operate(mut client: Client) -> Result<()> {
    client.put(format!("{APP}log/level"), "debug", None).await?;
    // Two values that belong together change together, and only if nobody changed them meanwhile.
    let hosts = format!("{APP}index/hosts");
    let seen = client.get(&hosts[..], None).await?.kvs()[0].mod_revision();
    let unchanged = Compare::mod_revision(&hosts[..], CompareOp::Equal, seen);
    let ops =
        [TxnOp::put(&hosts[..], "a,b,c", None), TxnOp::put(format!("{APP}index/n"), "3", None)];
    let swapped = client.txn(Txn::new().when([unchanged.clone()]).and_then(ops)).await?;
    println!("operator: compare and swap {}", swapped.succeeded());
    let late = Txn::new().when([unchanged]).and_then([TxnOp::put(&hosts[..], "x", None)]);
    println!("operator: the same once more {}", client.txn(late).await?.succeeded());
    client.delete(format!("{APP}log/level"), None).await?;
    Ok(())
}

#[tokio::main]
async fn main() -> Result<()> {
    let mut client = portunus_examples::begin(APP).await?;
    for (name, value) in [("log/level", "info"), ("index/hosts", "a,b"), ("index/n", "2")] {
        client.put(format!("{APP}{name}"), value, None).await?;
    }
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let read = client.get(APP, Some(GetOptions::new().with_prefix())).await?;
    let pair = |kv: &etcd_client::KeyValue| (text(&kv.key()[APP.len()..]), text(kv.value()));
    let mut config: BTreeMap<_, _> = read.kvs().iter().map(pair).collect();
    println!("app: begins with {config:?}");
    let from = read.header().context("a header")?.revision() + 1;
    let options = WatchOptions::new().with_prefix().with_start_revision(from);
    let operator = tokio::spawn(operate(client.clone()));
    let mut changes = client.watch(APP, Some(options)).await?;
    while config.contains_key("log/level") {
        let told = changes.message().await?.context("the watch goes on")?;
        for event in told.events() {
            let (name, value) = event.kv().map(pair).context("a key")?;
            match event.event_type() {
                EventType::Put => config.insert(name, value),
                EventType::Delete => config.remove(&name),
            };
        }
        if !told.events().is_empty() {
            println!("app: now {config:?}");
        }
    }
    operator.await?
}
