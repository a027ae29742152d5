//! etcd's Lock service on one member.

use anyhow::{Context, Result};
use etcd_client::{GetOptions, LockOptions};
use portunus_proto::v3lockpb::{LockRequest, UnlockRequest};
use portunus_tests::{eventually, refusal};
use tonic::Code;

use crate::fixture::{Single, lease, line, stand};

#[tokio::test(flavor = "multi_thread")]
async fn refusals_are_etcds_texts_without_a_code() -> Result<()> {
    let mut single = Single::start().await?;
    let unknown = LockRequest { name: "name".into(), lease: 99 };
    assert_eq!(
        refusal(single.lock.lock(unknown).await),
        (Code::Unknown, "etcdserver: requested lease not found".into())
    );
    assert_eq!(
        refusal(single.lock.unlock(UnlockRequest::default()).await),
        (Code::Unknown, "etcdserver: key is not provided".into())
    );
    let free = single.lock.unlock(UnlockRequest { key: "nobody's".into() }).await?.into_inner();
    assert_eq!(free.header.context("a header")?.revision, 1, "nothing was deleted");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_lease_the_server_grants_one_of_a_minute() -> Result<()> {
    let mut single = Single::start().await?;
    let locked = single.lock.lock(LockRequest::default()).await?.into_inner();
    let key = String::from_utf8(locked.key.to_vec())?;
    let id = i64::from_str_radix(key.strip_prefix('/').context("an empty name")?, 16)?;
    let left = single.client.lease_time_to_live(id, None).await?;
    assert_eq!(left.granted_ttl(), 60);
    assert_eq!(
        locked.header.context("a header")?.revision,
        single.client.get(key, None).await?.kvs()[0].mod_revision()
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn waiters_get_the_lock_one_by_one_in_the_order_of_their_keys() -> Result<()> {
    let single = Single::start().await?;
    let (granted, mut grants) = tokio::sync::mpsc::unbounded_channel();
    for n in 0..8 {
        let (mut client, granted) = (single.client.clone(), granted.clone());
        let lease = lease(&client).await?;
        tokio::spawn(async move {
            let options = LockOptions::new().with_lease(lease);
            let locked = client.lock("door", Some(options)).await.unwrap();
            granted.send((n, locked.key().to_vec())).unwrap();
        });
        stand(&single.client, "door", n + 1).await;
    }
    for n in 0..8 {
        let (who, key) = grants.recv().await.context("a grant")?;
        assert_eq!(who, n);
        assert_eq!(line(&single.client, "door").await?[0].as_bytes(), key);
        assert!(grants.try_recv().is_err(), "one holder at a time");
        single.client.clone().unlock(key).await?;
    }
    assert!(line(&single.client, "door").await?.is_empty());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_lease_holds_what_it_holds_already() -> Result<()> {
    let mut single = Single::start().await?;
    let lease = lease(&single.client).await?;
    let options = LockOptions::new().with_lease(lease);
    let first = single.client.lock("door", Some(options.clone())).await?;
    let again = single.client.lock("door", Some(options)).await?;
    assert_eq!(first.key(), again.key());
    assert_eq!(line(&single.client, "door").await?.len(), 1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_goes_away_leaves_the_line() -> Result<()> {
    let mut single = Single::start().await?;
    let mut leases = Vec::new();
    for _ in 0..3 {
        leases.push(lease(&single.client).await?);
    }
    let options = |n: usize| Some(LockOptions::new().with_lease(leases[n]));
    let holder = single.client.lock("door", options(0)).await?;
    let mut waiters = Vec::new();
    for n in 1..3 {
        let (mut client, options) = (single.member.client().await?, options(n));
        waiters.push(tokio::spawn(async move { client.lock("door", options).await }));
        stand(&single.client, "door", n + 1).await;
    }
    let last = waiters.pop().context("two wait")?;
    waiters[0].abort();
    let left = stand(&single.client, "door", 2).await;
    assert!(left[1].ends_with(&format!("{:x}", leases[2])), "{left:?}");
    single.client.unlock(holder.key()).await?;
    assert_eq!(last.await??.key(), left[1].as_bytes());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_loses_its_lease_in_line_hears_it_at_once() -> Result<()> {
    let mut single = Single::start().await?;
    let (first, second) = (lease(&single.client).await?, lease(&single.client).await?);
    let holder = single.client.lock("door", Some(LockOptions::new().with_lease(first))).await?;
    let mut lock = single.lock.clone();
    let waiting =
        tokio::spawn(
            async move { lock.lock(LockRequest { name: "door".into(), lease: second }).await },
        );
    stand(&single.client, "door", 2).await;
    single.client.lease_revoke(second).await?;
    assert_eq!(refusal(waiting.await?), (Code::Unknown, "mutex: session is expired".into()));
    assert_eq!(line(&single.client, "door").await?[0].as_bytes(), holder.key());
    Ok(())
}

/// The hole of etcd 3.4: a waiter whose lease ended while it waited was granted all the same. Here
/// both end at once, over and over; whoever is told that it holds must have had its key then.
#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_granted_a_lock_without_its_key() -> Result<()> {
    let single = Single::start().await?;
    let (mut granted, mut lost) = (0, 0);
    for round in 0..120 {
        let mut client = single.client.clone();
        let (first, second) = (lease(&client).await?, lease(&client).await?);
        let holder = client.lock("door", Some(LockOptions::new().with_lease(first))).await?;
        let mut lock = single.lock.clone();
        let waiting = tokio::spawn(async move {
            lock.lock(LockRequest { name: "door".into(), lease: second }).await
        });
        stand(&client, "door", 2).await;
        let mut other = client.clone();
        let revoked = tokio::spawn(async move { other.lease_revoke(second).await });
        if round % 2 == 0 {
            tokio::task::yield_now().await;
        }
        client.unlock(holder.key()).await?;
        revoked.await??;
        match waiting.await? {
            Ok(answer) => {
                granted += 1;
                let answer = answer.into_inner();
                let at = answer.header.context("a header")?.revision;
                let then = GetOptions::new().with_revision(at);
                let seen = client.get(&answer.key[..], Some(then)).await?;
                assert_eq!(seen.count(), 1, "granted at {at} without a key");
            }
            Err(status) => {
                lost += 1;
                assert_eq!(status.message(), "mutex: session is expired");
            }
        }
        eventually("an empty line", || async {
            anyhow::ensure!(line(&single.client, "door").await?.is_empty());
            Ok(())
        })
        .await;
    }
    println!("{granted} granted, {lost} lost");
    assert!(lost > 0, "the race was never met");
    Ok(())
}
