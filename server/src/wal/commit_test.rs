//! Who commits what is appended by a caller that may wait for the disk.

use std::sync::atomic::Ordering;
use std::sync::mpsc::TryRecvError;
use std::sync::{Arc, Mutex};
use std::thread::{self, ThreadId};

use super::testing::*;
use super::{Entry, Options, Wal};

/// A log, and the threads that synced it, in order.
fn observed(
    dir: &std::path::Path,
    segment_bytes: u64,
) -> (Wal, Options, Arc<Mutex<Vec<ThreadId>>>) {
    let synced = Arc::<Mutex<Vec<ThreadId>>>::default();
    let sink = synced.clone();
    let on_sync = Arc::new(move |_| sink.lock().unwrap().push(thread::current().id()));
    let options = Options { segment_bytes, on_sync: Some(on_sync), ..small() };
    (open(dir, &options), options, synced)
}

/// Appends as a caller that waits; true when all was done on return.
fn here(wal: &Wal, entries: Vec<Entry>) -> bool {
    let (done, rx) = done();
    wal.append_here(entries, done).unwrap();
    match rx.try_recv() {
        Ok(result) => result.is_ok(),
        Err(TryRecvError::Empty) => {
            rx.recv_timeout(DEADLINE).unwrap().unwrap();
            false
        }
        Err(TryRecvError::Disconnected) => panic!("never told"),
    }
}

#[test]
fn a_small_entry_is_committed_by_whoever_appends_it() {
    let dir = tempfile::tempdir().unwrap();
    let (wal, _, synced) = observed(dir.path(), 1 << 20);
    // Now and then the thread is at work on its own notes.
    let at_once = (0..200).filter(|at| here(&wal, vec![entry(1, *at, 10)])).count();
    assert!(at_once > 0, "the caller never committed");
    let own = thread::current().id();
    let by_caller = synced.lock().unwrap().iter().filter(|id| **id == own).count();
    assert_eq!(by_caller, at_once);
    drop(wal);
    assert_eq!(read_all(&open(dir.path(), &small())), entries(1, 0..200, 10));
}

#[test]
fn callers_that_wait_and_callers_that_do_not_keep_one_order() {
    let dir = tempfile::tempdir().unwrap();
    let (wal, _, _) = observed(dir.path(), 8192);
    let (tx, rx) = std::sync::mpsc::channel();
    for index in 0..300 {
        let tx = tx.clone();
        let done = Box::new(move |_| tx.send(index).unwrap());
        match index % 3 {
            0 => wal.append(vec![entry(1, index, 10)], done).unwrap(),
            _ => wal.append_here(vec![entry(1, index, 10)], done).unwrap(),
        }
        wal.save_committed(position(1, index));
    }
    let order: Vec<u64> = (0..300).map(|_| rx.recv_timeout(DEADLINE).unwrap()).collect();
    assert_eq!(order, (0..300).collect::<Vec<_>>());
    drop(wal);
    let wal = open(dir.path(), &small());
    assert_eq!(read_all(&wal), entries(1, 0..300, 10));
    assert_eq!(wal.committed(), Some(position(1, 299)));
}

#[test]
fn what_is_large_or_behind_others_is_left_to_the_thread() {
    let dir = tempfile::tempdir().unwrap();
    let (wal, options, synced) = observed(dir.path(), 1 << 20);
    options.faults.sync_hangs.store(true, Ordering::SeqCst);
    // Would hang if this thread were to sync.
    let (large, large_rx) = done();
    wal.append_here(vec![entry(1, 0, 5000)], large).unwrap();
    let (behind, behind_rx) = done();
    wal.append_here(vec![entry(1, 1, 10)], behind).unwrap();
    assert!(large_rx.try_recv().is_err() && behind_rx.try_recv().is_err());
    options.faults.sync_hangs.store(false, Ordering::SeqCst);
    large_rx.recv_timeout(DEADLINE).unwrap().unwrap();
    behind_rx.recv_timeout(DEADLINE).unwrap().unwrap();
    let own = thread::current().id();
    assert!(synced.lock().unwrap().iter().all(|id| *id != own));
}

#[test]
fn a_caller_does_not_wait_for_a_full_disk() {
    let dir = tempfile::tempdir().unwrap();
    let (wal, options, _) = observed(dir.path(), 8192);
    until("a spare is made", || dir.path().join("spare").exists());
    options.faults.no_space.store(true, Ordering::SeqCst);
    // More than the segment and its spare hold: would hang if this thread were to end segments.
    let told: Vec<_> = (0..8)
        .map(|index| {
            let (done, rx) = done();
            wal.append_here(vec![entry(1, index, 2000)], done).unwrap();
            rx
        })
        .collect();
    until("the shortage is known", || wal.space_short());
    assert_eq!(read_all(&wal), entries(1, 0..8, 2000));
    options.faults.no_space.store(false, Ordering::SeqCst);
    told.iter().for_each(|rx| rx.recv_timeout(DEADLINE).unwrap().unwrap());
}

#[test]
fn a_sync_that_fails_for_a_caller_ends_the_log() {
    let dir = tempfile::tempdir().unwrap();
    let (options, fatal) = failing();
    let wal = open(dir.path(), &options);
    append(&wal, entries(1, 0..1, 10));
    options.faults.sync_fails.store(true, Ordering::SeqCst);
    let (first, first_rx) = done();
    wal.append_here(entries(1, 1..2, 10), first).unwrap();
    assert!(first_rx.recv_timeout(DEADLINE).unwrap().is_err());
    assert!(fatal.recv_timeout(DEADLINE).unwrap().contains("fdatasync"));
    options.faults.sync_fails.store(false, Ordering::SeqCst);
    let (second, second_rx) = done();
    wal.append_here(entries(1, 2..3, 10), second).unwrap();
    assert!(second_rx.recv_timeout(DEADLINE).unwrap().is_err());
    assert!(fatal.try_recv().is_err(), "told once");
}
