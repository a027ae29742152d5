//! The store's promises without a crash: order, visibility, snapshots, installs, space, failure.

#![allow(clippy::disallowed_methods, reason = "a test measures or waits by the real clock")]

use std::fs;
use std::sync::atomic::AtomicUsize;
use std::sync::mpsc::channel;
use std::time::Instant;

use super::super::model::{Model, batch, delete, open, put, row};
use super::super::{Batch, Checkpoint, Snapshot};
use super::*;

const ALL: (Revision, Revision) = (Revision::new(0, 0), Revision::new(i64::MAX, 0));

fn log(entries: u64) -> Vec<Batch> {
    (1..=entries).map(batch).collect()
}

fn write_all(store: &Store, log: &[Batch]) {
    log.iter().for_each(|batch| store.write(batch.clone()).expect("taken"));
}

fn scanned(store: &Store, from: Revision, to: Revision) -> Vec<Revision> {
    store.scan(from, to).map(|found| found.expect("read").0).collect()
}

/// Polls until `done`; the store works in the background.
fn until(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !done() {
        assert!(Instant::now() < deadline, "never came: {what}");
        std::thread::yield_now();
    }
}

fn bytes_in(dir: &Path) -> u64 {
    let entries = fs::read_dir(dir).expect("listed").map(|entry| entry.expect("listed"));
    entries
        .map(|entry| match entry.metadata() {
            Ok(meta) if meta.is_dir() => bytes_in(&entry.path()),
            Ok(_) if entry.path().extension().is_some_and(|e| e == "jnl") => 0,
            Ok(meta) => meta.len(),
            // Removed by the engine meanwhile.
            Err(_) => 0,
        })
        .sum()
}

#[test]
fn a_fresh_store_is_empty_small_and_at_index_zero() {
    let dir = tempfile::tempdir().expect("a directory");
    let (store, opened) = open(dir.path());
    assert_eq!((opened.applied_index, opened.head), (0, Revision::default()));
    assert_eq!(Model::loaded(&store), Model::default());
    assert!(store.disk_bytes() < 40 * 1024, "{} bytes for nothing", store.disk_bytes());
    assert_eq!(store.live_bytes(), 0);
}

#[test]
fn what_is_written_is_read_back_at_once_and_after_a_clean_restart() {
    let dir = tempfile::tempdir().expect("a directory");
    let log = log(40);
    let (store, _) = open(dir.path());
    for batch in &log {
        store.write(batch.clone()).expect("taken");
        let (at, record) = &batch.records[0];
        assert_eq!(store.record(*at).expect("read").as_ref(), Some(record));
    }
    assert_eq!(store.record(Revision::new(999, 0)).expect("read"), None);
    store.close().expect("closed");
    let (store, opened) = open(dir.path());
    assert_eq!((opened.applied_index, opened.head), (40, Revision::new(40, 1)));
    assert_eq!(opened.ahead, 0);
    assert_eq!(Model::loaded(&store), Model::of(&log));
    assert!(store.live_bytes() > 0);
}

#[test]
fn a_scan_is_complete_and_bounded_whether_records_wait_or_not() {
    let dir = tempfile::tempdir().expect("a directory");
    let (store, _) = open(dir.path());
    let records = |from: i64, to: i64| {
        (from..to).flat_map(|main| [put(main, 0, b"v"), put(main, u32::MAX, b"w")])
    };
    store
        .write(Batch { index: 1, records: records(1, 900).collect(), ..Batch::default() })
        .expect("taken");
    store.checkpoint_now().expect("durable");
    store
        .write(Batch { index: 2, records: records(900, 1500).collect(), ..Batch::default() })
        .expect("taken");
    let expected = |from, to| -> Vec<_> {
        records(1, 1500).map(|(at, _)| at).filter(|at| (from..to).contains(at)).collect()
    };
    let (from, to) = (Revision::new(700, 1), Revision::new(1400, 5));
    for (from, to) in [ALL, (from, to), (to, from), (from, from)] {
        assert_eq!(scanned(&store, from, to), expected(from, to), "from {from} to {to}");
    }
}

#[test]
fn a_scan_misses_nothing_while_records_move_to_disk() {
    let dir = tempfile::tempdir().expect("a directory");
    let (store, _) = open(dir.path());
    for index in 1..=400 {
        store.write(batch(index)).expect("taken");
        let last = Revision::new(index as i64, 1);
        let from = Revision::new((index as i64 - 8).max(1), 0);
        let found = scanned(&store, from, Revision::new(last.main + 1, 0));
        assert_eq!(found.len() as i64, (last.main - from.main + 1) * 2, "at {index}");
    }
}

