//! What is left of a lease moves along with it: from here to a real etcd, and back here.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use portunus_proto::etcdserverpb as pb;
use portunus_tests::snapshots::{restored, save};
use portunus_tests::{Member, Rpc, eventually};

use crate::etcd::{Etcd, installed, lease_checkpoints};

const LEASE: i64 = 7;
/// Seconds.
const GRANTED: i64 = 1000;
/// Seconds that are used up before anything moves.
const USED: i64 = 6;
/// Seconds that may come back with a move: what passed since the last checkpoint, and what a new
/// leader adds.
const GIVEN_BACK: i64 = 3;
const CHECKPOINTS: &str = "--lease-checkpoint-interval=1s";

async fn left(url: &str) -> Result<i64> {
    let request = pb::LeaseTimeToLiveRequest { id: LEASE, keys: true };
    let answer = Rpc::connect(url).await?.lease.lease_time_to_live(request).await?.into_inner();
    ensure!(answer.granted_ttl == GRANTED && answer.keys == ["leased"], "{answer:?}");
    Ok(answer.ttl)
}

/// A lease with as much left as is left at most, as this server tells it.
async fn assert_used(stop: &str, url: &str) -> Result<()> {
    let left = left(url).await.context(stop.to_owned())?;
    ensure!(0 < left && left <= GRANTED - USED + GIVEN_BACK, "{stop}: {left} of {GRANTED}");
    Ok(())
}

async fn moved_here(file: &Path, stop: &str) -> Result<()> {
    let dir = tempfile::tempdir()?;
    let mut member = restored(file, dir.path(), 1, &[])?.remove(0);
    member.start()?;
    assert_used(stop, &member.client_url).await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_left_of_a_lease_moves_along() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let member = Member::single(dir.path(), &[CHECKPOINTS])?;
    let mut rpc = Rpc::connect(&member.client_url).await?;
    rpc.lease.lease_grant(pb::LeaseGrantRequest { ttl: GRANTED, id: LEASE }).await?;
    let put = pb::PutRequest { key: "leased".into(), lease: LEASE, ..Default::default() };
    rpc.kv.put(put).await?;
    eventually("some of it to be used up", || async {
        let left = left(&member.client_url).await?;
        ensure!(left <= GRANTED - USED, "{left} of {GRANTED}");
        anyhow::Ok(())
    })
    .await;
    let file = eventually("a snapshot that knows what is left", || async {
        let file = save(&member.client_url, dir.path())?;
        moved_here(&file, "from here to here").await?;
        anyhow::Ok(file)
    })
    .await;

    let Some(version) = installed() else { return Ok(()) };
    let flags = lease_checkpoints(version);
    let etcd = Etcd::restored(&file, flags.unwrap_or_default()).await.context("it is there")?;
    match flags {
        Some(_) => assert_used("at etcd", &etcd.client_url).await?,
        None => println!("not asked of {version:?}: it forgets what is left of a lease"),
    }
    let file = save(&etcd.client_url, dir.path())?;
    moved_here(&file, "from etcd to here").await
}
