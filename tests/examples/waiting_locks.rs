//! What waiting for locks costs: `cargo run --release -p portunus-tests --example waiting_locks --
//! [WAITERS] [LOCKS] [etcd|own]` has that many clients wait for that many locks (10,000 for 1,000
//! unless told) on one member, through etcd's Lock service or ours, and prints the CPU that the
//! server uses while nothing changes, beside an idle server's, and the memory of each waiter. Then
//! all holders let go, and so does each waiter when it has its lock: it prints how long that takes.
//! The program under test is the one beside the example's folder, so build it first: `cargo build
//! --release -p portunus`.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use etcd_client::{Client, GetOptions};
use portunus_proto::portunus::v1::lock_client::LockClient;
use portunus_proto::portunus::v1::{LockAcquireRequest, LockReleaseRequest};
use portunus_proto::v3lockpb::lock_client::LockClient as EtcdLockClient;
use portunus_proto::v3lockpb::{LockRequest, UnlockRequest};
use portunus_tests::{Member, Rpc, eventually_within, usage};
use tokio::task::JoinSet;
use tonic::transport::Channel;

/// Calls of one connection: servers bound the streams of each, and so do clients.
const PER_CONNECTION: usize = 100;
const PATIENCE: Duration = Duration::from_secs(300);
const SPAN: Duration = Duration::from_secs(10);

#[derive(Clone, Copy, PartialEq)]
enum Service {
    Etcd,
    Own,
}

#[tokio::main]
async fn main() -> Result<()> {
    let mut args = std::env::args().skip(1);
    let waiters: usize = args.next().map_or(Ok(10_000), |text| text.parse())?;
    let locks: usize = args.next().map_or(Ok(1000), |text| text.parse())?;
    let service = match args.next().as_deref() {
        None | Some("etcd") => Service::Etcd,
        Some("own") => Service::Own,
        Some(other) => anyhow::bail!("{other} is neither etcd nor own"),
    };
    ensure!(locks > 0 && waiters.is_multiple_of(locks), "as many waiters for each lock");
    let dir = tempfile::tempdir()?;
    let member = Member::single(dir.path(), &[])?;
    let client = member.client().await?;
    let idle_cpu = usage(&member, SPAN).await?.cpu;
    // One lease for all holders and one for each rank of waiters: a lease has one place in a line.
    let holder = lease(&client).await?;
    let mut channel = Rpc::connect(&member.client_url).await?.channel;
    for lock in 0..locks {
        acquire(service, channel.clone(), lock, holder).await?;
    }
    let before = usage(&member, Duration::ZERO).await?.rss_anon_bytes;
    let mut waiting = JoinSet::new();
    let mut held = 0;
    for rank in 0..waiters / locks {
        let lease = lease(&client).await?;
        for lock in 0..locks {
            if held % PER_CONNECTION == 0 {
                channel = Rpc::connect(&member.client_url).await?.channel;
            }
            held += 1;
            let channel = channel.clone();
            waiting.spawn(async move {
                acquire(service, channel.clone(), lock, lease).await?;
                release(service, channel, lock, lease).await
            });
        }
        println!("rank {} is on its way", rank + 1);
    }
    stand(&client, waiters + locks).await;
    let used = usage(&member, SPAN).await?;
    let each = used.rss_anon_bytes.saturating_sub(before) / waiters as u64;
    println!("CPU of {SPAN:?}: idle {idle_cpu:?}, with {waiters} on {locks} locks {:?}", used.cpu);
    println!("memory of a waiter, with its key and its share of a connection: {each} bytes");
    let begun = Instant::now();
    for lock in 0..locks {
        release(service, channel.clone(), lock, holder).await?;
    }
    while let Some(done) = waiting.join_next().await {
        done??;
    }
    println!("{waiters} grants and releases in {:?}", begun.elapsed());
    Ok(())
}

async fn lease(client: &Client) -> Result<i64> {
    Ok(client.lease_client().grant(3600, None).await?.id())
}

fn name(lock: usize) -> bytes::Bytes {
    format!("locks/{lock:05}").into()
}

async fn acquire(service: Service, channel: Channel, lock: usize, lease: i64) -> Result<()> {
    let name = name(lock);
    match service {
        Service::Etcd => {
            EtcdLockClient::new(channel).lock(LockRequest { name, lease }).await?;
        }
        Service::Own => {
            let names = vec![name];
            let request = LockAcquireRequest { names, lease, ..Default::default() };
            LockClient::new(channel).acquire(request).await?;
        }
    }
    Ok(())
}

async fn release(service: Service, channel: Channel, lock: usize, lease: i64) -> Result<()> {
    let name = name(lock);
    match service {
        Service::Etcd => {
            let key = [&name[..], format!("/{lease:x}").as_bytes()].concat().into();
            EtcdLockClient::new(channel).unlock(UnlockRequest { key }).await?;
        }
        Service::Own => {
            let names = vec![name];
            let request = LockReleaseRequest { names, lease, entirely: true };
            LockClient::new(channel).release(request).await?;
        }
    }
    Ok(())
}

/// Waits until that many hold or wait.
async fn stand(client: &Client, count: usize) {
    eventually_within(PATIENCE, "all of them in line", || {
        let mut client = client.clone();
        async move {
            let options = GetOptions::new().with_prefix().with_count_only();
            let standing = client.get("locks/", Some(options)).await?.count();
            ensure!(standing == count as i64, "{standing} of {count}");
            Ok(())
        }
    })
    .await;
}
