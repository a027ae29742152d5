//! A member whose disk holds other data than the others' is found, and nothing is served that may
//! be wrong until somebody has said that it may.

use anyhow::{Context, Result, ensure};
use portunus::storage::{Batch, Body, Options, Record, Store};
use portunus::types::{Item, LeaseId, Revision};
use portunus_proto::etcdserverpb::{AlarmRequest, PutRequest, RangeRequest};
use portunus_tests::snapshots::hash_kv;
use portunus_tests::{Cluster, Rpc, eventually};

use crate::turn::turn;

const CORRUPT: i32 = 2;
const DEACTIVATE: i32 = 2;

/// Overwrites one older revision in a stopped member's store: what is live stays as it is, so the
/// member itself cannot notice.
fn corrupt(member: &portunus_tests::Member, revision: i64) -> Result<()> {
    let (store, opened) = Store::open(&member.data_dir.join("store"), Options::default())?;
    let at = Revision::new(revision, 0);
    ensure!(store.record(at)?.is_some(), "revision {revision} is in the store");
    let item = Item::new(b"key", b"flipped", 2, at, revision - 1, LeaseId::NONE);
    let records = vec![(at, Record::new(Body::Put(item)))];
    store.write(Batch { index: opened.applied_index, records, ..Batch::default() })?;
    store.checkpoint_now()?;
    Ok(store.close()?)
}

async fn put(url: &str) -> Result<i64, tonic::Status> {
    let mut rpc = Rpc::connect(url).await.map_err(|e| tonic::Status::unavailable(e.to_string()))?;
    let put = PutRequest { key: "key".into(), value: "v".into(), ..PutRequest::default() };
    Ok(rpc.kv.put(put).await?.into_inner().header.map_or(0, |header| header.revision))
}

/// Three members, of which one was corrupted while it was down; `more` goes to all of them.
async fn corrupted(more: &[&str]) -> Result<(Cluster, usize)> {
    let mut cluster = Cluster::three(more).await?;
    let leader = cluster.leader().await;
    let victim = (leader + 1) % 3;
    for _ in 0..20 {
        put(&cluster.members[leader].client_url).await?;
    }
    let head = hash_kv(&cluster.members[leader].client_url, 0).await?.hash_revision;
    eventually("the follower to have everything", || async {
        let there = hash_kv(&cluster.members[victim].client_url, 0).await?.hash_revision;
        ensure!(there == head, "{there} of {head}");
        anyhow::Ok(())
    })
    .await;
    // An orderly end has everything in the store.
    cluster.members[victim].terminate()?;
    corrupt(&cluster.members[victim], 10)?;
    Ok((cluster, victim))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_with_other_data_raises_the_alarm_and_writes_are_refused() -> Result<()> {
    let _turn = turn().await;
    let (mut cluster, victim) = corrupted(&["--corrupt-check-time=1s"]).await?;
    cluster.restart(victim).await?;
    let healthy = cluster.members[(victim + 1) % 3].client_url.clone();
    let mut rpc = Rpc::connect(&healthy).await?;
    let alarms = eventually("the alarm", || async {
        let mut rpc = Rpc::connect(&healthy).await?;
        let alarms = rpc.maintenance.alarm(AlarmRequest::default()).await?.into_inner().alarms;
        ensure!(!alarms.is_empty(), "none yet");
        anyhow::Ok(alarms)
    })
    .await;
    let header = cluster.members[victim].client().await?.status().await?;
    let id = header.header().context("header")?.member_id();
    let raised: Vec<_> = alarms.iter().map(|alarm| (alarm.member_id, alarm.alarm)).collect();
    assert_eq!(raised, [(id, CORRUPT)], "of the member that differs and no other");
    let refused = put(&healthy).await.expect_err("no key is written");
    assert_eq!(
        (refused.code(), refused.message()),
        (tonic::Code::DataLoss, "etcdserver: corrupt cluster")
    );
    let range = RangeRequest { key: "key".into(), ..RangeRequest::default() };
    // As in etcd: what is there can be looked at.
    rpc.kv.range(range).await?;
    // The member is taken out of service, and the operator clears the alarm.
    cluster.members[victim].kill()?;
    let disarm = AlarmRequest { action: DEACTIVATE, member_id: id, alarm: CORRUPT };
    rpc.maintenance.alarm(disarm).await?;
    put(&healthy).await?;
    let again =
        rpc.maintenance.alarm(AlarmRequest { action: 0, ..AlarmRequest::default() }).await?;
    assert_eq!(again.into_inner().alarms, []);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_finds_other_data_at_its_start_does_not_serve() -> Result<()> {
    let _turn = turn().await;
    let gate = "--feature-gates=InitialCorruptCheck=true";
    let (mut cluster, victim) = corrupted(&[gate]).await?;
    cluster.launch(victim)?;
    let status = tokio::task::block_in_place(|| cluster.members[victim].wait())?;
    assert_eq!(status.code(), Some(1));
    let output = cluster.members[victim].output();
    assert!(output.contains("found data inconsistency with peers"), "{output}");
    // The others never asked for it.
    put(&cluster.members[(victim + 1) % 3].client_url).await?;
    Ok(())
}
