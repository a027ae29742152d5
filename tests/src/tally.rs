//! The plugin that writes down every event it is told of, deployed as a trigger, and what it has
//! written.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use etcd_client::{Client, EventType, GetOptions, WatchOptions};
use portunus_proto::portunus::v1::deployed_plugin::Source;
use portunus_proto::portunus::v1::plugin_client::PluginClient;
use portunus_proto::portunus::v1::{Binding, DeployRequest, DeployedPlugin, KeyRange, Point};

/// Its name, as it is deployed.
pub const TALLY: &str = "tally";
/// The prefix of the events.
pub const ORDERS: &str = "orders/";

/// Of its rows.
const PREFIX: &str = "tally/row/";
const PAGE: i64 = 10_000;
const COMPONENT: &str = env!("PLUGIN_TALLY");

/// Deploys it for [`ORDERS`] and returns the revision after which it is told of everything.
pub async fn deploy_tally(url: &str, config: &str) -> Result<i64> {
    let granted = KeyRange { key: "tally/".into(), range_end: "tally0".into() };
    let binding = Binding {
        point: Point::Trigger.into(),
        prefix: ORDERS.into(),
        config: config.to_owned().into(),
        grant_read: vec![granted.clone()],
        grant_write: vec![granted],
        ..Binding::default()
    };
    let plugin = DeployedPlugin {
        name: TALLY.into(),
        source: Some(Source::Component(std::fs::read(COMPONENT)?.into())),
        bindings: vec![binding],
    };
    let mut plugins = PluginClient::connect(url.to_owned()).await?;
    let request = DeployRequest { plugins: vec![plugin], from_revision: None };
    let deployed = plugins.deploy(request).await?.into_inner();
    Ok(deployed.header.context("a header")?.revision)
}

/// How many events it has counted.
pub async fn counted(client: &mut Client) -> Result<u64> {
    let found = client.get("tally/count", None).await?;
    found.kvs().first().map_or(Ok(0), |kv| Ok(kv.value_str()?.parse()?))
}

/// Its rows, each with what it says: `REVISION/KEY` to `once`. Read in pages: all together may be
/// more than one answer holds.
pub async fn rows(client: &mut Client) -> Result<BTreeMap<String, String>> {
    let mut rows = BTreeMap::new();
    let mut from = PREFIX.to_owned();
    loop {
        let page = GetOptions::new().with_range("tally/row0").with_limit(PAGE);
        let found = client.get(from.clone(), Some(page)).await?;
        for kv in found.kvs() {
            from = format!("{}\0", kv.key_str()?);
            rows.insert(kv.key_str()?[PREFIX.len()..].to_owned(), kv.value_str()?.to_owned());
        }
        if !found.more() {
            return Ok(rows);
        }
    }
}

/// Every event of [`ORDERS`] after `revision`, as a row that says `once`.
pub async fn expected(client: &mut Client, revision: i64) -> Result<BTreeMap<String, String>> {
    // Marks the end, so that the watch is known to be complete.
    let end = client.put(format!("{ORDERS}end"), "", None).await?;
    let end = end.header().context("a header")?.revision();
    let options = WatchOptions::new().with_prefix().with_start_revision(revision + 1);
    let mut stream = client.watch(ORDERS, Some(options)).await?;
    let mut rows = BTreeMap::new();
    loop {
        let answer = stream.message().await?.context("the watch goes on")?;
        ensure!(!answer.canceled(), "the watch is cancelled: {}", answer.cancel_reason());
        for event in answer.events() {
            ensure!(matches!(event.event_type(), EventType::Put | EventType::Delete));
            let kv = event.kv().context("an event has a key")?;
            let row = format!("{:012}/{}", kv.mod_revision(), kv.key_str()?);
            ensure!(rows.insert(row, "once".to_owned()).is_none(), "an event comes once");
            if kv.mod_revision() == end {
                return Ok(rows);
            }
        }
    }
}
