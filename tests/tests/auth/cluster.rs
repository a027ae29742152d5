//! Three members: what one is told of users all know, whoever leads and whatever is restarted.

use anyhow::{Context, Result, ensure};
use portunus_proto::etcdserverpb as pb;
use portunus_tests::{Cluster, Rpc, Users, eventually};

use crate::fixture::{
    CHEAP, DENIED, Token, assert_done, assert_refused, auth_status, login, people, put, range, role,
};

/// What a member says of auth.
#[derive(Debug, PartialEq)]
struct Picture {
    status: (bool, u64),
    users: Users,
}

async fn picture(url: &str, root: &Token) -> Result<Picture> {
    let mut rpc = Rpc::connect(url).await?;
    let status = auth_status(&mut rpc).await?;
    Ok(Picture { status, users: Users::of(&mut rpc, root).await? })
}

/// The same on each member that runs.
async fn agreed(cluster: &Cluster, root: &Token) -> Result<Picture> {
    let mut all = Vec::new();
    for member in cluster.members.iter().filter(|member| member.is_running()) {
        all.push(picture(&member.client_url, root).await?);
    }
    let first = all.pop().context("a member runs")?;
    ensure!(all.iter().all(|other| *other == first), "{all:?} and {first:?}");
    Ok(first)
}

/// Which member leads, as those that run agree. A status is for users alone.
async fn leader_of(cluster: &Cluster, root: &Token) -> usize {
    eventually("a leader that all running members name", || async {
        let (mut named, mut ids) = (Vec::new(), Vec::new());
        for n in (0..3).filter(|n| cluster.members[*n].is_running()) {
            let mut rpc = rpc(cluster, n).await?;
            let status = rpc.maintenance.status(root.with(pb::StatusRequest {})).await?;
            let status = status.into_inner();
            ids.push((n, status.header.context("a header")?.member_id));
            named.push(status.leader);
        }
        ensure!(named.iter().all(|leader| *leader == named[0]), "they disagree: {named:?}");
        let leader = ids.into_iter().find(|(_, id)| *id == named[0]);
        leader.map(|(n, _)| n).context("the leader does not run")
    })
    .await
}

async fn rpc(cluster: &Cluster, n: usize) -> Result<Rpc> {
    Rpc::connect(&cluster.members[n].client_url).await
}

/// Each token works at each member, and each member refuses what is not allowed.
async fn assert_served(cluster: &Cluster, ada: &Token) -> Result<()> {
    for n in (0..3).filter(|n| cluster.members[*n].is_running()) {
        let mut rpc = rpc(cluster, n).await?;
        assert_done("own", rpc.kv.put(ada.with(put("a/k"))).await);
        assert_done("own", rpc.kv.range(ada.with(range("a/k"))).await);
        assert_refused("other", rpc.kv.put(ada.with(put("b"))).await, DENIED);
        assert_refused("other", rpc.kv.range(ada.with(range("b"))).await, DENIED);
        let serializable = pb::RangeRequest { serializable: true, ..range("b") };
        assert_refused("other", rpc.kv.range(ada.with(serializable)).await, DENIED);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn users_outlive_leaders_and_restarts() -> Result<()> {
    let mut cluster = Cluster::three(&[CHEAP]).await?;
    let leader = cluster.leader().await;
    let follower = (leader + 1) % 3;
    // Told to a member that does not lead; the tokens come from two of them.
    let mut told = rpc(&cluster, follower).await?;
    people(&mut told).await?;
    let root = login(&mut told, "root", "root").await?;
    let ada = login(&mut rpc(&cluster, (leader + 2) % 3).await?, "ada", "secret").await?;
    assert_served(&cluster, &ada).await?;
    let before = agreed(&cluster, &root).await?;
    assert_eq!(before.status, (true, 9));

    cluster.members[leader].kill()?;
    let next = leader_of(&cluster, &root).await;
    assert_ne!(next, leader);
    assert_served(&cluster, &ada).await?;
    let more = root.with(role("made-by-the-next"));
    assert_done("a change", rpc(&cluster, next).await?.auth.role_add(more).await);
    cluster.restart(leader).await?;
    let after = eventually("the returned member has caught up", || agreed(&cluster, &root)).await;
    assert_eq!(after.status, (true, 10));
    assert_served(&cluster, &ada).await?;

    for n in 0..3 {
        cluster.members[n].kill()?;
    }
    for n in 0..3 {
        cluster.launch(n)?;
    }
    cluster.wait_ready().await?;
    leader_of(&cluster, &root).await;
    assert_eq!(agreed(&cluster, &root).await?, after, "tokens included");
    assert_served(&cluster, &ada).await?;
    Ok(())
}

/// Data is compared by root alone.
#[tokio::test(flavor = "multi_thread")]
async fn members_hold_the_same_data_while_auth_changes() -> Result<()> {
    let cluster = Cluster::three(&[CHEAP]).await?;
    let mut told = rpc(&cluster, 0).await?;
    people(&mut told).await?;
    let root = login(&mut told, "root", "root").await?;
    let ada = login(&mut told, "ada", "secret").await?;
    // Puts through all members, while the right to them comes and goes.
    let writers: Vec<_> = (0..3)
        .map(|n| {
            let (url, ada) = (cluster.members[n].client_url.clone(), ada.clone());
            tokio::spawn(async move {
                let mut rpc = Rpc::connect(&url).await?;
                let mut refused = 0;
                for number in 0..200 {
                    match rpc.kv.put(ada.with(put(&format!("a/{n}/{number}")))).await {
                        Ok(_) => {}
                        Err(status) if status.code() == DENIED.0 => refused += 1,
                        Err(status) => return Err(anyhow::Error::from(status)),
                    }
                }
                Ok(refused)
            })
        })
        .collect();
    while writers.iter().any(|writer| !writer.is_finished()) {
        let revoke = pb::AuthUserRevokeRoleRequest { name: "ada".into(), role: "own".into() };
        told.auth.user_revoke_role(root.with(revoke)).await?;
        told.auth.user_grant_role(root.with(crate::fixture::grant("ada", "own"))).await?;
    }
    let mut refused = 0;
    for writer in writers {
        refused += writer.await??;
    }
    let all = pb::RangeRequest { range_end: "a0".into(), count_only: true, ..range("a/") };
    let mut hashes = Vec::new();
    for n in 0..3 {
        let mut rpc = rpc(&cluster, n).await?;
        let count = rpc.kv.range(root.with(all.clone())).await?.into_inner().count;
        assert_eq!(count, 600 - refused, "what was refused was not done");
        let hash = rpc.maintenance.hash_kv(root.with(pb::HashKvRequest { revision: 0 })).await?;
        hashes.push(hash.into_inner().hash);
    }
    assert!(hashes.iter().all(|hash| *hash == hashes[0]), "{hashes:?}");
    Ok(())
}
