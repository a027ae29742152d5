//! Writers, a trigger, and members that are killed: in the end the trigger's rows are the events,
//! no more and no fewer, each counted once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Result, ensure};
use etcd_client::{Client, ConnectOptions, Txn, TxnOp};
use portunus_tests::tally::{ORDERS, counted, deploy_tally, expected, rows};
use portunus_tests::{Cluster, Member, eventually};
use tokio::task::JoinHandle;

/// A writer gives up on an answer after this: it may have been executed or not.
const PATIENCE: Duration = Duration::from_secs(2);
const PAUSE: Duration = Duration::from_millis(50);

/// Clients that write orders until they are told to stop.
struct Writers {
    stop: Arc<AtomicBool>,
    acknowledged: Arc<AtomicU64>,
    tasks: Vec<JoinHandle<()>>,
}

impl Writers {
    fn start(urls: &[String], each: usize) -> Self {
        let (stop, acknowledged) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let urls = urls.iter().flat_map(|url| std::iter::repeat_n(url.clone(), each));
        let tasks = urls.enumerate().map(|(id, url)| {
            let (stop, acknowledged) = (stop.clone(), acknowledged.clone());
            tokio::spawn(async move {
                let mut n = 0_u64;
                while !stop.load(Ordering::Relaxed) {
                    n += 1;
                    match write(&url, id, &mut n, &stop, &acknowledged).await {
                        Ok(()) => {}
                        Err(_) => tokio::time::sleep(PAUSE).await,
                    }
                }
            })
        });
        let tasks = tasks.collect();
        Self { stop, acknowledged, tasks }
    }

    /// Waits until so many more writes are acknowledged.
    async fn grow_by(&self, more: u64) {
        let from = self.acknowledged.load(Ordering::Relaxed);
        eventually("writes go on", || async {
            let now = self.acknowledged.load(Ordering::Relaxed);
            ensure!(now >= from + more, "{} of {more}", now - from);
            Ok(())
        })
        .await;
    }

    async fn stop(self) -> Result<u64> {
        self.stop.store(true, Ordering::Relaxed);
        for task in self.tasks {
            task.await?;
        }
        Ok(self.acknowledged.load(Ordering::Relaxed))
    }
}

/// Writes on one connection until it fails: a put, a transaction of two, a delete, and a key that
/// is none of the trigger's business, in turn.
async fn write(
    url: &str,
    id: usize,
    n: &mut u64,
    stop: &AtomicBool,
    acknowledged: &AtomicU64,
) -> Result<()> {
    let options = ConnectOptions::new().with_connect_timeout(PATIENCE).with_timeout(PATIENCE);
    let mut client = Client::connect([url], Some(options)).await?;
    while !stop.load(Ordering::Relaxed) {
        let key = |n: u64| format!("{ORDERS}{id}/{}", n % 50);
        match *n % 4 {
            0 => drop(client.delete(key(*n - 1), None).await?),
            1 => drop(client.put(format!("elsewhere/{id}"), "", None).await?),
            2 => {
                let puts = [*n, *n + 1].map(|n| TxnOp::put(key(n), n.to_string(), None));
                client.txn(Txn::new().and_then(puts)).await?;
            }
            _ => drop(client.put(key(*n), n.to_string(), None).await?),
        }
        *n += 1;
        acknowledged.fetch_add(1, Ordering::Relaxed);
    }
    Ok(())
}

/// Compares the trigger's rows with the history, once it has caught up.
async fn assert_each_once(client: &mut Client, deployed: i64) -> Result<()> {
    let expected = expected(client, deployed).await?;
    let all = expected.len() as u64;
    eventually("the trigger catches up", || {
        let mut client = client.clone();
        async move {
            let counted = counted(&mut client).await?;
            ensure!(counted >= all, "{counted} of {all} events");
            Ok(())
        }
    })
    .await;
    let rows = rows(client).await?;
    let missing = expected.keys().find(|row| !rows.contains_key(*row));
    assert_eq!(missing, None, "an event without effect");
    assert_eq!(rows, expected, "an effect without event, or twice");
    assert_eq!(counted(client).await?, all);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_killed_under_load_tells_each_event_once() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let mut member = Member::single(dir.path(), &[])?;
    let deployed = deploy_tally(&member.client_url, "").await?;
    let writers = Writers::start(std::slice::from_ref(&member.client_url), 4);
    for _ in 0..3 {
        writers.grow_by(300).await;
        member.kill()?;
        tokio::task::block_in_place(|| member.start())?;
    }
    writers.grow_by(100).await;
    let acknowledged = writers.stop().await?;
    assert!(acknowledged >= 1000);
    assert_each_once(&mut member.client().await?, deployed).await
}

#[tokio::test(flavor = "multi_thread")]
async fn three_members_whose_leaders_are_killed_tell_each_event_once() -> Result<()> {
    let mut cluster = Cluster::three(&[]).await?;
    let deployed = deploy_tally(&cluster.members[0].client_url, "").await?;
    let urls: Vec<_> = cluster.members.iter().map(|member| member.client_url.clone()).collect();
    let writers = Writers::start(&urls, 2);
    for _ in 0..3 {
        writers.grow_by(300).await;
        let leader = cluster.leader().await;
        cluster.members[leader].kill()?;
        writers.grow_by(100).await;
        cluster.restart(leader).await?;
    }
    writers.grow_by(100).await;
    writers.stop().await?;
    assert_each_once(&mut cluster.client().await?, deployed).await?;
    cluster.assert_equal().await;
    Ok(())
}
