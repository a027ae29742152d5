//! Members die and come back while clients write and watch through the proxy.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Result, ensure};
use etcd_client::{Client, GetOptions};
use parking_lot::Mutex;
use portunus_proto::etcdserverpb as pb;
use portunus_tests::{Cluster, Member, Rpc, eventually, refusal};
use tokio::task::JoinHandle;
use tonic::Code;

use crate::fixture::Proxy;
use crate::streams::{WatchStream, on, under};

const WRITERS: usize = 4;
const WATCHERS: usize = 3;

/// Keys whose puts were acknowledged, with their revisions.
type Acked = Arc<Mutex<BTreeMap<String, i64>>>;

/// Puts one key after the other; what failed may have happened.
async fn write(mut client: Client, id: usize, acked: Acked, stop: Arc<AtomicBool>) {
    let mut n = 0;
    while !stop.load(Ordering::Relaxed) {
        let key = format!("w/{id}/{n:06}");
        n += 1;
        match client.put(key.clone(), "", None).await {
            Ok(put) => {
                acked.lock().insert(key, put.header().expect("a header").revision());
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
}

/// What a watcher has seen: key and revision, in order.
type Seen = Arc<Mutex<Vec<(String, i64)>>>;

/// Follows one stream, which must not end.
fn follow(mut stream: WatchStream) -> (Seen, JoinHandle<Result<()>>) {
    let seen = Seen::default();
    let kept = seen.clone();
    let task = tokio::spawn(async move {
        loop {
            let event = stream.events(1).await;
            for (_, event) in event? {
                let key = String::from_utf8_lossy(&event.kv.key).into_owned();
                kept.lock().push((key, event.kv.mod_revision));
            }
        }
    });
    (seen, task)
}

/// Waits until so many more writes were acknowledged.
async fn written(acked: &Acked, more: usize) {
    let goal = acked.lock().len() + more;
    eventually("writes through the proxy", || async {
        let now = acked.lock().len();
        ensure!(now >= goal, "{now} of {goal}");
        Ok(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_acknowledged_is_lost_and_no_event_is_lost_or_told_twice() -> Result<()> {
    let mut cluster = Cluster::three(&[]).await?;
    let members: Vec<_> = cluster.members.iter().collect();
    let proxy = Proxy::before(&members, &[])?;
    let (acked, stop) = (Acked::default(), Arc::new(AtomicBool::new(false)));
    let mut watchers = Vec::new();
    for _ in 0..WATCHERS {
        let mut stream = WatchStream::open(&proxy.url).await?;
        stream.watch(under("w/")).await?;
        watchers.push(follow(stream));
    }
    let mut writers = Vec::new();
    for id in 0..WRITERS {
        let client = proxy.client().await?;
        writers.push(tokio::spawn(write(client, id, acked.clone(), stop.clone())));
    }
    written(&acked, 200).await;
    let leader = cluster.leader().await;
    cluster.members[leader].kill()?;
    written(&acked, 200).await;
    cluster.restart(leader).await?;
    for n in 0..3 {
        tokio::task::block_in_place(|| cluster.members[n].terminate())?;
        written(&acked, 100).await;
        cluster.restart(n).await?;
        written(&acked, 100).await;
    }
    stop.store(true, Ordering::Relaxed);
    for writer in writers {
        writer.await?;
    }
    let mut direct = cluster.members[0].client().await?;
    let all = direct.get("w/", Some(GetOptions::new().with_prefix())).await?;
    let mut history: Vec<_> = all
        .kvs()
        .iter()
        .map(|kv| (String::from_utf8_lossy(kv.key()).into_owned(), kv.mod_revision()))
        .collect();
    history.sort_by_key(|(_, revision)| *revision);
    let stored: BTreeMap<_, _> = history.iter().cloned().collect();
    for (key, revision) in acked.lock().iter() {
        assert_eq!(stored.get(key), Some(revision), "{key} was acknowledged");
    }
    for (seen, task) in watchers {
        eventually("a watcher to see the last write", || async {
            let seen = seen.lock().len();
            ensure!(seen >= history.len(), "{seen} of {}", history.len());
            Ok(())
        })
        .await;
        assert!(!task.is_finished(), "its stream has ended");
        task.abort();
        assert_eq!(*seen.lock(), history, "each event once and in order");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn with_all_members_down_it_says_so_and_comes_back_by_itself() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let mut member = Member::single(dir.path(), &[])?;
    let proxy = Proxy::before(&[&member], &[])?;
    let rpc = Rpc::connect(&proxy.url).await?;
    let mut stream = WatchStream::over(&rpc).await?;
    stream.watch(on("k")).await?;
    member.kill()?;
    let put = pb::PutRequest { key: "k".into(), value: "v".into(), ..Default::default() };
    let range = pb::RangeRequest { key: "k".into(), ..Default::default() };
    let text = eventually("a refusal that names the endpoint", || async {
        let (code, text) = refusal(rpc.kv.clone().range(range.clone()).await);
        ensure!(code == Code::Unavailable, "{code:?} {text}");
        ensure!(text.contains("no endpoint can be reached"), "{text}");
        // Before that the connection may break that was there.
        ensure!(text.contains("refused"), "{text}");
        Ok(text)
    })
    .await;
    let address = member.client_url.clone();
    assert!(text.contains(&address), "{text}");
    let (code, text) = refusal(rpc.kv.clone().put(put.clone()).await);
    assert_eq!(code, Code::Unavailable, "{text}");
    let health = portunus_tests::http::get(&proxy.url, "/health").await?;
    assert_eq!((health.status, health.json()["health"].as_str()), (503, Some("false")));
    member.start()?;
    eventually("a put through the proxy", || {
        let (mut kv, put) = (rpc.kv.clone(), put.clone());
        async move { kv.put(put).await }
    })
    .await;
    let seen = stream.events(1).await?;
    assert_eq!(seen[0].1.kv.value, "v", "the watch goes on");
    let said = proxy.said();
    assert!(said.contains("endpoint cannot be reached"), "{said}");
    assert!(said.contains("endpoint can be reached again"), "{said}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_proxy_that_knows_one_member_learns_of_the_others_by_it() -> Result<()> {
    let mut cluster = Cluster::three(&[]).await?;
    let all: Vec<_> = cluster.members.iter().map(|member| member.client_url.clone()).collect();
    let known = [&cluster.members[0]];
    let proxy = Proxy::before(&known, &["--endpoints-auto-sync-interval=100ms"])?;
    eventually("the proxy to name all members", || async {
        let said = proxy.said();
        let changed = said.lines().rfind(|line| line.contains("endpoints have changed"));
        let changed = changed.unwrap_or_default();
        ensure!(all.iter().all(|url| changed.contains(url)), "{said}");
        Ok(())
    })
    .await;
    cluster.members[0].kill()?;
    let mut client = proxy.client().await?;
    eventually("a put without the first member", || async {
        client.clone().put("k", "v", None).await
    })
    .await;
    assert_eq!(client.get("k", None).await?.kvs()[0].value(), b"v");
    Ok(())
}
