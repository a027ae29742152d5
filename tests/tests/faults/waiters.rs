//! A thousand clients in line for one lock when the leader dies: all go on in their order, each is
//! granted the lock once, and none hears of anything.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use etcd_client::{Client, GetOptions};
use portunus_proto::portunus::v1::lock_client::LockClient;
use portunus_proto::portunus::v1::{LockAcquireRequest, LockReleaseRequest};
use portunus_proto::v3lockpb::LockRequest;
use portunus_proto::v3lockpb::lock_client::LockClient as EtcdLockClient;
use portunus_tests::{Cluster, eventually};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tonic::transport::Channel;

use crate::driver::turn;
use crate::session::{connect, soon};

const WAITERS: usize = 1000;
/// Connections to each of the members that survive, each with many calls.
const CONNECTIONS: usize = 4;
/// Grants before the leader is killed.
const BEFORE: usize = 100;

/// Leases that outlive the test.
async fn leases(client: &Client) -> Result<Vec<i64>> {
    let mut granting = JoinSet::new();
    for _ in 0..WAITERS {
        let mut leases = client.lease_client();
        granting.spawn(async move { leases.grant(3600, None).await.map(|granted| granted.id()) });
    }
    let mut leases = Vec::new();
    while let Some(granted) = granting.join_next().await {
        leases.push(granted??);
    }
    Ok(leases)
}

/// Half of them through etcd's service.
async fn acquire(n: usize, channel: Channel, lease: i64) -> Result<()> {
    if n.is_multiple_of(2) {
        let request = LockRequest { name: "door".into(), lease };
        EtcdLockClient::new(channel).lock(request).await?;
    } else {
        let names = vec!["door".into()];
        let request = LockAcquireRequest { names, lease, ..Default::default() };
        LockClient::new(channel).acquire(request).await?;
    }
    Ok(())
}

/// The leases in the order of their places.
async fn line(client: &Client) -> Result<Vec<i64>> {
    let options = GetOptions::new().with_prefix();
    let answer = client.kv_client().get("door/", Some(options)).await?;
    let mut kvs = answer.kvs().to_vec();
    kvs.sort_by_key(etcd_client::KeyValue::create_revision);
    Ok(kvs.iter().map(etcd_client::KeyValue::lease).collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_waiters_go_on_in_order_after_the_leader_is_killed() -> Result<()> {
    let _turn = turn().await;
    let mut cluster = Cluster::three(&[]).await?;
    let leader = cluster.leader().await;
    let client = cluster.members[(leader + 1) % 3].client().await?;
    let mut channels = Vec::new();
    for n in 0..CONNECTIONS * 2 {
        channels.push(connect(&cluster.members[(leader + 1 + n % 2) % 3].client_url)?);
    }
    let (granted, mut grants) = mpsc::unbounded_channel();
    for (n, lease) in leases(&client).await?.into_iter().enumerate() {
        let (channel, granted) = (channels[n % channels.len()].clone(), granted.clone());
        tokio::spawn(async move {
            // The test ends with the first that fails.
            let _ = granted.send((lease, acquire(n, channel, lease).await));
        });
    }
    let line = eventually("a line of a thousand", || async {
        let line = line(&client).await?;
        ensure!(line.len() == WAITERS, "{}", line.len());
        Ok(line)
    })
    .await;
    let mut seen = BTreeSet::new();
    let release = LockClient::new(channels[1].clone());
    for (n, expected) in line.into_iter().enumerate() {
        if n == BEFORE {
            cluster.members[leader].kill()?;
        }
        let (lease, acquired) = grants.recv().await.context("a grant")?;
        acquired.context("nobody notices the change")?;
        assert_eq!(lease, expected, "place {n}");
        assert!(seen.insert(lease), "granted twice");
        eventually("a release", || {
            let mut release = release.clone();
            let names = vec!["door".into()];
            let request = LockReleaseRequest { names, lease, entirely: true };
            async move { soon(release.release(request)).await.map(drop) }
        })
        .await;
    }
    drop(granted);
    assert!(grants.recv().await.is_none(), "nobody is granted it once more");
    assert_eq!(seen.len(), WAITERS);
    Ok(())
}
