//! Runs a workload: threads, each with a runtime, connections and clients of its own, so that
//! nothing is shared while measuring.

use std::sync::Arc;
use std::sync::mpsc;
use std::thread;

use anyhow::{Context, anyhow};
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::{sleep, sleep_until};

use crate::bench::client::connect;
use crate::bench::options::Load;
use crate::bench::progress::Progress;
use crate::bench::recorder::{Recorder, Records};
use crate::bench::schedule::{End, Schedule};
use crate::bench::server_usage::{Usage, UsageProbe};
use crate::bench::time::{Duration, Instant, now};
use crate::bench::workload::{ClientId, Operate, Workload};
use crate::dial::Security;

/// What is unanswered so long after the planned end counts as unfinished.
const GRACE: Duration = Duration::from_secs(5);
/// A client's pause after the server was away.
const PAUSE: Duration = Duration::from_millis(10);

/// What a run brought.
#[derive(Debug)]
pub struct Outcome {
    pub records: Records,
    /// Until the last operation's end.
    pub elapsed: Duration,
    /// Operations that had no answer when the run was cut off, or never found a free client.
    pub unfinished: u64,
    pub start: Instant,
    pub usage: Vec<Usage>,
}

/// The part of a load that one thread carries.
#[derive(Clone, Debug)]
struct Share {
    /// Numbers of its connections.
    conns: Vec<u32>,
    conns_in_all: u32,
    clients_in_all: u32,
    total: Option<u64>,
    rate: Option<f64>,
    duration: Duration,
    endpoints: Vec<String>,
    security: Security,
}

/// A thread that has its connections and waits for the word.
struct Worker {
    recorder: Arc<Recorder>,
    go: oneshot::Sender<Instant>,
    thread: thread::JoinHandle<u64>,
}

/// Runs `workload` under `load` and waits for its end. `also` are recorders that progress shows
/// instead of the run's own.
pub fn drive<W: Workload>(
    load: &Load,
    workload: W,
    also: Option<Arc<Recorder>>,
) -> anyhow::Result<Outcome> {
    prepare(load, &workload)?;
    let workload = Arc::new(workload);
    let mut workers = Vec::new();
    for share in shares(load) {
        workers.push(start_worker(share, Arc::clone(&workload))?);
    }
    let shown = match also {
        Some(recorder) => vec![recorder],
        None => workers.iter().map(|worker| Arc::clone(&worker.recorder)).collect(),
    };
    let progress = Progress::start(shown);
    let probe = UsageProbe::start(&load.server_pid)?;
    let start = now();
    let mut threads = Vec::new();
    for worker in workers {
        // A thread that has died meanwhile is noticed when it is joined.
        let _ = worker.go.send(start);
        threads.push((worker.recorder, worker.thread));
    }
    let (mut records, mut unfinished) = (Records::default(), 0);
    for (recorder, thread) in threads {
        unfinished += thread.join().map_err(|_| anyhow!("a load thread panicked"))?;
        records.merge(recorder.take());
    }
    let usage = probe.finish()?;
    progress.stop();
    let elapsed = records.last.map_or(Duration::ZERO, |last| last - start);
    Ok(Outcome { records, elapsed, unfinished, start, usage })
}

fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_all().build()?)
}

fn prepare<W: Workload>(load: &Load, workload: &W) -> anyhow::Result<()> {
    let endpoint = load.endpoints.first().context("--endpoints names no server")?;
    runtime()?.block_on(async { workload.prepare(connect(&load.security, endpoint).await?).await })
}

/// Splits a load into one share per thread; operations in proportion to clients.
fn shares(load: &Load) -> Vec<Share> {
    let conns = load.conns.min(load.clients);
    let threads = load.threads.min(conns);
    let clients = u64::from(load.clients);
    let mut before = 0_u64;
    (0..threads)
        .map(|thread| {
            let mine: Vec<u32> = (thread..conns).step_by(threads as usize).collect();
            let after = before + clients_on(&mine, conns, load.clients).count() as u64;
            let part = |total: u64| total * after / clients - total * before / clients;
            let share = Share {
                total: load.total.map(part),
                rate: load.rate.map(|rate| rate as f64 * (after - before) as f64 / clients as f64),
                conns: mine,
                conns_in_all: conns,
                clients_in_all: load.clients,
                duration: load.duration,
                endpoints: load.endpoints.clone(),
                security: load.security.clone(),
            };
            before = after;
            share
        })
        .collect()
}

