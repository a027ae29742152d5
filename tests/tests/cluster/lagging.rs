//! A member that was away for so long that the log it needs is purged: it gets the whole state,
//! while writes go on.

use anyhow::{Context, Result, ensure};
use etcd_client::{Client, CompactionOptions};
use portunus_tests::{Cluster, eventually};

use crate::load::{Ledger, writes_resume};
use crate::turn::turn;
use crate::watchers::Watcher;

/// Entries a member may lack and still be served from the log.
const KEPT: &str = "--snapshot-catchup-entries=50";
/// Says when the log is purged.
const LOG: &str = "--log-level=warn,openraft=error,portunus=info,portunus::node::duties=debug";
const PURGED: &str = "purged the log";
const INSTALLED: &str = "applied snapshot";

/// Writes one key again and again; returns the revision of each write.
async fn overwrite(client: &mut Client, key: &str, times: usize) -> Result<Vec<i64>> {
    let mut revisions = Vec::new();
    for n in 0..times {
        let put = client.put(key, n.to_string(), None).await?;
        revisions.push(put.header().context("a header")?.revision());
    }
    Ok(revisions)
}

/// Has the leader purge everything that it has applied by now: what a compaction lets go makes a
/// checkpoint due, and the log is purged behind the checkpoint before the last.
async fn purge(cluster: &Cluster, leader: usize, compactions: [i64; 2]) -> Result<()> {
    let mut client = cluster.members[leader].client().await?;
    let applied = client.status().await?.raft_applied_index();
    for revision in compactions {
        let options = CompactionOptions::new().with_physical();
        client.compact(revision, Some(options)).await?;
        overwrite(&mut client, "between", 200).await?;
    }
    eventually("the log to be purged", || async {
        let gone = purged(&cluster.members[leader].output());
        ensure!(gone >= applied, "purged up to {gone} of {applied}");
        Ok(())
    })
    .await;
    Ok(())
}

/// How far the log is purged, as a member last said.
fn purged(output: &str) -> u64 {
    let line = output.lines().rfind(|line| line.contains(PURGED));
    let number = line.and_then(|line| line.rsplit_once("\"up_to\":"));
    number.and_then(|(_, rest)| rest.trim_end_matches('}').parse().ok()).unwrap_or(0)
}

fn count(cluster: &Cluster, member: usize, text: &str) -> usize {
    cluster.members[member].output().matches(text).count()
}

/// Waits until this member has said `text` more than `before` times.
async fn says(cluster: &Cluster, member: usize, text: &str, before: usize) {
    eventually(text, || async {
        let said = count(cluster, member, text);
        ensure!(said > before, "{}", cluster.members[member].name);
        Ok(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_behind_a_purged_log_gets_a_snapshot_while_writes_go_on() -> Result<()> {
    let _turn = turn().await;
    let mut cluster = Cluster::three(&[KEPT, LOG]).await?;
    let leader = cluster.leader().await;
    let lagging = (leader + 1) % 3;
    let mut client = cluster.members[leader].client().await?;
    let old = overwrite(&mut client, "old", 20).await?;
    cluster.members[lagging].kill()?;
    let ledger = Ledger::start(&cluster.members, 3);
    ledger.grows_by(2000).await;
    purge(&cluster, leader, [old[10], old[19]]).await?;

    cluster.launch(lagging)?;
    says(&cluster, lagging, INSTALLED, 0).await;
    ledger.grows_by(200).await;
    cluster.wait_ready().await?;
    let acked = ledger.stop().await?;
    acked.assert_kept(&mut cluster.members[lagging].client().await?).await?;
    cluster.assert_equal().await;

    // What was installed is what a restart finds.
    cluster.members[lagging].kill()?;
    cluster.restart(lagging).await?;
    acked.assert_kept(&mut cluster.members[lagging].client().await?).await?;
    cluster.assert_equal().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn watchers_on_a_member_that_gets_a_snapshot_miss_nothing_or_are_cancelled() -> Result<()> {
    let _turn = turn().await;
    let cluster = Cluster::three(&[KEPT, LOG]).await?;
    let leader = cluster.leader().await;
    let lagging = (leader + 1) % 3;
    let mut client = cluster.members[leader].client().await?;
    let old = overwrite(&mut client, "seen/old", 20).await?;
    let last = *old.last().context("written")?;
    let url = &cluster.members[lagging].client_url;
    let resumed = Watcher::start(url, "seen/", 1);
    resumed.reaches(last).await;

    // Compacted up to what the watcher has seen: it is brought up from the snapshot.
    cluster.links.cut(lagging);
    writes_resume(&cluster.members[leader]).await?;
    let new = overwrite(&mut client, "seen/new", 100).await?;
    purge(&cluster, leader, [old[10], last]).await?;
    cluster.links.heal(lagging);
    says(&cluster, lagging, INSTALLED, 0).await;
    let seen = resumed.reaches(*new.last().context("written")?).await;
    let revisions: Vec<_> = seen.events.iter().map(|event| event.revision).collect();
    assert_eq!(revisions, [old, new.clone()].concat());
    assert_eq!(seen.streams, 1, "its stream was not broken, so it was brought up");

    // Compacted beyond: it cannot be brought up and hears so.
    cluster.links.cut(lagging);
    writes_resume(&cluster.members[leader]).await?;
    let missed = overwrite(&mut client, "seen/missed", 100).await?;
    purge(&cluster, leader, [missed[50], missed[90]]).await?;
    let installed = count(&cluster, lagging, INSTALLED);
    cluster.links.heal(lagging);
    says(&cluster, lagging, INSTALLED, installed).await;
    assert_eq!(resumed.is_compacted().await, missed[90]);
    cluster.assert_equal().await;
    Ok(())
}