#[test]
fn a_snapshot_stands_still_while_writes_checkpoints_and_forgetting_go_on() {
    let dir = tempfile::tempdir().expect("a directory");
    let log = log(60);
    let (store, _) = open(dir.path());
    write_all(&store, &log[..15]);
    store.checkpoint_now().expect("durable");
    write_all(&store, &log[15..25]);
    let snapshot: Snapshot = store.snapshot().expect("taken");
    write_all(&store, &log[25..]);
    store.checkpoint_now().expect("durable");
    store.reclaim().expect("asked");
    store.checkpoint_now().expect("durable");
    assert_eq!((snapshot.index(), snapshot.head()), (25, Revision::new(25, 1)));
    assert_eq!(Model::seen(&snapshot), Model::of(&log[..25]));
    assert_eq!(Model::seen(&store.snapshot().expect("taken")), Model::of(&log));
}

#[test]
fn the_log_may_go_only_up_to_the_checkpoint_before_the_last() {
    let dir = tempfile::tempdir().expect("a directory");
    let (send, told) = channel();
    let on_checkpoint = Arc::new(move |c: Checkpoint| send.send(c).expect("the test listens"));
    let options = Options { on_checkpoint, ..Options::default() };
    let (store, _) = Store::open(dir.path(), options).expect("opened");
    for index in [3, 7, 9] {
        store.write(batch(index)).expect("taken");
        assert_eq!(store.checkpoint_now().expect("durable"), index);
    }
    let told: Vec<_> = told.try_iter().map(|c| (c.index, c.durable)).collect();
    assert_eq!(told, [(3, 0), (7, 3), (9, 7)]);
    assert_eq!((store.checkpoint_index(), store.durable_index()), (9, 7));
    drop(store);
    let (_store, opened) = open(dir.path());
    assert_eq!((opened.applied_index, opened.durable_index), (9, 7));
}

#[test]
fn checkpoints_come_by_themselves_with_the_bytes_written() {
    let dir = tempfile::tempdir().expect("a directory");
    let options = Options { checkpoint_bytes: 20_000, ..Options::default() };
    let (store, _) = Store::open(dir.path(), options).expect("opened");
    write_all(&store, &log(100));
    until("a checkpoint", || store.checkpoint_index() > 0);
}

fn install(store: &Store, model: &Model, index: u64) -> Installed {
    let mut installer = store.installer().expect("started");
    for (key, value) in &model.rows {
        installer.row(key, value.clone());
    }
    for (at, record) in &model.records {
        installer.record(*at, record).expect("taken");
    }
    installer.finish(index, Revision::new(index as i64, 1)).expect("finished")
}

#[test]
fn an_installed_snapshot_replaces_everything_and_writing_goes_on() {
    let dir = tempfile::tempdir().expect("a directory");
    let log = log(300);
    let (store, _) = open(dir.path());
    store.write(Batch { index: 5, records: vec![put(5, 7, b"old")], ..batch(5) }).expect("taken");
    let before = store.snapshot().expect("taken");
    let installed = install(&store, &Model::of(&log[..200]), 200);
    assert_eq!(installed.index(), 200);
    store.replace(installed).expect("replaced");
    assert_eq!((store.checkpoint_index(), store.durable_index()), (200, 200));
    assert_eq!(store.record(Revision::new(5, 7)).expect("read"), None);
    assert_eq!(Model::seen(&before).records.len(), 1, "an older snapshot stays whole");
    drop(before);
    write_all(&store, &log[200..]);
    assert_eq!(Model::seen(&store.snapshot().expect("taken")), Model::of(&log));
    store.close().expect("closed");
    let (store, opened) = open(dir.path());
    assert_eq!(opened.applied_index, 300);
    assert_eq!(Model::loaded(&store), Model::of(&log));
    assert!(!dir.path().join("g000001").exists(), "the old generation is gone");
}

#[test]
fn an_empty_snapshot_is_a_snapshot() {
    let dir = tempfile::tempdir().expect("a directory");
    let (store, _) = open(dir.path());
    write_all(&store, &log(20));
    let installed = install(&store, &Model::default(), 50);
    store.replace(installed).expect("replaced");
    drop(store);
    let (store, opened) = open(dir.path());
    assert_eq!((opened.applied_index, opened.head), (50, Revision::new(50, 1)));
    assert_eq!(Model::loaded(&store), Model::default());
}

#[test]
fn an_abandoned_install_leaves_nothing_and_changes_nothing() {
    let dir = tempfile::tempdir().expect("a directory");
    let (store, _) = open(dir.path());
    write_all(&store, &log(20));
    let mut installer = store.installer().expect("started");
    let (at, record) = put(3, 0, b"v");
    installer.record(at, &record).expect("taken");
    let error = installer.record(at, &record).expect_err("twice");
    assert!(matches!(error, Error::OutOfOrder { .. }), "{error}");
    drop(installer);
    drop(install(&store, &Model::of(&log(9)), 9));
    let generations = || fs::read_dir(dir.path()).expect("listed").count();
    until("the files to go", || generations() == 4);
    assert_eq!(Model::seen(&store.snapshot().expect("taken")), Model::of(&log(20)));
}

