//! Leases through changes of the leader, who alone knows when they end.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use etcd_client::{Client, LeaseTimeToLiveOptions, PutOptions};
use portunus_tests::{Cluster, Member, eventually};
use tokio::task::JoinHandle;

use crate::load::{impatient, writes_resume};
use crate::turn::turn;
use crate::watchers::Watcher;

/// Seconds; the shortest that outlives an election with the default timeouts.
const TTL: i64 = 2;
/// After one that failed.
const PAUSE: Duration = Duration::from_millis(50);
const RENEW_EVERY: Duration = Duration::from_millis(300);
/// What is waited for to see that a lease does *not* end, in renewals: well over two lives of it.
const RENEWALS: i64 = 16;

/// Keeps a lease alive at one member until dropped.
struct Keeper {
    renewed: Arc<AtomicI64>,
    task: JoinHandle<()>,
}

impl Keeper {
    fn start(member: &Member, lease: i64) -> Self {
        let renewed = Arc::new(AtomicI64::new(0));
        let (url, count) = (member.client_url.clone(), renewed.clone());
        let task = tokio::spawn(async move {
            loop {
                let renewal = renew(&url, lease, &count);
                // A renewal that is lost with its leader is sent again.
                let renewed = tokio::time::timeout(Duration::from_secs(1), renewal).await;
                if !matches!(renewed, Ok(Ok(()))) {
                    tokio::time::sleep(PAUSE).await;
                }
            }
        });
        Self { renewed, task }
    }

