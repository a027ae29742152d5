//! From a command to its report.

use anyhow::{Context, ensure};

use crate::bench::client::Payload;
use crate::bench::driver::{Outcome, drive};
use crate::bench::echo;
use crate::bench::options::{
    Command, Consistency, Echo, EchoAs, Load, Queues, Ranges, Reads, Recipes, Watches,
};
use crate::bench::report::Report;
use crate::bench::time::{Duration, now};
use crate::bench::workload::{
    Get, Increment, LeaseKeepalive, Lock, Put, Queue, QueueRecipe, Range, Recipe, Txn, Watchers,
};

/// Puts per second beside watchers unless `--rate` says otherwise: a rate at which delivery, not
/// the writer, is what is measured.
const WATCHED_RATE: u64 = 1_000;
/// How long after the last put events may still arrive.
const EVENTS_PATIENCE: Duration = Duration::from_secs(5);

/// Measures, and returns what to print.
pub fn run(command: &Command) -> anyhow::Result<String> {
    let (load, report) = match command {
        Command::Put(load) => (load, put("put", load)?),
        Command::Get(reads) => (&reads.load, get(reads)?),
        Command::Range(ranges) => (&ranges.reads.load, range(ranges)?),
        Command::Txn(load) => {
            let outcome = drive(load, Txn { payload: Payload::new(load)? }, None)?;
            (load, Report::new("txn", load, outcome))
        }
        Command::Recipe(recipes) => (&recipes.load, recipe(recipes)?),
        Command::Increment(load) => {
            (load, Report::new("increment", load, drive(load, Increment, None)?))
        }
        Command::Lock(load) => (load, lock(load)?),
        Command::Queue(queues) => (&queues.load, queue(queues)?),
        Command::QueueRecipe(queues) => (&queues.load, queue_recipe(queues)?),
        Command::Watch(watches) => (&watches.load, watch(watches)?),
        Command::LeaseKeepalive(load) => {
            let outcome = drive(load, LeaseKeepalive, None)?;
            (load, Report::new("lease-keepalive", load, outcome))
        }
        Command::Echo(echo) => (&echo.load, echoed(echo)?),
        Command::EchoServer(options) => {
            echo::serve(options)?;
            return Ok(String::new());
        }
    };
    // A run in which nothing worked has failures to show, and is one itself.
    ensure!(report.operations > 0, "no operation succeeded\n{}", report.text());
    if load.json { report.json() } else { Ok(report.text()) }
}

fn put(name: &str, load: &Load) -> anyhow::Result<Report> {
    Ok(Report::new(name, load, drive(load, Put::new(Payload::new(load)?), None)?))
}

fn recipe(recipes: &Recipes) -> anyhow::Result<Report> {
    let Recipes { plugin, function, payload, load } = recipes.clone();
    let name = format!("recipe {plugin} {function}");
    let workload = Recipe { plugin, function, payload: payload.into() };
    Ok(Report::new(&name, &load, drive(&load, workload, None)?))
}

fn lock(load: &Load) -> anyhow::Result<Report> {
    let workload = Lock::new();
    let handovers = workload.handovers();
    let outcome = drive(load, workload, None)?;
    Ok(Report::new("lock", load, outcome).with_handovers(&handovers.take()))
}

fn queue(queues: &Queues) -> anyhow::Result<Report> {
    let workload = Queue { items: items(queues)? };
    let name = format!("queue, {} left", queues.waiting);
    Ok(Report::new(&name, &queues.load, drive(&queues.load, workload, None)?))
}

fn queue_recipe(queues: &Queues) -> anyhow::Result<Report> {
    let workload = QueueRecipe { items: items(queues)? };
    let name = format!("queue recipe, {} left", queues.waiting);
    Ok(Report::new(&name, &queues.load, drive(&queues.load, workload, None)?))
}

/// What is there before the first operation.
fn items(queues: &Queues) -> anyhow::Result<u64> {
    let total = queues.load.total.context("--total says how many items are taken out")?;
    Ok(total + queues.waiting)
}

fn get(reads: &Reads) -> anyhow::Result<Report> {
    let name = match reads.consistency {
        Consistency::L => "get, linearizable",
        Consistency::S => "get, serializable",
    };
    let workload = Get {
        payload: Payload::new(&reads.load)?,
        serializable: reads.consistency == Consistency::S,
        fill: !reads.no_fill,
    };
    Ok(Report::new(name, &reads.load, drive(&reads.load, workload, None)?))
}

fn range(ranges: &Ranges) -> anyhow::Result<Report> {
    let load = &ranges.reads.load;
    let limit = ranges.limit as u64;
    ensure!(
        limit <= load.key_space,
        "--limit {limit} is more than --key-space {} keys",
        load.key_space
    );
    let (serializable, word) = match ranges.reads.consistency {
        Consistency::L => (false, "linearizable"),
        Consistency::S => (true, "serializable"),
    };
    let payload = Payload::new(load)?;
    let workload = Range { payload, serializable, fill: !ranges.reads.no_fill, limit };
    let outcome = drive(load, workload, None)?;
    Ok(Report::new(&format!("range of {limit}, {word}"), load, outcome))
}

fn watch(watches: &Watches) -> anyhow::Result<Report> {
    let mut watches = watches.clone();
    watches.load.rate.get_or_insert(WATCHED_RATE);
    let load = &watches.load;
    let since = now();
    let payload = Payload::new(load)?;
    let watchers = Watchers::start(&watches, since)?;
    let events = watchers.recorder().clone();
    let outcome = drive(load, Put::stamped(payload, since), Some(events.clone()))?;
    let Outcome { start, .. } = outcome;
    // A put that failed may have been written, so more than this can arrive.
    let expected = outcome.records.latencies.len() * u64::from(watches.watchers);
    watchers.finish(expected, EVENTS_PATIENCE);
    let events = events.take();
    let missing = expected.saturating_sub(events.latencies.len());
    let seconds = events.last.map_or(Duration::ZERO, |last| last.saturating_duration_since(start));
    let name = format!("watch, {} watchers", watches.watchers);
    Ok(Report::new(&name, load, outcome).with_events(events, missing, seconds))
}

/// The echo server's own key-values are what is read, so nothing is filled.
fn echoed(echo: &Echo) -> anyhow::Result<Report> {
    let child = echo::Child::start(echo)?;
    let mut load = echo.load.clone();
    load.endpoints = vec![child.endpoint().to_owned()];
    load.server_pid.push(child.pid());
    let reads = Reads { load: load.clone(), consistency: Consistency::S, no_fill: true };
    let mut report = match echo.operation {
        EchoAs::Put => put("echo put", &load)?,
        EchoAs::Get => get(&reads)?,
        EchoAs::Range => range(&Ranges { reads, limit: echo.limit })?,
    };
    report.operation = format!("echo {:?}", echo.operation).to_lowercase();
    Ok(report)
}
