//! Locks that a plugin admits, through etcd's Lock service and our own, on one member: who is let in,
//! what wakes whom, and that clients who know nothing of it cannot get around it.

use std::process::Command;

use anyhow::{Context, Result, ensure};
use etcd_client::{Client, Compare, CompareOp, GetOptions, LockOptions, PutOptions, Txn, TxnOp};
use portunus_proto::portunus::v1::lock_client::LockClient;
use portunus_proto::portunus::v1::{
    LockAcquireRequest, LockDescribeRequest, LockPlace, LockReleaseRequest,
};
use portunus_proto::v3electionpb::CampaignRequest;
use portunus_proto::v3lockpb::{LockRequest, UnlockRequest};
use portunus_tests::refusal;
use tokio::task::JoinHandle;
use tonic::transport::Channel;
use tonic::{Code, Status};

use crate::fixture::{Single, deploy, lease, line, portunus, stand};

const WALL: &str =
    "etcdserver: locks under \"l/\" are admitted by plugin semaphore; use the Lock service";

/// A member with one plugin of its own.
async fn with(builtin: &str, options: &[&str]) -> Result<Single> {
    let single = Single::start().await?;
    deploy(&single.member.client_url, builtin, &[&["--lock-admission", "l/"], options].concat())?;
    Ok(single)
}

fn asking(lease: i64) -> LockAcquireRequest {
    LockAcquireRequest { names: vec!["l/a".into()], lease, ..Default::default() }
}

fn ours(single: &Single) -> LockClient<Channel> {
    LockClient::new(single.rpc.channel.clone())
}

async fn release(single: &Single, lease: i64) -> Result<()> {
    let names = vec!["l/a".into()];
    ours(single).release(LockReleaseRequest { names, lease, entirely: true }).await?;
    Ok(())
}

/// Asks in the background, as our own service does.
fn acquire(single: &Single, request: LockAcquireRequest) -> JoinHandle<Result<LockPlace, Status>> {
    let mut lock = ours(single);
    tokio::spawn(async move {
        let held = lock.acquire(request).await?.into_inner().held;
        held.into_iter().next().ok_or_else(|| Status::unknown("nothing is held"))
    })
}

/// The same through etcd's; what comes is the key.
fn lock(single: &Single, name: &'static str, lease: i64) -> JoinHandle<Result<Vec<u8>>> {
    let mut client = single.client.clone();
    tokio::spawn(async move {
        let options = LockOptions::new().with_lease(lease);
        Ok(client.lock(name, Some(options)).await?.key().to_vec())
    })
}

