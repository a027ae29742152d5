//! Damage at every place of a small log. What a frame records as synced must be there, or the log
//! is refused; and the log must not be refused for a tail nobody was promised.

use std::path::Path;
use std::sync::atomic::Ordering;

use super::header::SEGMENT_HEADER_BYTES;
use super::options::Options;
use super::recovery::{Recovered, recover};
use super::scan::Scan;
use super::testing::*;
use super::{Entry, OpenError, Wal};
use crate::wal::disk::Disk;
use crate::wal::index::Index;
use crate::wal::read::ReadPlan;

type Image = Vec<(String, Vec<u8>)>;

/// A log's directory as it could be found, and which part of it was promised.
struct Victim {
    image: Image,
    /// All entries written.
    entries: Vec<Entry>,
    /// How many of them some frame says were synced.
    promised: usize,
    /// Per segment: the offset below which every byte was promised, and where frames end.
    bounds: Vec<(usize, usize)>,
}

fn options() -> Options {
    Options { no_fsync: true, ..small() }
}

fn recovered(dir: &Path) -> Result<(Vec<Entry>, Recovered), OpenError> {
    let disk = Disk::lock(dir, options())?;
    let recovered = recover(&disk, ME)?.expect("there are segments");
    let Recovered { first, slots, checkpoint, segments, .. } = &recovered;
    let index = Index::new(*first, slots.clone(), checkpoint.clone(), segments, 0);
    let read = ReadPlan::new(&index, 0..u64::MAX, usize::MAX).load();
    Ok((read.map_err(OpenError::io(dir, "read"))?, recovered))
}

fn bounds(image: &Image) -> Vec<(usize, usize)> {
    let dir = tempfile::tempdir().unwrap();
    restore(dir.path(), image);
    let (_, found) = recovered(dir.path()).unwrap();
    let mut bounds = Vec::new();
    let mut chain = 0;
    for (segment, (_, bytes)) in found.segments.iter().zip(image) {
        let mut scan = Scan::new(segment, bytes, chain);
        while scan.next_frame().is_some() {}
        chain = scan.chain;
        let synced = (scan.synced - segment.base_lsn) as usize + SEGMENT_HEADER_BYTES;
        bounds.push((synced, scan.offset));
    }
    // Segments before the last one are synced as a whole.
    let last = bounds.len() - 1;
    bounds[..last].iter_mut().for_each(|(synced, end)| *synced = *end);
    bounds
}

fn write_some(wal: &Wal, segments: usize) {
    let mut next = 0;
    for round in 0..3 * segments as u64 {
        vote(wal, b"a vote");
        append(wal, entries(round + 1, next..next + 4, 21));
        wal.truncate_after(Some(next + 2));
        wal.save_committed(position(round + 1, next + 1));
        append(wal, entries(round + 1, next + 3..next + 5, 700));
        next += 5;
    }
}

/// Closed in good order: all of it was promised, and the log's last frame says so.
fn closed(segments: usize) -> Victim {
    let dir = tempfile::tempdir().unwrap();
    let wal = open(dir.path(), &small());
    write_some(&wal, segments);
    let entries = read_all(&wal);
    drop(wal);
    let image = image(dir.path());
    assert_eq!(image.len(), 1 + segments, "the log is of the size the test wants");
    Victim { bounds: bounds(&image), image, promised: entries.len(), entries }
}

/// Cut off while a group was written and not yet synced.
fn crashed() -> Victim {
    let dir = tempfile::tempdir().unwrap();
    let options = small();
    let wal = open(dir.path(), &options);
    write_some(&wal, 1);
    let promised = read_all(&wal).len();
    options.faults.sync_hangs.store(true, Ordering::SeqCst);
    let next = wal.range().end;
    wal.append(entries(9, next..next + 6, 40), done().0).unwrap();
    let last = entry(9, next + 5, 40).payload;
    let mut found = image(dir.path());
    until("the group is written", || {
        found = image(dir.path());
        found.iter().any(|(_, bytes)| bytes.windows(40).any(|window| window == last))
    });
    options.faults.sync_hangs.store(false, Ordering::SeqCst);
    Victim { bounds: bounds(&found), image: found, promised, entries: read_all(&wal) }
}

/// Opens the image with `damage` done to segment `at` from `offset` on; checks what comes of it.
fn check(victim: &Victim, dir: &Path, at: usize, offset: usize, damage: impl Fn(&mut Vec<u8>)) {
    let mut image = victim.image.clone();
    damage(&mut image[at].1);
    let harmless = image[at].1 == victim.image[at].1;
    restore(dir, &image[at..=at]);
    let found = recovered(dir);
    restore(dir, &victim.image[at..=at]);
    let (synced, _) = victim.bounds[at];
    match found {
        Ok((entries, _)) => {
            assert!(harmless || offset >= synced, "segment {at} offset {offset}: not noticed");
            assert!(entries.len() >= victim.promised, "segment {at} offset {offset}: lost");
            assert_eq!(entries, victim.entries[..entries.len()], "segment {at} offset {offset}");
        }
        Err(OpenError::Damaged { file, offset: named, .. }) => {
            let cut = image[at].1.len() < victim.image[at].1.len();
            assert!(offset < synced || cut, "segment {at} offset {offset}: refused for nothing");
            assert!(file.ends_with(&image[at].0), "the damaged file is named");
            assert!(named as usize <= offset, "segment {at} offset {offset}: named {named}");
        }
        Err(other) => panic!("segment {at} offset {offset}: {other}"),
    }
}

fn torture(victim: &Victim) {
    let dir = tempfile::tempdir().unwrap();
    restore(dir.path(), &victim.image);
    for (at, (_, bytes)) in victim.image.iter().enumerate() {
        // Behind the frames there are only zeros: some of them stand for all.
        let end = bytes.len().min(victim.bounds[at].1 + 200);
        for offset in 0..end {
            for flip in [0x01, 0x80] {
                check(victim, dir.path(), at, offset, |bytes| bytes[offset] ^= flip);
            }
            check(victim, dir.path(), at, offset, |bytes| bytes.truncate(offset));
        }
        let synced = victim.bounds[at].0;
        for offset in (0..end - 64).step_by(8) {
            // A hole over the last frames may swallow a promise with all that tells of it.
            if offset < synced && synced < offset + 64 {
                continue;
            }
            check(victim, dir.path(), at, offset, |bytes| bytes[offset..offset + 64].fill(0));
        }
    }
}

#[test]
fn a_closed_log_survives_any_damage_or_is_refused() {
    torture(&closed(1));
}

#[test]
fn a_crashed_log_survives_any_damage_or_is_refused() {
    let victim = crashed();
    let (synced, end) = *victim.bounds.last().unwrap();
    assert!(victim.promised < victim.entries.len() && synced < end, "there is a tail to lose");
    torture(&victim);
}

#[test]
fn a_page_of_an_older_log_is_not_taken_for_new() {
    let old = closed(1);
    let dir = tempfile::tempdir().unwrap();
    let wal = open(dir.path(), &small());
    append(&wal, entries(5, 0..3, 30));
    drop(wal);
    let mut image = image(dir.path());
    let (_, end) = bounds(&image)[0];
    // Frames of the same segment and place, but of another history.
    let stale = &old.image[0].1;
    image[0].1[end..].copy_from_slice(&stale[end..]);
    restore(dir.path(), &image);
    let (found, _) = match recovered(dir.path()) {
        Ok(found) => found,
        Err(OpenError::Damaged { .. }) => return,
        Err(other) => panic!("{other}"),
    };
    assert_eq!(found, entries(5, 0..3, 30));
}
