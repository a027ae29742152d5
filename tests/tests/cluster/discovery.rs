//! Founders that find each other at another cluster, which is one of ours.

use anyhow::{Result, ensure};
use portunus_tests::{Growing, Member, eventually, free_ports};
use tempfile::TempDir;

use crate::damage::assert_ends;
use crate::turn::turn;

/// A member that knows nobody but the cluster at which it signs on.
fn founder(dir: &TempDir, name: &str, registry: &Growing, token: &str) -> Member {
    let [client, peer] = free_ports();
    let url = format!("http://127.0.0.1:{peer}");
    let flags = vec![
        format!("--listen-peer-urls={url}"),
        format!("--initial-advertise-peer-urls={url}"),
        format!("--discovery-token={token}"),
        format!("--discovery-endpoints={}", registry.members[0].client_url),
    ];
    Member::new(name, dir.path(), client, flags)
}

#[tokio::test(flavor = "multi_thread")]
async fn members_sign_on_and_found_a_cluster_of_the_size_that_was_set() -> Result<()> {
    let _turn = turn().await;
    let registry = Growing::founded(1, &[])?;
    let dir = tempfile::tempdir()?;
    let mut early = founder(&dir, "early", &registry, "token");
    early.launch()?;
    let said = ["failed to join discovery cluster", "discovery: size key not found"];
    tokio::task::block_in_place(|| assert_ends(&mut early, 1, &said))?;
    let mut client = registry.members[0].client().await?;
    client.put("/_etcd/registry/token/_config/size", "nonsense", None).await?;
    early.launch()?;
    let said = ["discovery: size key is bad"];
    tokio::task::block_in_place(|| assert_ends(&mut early, 1, &said))?;

    client.put("/_etcd/registry/token/_config/size", "3", None).await?;
    let names = ["m0", "m1", "m2"];
    let mut members = names.map(|name| founder(&dir, name, &registry, "token"));
    for member in &mut members {
        member.launch()?;
    }
    for member in &mut members {
        tokio::task::block_in_place(|| member.wait_ready())?;
    }
    eventually("three members that know each other", || async {
        let listed = members[0].client().await?.member_list().await?;
        let mut found: Vec<_> = listed.members().iter().map(|member| member.name()).collect();
        found.sort_unstable();
        ensure!(found == names, "{found:?}");
        Ok(())
    })
    .await;
    members[0].client().await?.put("key", "value", None).await?;

    let mut late = founder(&dir, "late", &registry, "token");
    late.launch()?;
    let said = ["failed to join discovery cluster: discovery: cluster is full"];
    tokio::task::block_in_place(|| assert_ends(&mut late, 1, &said))?;
    // With data nobody is asked any more.
    drop(registry);
    tokio::task::block_in_place(|| members[1].terminate())?;
    tokio::task::block_in_place(|| members[1].start())?;
    let found = members[1].client().await?.get("key", None).await?;
    assert_eq!(found.kvs().len(), 1);
    Ok(())
}
