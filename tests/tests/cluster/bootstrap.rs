//! Members that start without data: the first time, and when they should have some.

use std::fs;

use anyhow::Result;
use portunus_tests::{Cluster, Member, free_ports};

use crate::damage::assert_ends;
use crate::load::Ledger;
use crate::turn::turn;

#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_lost_its_data_is_recognised_by_its_peers() -> Result<()> {
    let _turn = turn().await;
    let mut cluster = Cluster::three(&[]).await?;
    let ledger = Ledger::start(&cluster.members, 1);
    ledger.grows_by(50).await;
    let lost = (cluster.leader().await + 1) % 3;
    cluster.members[lost].kill()?;
    let (data, kept) = (cluster.members[lost].data_dir.clone(), tempfile::tempdir()?);
    let kept = kept.path().join("data");
    fs::rename(&data, &kept)?;
    let said = ["has already been bootstrapped", "add it as a new one"];
    // The second time there is a directory, and nothing of the member in it.
    for _ in 0..2 {
        cluster.launch(lost)?;
        tokio::task::block_in_place(|| assert_ends(&mut cluster.members[lost], 1, &said))?;
    }
    ledger.grows_by(50).await;
    fs::remove_dir_all(&data)?;
    fs::rename(&kept, &data)?;
    cluster.restart(lost).await?;
    ledger.grows_by(50).await;
    let acked = ledger.stop().await?;
    acked.assert_kept(&mut cluster.client().await?).await?;
    cluster.assert_equal().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_directory_is_as_none_to_a_first_start() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let [client, peer] = free_ports();
    let url = format!("http://127.0.0.1:{peer}");
    let flags = vec![
        format!("--listen-peer-urls={url}"),
        format!("--initial-advertise-peer-urls={url}"),
        format!("--initial-cluster=another={url}"),
    ];
    let mut member = Member::new("m0", dir.path(), client, flags);
    fs::create_dir_all(&member.data_dir)?;
    let said = ["couldn't find local name \"m0\" in the initial cluster configuration"];
    member.launch()?;
    assert_ends(&mut member, 2, &said)?;
    assert_eq!(fs::read_dir(&member.data_dir)?.count(), 0, "a refused start writes nothing");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_data_of_an_etcd_is_not_passed_over() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let mut member = Member::single(dir.path(), &[])?;
    member.kill()?;
    fs::remove_dir_all(&member.data_dir)?;
    // As etcd has it, with or without a log beside the database.
    let snap = member.data_dir.join("member").join("snap");
    fs::create_dir_all(&snap)?;
    fs::write(snap.join("db"), "")?;
    member.launch()?;
    let said = ["holds the data of an etcd", "portunus snapshot restore", "another --data-dir"];
    tokio::task::block_in_place(|| assert_ends(&mut member, 1, &said))?;
    let left: Vec<_> = fs::read_dir(&member.data_dir)?.collect::<Result<_, _>>()?;
    assert!(left.len() == 1 && left[0].file_name() == "member", "a refused start writes nothing");
    // What is called so and is none of etcd's is nobody's business.
    fs::remove_dir_all(&snap)?;
    member.start()?;
    Ok(())
}
