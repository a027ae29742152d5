//! Recipes over three members: one counter for all, and calls that wait wherever their client is
//! connected, until what they wait for, their client's going, or their leader's.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use futures::future::try_join_all;
use portunus_proto::portunus::v1::{CallRequest, Point};
use portunus_tests::{Cluster, Plugins, binding, eventually, http, plugin};
use tokio::task::JoinHandle;
use tonic::{Code, Request, Status};

use crate::PROBE;

async fn cluster() -> Result<(Cluster, usize)> {
    let cluster = Cluster::three(&[]).await?;
    let leader = cluster.leader().await;
    let mut plugins = Plugins::connect(&cluster.members[leader].client_url).await?;
    let recipes = vec![binding(Point::Recipe, "r/")];
    plugins.deploy(vec![plugin("probe", PROBE, recipes)?]).await?;
    Ok((cluster, leader))
}

/// A call of `hold` that is under way at `url`.
async fn hold(url: &str) -> Result<JoinHandle<Result<String, Status>>> {
    let mut plugins = Plugins::connect(url).await?;
    Ok(tokio::spawn(async move { plugins.call("probe", "hold", "").await }))
}

/// Waits until so many calls wait on the member at `url`, by its own account.
async fn parked(url: &str, expected: u64) {
    eventually("as many calls wait as should", || async {
        let metrics = http::get(url, "/metrics").await?.body;
        let row = |line: &&str| line.starts_with("portunus_plugin_parked_calls{");
        let count = metrics.lines().find(row).and_then(|line| line.rsplit(' ').next());
        let count: u64 = count.map_or(Ok(0), str::parse)?;
        ensure!(count == expected, "{count} calls wait");
        Ok(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_on_one_key_through_all_members_count_each_other() -> Result<()> {
    let (cluster, _) = cluster().await?;
    let adding =
        cluster.members.iter().flat_map(|member| [&member.client_url; 4]).map(async |url| {
            let mut plugins = Plugins::connect(url).await?;
            let mut totals = Vec::new();
            for _ in 0..50 {
                let total = plugins.call("probe", "add", "1").await?;
                totals.push(total.parse::<u32>()?);
            }
            anyhow::Ok(totals)
        });
    let mut totals = try_join_all(adding).await?.concat();
    totals.sort_unstable();
    assert_eq!(totals, (1..=600).collect::<Vec<_>>(), "each call saw the one before it");
    cluster.assert_equal().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_waits_at_any_member_until_what_it_reads_changes() -> Result<()> {
    let (cluster, leader) = cluster().await?;
    let at = &cluster.members[leader].client_url;
    let waiting = [hold(at).await?, hold(&cluster.members[(leader + 1) % 3].client_url).await?];
    parked(at, 2).await;
    let mut client = cluster.members[(leader + 2) % 3].client().await?;
    client.put("r/other", "", None).await?;
    client.put("r/gate", "open", None).await?;
    for call in waiting {
        assert_eq!(call.await??, "open");
    }
    parked(at, 0).await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_waiting_call_ends_with_its_client() -> Result<()> {
    let (cluster, leader) = cluster().await?;
    let at = &cluster.members[leader].client_url;
    let there = &cluster.members[(leader + 1) % 3].client_url;
    for url in [at, there] {
        let call = hold(url).await?;
        parked(at, 1).await;
        call.abort();
        parked(at, 0).await;
        // Likewise when its deadline passes.
        let (plugin, function) = ("probe".to_owned(), "hold".to_owned());
        let request = CallRequest { plugin, function, payload: Default::default() };
        let mut request = Request::new(request);
        request.set_timeout(Duration::from_millis(300));
        let ended = Plugins::connect(url).await?.recipes.call(request).await;
        let ended = ended.expect_err("nobody opens the gate");
        assert!(matches!(ended.code(), Code::DeadlineExceeded | Code::Cancelled), "{ended:?}");
        parked(at, 0).await;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_waiting_call_hears_that_its_leader_has_gone_and_waits_anew_when_it_asks_again()
-> Result<()> {
    let (mut cluster, leader) = cluster().await?;
    let follower = (leader + 1) % 3;
    let url = cluster.members[follower].client_url.clone();
    let mut calls = Vec::new();
    for _ in 0..3 {
        calls.push(hold(&url).await?);
    }
    parked(&cluster.members[leader].client_url, 3).await;
    cluster.members[leader].terminate()?;
    for call in calls {
        let ended = call.await?.expect_err("its leader is gone");
        assert_eq!(ended.code(), Code::Unavailable, "{ended:?}");
        assert_eq!(ended.message(), "etcdserver: leader changed");
    }
    let again = hold(&url).await?;
    let survivor = cluster.members[follower].client().await.context("a client")?;
    eventually("the gate is opened", || {
        let mut client = survivor.clone();
        async move { client.put("r/gate", "open", None).await }
    })
    .await;
    assert_eq!(again.await??, "open");
    Ok(())
}
