//! Who may join, who is refused and with what words, and how a member that was removed ends.

use std::fs;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use portunus_proto::etcdserverpb as pb;
use portunus_tests::{Growing, Member, eventually, free_ports, refusal};
use tonic::Code;

use crate::damage::assert_ends;
use crate::load::Ledger;
use crate::turn::turn;

const REMOVED: &str = "the member has been permanently removed from the cluster";

fn add(url: &str) -> pb::MemberAddRequest {
    pb::MemberAddRequest { peer_urls: vec![url.to_owned()], is_learner: false }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_is_not_the_clusters_is_refused_in_etcds_words() -> Result<()> {
    let _turn = turn().await;
    let mut cluster = Growing::founded(1, &[])?;
    let founder = ("m0".to_owned(), cluster.peer_urls[0].clone());
    let nobody = ("m9".to_owned(), "http://127.0.0.1:1".to_owned());
    let unequal = ["error validating peerURLs {ClusterID:", "}: member count is unequal"];
    let mismatch = [
        "error validating peerURLs {ClusterID:",
        "PeerURLs: no match found for existing member (",
        "), last resolver error (<nil>)",
    ];
    let unheard =
        ["cannot fetch cluster info from peer urls: could not retrieve cluster information from \
         the given URLs"];
    for (more, said) in [
        // Nobody was told of it.
        (vec![founder.clone()], &unequal[..]),
        (vec![nobody.clone()], &unheard[..]),
        (vec![], &unheard[..]),
    ] {
        let newcomer = cluster.newcomer();
        let all: Vec<_> =
            more.into_iter().chain([(newcomer.name.clone(), newcomer.peer_url.clone())]).collect();
        let n = cluster.launch(newcomer, &all, "existing")?;
        let member = &mut cluster.members[n];
        tokio::task::block_in_place(|| assert_ends(member, 1, said))?;
        assert!(!member.data_dir.join("wal").exists(), "a refused start writes nothing");
    }
    // Somebody else was added.
    cluster.rpc().await?.cluster.member_add(add("http://127.0.0.1:1")).await?;
    let newcomer = cluster.newcomer();
    let all = [founder, (newcomer.name.clone(), newcomer.peer_url.clone())];
    let n = cluster.launch(newcomer, &all, "existing")?;
    tokio::task::block_in_place(|| assert_ends(&mut cluster.members[n], 1, &mismatch))
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_that_endanger_the_quorum_are_refused_in_etcds_words() -> Result<()> {
    let _turn = turn().await;
    let mut cluster = Growing::founded(1, &[])?;
    let mut rpc = cluster.rpc().await?;
    let few = "etcdserver: re-configuration failed due to not enough started members".to_owned();
    let few = (Code::FailedPrecondition, few);
    let own = cluster.id(0).await;
    let remove = |id| pb::MemberRemoveRequest { id };
    assert_eq!(refusal(rpc.cluster.member_remove(remove(own)).await), few);
    let newcomer = cluster.newcomer();
    let added = cluster.add(&newcomer, false).await;
    assert_eq!(refusal(rpc.cluster.member_add(add("http://127.0.0.1:1")).await), few);
    // The one that does not run has no say yet: the cluster goes on.
    let ledger = Ledger::start(&cluster.members, 1);
    ledger.grows_by(20).await;
    let n = cluster.launch_added(newcomer, &added)?;
    tokio::task::block_in_place(|| cluster.members[n].wait_ready())?;
    let third = cluster.grow(false).await?;
    ledger.grows_by(20).await;

    cluster.lead(0).await;
    cluster.members[third].kill()?;
    let unhealthy = (Code::Unavailable, "etcdserver: unhealthy cluster".to_owned());
    eventually("the silent member is noticed", || async {
        let mut rpc = cluster.rpc().await?;
        let refused = refusal(rpc.cluster.member_add(add("http://127.0.0.1:1")).await);
        ensure!(refused == unhealthy, "{refused:?}");
        Ok(())
    })
    .await;
    // A running member is needed now, the one that is down is not.
    let running = cluster.id(n).await;
    assert_eq!(refusal(rpc.cluster.member_remove(remove(running)).await), unhealthy);
    let down = cluster.id(third).await;
    rpc.cluster.member_remove(remove(down)).await?;
    ledger.grows_by(20).await;
    ledger.stop().await?.assert_kept(&mut cluster.members[0].client().await?).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removed_member_ends_by_itself_and_does_not_come_back() -> Result<()> {
    let _turn = turn().await;
    let mut cluster = Growing::founded(3, &[])?;
    let ledger = Ledger::start(&cluster.members[..1], 1);
    ledger.grows_by(20).await;
    cluster.lead(0).await;
    let status = cluster.shrink(2).await?;
    assert!(status.success(), "{status}");
    assert!(cluster.members[2].output().contains(REMOVED), "{}", cluster.members[2].output());
    // Nor when it is started again, with the data that says it belongs here.
    cluster.members[2].launch()?;
    tokio::task::block_in_place(|| assert_ends(&mut cluster.members[2], 0, &[REMOVED]))?;
    ledger.grows_by(20).await;
    // One that was down when it was removed finds out when it comes back.
    let n = cluster.grow(false).await?;
    cluster.lead(0).await;
    cluster.members[n].kill()?;
    cluster.remove(n).await;
    ledger.grows_by(20).await;
    cluster.members[n].launch()?;
    tokio::task::block_in_place(|| assert_ends(&mut cluster.members[n], 0, &[REMOVED]))?;
    ledger.grows_by(20).await;
    ledger.stop().await?.assert_kept(&mut cluster.members[0].client().await?).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_lost_its_disk_does_not_join_as_itself() -> Result<()> {
    let _turn = turn().await;
    let mut cluster = Growing::founded(3, &[])?;
    let n = cluster.grow(false).await?;
    cluster.members[n].kill()?;
    fs::remove_dir_all(&cluster.members[n].data_dir)?;
    cluster.members[n].launch()?;
    let said = ["has already been bootstrapped", "add it as a new one"];
    tokio::task::block_in_place(|| assert_ends(&mut cluster.members[n], 1, &said))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_data_of_another_member_is_refused() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let [client, one, two] = free_ports();
    let url = |port: u16| format!("http://127.0.0.1:{port}");
    let member = |name: &str, peer: u16| {
        let flags = vec![
            format!("--listen-peer-urls={}", url(peer)),
            format!("--initial-advertise-peer-urls={}", url(peer)),
            format!("--initial-cluster=m0={},m1={}", url(one), url(two)),
        ];
        Member::new(name, dir.path(), client, flags)
    };
    let (mut first, mut second) = (member("m0", one), member("m1", two));
    first.launch()?;
    let wal = first.data_dir.join("wal");
    eventually("the first member has a log", || async {
        let files = fs::read_dir(&wal)?.collect::<Result<Vec<_>, _>>()?;
        let is_segment = |file: &fs::DirEntry| file.path().extension().is_some_and(|e| e == "wal");
        ensure!(files.iter().any(is_segment), "no log");
        Ok(())
    })
    .await;
    first.kill()?;
    fs::rename(&first.data_dir, &second.data_dir)?;
    second.launch()?;
    let said = ["belongs to member", "start it with its own data directory"];
    tokio::task::block_in_place(|| assert_ends(&mut second, 1, &said))
}

/// `None`, and a line that says so, where there is no etcdctl.
fn etcdctl(url: &str, arguments: &[&str]) -> Option<(bool, String)> {
    let program = std::env::var_os("REAL_ETCDCTL").unwrap_or("etcdctl".into());
    let mut command = Command::new(program);
    command.env("ETCDCTL_API", "3").arg("--endpoints").arg(url).args(arguments);
    let Ok(output) = command.output() else {
        eprintln!("SKIPPED: no etcdctl; install one or set REAL_ETCDCTL");
        return None;
    };
    let said = [output.stdout, output.stderr].concat();
    Some((output.status.success(), String::from_utf8_lossy(&said).into_owned()))
}

#[tokio::test(flavor = "multi_thread")]
async fn etcdctl_changes_the_members() -> Result<()> {
    let _turn = turn().await;
    let cluster = Growing::founded(1, &[])?;
    let url = cluster.members[0].client_url.clone();
    let run = |arguments: &[&str]| tokio::task::block_in_place(|| etcdctl(&url, arguments));
    let peer = "--peer-urls=http://127.0.0.1:1";
    let Some((done, said)) = run(&["member", "add", "m1", peer, "--learner"]) else {
        return Ok(());
    };
    assert!(done && said.contains("ETCD_INITIAL_CLUSTER_STATE=\"existing\""), "{said}");
    let listed = cluster.list().await?;
    let id = listed.iter().find(|member| member.is_learner).context("a learner")?.id;
    let id = format!("{id:x}");
    let run = |arguments: &[&str]| run(arguments).context("it ran before");
    let (done, said) = run(&["member", "list"])?;
    assert!(
        done && said.contains(&format!("{id}, unstarted, , http://127.0.0.1:1, , true")),
        "{said}"
    );
    let (done, said) = run(&["member", "update", &id, "--peer-urls=http://127.0.0.1:2"])?;
    assert!(done && said.contains("updated in cluster"), "{said}");
    let (done, said) = run(&["member", "promote", &id])?;
    assert!(!done && said.contains("can only promote a learner member which is in sync"), "{said}");
    let (done, said) = run(&["member", "remove", &id])?;
    assert!(done && said.contains("removed from cluster"), "{said}");
    let (done, said) = run(&["member", "remove", &id])?;
    assert!(!done && said.contains("member not found"), "{said}");
    Ok(())
}
