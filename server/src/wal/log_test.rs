//! The log in ordinary use: reading, reopening, rolling over, purging.

use std::fs;
use std::sync::atomic::Ordering;

use super::testing::*;
use super::{Identity, OpenError, Options, Wal};

#[test]
fn everything_comes_back_after_a_reopen() {
    let dir = tempfile::tempdir().unwrap();
    let wal = open(dir.path(), &small());
    append(&wal, entries(1, 0..10, 20));
    vote(&wal, b"first");
    wal.truncate_after(Some(6));
    append(&wal, entries(2, 7..9, 0));
    wal.purge(position(1, 2));
    vote(&wal, b"second");
    wal.save_committed(position(1, 5));
    let expected = read_all(&wal);
    assert_eq!(expected.len(), 6);
    drop(wal);

    let wal = open(dir.path(), &small());
    assert_eq!(read_all(&wal), expected);
    assert_eq!(wal.range(), 3..9);
    assert_eq!(wal.vote().as_deref(), Some(&b"second"[..]));
    assert_eq!(wal.committed(), Some(position(1, 5)));
    assert_eq!(wal.purged(), Some(position(1, 2)));
    assert_eq!(wal.last(), Some(position(2, 8)));
    append(&wal, entries(2, 9..12, 5));
    assert_eq!(wal.range(), 3..12);
}

#[test]
fn a_payload_in_memory_is_shared_and_not_copied() {
    let dir = tempfile::tempdir().unwrap();
    let wal = open(dir.path(), &small());
    let sent = entry(1, 0, 100);
    append(&wal, vec![sent.clone()]);
    let plan = wal.plan(0..1, usize::MAX);
    assert!(plan.is_in_memory());
    assert_eq!(plan.load().unwrap()[0].payload.as_ptr(), sent.payload.as_ptr());
}

#[test]
fn what_left_memory_is_read_from_disk() {
    let dir = tempfile::tempdir().unwrap();
    let wal = open(dir.path(), &Options { ring_bytes: 250, ..small() });
    let all = entries(1, 0..40, 100);
    append(&wal, all.clone());
    let plan = wal.plan(0..40, usize::MAX);
    assert!(!plan.is_in_memory());
    assert!(wal.plan(38..40, usize::MAX).is_in_memory());
    wal.purge(position(1, 30));
    flush(&wal);
    assert_eq!(plan.load().unwrap(), all, "a plan outlives a purge");
    assert_eq!(read_all(&wal), all[31..]);
}

#[test]
fn a_read_ends_at_its_bound_but_not_empty() {
    let dir = tempfile::tempdir().unwrap();
    let wal = open(dir.path(), &small());
    append(&wal, entries(1, 0..10, 100));
    let count = |range, bytes| wal.plan(range, bytes).load().unwrap().len();
    assert_eq!(count(2..10, 350), 3);
    assert_eq!(count(2..10, 1), 1);
    assert_eq!(count(2..2, 1000), 0);
    assert_eq!(count(8..100, usize::MAX), 2);
}

#[test]
fn a_gap_is_refused_and_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let wal = open(dir.path(), &small());
    append(&wal, entries(1, 0..3, 10));
    let (done, _) = done();
    let refused = wal.append(vec![entry(1, 3, 10), entry(1, 5, 10)], done).unwrap_err();
    assert!(refused.to_string().contains("entry 5"), "{refused}");
    assert_eq!(wal.range(), 0..3);
    append(&wal, entries(1, 3..4, 10));
}

#[test]
fn it_rolls_over_and_purged_segments_go() {
    let dir = tempfile::tempdir().unwrap();
    let wal = open(dir.path(), &small());
    vote(&wal, b"kept");
    let all = entries(1, 0..200, 200);
    all.chunks(7).for_each(|chunk| append(&wal, chunk.to_vec()));
    assert!(image(dir.path()).len() > 8);
    assert_eq!(read_all(&wal), all);
    wal.purge(position(1, 150));
    until("old segments are removed", || image(dir.path()).len() <= 4);
    drop(wal);

    let wal = open(dir.path(), &small());
    assert_eq!(wal.vote().as_deref(), Some(&b"kept"[..]), "carried by the checkpoints");
    assert_eq!(wal.purged(), Some(position(1, 150)));
    assert_eq!(read_all(&wal), all[151..]);
}

