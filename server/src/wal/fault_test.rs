//! The log when the disk is slow, full or failing.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use super::testing::*;
use super::{Options, Wal};

#[test]
fn entries_are_readable_at_once_and_durable_when_told() {
    let dir = tempfile::tempdir().unwrap();
    let options = small();
    let wal = open(dir.path(), &options);
    options.faults.sync_hangs.store(true, Ordering::SeqCst);
    let (done, rx) = done();
    wal.append(entries(1, 0..3, 10), done).unwrap();
    assert_eq!(read_all(&wal), entries(1, 0..3, 10));
    let name = image(dir.path())[0].0.clone();
    let written = || std::fs::read(dir.path().join(&name)).unwrap()[4096] != 0;
    until("the group is written", written);
    assert!(rx.try_recv().is_err(), "told before the disk had it");
    options.faults.sync_hangs.store(false, Ordering::SeqCst);
    rx.recv_timeout(DEADLINE).unwrap().unwrap();
}

#[test]
fn waiting_appends_share_a_sync_and_are_answered_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let told = Arc::new(Mutex::new(Vec::<Duration>::new()));
    let sink = told.clone();
    let on_sync = Arc::new(move |took| sink.lock().unwrap().push(took));
    let writes = Arc::new(AtomicU64::new(0));
    let seen = writes.clone();
    let on_write = Some(Arc::new(move |_: Duration| {
        seen.fetch_add(1, Ordering::SeqCst);
    }) as _);
    let options = Options { segment_bytes: 1 << 20, on_write, on_sync: Some(on_sync), ..small() };
    let wal = open(dir.path(), &options);
    flush(&wal);
    let written = writes.load(Ordering::SeqCst);
    let before = wal.syncs().0;
    options.faults.sync_hangs.store(true, Ordering::SeqCst);
    let (tx, rx) = mpsc::channel();
    for index in 0..100 {
        let tx = tx.clone();
        let done = Box::new(move |_| tx.send(index).unwrap());
        wal.append(vec![entry(1, index, 10)], done).unwrap();
    }
    options.faults.sync_hangs.store(false, Ordering::SeqCst);
    let order: Vec<u64> = (0..100).map(|_| rx.recv_timeout(DEADLINE).unwrap()).collect();
    assert_eq!(order, (0..100).collect::<Vec<_>>());
    let (count, nanos) = wal.syncs();
    assert!((1..=2).contains(&(count - before)), "{count} syncs for one hanging and one group");
    assert!((1..=2).contains(&(writes.load(Ordering::SeqCst) - written)), "a write for each sync");
    let told = told.lock().unwrap();
    assert_eq!(told.len() as u64, count);
    assert_eq!(told.iter().map(Duration::as_nanos).sum::<u128>() as u64, nanos);
}

#[test]
fn an_entry_replaced_before_it_was_written_is_not_mixed_up() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options { ring_bytes: 0, ..small() };
    let wal = open(dir.path(), &options);
    options.faults.sync_hangs.store(true, Ordering::SeqCst);
    // The first holds up the thread, so that the others wait in the queue.
    wal.append(entries(1, 0..1, 10), done().0).unwrap();
    wal.append(entries(1, 1..5, 10), done().0).unwrap();
    wal.truncate_after(Some(1));
    wal.append(entries(1, 2..4, 33), done().0).unwrap();
    options.faults.sync_hangs.store(false, Ordering::SeqCst);
    flush(&wal);
    let plan = wal.plan(0..10, usize::MAX);
    assert!(!plan.is_in_memory());
    let expected = [entries(1, 0..2, 10), entries(1, 2..4, 33)].concat();
    assert_eq!(plan.load().unwrap(), expected);
    drop(wal);
    assert_eq!(read_all(&open(dir.path(), &options)), expected);
}

#[test]
fn a_failed_sync_is_fatal_and_nothing_is_acknowledged_after_it() {
    let dir = tempfile::tempdir().unwrap();
    let (options, fatal) = failing();
    let wal = open(dir.path(), &options);
    append(&wal, entries(1, 0..1, 10));
    options.faults.sync_fails.store(true, Ordering::SeqCst);
    let (first, first_rx) = done();
    wal.append(entries(1, 1..2, 10), first).unwrap();
    assert!(first_rx.recv_timeout(DEADLINE).unwrap().is_err());
    let reason = fatal.recv_timeout(DEADLINE).unwrap();
    assert!(reason.contains("fdatasync") && reason.contains("this member stops"), "{reason}");
    assert!(reason.contains(".wal"), "{reason}");
    options.faults.sync_fails.store(false, Ordering::SeqCst);
    let (second, second_rx) = done();
    wal.append(entries(1, 2..3, 10), second).unwrap();
    assert!(second_rx.recv_timeout(DEADLINE).unwrap().is_err());
    assert!(fatal.try_recv().is_err(), "told once");
}

