//! Figures, not promises: `cargo test --release -- --ignored --nocapture store_figures`. The second
//! test opens, in a process of its own, what the first left in the directory that
//! `PORTUNUS_STORE_FIGURES` names: what the engine itself keeps in memory.

#![allow(clippy::disallowed_methods, reason = "a test measures or waits by the real clock")]

use std::time::Instant;

use super::super::Batch;
use super::super::model::open;
use super::*;
use crate::storage::Body;
use crate::types::{Item, LeaseId};

const KEPT: &str = "PORTUNUS_STORE_FIGURES";
const RECORDS: i64 = 1_000_000;

fn rss_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("read");
    let line = status.lines().find(|line| line.starts_with("VmRSS")).expect("a figure");
    let kib = line.split_whitespace().nth(1).and_then(|n| n.parse::<u64>().ok());
    kib.expect("a number") / 1024
}

fn record(main: i64) -> (Revision, Record) {
    let at = Revision::new(main, 0);
    let key = format!("registry/pods/namespace/{main:08}");
    let item = Item::new(key.as_bytes(), &[main as u8; 240], main, at, 1, LeaseId::NONE);
    (at, Record::new(Body::Put(item)))
}

#[test]
#[ignore = "prints figures; takes a while"]
fn store_figures() {
    let temporary = tempfile::tempdir().expect("a directory");
    let kept = std::env::var_os(KEPT).map(PathBuf::from);
    let dir = kept.as_deref().unwrap_or(temporary.path());
    let (store, _) = open(dir);
    println!("empty: rss {} MiB, disk {} bytes", rss_mib(), store.disk_bytes());
    let started = Instant::now();
    let mut worst = Duration::ZERO;
    for index in 0..RECORDS / 100 {
        let records = (1..=100).map(|n| record(index * 100 + n)).collect();
        let one = Instant::now();
        let index = index as u64 + 1;
        store.write(Batch { index, records, ..Batch::default() }).expect("taken");
        worst = worst.max(one.elapsed());
    }
    println!("written: {:?}, worst write {worst:?}, rss {} MiB", started.elapsed(), rss_mib());
    let started = Instant::now();
    store.checkpoint_now().expect("durable");
    println!("drained: {:?}, rss {} MiB", started.elapsed(), rss_mib());
    println!("disk {} live {}", store.disk_bytes(), store.live_bytes());
    let mut worst = Duration::ZERO;
    let started = Instant::now();
    for n in 0..100_000 {
        let at = Revision::new(n * 7919 % RECORDS + 1, 0);
        let one = Instant::now();
        assert!(store.record(at).expect("read").is_some());
        worst = worst.max(one.elapsed());
    }
    println!("100k random reads: {:?}, worst {worst:?}, rss {} MiB", started.elapsed(), rss_mib());
    let started = Instant::now();
    store.close().expect("closed");
    println!("closed: {:?}", started.elapsed());
    if kept.is_none() {
        reopened(dir);
    }
}

#[test]
#[ignore = "prints figures of what the other one left"]
fn store_left_by_figures() {
    let Some(dir) = std::env::var_os(KEPT) else { return };
    let (store, _) = open(Path::new(&dir));
    println!("opened: rss {} MiB", rss_mib());
    let mut count = 0;
    store.load(|_, _| {}, |_, _| count += 1).expect("loaded");
    println!("loaded {count}: rss {} MiB", rss_mib());
    for n in 0..200_000 {
        let at = Revision::new(n * 7919 % RECORDS + 1, 0);
        assert!(store.record(at).expect("read").is_some());
    }
    println!("after random reads: rss {} MiB", rss_mib());
    for n in 1..=300_000 {
        let index = store.checkpoint_index() + n;
        let records = vec![record(RECORDS + n as i64)];
        store.write(Batch { index, records, ..Batch::default() }).expect("taken");
        while store.pending_bytes() > 1 << 20 {
            std::thread::yield_now();
        }
    }
    store.checkpoint_now().expect("durable");
    println!("after 300k more, paced: rss {} MiB", rss_mib());
}

fn reopened(dir: &Path) {
    let started = Instant::now();
    let (store, _) = open(dir);
    println!("reopened: {:?}, rss {} MiB", started.elapsed(), rss_mib());
    let (started, mut count) = (Instant::now(), 0);
    store.load(|_, _| {}, |_, _| count += 1).expect("loaded");
    println!("loaded {count}: {:?}, rss {} MiB", started.elapsed(), rss_mib());
    let snapshot = store.snapshot().expect("taken");
    let started = Instant::now();
    let mut installer = store.installer().expect("started");
    for found in snapshot.records() {
        let (at, record) = found.expect("read");
        installer.record(at, &record).expect("taken");
    }
    let installed = installer.finish(snapshot.index(), snapshot.head()).expect("finished");
    drop(snapshot);
    store.replace(installed).expect("replaced");
    println!("snapshot streamed into an install: {:?}, rss {} MiB", started.elapsed(), rss_mib());
    let forget = (1..=RECORDS * 9 / 10).map(|main| Revision::new(main, 0)).collect();
    let index = store.checkpoint_index() + 1;
    let (before, started) = (store.disk_bytes(), Instant::now());
    store.write(Batch { index, forget, ..Batch::default() }).expect("taken");
    let deadline = started + Duration::from_secs(120);
    while store.disk_bytes() > before / 5 && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(20));
    }
    println!("forgot 90 %: {:?}, {before} to {} bytes", started.elapsed(), store.disk_bytes());
    let started = Instant::now();
    store.close().expect("closed");
    println!("closed: {:?}, rss {} MiB", started.elapsed(), rss_mib());
}