    /// Waits until the lease was renewed this many times more.
    async fn renews(&self, more: i64) {
        let target = self.renewed.load(Ordering::SeqCst) + more;
        eventually("renewals of a lease", || async {
            let renewed = self.renewed.load(Ordering::SeqCst);
            ensure!(renewed >= target, "{renewed} of {target}");
            Ok(())
        })
        .await;
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn renew(url: &str, lease: i64, count: &AtomicI64) -> Result<()> {
    let mut client = impatient(url).await?;
    let (_keeper, _stream) = client.lease_keep_alive(lease).await?;
    count.fetch_add(1, Ordering::SeqCst);
    tokio::time::sleep(RENEW_EVERY).await;
    Ok(())
}

async fn grant(client: &mut Client, keys: &[&str]) -> Result<i64> {
    let lease = client.lease_grant(TTL, None).await?.id();
    for key in keys {
        client.put(*key, "held", Some(PutOptions::new().with_lease(lease))).await?;
    }
    Ok(lease)
}

async fn assert_alive(client: &mut Client, lease: i64, key: &str) -> Result<()> {
    assert_eq!(client.get(key, None).await?.kvs().len(), 1, "{key} went with its lease");
    let options = LeaseTimeToLiveOptions::new().with_keys();
    let left = client.lease_time_to_live(lease, Some(options)).await?;
    assert_eq!(left.granted_ttl(), TTL);
    assert!(left.ttl() >= 0, "the lease is gone: {}", left.ttl());
    assert_eq!(left.keys(), [key.as_bytes()]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_kept_alive_survives_its_leader_and_ends_when_it_is_not() -> Result<()> {
    let _turn = turn().await;
    let mut cluster = Cluster::three(&[]).await?;
    let leader = cluster.leader().await;
    let other = (leader + 1) % 3;
    let mut client = cluster.members[other].client().await?;
    let lease = grant(&mut client, &["lease/a"]).await?;
    let watcher = Watcher::start(&cluster.members[other].client_url, "lease/", 1);
    let keeper = Keeper::start(&cluster.members[other], lease);
    keeper.renews(2).await;
    cluster.members[leader].kill()?;
    writes_resume(&cluster.members[other]).await?;
    keeper.renews(RENEWALS).await;
    assert_alive(&mut client, lease, "lease/a").await?;
    cluster.restart(leader).await?;
    keeper.renews(2).await;
    drop(keeper);

    eventually("the key to go with its lease", || {
        let mut client = client.clone();
        async move {
            let left = client.get("lease/a", None).await?;
            ensure!(left.kvs().is_empty(), "it is there");
            Ok(())
        }
    })
    .await;
    let put = client.put("lease/end", "", None).await?;
    let end = put.header().context("a header")?.revision();
    let events = watcher.reaches(end).await.events;
    assert_eq!(events.iter().filter(|event| event.deleted).count(), 1, "{events:?}");
    cluster.assert_equal().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_that_ends_takes_all_its_keys_once_and_together() -> Result<()> {
    let _turn = turn().await;
    let cluster = Cluster::three(&[]).await?;
    let mut client = cluster.client().await?;
    let watchers: Vec<_> = cluster
        .members
        .iter()
        .map(|member| Watcher::start(&member.client_url, "lease/", 1))
        .collect();
    let lease = grant(&mut client, &["lease/a", "lease/b", "lease/c"]).await?;
    eventually("the lease to end", || {
        let mut client = client.clone();
        async move {
            let left = client.lease_time_to_live(lease, None).await?;
            ensure!(left.ttl() == -1, "{} s are left", left.ttl());
            Ok(())
        }
    })
    .await;
    let put = client.put("lease/end", "", None).await?;
    let end = put.header().context("a header")?.revision();
    for watcher in &watchers {
        let events = watcher.reaches(end).await.events;
        let (gone, put): (Vec<_>, Vec<_>) = events.iter().partition(|event| event.deleted);
        assert_eq!(put.len(), 4);
        assert_eq!(gone.len(), 3, "{gone:?}");
        assert!(gone.iter().all(|event| event.revision == end - 1), "one revision: {gone:?}");
    }
    cluster.assert_equal().await;
    Ok(())
}

/// The old leader hears of no renewal for longer than a lease lives, and then hears of the new
/// leader: by its own clock the lease is over, and yet it must not end it.
async fn deposed_leader_ends_nothing(
    silence: impl Fn(&Cluster, usize) -> Result<()>,
    end_silence: impl Fn(&Cluster, usize) -> Result<()>,
) -> Result<()> {
    let _turn = turn().await;
    let cluster = Cluster::three(&[]).await?;
    let leader = cluster.leader().await;
    let other = (leader + 1) % 3;
    let mut client = cluster.members[other].client().await?;
    let lease = grant(&mut client, &["lease/a"]).await?;
    let watcher = Watcher::start(&cluster.members[leader].client_url, "lease/", 1);
    let keeper = Keeper::start(&cluster.members[other], lease);
    keeper.renews(1).await;
    silence(&cluster, leader)?;
    writes_resume(&cluster.members[other]).await?;
    keeper.renews(RENEWALS).await;
    end_silence(&cluster, leader)?;
    writes_resume(&cluster.members[leader]).await?;
    keeper.renews(RENEWALS).await;
    assert_alive(&mut client, lease, "lease/a").await?;
    let put = client.put("lease/end", "", None).await?;
    let end = put.header().context("a header")?.revision();
    let events = watcher.reaches(end).await.events;
    assert!(events.iter().all(|event| !event.deleted), "{events:?}");
    cluster.assert_equal().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_is_cut_off_for_longer_than_a_lease_ends_none() -> Result<()> {
    let cut = |cluster: &Cluster, leader| {
        cluster.links.cut(leader);
        Ok(())
    };
    let heal = |cluster: &Cluster, leader| {
        cluster.links.heal(leader);
        Ok(())
    };
    deposed_leader_ends_nothing(cut, heal).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_was_stopped_for_longer_than_a_lease_ends_none() -> Result<()> {
    let pause = |cluster: &Cluster, leader: usize| cluster.members[leader].pause();
    let resume = |cluster: &Cluster, leader: usize| cluster.members[leader].resume();
    deposed_leader_ends_nothing(pause, resume).await
}

/// Seconds; long enough to tell what is left from the full time.
const LONG: i64 = 60;
/// Seconds that must pass before the leader changes.
const USED: i64 = 8;

async fn left_of(client: &mut Client, lease: i64) -> Result<i64> {
    Ok(client.lease_time_to_live(lease, None).await?.ttl())
}

/// The next leader knows what is left of a lease from a checkpoint: the lease neither gets its
/// full time again at every election, nor is one that was renewed since cut short by it.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_left_of_a_lease_survives_the_leader() -> Result<()> {
    let _turn = turn().await;
    let mut cluster = Cluster::three(&["--lease-checkpoint-interval=2s"]).await?;
    let leader = cluster.leader().await;
    let other = (leader + 1) % 3;
    let mut client = cluster.members[other].client().await?;
    let idle = client.lease_grant(LONG, None).await?.id();
    let renewed = client.lease_grant(LONG, None).await?.id();
    eventually("some of both leases to be used up", || {
        let mut client = client.clone();
        async move {
            for lease in [idle, renewed] {
                let left = left_of(&mut client, lease).await?;
                ensure!(left <= LONG - USED, "{left} s are left");
            }
            Ok(())
        }
    })
    .await;
    let before_renewal = Instant::now();
    // The client has renewed it once when the stream stands.
    let (mut keeper, mut answers) = client.lease_keep_alive(renewed).await?;
    keeper.keep_alive().await?;
    let answer = answers.message().await?.context("an answer")?;
    assert_eq!(answer.ttl(), LONG);
    cluster.members[leader].kill()?;
    writes_resume(&cluster.members[other]).await?;

    // What was used since the last checkpoint is lost, and an election is added to what is left;
    // both together are far below what was used.
    let left = left_of(&mut client, idle).await?;
    assert!(0 < left && left <= LONG - USED / 2, "{left} s are left of {LONG}");
    // Nobody shortened the renewed one: it has all its time but what has passed here.
    let left = left_of(&mut client, renewed).await?;
    let passed = i64::try_from(before_renewal.elapsed().as_secs())? + 1;
    assert!(left >= LONG - passed, "{left} s are left, {passed} s after the renewal");
    cluster.assert_equal().await;
    Ok(())
}
