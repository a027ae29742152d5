//! What the tests of the log share: small logs, waiting for the disk, images of a directory.

#![allow(clippy::disallowed_methods, reason = "a test measures or waits by the real clock")]

use std::fs;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::{Done, Entry, Identity, Options, Position, Wal};

pub const ME: Identity = Identity { cluster: 0xc1, member: 0xa1 };
/// Long enough for the slowest machine; only a failing test takes it.
pub const DEADLINE: Duration = Duration::from_secs(20);

/// The smallest segments there are.
pub fn small() -> Options {
    Options { segment_bytes: 8192, ..Options::default() }
}

pub fn open(dir: &Path, options: &Options) -> Wal {
    Wal::open(dir, ME, options.clone()).unwrap()
}

pub fn position(term: u64, index: u64) -> Position {
    Position { term, index }
}

pub fn entry(term: u64, index: u64, bytes: usize) -> Entry {
    // Bytes that stand nowhere else, so that a test can find them in a file.
    let seed = (term << 32 | index).wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let payload =
        (1..=bytes as u64).map(|at| (seed.wrapping_mul(at | 1).rotate_left(23) ^ at) as u8);
    Entry { term, index, tag: (index % 3) as u8, payload: payload.collect() }
}

pub fn entries(term: u64, indexes: std::ops::Range<u64>, bytes: usize) -> Vec<Entry> {
    indexes.map(|index| entry(term, index, bytes)).collect()
}

/// Options of a log whose failures are told instead of ending the process.
pub fn failing() -> (Options, mpsc::Receiver<String>) {
    let (tx, rx) = mpsc::channel();
    let on_fatal = Arc::new(move |reason: &str| drop(tx.send(reason.to_owned())));
    (Options { on_fatal, ..small() }, rx)
}

/// A callback, and where its result arrives.
pub fn done() -> (Done, mpsc::Receiver<io::Result<()>>) {
    let (tx, rx) = mpsc::channel();
    (Box::new(move |result| drop(tx.send(result))), rx)
}

pub fn append(wal: &Wal, entries: Vec<Entry>) {
    let (done, rx) = done();
    wal.append(entries, done).unwrap();
    rx.recv_timeout(DEADLINE).unwrap().unwrap();
}

pub fn vote(wal: &Wal, vote: &'static [u8]) {
    let (done, rx) = done();
    wal.save_vote(Bytes::from_static(vote), done).unwrap();
    rx.recv_timeout(DEADLINE).unwrap().unwrap();
}

pub fn flush(wal: &Wal) {
    let (done, rx) = done();
    wal.flush(done);
    rx.recv_timeout(DEADLINE).unwrap().unwrap();
}

pub fn read_all(wal: &Wal) -> Vec<Entry> {
    wal.plan(0..u64::MAX, usize::MAX).load().unwrap()
}

pub fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let started = Instant::now();
    while !condition() {
        assert!(started.elapsed() < DEADLINE, "never came: {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// The segments of a directory, by name.
pub fn image(dir: &Path) -> Vec<(String, Vec<u8>)> {
    let mut files = Vec::new();
    for file in fs::read_dir(dir).unwrap() {
        let name = file.unwrap().file_name().into_string().unwrap();
        if name.ends_with(".wal") {
            // A purged one may be removed meanwhile.
            if let Ok(bytes) = fs::read(dir.join(&name)) {
                files.push((name, bytes));
            }
        }
    }
    files.sort();
    files
}

/// Writes the files in place: replacing a file makes the file system write it to disk.
pub fn restore(dir: &Path, image: &[(String, Vec<u8>)]) {
    for (name, bytes) in image {
        let mut open = fs::OpenOptions::new();
        let file = open.write(true).create(true).truncate(false).open(dir.join(name)).unwrap();
        file.write_all_at(bytes, 0).unwrap();
        file.set_len(bytes.len() as u64).unwrap();
    }
}
