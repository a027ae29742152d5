//! What a delivered watch event costs hub and streams, without gRPC: WATCHERS on one key over
//! STREAMS, each drained by a task of its own, while one thread publishes.
//!
//! `cargo run --release -p portunus --example watch_hub`

#![allow(clippy::disallowed_methods, reason = "a benchmark reads the real clock")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use portunus::types::{Item, KeyRange, LeaseId, Revision};
use portunus::watch::{
    Change, Chunk, Committed, Create, Event, History, HistoryError, Hub, Options,
};

/// Nothing is older than the ring here.
struct NoHistory;

impl History for NoHistory {
    fn scan(
        &self,
        from: i64,
        _to: i64,
        _ranges: &[KeyRange],
        _bytes_max: usize,
    ) -> Result<Chunk, HistoryError> {
        Err(HistoryError::Failed(format!("the ring no longer holds revision {from}")))
    }

    fn before(&self, _key: &[u8], _revision: i64) -> Result<Option<Item>, HistoryError> {
        Ok(None)
    }
}

fn committed(key: &[u8], revision: i64) -> Arc<Committed> {
    let item = Item::new(key, &[b'v'; 256], 2, Revision::new(revision, 0), 1, LeaseId::NONE);
    Arc::new(Committed::new(revision, vec![Event::new(Change::Put(item), None)]))
}

fn hub() -> Hub {
    let options = Options { ring_bytes_max: 512 << 20, ..Options::standard() };
    Hub::new(1, 0, Arc::new(NoHistory), options)
}

/// User and system time of the process, in the 10 ms steps the kernel tells it in.
fn cpu() -> anyhow::Result<Duration> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let after_name = stat.rsplit(')').next().context("no fields")?;
    let ticks = after_name.split_whitespace().skip(11).take(2).map(str::parse::<u64>);
    Ok(Duration::from_millis(10 * ticks.sum::<Result<u64, _>>()?))
}

/// `pace` puts a second in batches of `batch`; 0 is as fast as it goes.
fn fan_out(
    streams: usize,
    watchers: usize,
    puts: i64,
    batch: i64,
    pace: u32,
) -> anyhow::Result<()> {
    let hub = hub();
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let mut tasks = Vec::new();
    let mut opened = Vec::new();
    for number in 0..streams {
        let mut stream = hub.open();
        let share = watchers / streams + usize::from(number < watchers % streams);
        for _ in 0..share {
            stream.create(Create { key: "key".into(), ..Create::default() });
        }
        opened.push((stream, share));
    }
    for (mut stream, share) in opened {
        tasks.push(runtime.spawn(async move {
            let (mut events, mut answers) = (0, 0usize);
            while events < share * puts as usize {
                let response = stream.next().await?;
                events += response.events.len();
                answers += 1;
            }
            anyhow::Ok((events, answers))
        }));
    }
    let revisions: Vec<_> = (2..puts + 2).map(|revision| committed(b"key", revision)).collect();
    let (start, busy) = (Instant::now(), cpu()?);
    let mut publishing = Duration::ZERO;
    for (number, some) in revisions.chunks(batch as usize).enumerate() {
        if pace > 0 {
            let due = start + Duration::from_secs(number as u64 * batch as u64) / pace;
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
        }
        let began = Instant::now();
        hub.publish(some.iter().cloned());
        publishing += began.elapsed();
    }
    let (mut events, mut answers) = (0, 0);
    for task in tasks {
        let (some, given) = runtime.block_on(task)?.context("a stream ended")?;
        events += some;
        answers += given;
    }
    let (took, busy) = (start.elapsed(), cpu()? - busy);
    println!(
        "{streams} streams, {watchers} watchers, batches of {batch}: {:.0} events/s, \
         {:.0} ns CPU per event, {:.0} ns of it publishing, {:.1} events per answer",
        events as f64 / took.as_secs_f64(),
        busy.as_nanos() as f64 / events as f64,
        publishing.as_nanos() as f64 / events as f64,
        events as f64 / answers as f64,
    );
    Ok(())
}

/// Many watchers elsewhere: what an event costs that is for nobody, or for one.
fn index(keys: usize, prefixes: usize) {
    let hub = hub();
    let mut stream = hub.open();
    for number in 0..keys {
        stream.create(Create { key: format!("one/{number}").into(), ..Create::default() });
    }
    for number in 0..prefixes {
        let range = KeyRange::prefix(format!("many/{number:05}/"));
        let portunus::types::RangeEnd::Before(range_end) = range.end else { continue };
        stream.create(Create { key: range.start, range_end, ..Create::default() });
    }
    let revisions: Vec<_> = (2..100_002)
        .map(|revision| committed(format!("other/{revision}").as_bytes(), revision))
        .collect();
    let start = Instant::now();
    for some in revisions.chunks(16) {
        hub.publish(some.iter().cloned());
    }
    let took = start.elapsed().as_nanos() as f64 / revisions.len() as f64;
    println!("{keys} key and {prefixes} prefix watchers: {took:.0} ns per event for nobody");
}

fn main() -> anyhow::Result<()> {
    index(0, 0);
    index(10_000, 10_000);
    fan_out(8, 100, 20_000, 16, 5_500)?;
    fan_out(8, 100, 20_000, 1, 5_500)?;
    fan_out(8, 100, 40_000, 64, 0)?;
    fan_out(1, 1, 200_000, 16, 0)?;
    fan_out(1000, 1000, 1_000, 16, 0)
}