/// Pairs of a connection's place in `mine` and the number of a client on it.
fn clients_on(mine: &[u32], conns: u32, clients: u32) -> impl Iterator<Item = (usize, u32)> {
    mine.iter().enumerate().flat_map(move |(place, conn)| {
        (*conn..clients).step_by(conns as usize).map(move |client| (place, client))
    })
}

fn start_worker<W: Workload>(share: Share, workload: Arc<W>) -> anyhow::Result<Worker> {
    let recorder = Arc::new(Recorder::default());
    let (ready, began) = mpsc::channel();
    let (go, start) = oneshot::channel();
    let runtime = runtime()?;
    let records = Arc::clone(&recorder);
    let thread = thread::spawn(move || {
        runtime.block_on(async {
            match open(&share, &*workload).await {
                Ok(clients) => {
                    let _ = ready.send(Ok(()));
                    match start.await {
                        Ok(start) => run(&share, clients, records, start).await,
                        Err(_) => 0,
                    }
                }
                Err(error) => {
                    let _ = ready.send(Err(error));
                    0
                }
            }
        })
    });
    began.recv().map_err(|_| anyhow!("a load thread ended early"))??;
    Ok(Worker { recorder, go, thread })
}

async fn open<W: Workload>(share: &Share, workload: &W) -> anyhow::Result<Vec<W::Client>> {
    let mut channels = Vec::new();
    for conn in &share.conns {
        let endpoint = &share.endpoints[*conn as usize % share.endpoints.len()];
        channels.push(connect(&share.security, endpoint).await?);
    }
    let mut clients = Vec::new();
    for (place, number) in clients_on(&share.conns, share.conns_in_all, share.clients_in_all) {
        let id = ClientId { number, clients: share.clients_in_all };
        clients.push(workload.client(channels[place].clone(), id).await?);
    }
    Ok(clients)
}

fn schedule(share: &Share, start: Instant) -> Schedule {
    match (share.rate, share.total) {
        (Some(rate), Some(total)) => Schedule::paced(start, total, rate),
        (Some(rate), None) => {
            Schedule::paced(start, (rate * share.duration.as_secs_f64()) as u64, rate)
        }
        (None, Some(total)) => Schedule::closed(start, End::After(total)),
        (None, None) => Schedule::closed(start, End::At(start + share.duration)),
    }
}

/// Returns how many operations are unfinished at the end.
async fn run<C: Operate>(
    share: &Share,
    clients: Vec<C>,
    recorder: Arc<Recorder>,
    start: Instant,
) -> u64 {
    let schedule = Arc::new(schedule(share, start));
    let pacer = schedule.start_pacer(clients.len());
    let mut running = JoinSet::new();
    for client in clients {
        running.spawn(client_loop(client, Arc::clone(&schedule), Arc::clone(&recorder)));
    }
    let cut_off = schedule.planned_end().map(|end| end + GRACE);
    let mut closing = JoinSet::new();
    tokio::select! {
        () = join_all(&mut running, &mut closing) => {}
        () = until(cut_off) => {}
        _ = tokio::signal::ctrl_c() => {
            schedule.stop();
            let _ = tokio::time::timeout(GRACE, join_all(&mut running, &mut closing)).await;
        }
    }
    schedule.stop();
    running.shutdown().await;
    let (answered, failed) = recorder.counts();
    let unfinished = schedule.begun() + schedule.missed() - answered - failed;
    let _ = tokio::time::timeout(GRACE, closing.join_all()).await;
    drop(pacer);
    unfinished
}

async fn join_all<C: Operate>(running: &mut JoinSet<C>, closing: &mut JoinSet<()>) {
    while let Some(client) = running.join_next().await {
        if let Ok(client) = client {
            closing.spawn(client.close());
        }
    }
}

async fn until(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment.into()).await,
        None => std::future::pending().await,
    }
}

async fn client_loop<C: Operate>(
    mut client: C,
    schedule: Arc<Schedule>,
    recorder: Arc<Recorder>,
) -> C {
    while let Some(began) = schedule.next().await {
        match client.operate().await {
            Ok(()) => {
                let at = now();
                recorder.answered(at - began, at);
            }
            Err(failure) => {
                recorder.failed(failure.why, now());
                if failure.unavailable {
                    sleep(PAUSE).await;
                }
            }
        }
    }
    client
}

#[cfg(test)]
#[path = "driver_test.rs"]
mod tests;