async fn keys(client: &Client) -> Result<Vec<String>> {
    let options = GetOptions::new().with_prefix().with_keys_only();
    let answer = client.kv_client().get("l/", Some(options)).await?;
    Ok(answer.kvs().iter().map(|kv| String::from_utf8_lossy(kv.key()).into_owned()).collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_of_both_services_share_the_permits_and_the_line() -> Result<()> {
    let single = with("semaphore", &["--config", "permits=2"]).await?;
    let mut leases = Vec::new();
    for _ in 0..4 {
        leases.push(lease(&single.client).await?);
    }
    let first = lock(&single, "l/a", leases[0]).await??;
    assert_eq!(first, format!("l/a/{:x}", leases[0]).as_bytes());
    let second = acquire(&single, asking(leases[1])).await??;
    let third = lock(&single, "l/a", leases[2]);
    stand(&single.client, "l/a", 3).await;
    let fourth = acquire(&single, asking(leases[3]));
    stand(&single.client, "l/a", 4).await;
    assert!(!third.is_finished() && !fourth.is_finished());
    let told = LockDescribeRequest { name: "l/a".into() };
    let told = ours(&single).describe(told).await?.into_inner();
    let held: Vec<_> = told.line.iter().map(|it| (it.lease, it.holds_it)).collect();
    let expected = [(0, true), (1, true), (2, false), (3, false)];
    assert_eq!(held, expected.map(|(n, holds)| (leases[n], holds)));
    assert_eq!(told.admitted_by, ["semaphore"]);
    // Who has it through one service wakes who waits through the other.
    release(&single, leases[1]).await?;
    let third = third.await??;
    assert!(!fourth.is_finished());
    let key = first.into();
    single.lock.clone().unlock(UnlockRequest { key }).await?;
    assert!(fourth.await??.token > second.token);
    single.client.clone().unlock(third).await?;
    release(&single, leases[3]).await?;
    assert!(keys(&single.client).await?.is_empty(), "both keys of each are gone");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_that_ends_wakes_the_next() -> Result<()> {
    let single = with("semaphore", &[]).await?;
    // Nobody keeps it alive.
    let brief = single.client.lease_client().grant(1, None).await?.id();
    let first = acquire(&single, asking(brief)).await??;
    let (one, two) = (lease(&single.client).await?, lease(&single.client).await?);
    let waits = lock(&single, "l/a", one);
    stand(&single.client, "l/a", 2).await;
    let last = acquire(&single, asking(two));
    let key = waits.await??;
    assert_eq!(key, format!("l/a/{one:x}").as_bytes());
    single.client.lease_client().revoke(one).await?;
    assert!(last.await??.token > first.token);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_loses_its_lease_in_line_hears_it_in_the_services_words() -> Result<()> {
    let single = with("semaphore", &[]).await?;
    acquire(&single, asking(lease(&single.client).await?)).await??;
    let lost = lease(&single.client).await?;
    let mut service = single.lock.clone();
    let waits =
        tokio::spawn(
            async move { service.lock(LockRequest { name: "l/a".into(), lease: lost }).await },
        );
    stand(&single.client, "l/a", 2).await;
    single.client.lease_client().revoke(lost).await?;
    let refused = refusal(waits.await?);
    assert_eq!(refused, (Code::Unknown, "mutex: session is expired".to_owned()));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_goes_away_leaves_the_line() -> Result<()> {
    let single = with("semaphore", &[]).await?;
    let holder = lease(&single.client).await?;
    acquire(&single, asking(holder)).await??;
    let gone = lock(&single, "l/a", lease(&single.client).await?);
    stand(&single.client, "l/a", 2).await;
    let last = acquire(&single, asking(lease(&single.client).await?));
    stand(&single.client, "l/a", 3).await;
    gone.abort();
    stand(&single.client, "l/a", 2).await;
    assert!(!last.is_finished());
    release(&single, holder).await?;
    last.await??;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operators_key_ends_the_wait() -> Result<()> {
    let options = ["--config", "key=ops/m", "--config", "locks=wait", "--grant-read", "ops/"];
    let mut single = with("maintenance-window", &options).await?;
    single.client.put("ops/m", "moving house", None).await?;
    let one = lock(&single, "l/b", lease(&single.client).await?);
    let two = acquire(&single, asking(lease(&single.client).await?));
    stand(&single.client, "l/a", 1).await;
    stand(&single.client, "l/b", 1).await;
    single.client.put("ops/other", "", None).await?;
    assert!(!one.is_finished() && !two.is_finished());
    single.client.delete("ops/m", None).await?;
    one.await??;
    two.await??;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_reaches_clients_of_both_services_and_costs_the_place() -> Result<()> {
    let options = ["--config", "key=ops/m", "--grant-read", "ops/"];
    let mut single = with("maintenance-window", &options).await?;
    let holder = lease(&single.client).await?;
    acquire(&single, asking(holder)).await??;
    let waits = acquire(&single, asking(lease(&single.client).await?));
    stand(&single.client, "l/a", 2).await;
    single.client.put("ops/m", "moving house", None).await?;
    let text = "portunus: refused by maintenance-window: maintenance: moving house";
    let expected = (Code::FailedPrecondition, text.to_owned());
    assert_eq!(refusal(waits.await?), expected, "who waits is asked again");
    let late = lease(&single.client).await?;
    assert_eq!(refusal(ours(&single).acquire(asking(late)).await), expected);
    let request = LockRequest { name: "l/a".into(), lease: late };
    assert_eq!(refusal(single.lock.lock(request).await), expected);
    let left = stand(&single.client, "l/a", 1).await;
    assert_eq!(left, [format!("l/a/{holder:x}")], "who holds it keeps it");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_takes_or_breaks_a_lock_with_transactions() -> Result<()> {
    let mut single = with("semaphore", &[]).await?;
    let holder = lease(&single.client).await?;
    let held = acquire(&single, asking(holder)).await??;
    let before = keys(&single.client).await?;
    let id = lease(&single.client).await?;
    let own = format!("l/a/{id:x}");
    let put = PutOptions::new().with_lease(id);
    let absent = Compare::create_revision(own.clone(), CompareOp::Equal, 0);
    let ops = [TxnOp::put(own.clone(), "", Some(put)), TxnOp::get("l/a/", None)];
    let recipe = Txn::new().when([absent]).and_then(ops);
    let around = [
        single.client.txn(recipe).await.map(drop),
        single.client.put(own, "", None).await.map(drop),
        single.client.delete(held.key.to_vec(), None).await.map(drop),
        single.client.delete(format!("l/a/{holder:x}"), None).await.map(drop),
    ];
    for refused in around {
        let Err(etcd_client::Error::GRpcStatus(status)) = refused else {
            anyhow::bail!("{refused:?}")
        };
        let told = (status.code() as i32, status.message());
        assert_eq!(told, (Code::FailedPrecondition as i32, WALL));
    }
    let campaign = CampaignRequest { name: "l/a".into(), lease: id, value: "v".into() };
    let refused = refusal(single.election.campaign(campaign).await);
    assert_eq!(refused, (Code::FailedPrecondition, WALL.to_owned()));
    assert_eq!(keys(&single.client).await?, before);
    // A lease is its owner's all the same.
    single.client.lease_client().revoke(holder).await?;
    assert!(line(&single.client, "l/a").await?.is_empty());
    Ok(())
}

/// Needs an `etcdctl`, as the tests beside this one; without one it says so and passes.
#[tokio::test(flavor = "multi_thread")]
async fn etcdctl_is_told_why_it_cannot_lock() -> Result<()> {
    let single = with("semaphore", &[]).await?;
    for words in [["lock", "l/a", "true"], ["elect", "l/a", "me"], ["put", "l/a/1", ""]] {
        let program = std::env::var_os("REAL_ETCDCTL").unwrap_or("etcdctl".into());
        let mut command = Command::new(program);
        command.env("ETCDCTL_API", "3").arg("--endpoints").arg(&single.member.client_url);
        let Ok(output) = tokio::task::block_in_place(|| command.args(words).output()) else {
            eprintln!("SKIPPED: no etcdctl; install one or set REAL_ETCDCTL");
            return Ok(());
        };
        let error = String::from_utf8_lossy(&output.stderr);
        ensure!(!output.status.success(), "{words:?} went through");
        assert!(error.contains("are admitted by plugin semaphore"), "{words:?}: {error}");
    }
    assert!(keys(&single.client).await?.is_empty());
    Ok(())
}

/// As the plugins' documentation shows it: one admits, the other guards what the lock is for.
#[tokio::test(flavor = "multi_thread")]
async fn the_token_of_an_admitted_lock_guards_writes() -> Result<()> {
    let mut single = with("semaphore", &["--config", "permits=2"]).await?;
    let url = single.member.client_url.clone();
    let options = ["--write-policy", "app/", "--config", "lock=l/a", "--grant-read", "l/a"];
    deploy(&url, "fencing", &options)?;
    let client = single.client.clone();
    let write = |token: i64| {
        let ops =
            [TxnOp::put("app/x", "v", None), TxnOp::put("app/.token", token.to_string(), None)];
        let mut client = client.clone();
        async move { client.txn(Txn::new().and_then(ops)).await.map(drop) }
    };
    let (one, two) = (lease(&single.client).await?, lease(&single.client).await?);
    let first = acquire(&single, asking(one)).await??;
    let second = acquire(&single, asking(two)).await??;
    assert!(second.token > first.token && second.key.starts_with(b"l/a!holders/"));
    write(first.token).await?;
    let place = single.client.get(format!("l/a/{two:x}"), None).await?;
    let entered = place.kvs().first().context("a place")?.create_revision();
    // Its key of a holder counts, made in the same transaction as its place.
    assert_eq!(entered, second.token);
    write(second.token).await?;
    release(&single, two).await?;
    let refused = write(second.token).await.expect_err("it holds nothing");
    assert!(refused.to_string().contains("refused by fencing"), "{refused}");
    let third = lock(&single, "l/a", two);
    third.await??;
    let late = write(first.token).await.expect_err("a younger one has written");
    assert!(late.to_string().contains("is older than"), "{late}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_waits_for_the_plugin_and_has_the_holders_token() -> Result<()> {
    let single = with("capacity", &["--config", "capacity=8"]).await?;
    let url = &single.member.client_url;
    let words = ["lock", "l/a", "--weight", "8", "--endpoints", url, "--", "sh", "-c"];
    let mut command = Command::new(portunus_tests::Member::program()?);
    command.args(words).arg("echo $PORTUNUS_LOCK_TOKEN $PORTUNUS_LOCK_KEY");
    let output = tokio::task::block_in_place(|| command.output())?;
    let told = String::from_utf8(output.stdout)?;
    let (token, key) = told.trim().split_once(' ').context("two words")?;
    assert!(token.parse::<i64>()? > 1 && key.starts_with("l/a!holders/"), "{told}");
    let mut heavy = Command::new(portunus_tests::Member::program()?);
    heavy.args(["lock", "l/a", "--weight", "9", "--endpoints", url, "--", "true"]);
    let output = tokio::task::block_in_place(|| heavy.output())?;
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    assert!(error.contains("refused by capacity: 9 is more than the capacity of 8"), "{error}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn explain_names_the_plugin_that_holds_a_queue() -> Result<()> {
    let single = Single::start().await?;
    let url = single.member.client_url.clone();
    let explain = || portunus(&url, &["queue", "explain", "q/a"]);
    single.client.kv_client().put("q/a/condition", "plugin maintenance-window", None).await?;
    portunus(&url, &["queue", "put", "q/a", "item"])?;
    let missing = explain().expect_err("there is no such plugin").to_string();
    assert!(missing.contains("maintenance-window"), "{missing}");
    let options = ["--queue-condition", "q/", "--config", "key=ops/m", "--grant-read", "ops/"];
    deploy(&url, "maintenance-window", &options)?;
    assert_eq!(explain()?, "it serves\n");
    single.client.kv_client().put("ops/m", "moving house", None).await?;
    assert_eq!(explain()?, "it waits for plugin maintenance-window\n");
    let until = r#"{"reason": "upgrade", "until": 32503680000000}"#;
    single.client.kv_client().put("ops/m", until, None).await?;
    let told = explain()?;
    assert_eq!(
        told,
        "it waits for plugin maintenance-window, at the latest until unix 32503680000\n"
    );
    single
        .client
        .kv_client()
        .put("q/a/condition", "any(plugin maintenance-window, key k)", None)
        .await?;
    let told = explain()?;
    assert!(told.starts_with("it waits for any of: plugin maintenance-window, at"), "{told}");
    assert!(told.ends_with("; key k: it is not there\n"), "{told}");
    // What cannot be read closes the queue, and who asks is told why.
    single.client.kv_client().put("ops/m", "{", None).await?;
    let told = explain()?;
    assert!(
        told.starts_with("it waits for any of: plugin maintenance-window, which refuses: "),
        "{told}"
    );
    Ok(())
}
