//! Three members whose leader is killed, stopped, or cut off, while clients of all members go on.

use std::time::Duration;

use anyhow::{Result, ensure};
use etcd_client::GetOptions;
use portunus_tests::{Cluster, eventually, is_linearizable};

use crate::load::{CHECK, Registers, impatient, writes_resume};
use crate::turn::turn;

/// Operations between two faults: enough for every client to have had its turn.
const BETWEEN: usize = 150;

async fn go_on(registers: &Registers) {
    let target = registers.len() + BETWEEN;
    eventually("operations of clients", || async {
        ensure!(registers.len() >= target, "{} of {target}", registers.len());
        Ok(())
    })
    .await;
}

/// The history explains itself and the members agree.
async fn assert_sound(cluster: &Cluster, registers: Registers) -> Result<()> {
    let recorder = registers.stop().await?;
    println!("{} operations", recorder.len());
    let checked = tokio::task::block_in_place(|| is_linearizable(&recorder, CHECK));
    checked.map_err(anyhow::Error::msg)?;
    cluster.assert_equal().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn writes_go_on_after_the_leader_is_killed_and_stay_linearizable() -> Result<()> {
    let _turn = turn().await;
    let mut cluster = Cluster::three(&[]).await?;
    let registers = Registers::start(&cluster.members, 2);
    for _ in 0..3 {
        go_on(&registers).await;
        let leader = cluster.leader().await;
        cluster.members[leader].kill()?;
        let resumed = writes_resume(&cluster.members[(leader + 1) % 3]).await?;
        println!("leader killed: writes resume after {resumed:?}");
        go_on(&registers).await;
        cluster.restart(leader).await?;
    }
    go_on(&registers).await;
    assert_sound(&cluster, registers).await
}

#[tokio::test(flavor = "multi_thread")]
async fn writes_go_on_while_the_leader_is_stopped_and_stay_linearizable() -> Result<()> {
    let _turn = turn().await;
    let cluster = Cluster::three(&[]).await?;
    let registers = Registers::start(&cluster.members, 2);
    for _ in 0..2 {
        go_on(&registers).await;
        let leader = cluster.leader().await;
        cluster.members[leader].pause()?;
        let resumed = writes_resume(&cluster.members[(leader + 1) % 3]).await?;
        println!("leader stopped: writes resume after {resumed:?}");
        go_on(&registers).await;
        cluster.members[leader].resume()?;
        // It finds out that it leads no more, and serves.
        let resumed = writes_resume(&cluster.members[leader]).await?;
        println!("leader continued: writes through it after {resumed:?}");
    }
    go_on(&registers).await;
    assert_sound(&cluster, registers).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_is_cut_off_answers_nothing_it_cannot_prove() -> Result<()> {
    let _turn = turn().await;
    let cluster = Cluster::three(&[]).await?;
    let registers = Registers::start(&cluster.members, 2);
    go_on(&registers).await;
    let leader = cluster.leader().await;
    writes_resume(&cluster.members[leader]).await?;
    cluster.links.cut(leader);
    let resumed = writes_resume(&cluster.members[(leader + 1) % 3]).await?;
    println!("leader cut off: writes resume after {resumed:?}");

    let mut minority = impatient(&cluster.members[leader].client_url).await?;
    for _ in 0..3 {
        let write = minority.put("minority", "write", None).await;
        assert!(write.is_err(), "a write without a quorum: {write:?}");
        let read = minority.get("resume", None).await;
        assert!(read.is_err(), "a linearizable read without a quorum: {read:?}");
        let local = minority.get("resume", Some(GetOptions::new().with_serializable())).await?;
        assert_eq!(local.kvs().len(), 1, "a serializable read is served from what is applied");
    }
    go_on(&registers).await;

    cluster.links.heal(leader);
    let resumed = writes_resume(&cluster.members[leader]).await?;
    println!("leader healed: writes through it after {resumed:?}");
    let mut client = cluster.client().await?;
    let left = client.get("minority", None).await?;
    assert!(left.kvs().is_empty(), "what the minority refused did not happen after all");
    go_on(&registers).await;
    assert_sound(&cluster, registers).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_follower_that_is_cut_off_refuses_and_comes_back() -> Result<()> {
    let _turn = turn().await;
    let cluster = Cluster::three(&[]).await?;
    let registers = Registers::start(&cluster.members, 2);
    go_on(&registers).await;
    let leader = cluster.leader().await;
    let follower = (leader + 1) % 3;
    cluster.links.cut(follower);
    let resumed = writes_resume(&cluster.members[leader]).await?;
    println!("follower cut off: a write after {resumed:?}");
    let mut minority = impatient(&cluster.members[follower].client_url).await?;
    eventually("a refusal of the follower", || {
        let mut minority = minority.clone();
        async move {
            let write = minority.put("minority", "write", None).await;
            ensure!(write.is_err(), "it was taken");
            Ok(())
        }
    })
    .await;
    assert!(minority.get("resume", None).await.is_err(), "a linearizable read without a leader");
    go_on(&registers).await;
    let term = term(&cluster, leader).await?;
    cluster.links.heal(follower);
    writes_resume(&cluster.members[follower]).await?;
    tokio::time::timeout(Duration::from_secs(30), go_on(&registers)).await?;
    assert_eq!(self::term(&cluster, leader).await?, term, "coming back deposed the leader");
    assert_sound(&cluster, registers).await
}

async fn term(cluster: &Cluster, member: usize) -> Result<u64> {
    Ok(cluster.members[member].client().await?.status().await?.raft_term())
}
