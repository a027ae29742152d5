//! Whether a trigger keeps up: `cargo run --release -p portunus-tests --example trigger_rate --
//! [EVENTS_PER_SECOND] [SECONDS] [kill]` writes that many events each second to three members (one
//! with `PORTUNUS_MEMBERS=1`), under a trigger that keeps a row for each and counts them. Every
//! second it prints what was acknowledged and what the trigger has counted by then, and at the end
//! how long the trigger took for the rest and whether each event counted once. With `kill` the
//! leader is killed every five seconds. The program under test is the one beside the example's
//! folder, so build it first: `cargo build --release -p portunus`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use etcd_client::{Client, ConnectOptions};
use portunus_tests::tally::{ORDERS, counted, deploy_tally, expected, rows};
use portunus_tests::{Cluster, Member, eventually};

/// Clients that share the rate. Each waits for its answer before it writes again.
const CLIENTS: u64 = 128;
const PATIENCE: Duration = Duration::from_secs(2);
const KILL_EVERY: u64 = 5;

#[tokio::main]
async fn main() -> Result<()> {
    let mut args = std::env::args().skip(1);
    let rate: u64 = args.next().map_or(Ok(5000), |text| text.parse()).context("a rate")?;
    let seconds: u64 = args.next().map_or(Ok(20), |text| text.parse()).context("seconds")?;
    let kill = args.next().is_some_and(|word| word == "kill");
    if std::env::var("PORTUNUS_MEMBERS").is_ok_and(|members| members == "1") {
        ensure!(!kill, "a single member has no successor");
        let dir = tempfile::tempdir()?;
        let member = Member::single(dir.path(), &[])?;
        return measure(std::slice::from_ref(&member.client_url), None, rate, seconds).await;
    }
    let mut cluster = Cluster::three(&[]).await?;
    let urls: Vec<_> = cluster.members.iter().map(|member| member.client_url.clone()).collect();
    measure(&urls, kill.then_some(&mut cluster), rate, seconds).await
}

async fn measure(
    urls: &[String],
    mut victims: Option<&mut Cluster>,
    rate: u64,
    seconds: u64,
) -> Result<()> {
    let deployed = deploy_tally(&urls[0], "").await?;
    let (acknowledged, begun) = (Arc::new(AtomicU64::new(0)), Instant::now());
    let writers: Vec<_> = (0..CLIENTS)
        .map(|id| {
            let url = urls[id as usize % urls.len()].clone();
            let pace = Duration::from_secs_f64(CLIENTS as f64 / rate as f64);
            let until = Duration::from_secs(seconds);
            tokio::spawn(write(url, id, pace, (begun, until), acknowledged.clone()))
        })
        .collect();
    let options = ConnectOptions::new().with_connect_timeout(PATIENCE).with_timeout(PATIENCE);
    let mut client = Client::connect(urls, Some(options)).await?;
    println!("second  acknowledged  counted  behind");
    for second in 1..=seconds {
        let at = begun + Duration::from_secs(second);
        tokio::time::sleep(at.saturating_duration_since(Instant::now())).await;
        let written = acknowledged.load(Ordering::Relaxed);
        match counted(&mut client).await {
            Ok(count) => {
                println!(
                    "{second:6}  {written:12}  {count:7}  {:6}",
                    written as i64 - count as i64
                );
            }
            Err(error) => println!("{second:6}  {written:12}  {error:#}"),
        }
        if let Some(cluster) = victims.as_deref_mut()
            && second % KILL_EVERY == 0
            && second < seconds
        {
            let leader = cluster.leader().await;
            cluster.members[leader].kill()?;
            cluster.restart(leader).await?;
        }
    }
    for writer in writers {
        writer.await??;
    }
    let rest = Instant::now();
    let expected = expected(&mut client, deployed).await?;
    let rows = eventually("the trigger catches up", || {
        let (mut client, all) = (client.clone(), expected.len() as u64);
        async move {
            let counted = counted(&mut client).await?;
            ensure!(counted >= all, "{counted} of {all} events");
            rows(&mut client).await
        }
    })
    .await;
    let count = counted(&mut client).await?;
    let (events, took) = (expected.len(), rest.elapsed());
    println!("{events} events, counted {count}, {} rows, the rest took {took:?}", rows.len());
    ensure!(rows == expected && count == events as u64, "an event is missing or told twice");
    println!("each once");
    Ok(())
}

/// Writes at its pace; what it could not do in time it makes up for as fast as it can.
async fn write(
    url: String,
    id: u64,
    pace: Duration,
    (begun, until): (Instant, Duration),
    acknowledged: Arc<AtomicU64>,
) -> Result<()> {
    let options = ConnectOptions::new().with_connect_timeout(PATIENCE).with_timeout(PATIENCE);
    let mut client = Client::connect([url], Some(options)).await?;
    let mut due = begun + pace.mul_f64(id as f64 / CLIENTS as f64);
    let mut n = 0_u64;
    while due < begun + until {
        tokio::time::sleep(due.saturating_duration_since(Instant::now())).await;
        n += 1;
        let key = format!("{ORDERS}{id}/{}", n % 100);
        match client.put(key, n.to_string(), None).await {
            Ok(_) => drop(acknowledged.fetch_add(1, Ordering::Relaxed)),
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
        due += pace;
    }
    Ok(())
}
