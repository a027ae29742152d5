//! Our own Lock service and `portunus lock`.

use std::process::{Command, Stdio};

use anyhow::{Context, Result};
use portunus_proto::portunus::v1::lock_client::LockClient;
use portunus_proto::portunus::v1::lock_notice::Notice;
use portunus_proto::portunus::v1::{
    LockAcquireRequest, LockDescribeRequest, LockFollowRequest, LockMode, LockReleaseRequest,
    LockRevocationRequest,
};
use portunus_tests::{Cluster, Member, Rpc, eventually, refusal};
use tonic::Code;
use tonic::transport::Channel;

use crate::fixture::{Single, lease, line, stand};

fn asking(name: &'static str, lease: i64) -> LockAcquireRequest {
    LockAcquireRequest { names: vec![name.into()], lease, ..Default::default() }
}

fn releasing(name: &'static str, lease: i64) -> LockReleaseRequest {
    LockReleaseRequest { names: vec![name.into()], lease, entirely: false }
}

fn locks(single: &Single) -> LockClient<Channel> {
    LockClient::new(single.rpc.channel.clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_is_tried_waited_for_and_given_up() -> Result<()> {
    let single = Single::start().await?;
    let mut lock = locks(&single);
    let (one, two) = (lease(&single.client).await?, lease(&single.client).await?);
    let first = lock.acquire(asking("door", one)).await?.into_inner().held[0].token;
    let tried = LockAcquireRequest { try_only: true, ..asking("door", two) };
    assert_eq!(
        refusal(lock.acquire(tried).await),
        (Code::Aborted, "portunus: lock door is held".into())
    );
    let brief = LockAcquireRequest { timeout_ms: 50, ..asking("door", two) };
    assert_eq!(refusal(lock.acquire(brief).await).0, Code::DeadlineExceeded);
    stand(&single.client, "door", 1).await;
    let mut other = lock.clone();
    let waiting = tokio::spawn(async move { other.acquire(asking("door", two)).await });
    stand(&single.client, "door", 2).await;
    let released = lock.release(releasing("door", one)).await?.into_inner();
    assert_eq!(released.released, 1);
    let second = waiting.await??.into_inner().held[0].token;
    assert!(second > first, "tokens grow");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn it_stands_in_one_line_with_etcds_service() -> Result<()> {
    let single = Single::start().await?;
    let mut lock = locks(&single);
    let (one, two) = (lease(&single.client).await?, lease(&single.client).await?);
    lock.acquire(asking("door", one)).await?;
    let mut client = single.client.clone();
    let waiting = tokio::spawn(async move {
        let options = etcd_client::LockOptions::new().with_lease(two);
        client.lock("door", Some(options)).await
    });
    stand(&single.client, "door", 2).await;
    let described = LockDescribeRequest { name: "door".into() };
    let described = lock.describe(described).await?.into_inner().line;
    assert_eq!(described.iter().map(|it| it.holds_it).collect::<Vec<_>>(), [true, false]);
    lock.release(releasing("door", one)).await?;
    waiting.await??;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_holder_hears_that_it_is_asked_and_that_it_has_lost() -> Result<()> {
    let single = Single::start().await?;
    let mut lock = locks(&single);
    let held = lease(&single.client).await?;
    let follow = LockFollowRequest { name: "door".into(), lease: held };
    assert_eq!(refusal(lock.follow(follow.clone()).await).0, Code::FailedPrecondition);
    lock.acquire(asking("door", held)).await?;
    let mut notices = lock.follow(follow).await?.into_inner();
    let first = notices.message().await?.and_then(|it| it.notice);
    assert!(matches!(first, Some(Notice::Held(_))), "{first:?}");
    let wish = LockRevocationRequest { name: "door".into(), reason: "drain".into() };
    assert_eq!(lock.request_revocation(wish).await?.into_inner().asked, 1);
    let next = notices.message().await?.and_then(|it| it.notice);
    assert_eq!(next, Some(Notice::Revocation("drain".into())));
    single.client.lease_client().revoke(held).await?;
    let last = notices.message().await?.and_then(|it| it.notice);
    assert_eq!(last, Some(Notice::Lost(true)));
    assert!(notices.message().await?.is_none(), "it ends");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn permits_let_in_as_many_as_there_are() -> Result<()> {
    let single = Single::start().await?;
    let mut lock = locks(&single);
    let pool = |lease, try_only| LockAcquireRequest {
        mode: LockMode::Permits.into(),
        permits: 2,
        try_only,
        ..asking("pool", lease)
    };
    let (one, two, three) =
        (lease(&single.client).await?, lease(&single.client).await?, lease(&single.client).await?);
    lock.acquire(pool(one, true)).await?;
    lock.acquire(pool(two, true)).await?;
    assert_eq!(refusal(lock.acquire(pool(three, true)).await).0, Code::Aborted);
    lock.release(releasing("pool", one)).await?;
    lock.acquire(pool(three, true)).await?;
    Ok(())
}

fn portunus(single: &Single, arguments: &[&str]) -> Result<Command> {
    let mut command = Command::new(Member::program()?);
    let endpoint = format!("--endpoints={}", single.member.client_url);
    let (word, rest) = arguments.split_first().context("a command")?;
    command.arg(word).arg(endpoint).args(rest).stdout(Stdio::piped());
    Ok(command)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_runs_under_the_lock_with_its_token() -> Result<()> {
    let single = Single::start().await?;
    let script = "echo $PORTUNUS_LOCK_TOKEN; exit 3";
    let mut command = portunus(&single, &["lock", "door", "--", "sh", "-c", script])?;
    let output = tokio::task::block_in_place(|| command.output())?;
    assert_eq!(output.status.code(), Some(3), "the command's own code");
    let token: i64 = String::from_utf8(output.stdout)?.trim().parse()?;
    assert!(token > 1);
    assert!(line(&single.client, "door").await?.is_empty(), "it is released");
    let mut lock = locks(&single);
    lock.acquire(asking("door", lease(&single.client).await?)).await?;
    let mut command = portunus(&single, &["lock", "door", "--try", "--", "true"])?;
    let status = tokio::task::block_in_place(|| command.status())?;
    assert_eq!(status.code(), Some(1), "it is held");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_is_stopped_when_the_lock_is_lost() -> Result<()> {
    let single = Single::start().await?;
    let mut child = portunus(&single, &["lock", "door", "--", "sleep", "600"])?.spawn()?;
    let key = stand(&single.client, "door", 1).await.remove(0);
    let id = key.strip_prefix("door/").context("a place in the line")?;
    single.client.lease_client().revoke(i64::from_str_radix(id, 16)?).await?;
    let status = tokio::task::block_in_place(|| child.wait())?;
    assert_eq!(status.code(), Some(1));
    Ok(())
}

const WAITERS: usize = 20;

#[tokio::test(flavor = "multi_thread")]
async fn waiters_go_on_in_order_after_the_leader_is_killed() -> Result<()> {
    let mut cluster = Cluster::three(&[]).await?;
    let leader = cluster.leader().await;
    let client = cluster.client().await?;
    let survivors: Vec<_> = (1..3).map(|n| (leader + n) % 3).collect();
    let (granted, mut grants) = tokio::sync::mpsc::unbounded_channel();
    let mut leases = Vec::new();
    for n in 0..WAITERS {
        let url = &cluster.members[survivors[n % 2]].client_url;
        let mut lock = LockClient::new(Rpc::connect(url).await?.channel);
        let (lease, granted) = (lease(&client).await?, granted.clone());
        leases.push(lease);
        tokio::spawn(async move {
            granted.send((n, lock.acquire(asking("door", lease)).await)).unwrap();
        });
        stand(&client, "door", n + 1).await;
    }
    let url = cluster.members[survivors[0]].client_url.clone();
    let mut last = 0;
    for (n, lease) in leases.iter().enumerate() {
        if n == WAITERS / 3 {
            cluster.members[leader].kill()?;
        }
        let (who, acquired) = grants.recv().await.context("a grant")?;
        assert_eq!(who, n);
        let token = acquired.context("nobody notices the change")?.into_inner().held[0].token;
        assert!(token > last);
        last = token;
        let lock = LockClient::new(Rpc::connect(&url).await?.channel);
        eventually("a release", || async {
            lock.clone().release(releasing("door", *lease)).await.map(drop)
        })
        .await;
    }
    Ok(())
}