#[test]
fn forgetting_most_records_shrinks_the_directory_while_writes_go_on() {
    let dir = tempfile::tempdir().expect("a directory");
    let (store, _) = open(dir.path());
    let records = |index: i64| (0..500).map(|sub| put(index, sub, &[index as u8; 600])).collect();
    let mut written = Model::default();
    let mut write = |batch: Batch| {
        written.apply(&batch);
        store.write(batch).expect("taken");
    };
    (1..=100).for_each(|index| {
        write(Batch { index, records: records(index as i64), ..Batch::default() });
    });
    store.checkpoint_now().expect("durable");
    let (before, live) = (bytes_in(dir.path()), store.live_bytes());
    assert!(before > 30_000_000, "{before} bytes");
    let gone = (1..=90).flat_map(|main| (0..500).map(move |sub| Revision::new(main, sub)));
    write(Batch { index: 101, forget: gone.collect(), ..Batch::default() });
    let mut index = 101;
    until("the space to come back", || {
        index += 1;
        write(Batch { index, rows: vec![row("tick", &index.to_string())], ..Batch::default() });
        bytes_in(dir.path()) < before / 5
    });
    assert!(store.live_bytes() < live / 5, "{} of {live}", store.live_bytes());
    assert!(store.disk_bytes() < before / 5);
    assert_eq!(Model::seen(&store.snapshot().expect("taken")), written);
}

#[test]
fn live_bytes_count_what_is_stored_in_this_run_and_in_the_last() {
    let dir = tempfile::tempdir().expect("a directory");
    let (store, _) = open(dir.path());
    let records = vec![put(1, 0, b"value"), delete(2, 0)];
    let expected: usize = records.iter().map(|(_, r)| r.encoded_len() + 12).sum();
    store.write(Batch { index: 1, records, ..Batch::default() }).expect("taken");
    store.checkpoint_now().expect("durable");
    assert_eq!(store.live_bytes(), expected as u64);
    drop(store);
    let (store, _) = open(dir.path());
    Model::loaded(&store);
    assert_eq!(store.live_bytes(), expected as u64);
    store
        .write(Batch { index: 2, forget: vec![Revision::new(1, 0)], ..Batch::default() })
        .expect("taken");
    store.settle().expect("erased");
    assert!(store.live_bytes() < expected as u64, "what is forgotten no longer counts");
    assert_eq!(store.record(Revision::new(1, 0)).expect("read"), None);
}

#[test]
fn a_disk_that_fails_stops_the_store_and_says_why() {
    let dir = tempfile::tempdir().expect("a directory");
    let calls = Arc::new(AtomicUsize::new(0));
    let (send, told) = channel();
    let on_fatal = Arc::new({
        let calls = calls.clone();
        move |why: &str| {
            calls.fetch_add(1, Ordering::Relaxed);
            let _ = send.send(why.to_owned());
        }
    });
    let (store, _) =
        Store::open(dir.path(), Options { on_fatal, ..Options::default() }).expect("opened");
    write_all(&store, &log(5));
    for keyspace in ["1", "2"] {
        let tables = dir.path().join("g000001/keyspaces").join(keyspace).join("tables");
        fs::rename(&tables, tables.with_extension("gone")).expect("moved");
    }
    let error = store.checkpoint_now().expect_err("nowhere to write");
    let why = told.recv_timeout(Duration::from_secs(60)).expect("told");
    assert_eq!(error.to_string(), format!("the store has stopped: {why}"));
    assert!(store.write(batch(6)).is_err(), "nothing is taken any more");
    assert!(store.record(Revision::new(5, 0)).expect("still served").is_some());
    drop(store);
    assert_eq!(calls.load(Ordering::Relaxed), 1);
}

#[test]
fn a_full_disk_is_called_one() {
    let full = || std::io::Error::from(std::io::ErrorKind::StorageFull);
    let ours = Error::io("write CURRENT")(full());
    let theirs = Error::engine("flush")(fjall::Error::Storage(fjall::LsmError::Io(full())));
    for error in [ours, theirs] {
        assert!(matches!(error, Error::NoSpace { .. }), "{error}");
        assert!(error.to_string().starts_with("no space left on the device"), "{error}");
    }
}

#[test]
fn a_damaged_store_is_refused_set_aside_and_started_anew() {
    let dir = tempfile::tempdir().expect("a directory");
    let (store, _) = open(dir.path());
    write_all(&store, &log(5));
    store.close().expect("closed");
    fs::remove_file(dir.path().join("g000001/keyspaces/1/current")).expect("removed");
    let error = Store::open(dir.path(), Options::default()).err().expect("refused");
    assert!(error.is_damage(), "{error}");
    let aside = Store::set_aside(dir.path()).expect("moved").expect("there was one");
    assert!(aside.join("keyspaces").exists());
    let (store, opened) = open(dir.path());
    assert_eq!(opened.applied_index, 0);
    assert_eq!(Model::loaded(&store), Model::default());
}

#[test]
fn a_store_has_one_user() {
    let dir = tempfile::tempdir().expect("a directory");
    let (_store, _) = open(dir.path());
    let error = Store::open(dir.path(), Options::default()).err().expect("refused");
    assert!(matches!(error, Error::Locked(_)), "{error}");
}
