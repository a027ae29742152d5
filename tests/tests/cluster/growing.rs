//! Clusters that grow and shrink while clients write, and members that come back without data.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result};
use portunus_proto::etcdserverpb as pb;
use portunus_tests::{Growing, Rpc};

use crate::load::{Ledger, writes_resume};
use crate::turn::turn;

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_grows_from_one_to_five_and_shrinks_back_and_loses_nothing() -> Result<()> {
    let _turn = turn().await;
    let mut cluster = Growing::founded(1, &[])?;
    let first = Ledger::start(&cluster.members, 1);
    for _ in 0..4 {
        first.grows_by(40).await;
        cluster.grow(false).await?;
    }
    cluster.assert_voters(5).await;
    let all = Ledger::start(&cluster.members, 1);
    all.grows_by(100).await;
    cluster.assert_equal().await;
    for n in (1..5).rev() {
        if n % 2 == 0 {
            // Whoever leads can be removed as well: it hands over first.
            cluster.lead(n).await;
        }
        let status = cluster.shrink(n).await?;
        assert!(status.success(), "{status}: {}", cluster.members[n].output());
        first.grows_by(40).await;
    }
    cluster.assert_voters(1).await;
    let (first, all) = (first.stop().await?, all.stop().await?);
    let mut client = cluster.members[0].client().await?;
    first.assert_kept(&mut client).await?;
    all.assert_kept(&mut client).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_lost_its_disk_is_replaced() -> Result<()> {
    let _turn = turn().await;
    let mut cluster = Growing::founded(3, &[])?;
    let ledger = Ledger::start(&cluster.members, 1);
    ledger.grows_by(50).await;
    let lost = (cluster.leader().await + 1) % 3;
    let old = cluster.id(lost).await;
    cluster.members[lost].kill()?;
    fs::remove_dir_all(&cluster.members[lost].data_dir)?;
    cluster.remove(lost).await;
    ledger.grows_by(50).await;
    let n = cluster.grow(false).await?;
    assert_ne!(cluster.id(n).await, old);
    cluster.assert_voters(3).await;
    // One of the old members may fail now: the new one has everything.
    let other = (0..3).find(|m| *m != lost).context("two are left")?;
    cluster.members[other].kill()?;
    writes_resume(&cluster.members[n]).await?;
    let acked = ledger.stop().await?;
    acked.assert_kept(&mut cluster.members[n].client().await?).await?;
    cluster.assert_equal().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_at_another_address_is_found_again() -> Result<()> {
    let _turn = turn().await;
    let mut cluster = Growing::founded(3, &[])?;
    let ledger = Ledger::start(&cluster.members[..1], 1);
    ledger.grows_by(20).await;
    cluster.lead(0).await;
    let id = cluster.id(2).await;
    let mut rpc = cluster.rpc().await?;
    let elsewhere = cluster.newcomer();
    let peer_urls = vec![elsewhere.peer_url.clone()];
    rpc.cluster.member_update(pb::MemberUpdateRequest { id, peer_urls }).await?;
    ledger.grows_by(20).await;
    let status = tokio::task::block_in_place(|| cluster.members[2].terminate())?;
    assert!(status.success(), "{status}");
    ledger.grows_by(20).await;
    // With its data under a new name in the harness, so that it keeps nothing of the old address.
    let moved = cluster.dir().join(format!("{}.portunus", elsewhere.name));
    fs::rename(&cluster.members[2].data_dir, &moved)?;
    let listed = cluster.list().await?;
    let all: Vec<_> = listed
        .iter()
        .map(|member| {
            let name = if member.id == id { &elsewhere.name } else { &member.name };
            (name.clone(), member.peer_urls.join(","))
        })
        .collect();
    let n = cluster.launch(elsewhere, &all, "existing")?;
    tokio::task::block_in_place(|| cluster.members[n].wait_ready())?;
    assert_eq!(cluster.id(n).await, id, "it is the same member, by another name");
    cluster.assert_equal().await;
    // Its vote counts: without it there is no quorum any more.
    cluster.members[1].kill()?;
    ledger.grows_by(20).await;
    let acked = ledger.stop().await?;
    acked.assert_kept(&mut cluster.members[n].client().await?).await?;
    Ok(())
}

/// Whatever a killed leader leaves of a change, the next one ends it or takes it back, and goes on.
#[tokio::test(flavor = "multi_thread")]
async fn a_leader_killed_in_the_middle_of_a_change_leaves_a_cluster_that_works() -> Result<()> {
    let _turn = turn().await;
    let mut cluster = Growing::founded(3, &[])?;
    let ledger = Ledger::start(&cluster.members, 1);
    for round in 0..4 {
        ledger.grows_by(30).await;
        let n = cluster.grow(false).await?;
        cluster.assert_voters(4).await;
        let leader = (0..3).nth(round % 3).context("three founders")?;
        cluster.lead(leader).await;
        let id = cluster.id(n).await;
        let mut rpc = Rpc::connect(&cluster.members[leader].client_url).await?;
        let asked = tokio::spawn(async move {
            let request = pb::MemberRemoveRequest { id };
            rpc.cluster.member_remove(request).await.map(drop)
        });
        // Somewhere before, in, or after the change: each round tries another place. Nothing waits
        // for it, and whatever the kill meets must come out well.
        tokio::time::sleep(Duration::from_millis(3 * round as u64)).await;
        cluster.members[leader].kill()?;
        println!("round {round}: the change {:?}", asked.await?);
        tokio::task::block_in_place(|| cluster.members[leader].start())?;
        let status = cluster.shrink(n).await?;
        assert!(status.success(), "{status}");
        cluster.assert_voters(3).await;
    }
    let acked = ledger.stop().await?;
    acked.assert_kept(&mut cluster.members[0].client().await?).await?;
    cluster.assert_equal().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_three_goes_on_alone_when_it_is_forced() -> Result<()> {
    let _turn = turn().await;
    let mut cluster = Growing::founded(3, &[])?;
    let ledger = Ledger::start(&cluster.members, 1);
    ledger.grows_by(60).await;
    let acked = ledger.stop().await?;
    cluster.assert_equal().await;
    let id = cluster.id(1).await;
    for member in &mut cluster.members {
        member.kill()?;
    }
    let data = cluster.members[1].data_dir.clone();
    let alone = cluster.newcomer();
    fs::rename(data, cluster.dir().join(format!("{}.portunus", alone.name)))?;
    let all = [(alone.name.clone(), alone.peer_url.clone())];
    cluster.members.clear();
    cluster.force_new_cluster();
    let n = cluster.launch(alone, &all, "new")?;
    tokio::task::block_in_place(|| cluster.members[n].wait_ready())?;
    let listed = cluster.list().await?;
    assert_eq!(listed.iter().map(|member| member.id).collect::<Vec<_>>(), [id]);
    acked.assert_kept(&mut cluster.members[n].client().await?).await?;
    // Forced once more it is the same, and it grows again.
    tokio::task::block_in_place(|| cluster.members[n].terminate())?;
    tokio::task::block_in_place(|| cluster.members[n].start())?;
    let ledger = Ledger::start(&cluster.members, 1);
    ledger.grows_by(20).await;
    ledger.stop().await?.assert_kept(&mut cluster.members[n].client().await?).await
}
