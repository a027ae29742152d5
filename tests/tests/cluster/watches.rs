//! Watchers whose members come and go: every event once, in order.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use etcd_client::GetOptions;
use portunus_tests::Cluster;

use crate::load::{LEDGER, Ledger, writes_resume};
use crate::turn::turn;
use crate::watchers::{Seen, Watcher};

/// Every key of a ledger is put once, so what a watcher saw must be exactly what is stored.
fn assert_complete(seen: &Seen, stored: &BTreeMap<String, i64>) {
    let revisions: Vec<_> = seen.events.iter().map(|event| event.revision).collect();
    assert!(revisions.is_sorted_by(|a, b| a < b), "out of order or twice");
    let keys: BTreeMap<_, _> =
        seen.events.iter().map(|event| (event.key.clone(), event.revision)).collect();
    let missing: Vec<_> = stored.iter().filter(|(key, _)| !keys.contains_key(*key)).collect();
    assert!(missing.is_empty(), "not seen: {missing:?}");
    assert_eq!(&keys, stored);
}

#[tokio::test(flavor = "multi_thread")]
async fn watchers_see_every_event_once_through_leader_changes_and_restarts() -> Result<()> {
    let _turn = turn().await;
    let mut cluster = Cluster::three(&[]).await?;
    let watchers: Vec<_> = cluster
        .members
        .iter()
        .map(|member| Watcher::start(&member.client_url, LEDGER, 1))
        .collect();
    let ledger = Ledger::start(&cluster.members, 2);
    for round in 0..3 {
        ledger.grows_by(100).await;
        let leader = cluster.leader().await;
        match round {
            0 => cluster.members[leader].kill()?,
            1 => {
                tokio::task::block_in_place(|| cluster.members[leader].terminate())?;
            }
            _ => cluster.links.cut(leader),
        }
        writes_resume(&cluster.members[(leader + 1) % 3]).await?;
        ledger.grows_by(50).await;
        match round {
            0 | 1 => cluster.restart(leader).await?,
            _ => cluster.links.heal(leader),
        }
    }
    let acked = ledger.stop().await?;
    let mut client = cluster.client().await?;
    acked.assert_kept(&mut client).await?;
    let put = client.put(format!("{LEDGER}end"), "", None).await?;
    let end = put.header().context("a header")?.revision();
    let all = client.get(LEDGER, Some(GetOptions::new().with_prefix())).await?;
    let stored = all
        .kvs()
        .iter()
        .map(|kv| Ok((kv.key_str()?.to_owned(), kv.mod_revision())))
        .collect::<Result<BTreeMap<_, _>>>()?;
    let mut streams = 0;
    for watcher in &watchers {
        let seen = watcher.reaches(end).await;
        streams += seen.streams;
        assert_complete(&seen, &stored);
    }
    assert!(streams > watchers.len(), "no watcher had to resume, so nothing is proved");
    Ok(())
}
