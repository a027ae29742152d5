//! A long line over three members, through the end of the one that leads.

use anyhow::{Context, Result};
use etcd_client::LockOptions;
use portunus_tests::{Cluster, eventually};

use crate::fixture::{lease, line, stand};

const WAITERS: usize = 60;

#[tokio::test(flavor = "multi_thread")]
async fn waiters_of_all_members_go_on_in_order_after_the_leader_is_killed() -> Result<()> {
    let mut cluster = Cluster::three(&[]).await?;
    let leader = cluster.leader().await;
    let client = cluster.client().await?;
    let (granted, mut grants) = tokio::sync::mpsc::unbounded_channel();
    for n in 0..WAITERS {
        // Whoever waits at the leader asks again elsewhere, with its lease and so its place.
        let order: Vec<usize> = (n..n + 3).map(|m| m % 3).collect();
        let urls: Vec<_> = order.iter().map(|m| cluster.members[*m].client_url.clone()).collect();
        let (lease, granted) = (lease(&client).await?, granted.clone());
        tokio::spawn(async move {
            for url in urls.iter().cycle() {
                let Ok(mut client) = etcd_client::Client::connect([url], None).await else {
                    continue;
                };
                let options = LockOptions::new().with_lease(lease);
                if let Ok(locked) = client.lock("door", Some(options)).await {
                    granted.send((n, locked.key().to_vec())).unwrap();
                    return;
                }
            }
        });
        stand(&client, "door", n + 1).await;
    }
    for n in 0..WAITERS {
        if n == WAITERS / 3 {
            cluster.members[leader].kill()?;
        }
        let (who, key) = grants.recv().await.context("a grant")?;
        assert_eq!(who, n);
        let survivor = cluster.members[(leader + 1) % 3].client().await?;
        eventually("the holder's release", || async {
            let first = line(&survivor, "door").await?;
            // A release whose answer was lost may have happened.
            if first.first().is_some_and(|first| first.as_bytes() == key) {
                survivor.clone().unlock(&key[..]).await?;
            }
            Ok::<_, anyhow::Error>(())
        })
        .await;
    }
    assert!(grants.try_recv().is_err());
    Ok(())
}
