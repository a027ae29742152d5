//! The write-ahead log: a directory whose only segment holds any bytes, or those of a good one with
//! some bytes changed, is opened or refused. One that was opened can be read and written to.

use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, mpsc};

use portunus::wal::{Entry, Identity, Options, Wal};

const IDENTITY: Identity = Identity { cluster: 1, member: 2 };
const SEGMENT_BYTES: u64 = 16 * 1024;
/// A change is a place, in two bytes, and what is there instead.
const CHANGE_BYTES: usize = 3;

/// A segment with entries of several sizes and terms in it.
static GOOD: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let dir = tempfile::tempdir_in(memory()).expect("a directory");
    let log = open(dir.path()).expect("an empty log");
    for index in 1..=20 {
        append(
            &log,
            Entry {
                term: 1 + index / 8,
                index,
                tag: 1,
                payload: vec![7; 9 * index as usize].into(),
            },
        );
    }
    drop(log);
    std::fs::read(segment(dir.path())).expect("it can be read")
});

fn open(dir: &Path) -> Result<Wal, portunus::wal::OpenError> {
    let options = Options {
        segment_bytes: SEGMENT_BYTES,
        no_fsync: true,
        on_fatal: Arc::new(|reason| panic!("{reason}")),
        ..Options::default()
    };
    Wal::open(dir, IDENTITY, options)
}

fn append(log: &Wal, entry: Entry) {
    let (done, is_done) = mpsc::channel();
    let said = Box::new(move |result: std::io::Result<()>| {
        let _ = done.send(result.is_ok());
    });
    log.append(vec![entry], said).expect("an open log takes entries");
    assert!(is_done.recv().expect("an answer comes"), "and keeps them");
}

/// The file of a log that has one segment.
fn segment(dir: &Path) -> PathBuf {
    let files = std::fs::read_dir(dir).expect("it can be listed");
    let paths = files.filter_map(|entry| entry.ok().map(|entry| entry.path()));
    let is_other = |name: &str| name == "LOCK" || name.starts_with("spare");
    let mut segments =
        paths.filter(|path| !path.file_name().and_then(|name| name.to_str()).is_some_and(is_other));
    segments.next().expect("a log has a segment")
}

pub fn run(data: &[u8]) {
    let Some((way, data)) = data.split_first() else { return };
    let mut bytes = GOOD.clone();
    if way % 2 == 0 {
        let length = data.len().min(bytes.len());
        bytes[..length].copy_from_slice(&data[..length]);
    } else {
        for change in data.chunks_exact(CHANGE_BYTES) {
            let at = usize::from(u16::from_le_bytes([change[0], change[1]])) % bytes.len();
            bytes[at] = change[2];
        }
    }
    let dir = tempfile::tempdir_in(memory()).expect("a directory");
    drop(open(dir.path()).expect("an empty log"));
    std::fs::write(segment(dir.path()), &bytes).expect("it can be written");
    let Ok(log) = open(dir.path()) else { return };
    let range = log.range();
    let entries = log.plan(range.clone(), usize::MAX).load().expect("what it has can be read");
    assert_eq!(entries.len() as u64, range.end - range.start);
    let term = log.last().map_or(1, |last| last.term);
    append(&log, Entry { term, index: range.end, tag: 0, payload: bytes::Bytes::new() });
}

/// Where files cost no disk.
fn memory() -> PathBuf {
    let shared = Path::new("/dev/shm");
    if shared.is_dir() { shared.to_owned() } else { std::env::temp_dir() }
}