#[test]
fn a_failed_write_is_fatal() {
    let dir = tempfile::tempdir().unwrap();
    let (options, fatal) = failing();
    let wal = open(dir.path(), &options);
    options.faults.write_fails.store(true, Ordering::SeqCst);
    let (done, rx) = done();
    wal.append(entries(1, 0..1, 10), done).unwrap();
    assert!(rx.recv_timeout(DEADLINE).unwrap().is_err());
    assert!(fatal.recv_timeout(DEADLINE).unwrap().contains("write: injected"));
}

#[test]
fn a_full_disk_is_told_ahead_and_waited_out() {
    let dir = tempfile::tempdir().unwrap();
    let options = small();
    options.faults.no_space.store(false, Ordering::SeqCst);
    let wal = open(dir.path(), &options);
    until("a spare is made", || dir.path().join("spare").exists());
    assert!(!wal.space_short());
    options.faults.no_space.store(true, Ordering::SeqCst);
    // The spare is taken into use; the next one cannot be made.
    append(&wal, entries(1, 0..2, 3000));
    until("the shortage is known", || wal.space_short());
    vote(&wal, b"there is still room for a vote");
    let (done, rx) = done();
    wal.append(entries(1, 2..4, 3000), done).unwrap();
    assert_eq!(read_all(&wal).len(), 4);
    assert!(rx.try_recv().is_err());
    options.faults.no_space.store(false, Ordering::SeqCst);
    rx.recv_timeout(DEADLINE).unwrap().unwrap();
    until("the shortage is over", || !wal.space_short());
    drop(wal);
    assert_eq!(open(dir.path(), &options).range(), 0..4);
}

#[test]
fn a_log_on_a_full_disk_can_be_closed() {
    let dir = tempfile::tempdir().unwrap();
    let options = small();
    let wal = open(dir.path(), &options);
    until("a spare is made", || dir.path().join("spare").exists());
    append(&wal, entries(1, 0..1, 10));
    options.faults.no_space.store(true, Ordering::SeqCst);
    let (done, rx) = done();
    wal.append(entries(1, 1..30, 3000), done).unwrap();
    until("the shortage is known", || wal.space_short());
    drop(wal);
    let error = rx.recv_timeout(DEADLINE).unwrap().unwrap_err();
    assert!(error.to_string().contains("disk was full"), "{error}");
    options.faults.no_space.store(false, Ordering::SeqCst);
    let wal = open(dir.path(), &options);
    let found = read_all(&wal);
    assert!(!found.is_empty() && found[1..] == entries(1, 1..30, 3000)[..found.len() - 1]);
}

#[test]
fn a_log_cannot_begin_on_a_full_disk() {
    let dir = tempfile::tempdir().unwrap();
    let options = small();
    options.faults.no_space.store(true, Ordering::SeqCst);
    assert!(Wal::open(dir.path(), ME, options.clone()).is_err());
    options.faults.no_space.store(false, Ordering::SeqCst);
    assert_eq!(open(dir.path(), &options).range(), 0..0);
}

#[test]
fn what_was_not_synced_may_go_but_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let options = small();
    let wal = open(dir.path(), &options);
    append(&wal, entries(1, 0..5, 50));
    options.faults.sync_hangs.store(true, Ordering::SeqCst);
    wal.append(entries(1, 5..10, 50), done().0).unwrap();
    let name = image(dir.path())[0].0.clone();
    let last = entry(1, 9, 50).payload;
    let written = || {
        let bytes = std::fs::read(dir.path().join(&name)).unwrap();
        bytes.windows(50).any(|window| window == last)
    };
    until("the group is written", written);
    let mut crashed = image(dir.path());
    options.faults.sync_hangs.store(false, Ordering::SeqCst);
    // The page that held the beginning of the last group never reached the disk; the rest did.
    let third = entry(1, 5, 50).payload;
    let at = crashed[0].1.windows(50).position(|window| window == third).unwrap();
    crashed[0].1[at..at + 50].fill(0);

    let other = tempfile::tempdir().unwrap();
    restore(other.path(), &crashed);
    let wal = open(other.path(), &options);
    assert_eq!(read_all(&wal), entries(1, 0..5, 50));
    // What was cut never comes back, whatever is written over it.
    append(&wal, entries(2, 5..7, 50));
    drop(wal);
    let expected = [entries(1, 0..5, 50), entries(2, 5..7, 50)].concat();
    assert_eq!(read_all(&open(other.path(), &options)), expected);
}