#[test]
fn an_entry_larger_than_a_segment_gets_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let wal = open(dir.path(), &Options { ring_bytes: 0, ..small() });
    let all = vec![entry(1, 0, 10), entry(1, 1, 50_000), entry(1, 2, 10), entry(1, 3, 9_000)];
    append(&wal, all.clone());
    assert_eq!(read_all(&wal), all);
    drop(wal);
    assert_eq!(read_all(&open(dir.path(), &small())), all);
}

#[test]
fn a_purge_beyond_the_end_starts_anew_behind_it() {
    let dir = tempfile::tempdir().unwrap();
    let wal = open(dir.path(), &small());
    append(&wal, entries(1, 0..5, 10));
    wal.purge(position(3, 20));
    assert_eq!((wal.range(), wal.last()), (21..21, Some(position(3, 20))));
    append(&wal, entries(3, 21..23, 10));
    drop(wal);
    let wal = open(dir.path(), &small());
    assert_eq!((wal.range(), wal.purged()), (21..23, Some(position(3, 20))));
}

#[test]
fn a_directory_has_one_owner_at_a_time() {
    let dir = tempfile::tempdir().unwrap();
    let wal = open(dir.path(), &small());
    let Err(error) = Wal::open(dir.path(), ME, small()) else { panic!("two owners") };
    assert!(matches!(error, OpenError::Busy { .. }));
    assert!(error.to_string().contains(dir.path().to_str().unwrap()), "{error}");
    drop(wal);
    open(dir.path(), &small());
}

#[test]
fn the_log_of_another_member_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(dir.path(), &small()));
    let other = Identity { member: 0xb2, ..ME };
    let Err(error) = Wal::open(dir.path(), other, small()) else { panic!("foreign log taken") };
    assert!(error.to_string().contains("belongs to member a1 of cluster c1"), "{error}");
    assert!(error.to_string().contains("this is member b2 of cluster c1"), "{error}");
}

#[test]
fn a_missing_segment_is_named() {
    for missing in [0, 1, 3] {
        let dir = tempfile::tempdir().unwrap();
        let wal = open(dir.path(), &small());
        (0..100).for_each(|index| append(&wal, vec![entry(1, index, 300)]));
        drop(wal);
        let name = image(dir.path())[missing].0.clone();
        fs::remove_file(dir.path().join(&name)).unwrap();
        let Err(error) = Wal::open(dir.path(), ME, small()) else { panic!("{name} not missed") };
        assert!(matches!(error, OpenError::Missing { .. }), "{error}");
        assert!(error.to_string().contains(&name), "{error}");
    }
}

#[test]
fn a_spare_cut_off_while_it_became_a_segment_is_made_again() {
    let dir = tempfile::tempdir().unwrap();
    let wal = open(dir.path(), &small());
    append(&wal, entries(1, 0..3, 10));
    let spare = dir.path().join("spare");
    until("a spare is made", || spare.exists());
    drop(wal);
    let first = image(dir.path())[0].1.clone();
    fs::write(&spare, &first).unwrap();

    let wal = open(dir.path(), &small());
    let all = entries(1, 3..60, 300);
    append(&wal, all.clone());
    drop(wal);
    assert_eq!(read_all(&open(dir.path(), &small()))[3..], all);
}

#[test]
fn without_fsync_nothing_waits_for_the_disk() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options { no_fsync: true, ..small() };
    options.faults.sync_fails.store(true, Ordering::SeqCst);
    let wal = open(dir.path(), &options);
    append(&wal, entries(1, 0..50, 500));
    assert_eq!(wal.syncs(), (0, 0));
    drop(wal);
    assert_eq!(open(dir.path(), &options).range(), 0..50);
}

#[test]
fn an_empty_log_begins_where_its_first_entry_says() {
    let dir = tempfile::tempdir().unwrap();
    let wal = open(dir.path(), &small());
    append(&wal, entries(1, 5..8, 10));
    wal.truncate_after(None);
    assert_eq!((wal.last(), read_all(&wal)), (None, vec![]));
    append(&wal, entries(2, 3..40, 300));
    drop(wal);
    let wal = open(dir.path(), &small());
    assert_eq!((wal.range(), read_all(&wal)), (3..40, entries(2, 3..40, 300)));
    drop(wal);
    fs::remove_file(dir.path().join(&image(dir.path())[0].0)).unwrap();
    assert!(matches!(Wal::open(dir.path(), ME, small()), Err(OpenError::Missing { .. })));
}
