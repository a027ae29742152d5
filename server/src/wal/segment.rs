//! One segment file and how it is named.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use crc32c::crc32c_append;

use super::Identity;
use super::header::{SEGMENT_HEADER_BYTES, SegmentHeader};

/// A segment that is part of the log. Its frames never change once written.
#[derive(Debug)]
pub struct Segment {
    pub number: u64,
    pub path: PathBuf,
    pub file: File,
    pub file_bytes: u64,
    pub base_lsn: u64,
    /// Seeds the checksums of this segment's frames.
    pub salt: u32,
    /// One more than the highest index of an entry in it; 0 while there is none.
    entries_end: AtomicU64,
}

impl Segment {
    pub fn new(file: File, path: PathBuf, header: &SegmentHeader) -> Self {
        Self {
            number: header.number,
            path,
            file,
            file_bytes: header.file_bytes,
            base_lsn: header.base_lsn,
            salt: salt(header.identity, header.number),
            entries_end: AtomicU64::new(0),
        }
    }

    /// LSN of the byte at `offset` of the file.
    pub fn lsn(&self, offset: u64) -> u64 {
        self.base_lsn + offset - SEGMENT_HEADER_BYTES as u64
    }

    pub fn note_entry(&self, index: u64) {
        self.entries_end.fetch_max(index + 1, Ordering::Relaxed);
    }

    /// Whether no entry above `purged` was ever in it.
    pub fn is_behind(&self, purged: u64) -> bool {
        self.entries_end.load(Ordering::Relaxed) <= purged + 1
    }
}

/// Seeds the checksums of a segment's frames.
pub fn salt(identity: Identity, number: u64) -> u32 {
    let salt = crc32c_append(0, &identity.cluster.to_le_bytes());
    let salt = crc32c_append(salt, &identity.member.to_le_bytes());
    crc32c_append(salt, &number.to_le_bytes())
}

pub fn path(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("{number:016x}.wal"))
}

/// The number of a segment file, if `name` is one.
pub fn number(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(".wal").filter(|digits| digits.len() == 16)?;
    u64::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back_and_others_left_alone() {
        let path = path(Path::new("d"), 0x1f);
        assert_eq!(number(path.file_name().unwrap().to_str().unwrap()), Some(0x1f));
        for other in ["spare", "LOCK", "1f.wal", "000000000000001f.wal.old", "zz00000000000000.wal"]
        {
            assert_eq!(number(other), None, "{other}");
        }
    }
}
