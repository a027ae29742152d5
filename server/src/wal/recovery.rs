//! Opening a log that was there before. A tail that no caller was told of is cut; whatever is
//! missing below that means the member forgot a promise, and the log is refused.
//!
//! Pages of a write that was under way at a power loss may reach the disk in any order, so whole
//! frames behind a bad one prove nothing by themselves. What they say was synced does.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use super::disk::Disk;
use super::frame::Kind;
use super::header::{Checkpoint, FORMAT, HeaderError, SEGMENT_HEADER_BYTES, SegmentHeader};
use super::index::Slot;
use super::replay::Replay;
use super::scan::Scan;
use super::segment::{self, Segment};
use super::{Identity, OpenError};

/// A log as found on disk, ready to be written on.
pub struct Recovered {
    /// Index of the first slot.
    pub first: u64,
    pub slots: VecDeque<Slot>,
    pub checkpoint: Checkpoint,
    /// Oldest first; the last one is written on.
    pub segments: Vec<Arc<Segment>>,
    /// Where in the last segment.
    pub offset: u64,
    pub chain: u32,
}

/// Whose log lies in `dir`, by its oldest segment; `None` if there is none. Changes nothing.
pub fn identity(dir: &Path) -> Result<Option<Identity>, OpenError> {
    let numbers = match Disk::numbers(dir) {
        // Below a file there is no log either; that none can begin there is said by who begins.
        Err(error)
            if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) =>
        {
            return Ok(None);
        }
        numbers => numbers.map_err(OpenError::io(dir, "list directory"))?,
    };
    let Some(oldest) = numbers.first() else { return Ok(None) };
    let path = segment::path(dir, *oldest);
    let file = File::open(&path).map_err(OpenError::io(&path, "open"))?;
    Ok(Some(header(&path, &file)?.identity))
}

/// Reads the log back. `None` if there is none.
pub fn recover(disk: &Disk, identity: Identity) -> Result<Option<Recovered>, OpenError> {
    let numbers = disk.segments().map_err(OpenError::io(&disk.dir, "list directory"))?;
    let mut segments = Vec::with_capacity(numbers.len());
    let mut headers = Vec::with_capacity(numbers.len());
    for (number, expected) in numbers.iter().zip(numbers.first().copied().unwrap_or(0)..) {
        if *number != expected {
            return Err(OpenError::Missing { file: segment::path(&disk.dir, expected) });
        }
        let (segment, header) = open(&segment::path(&disk.dir, *number), *number, identity)?;
        segments.push(Arc::new(segment));
        headers.push(header);
    }
    let Some(oldest) = headers.first() else { return Ok(None) };
    let (mut replay, mut chain) = (Replay::new(oldest.checkpoint.clone()), oldest.chain);
    let mut offset = SEGMENT_HEADER_BYTES as u64;
    for (at, segment) in segments.iter().enumerate() {
        let mut bytes = vec![0; segment.file_bytes as usize];
        let read = segment.file.read_exact_at(&mut bytes, 0);
        read.map_err(OpenError::io(&segment.path, "read"))?;
        let scan = replay_segment(&mut replay, segment, &bytes, chain)?;
        (offset, chain) = (scan.offset as u64, scan.chain);
        match headers.get(at + 1) {
            Some(next) if (scan.lsn(), chain) == (next.base_lsn, next.chain) => {}
            Some(_) => return Err(damaged(segment, offset, "a frame the next segment builds on")),
            None => cut_tail(disk, segment, &scan)?,
        }
    }
    if !replay.is_complete() {
        let before = headers[0].number.saturating_sub(1);
        return Err(OpenError::Missing { file: segment::path(&disk.dir, before) });
    }
    let Replay { checkpoint, first, slots, .. } = replay;
    Ok(Some(Recovered { first, slots, checkpoint, segments, offset, chain }))
}

fn replay_segment<'a>(
    replay: &mut Replay,
    segment: &'a Segment,
    bytes: &'a [u8],
    chain: u32,
) -> Result<Scan<'a>, OpenError> {
    let mut scan = Scan::new(segment, bytes, chain);
    while let Some((frame, offset)) = scan.next_frame() {
        let applied = replay.apply(&frame, segment.number, offset);
        applied.map_err(|what| damaged(segment, offset, what))?;
        if frame.kind == Kind::Entry {
            segment.note_entry(frame.index);
        }
    }
    Ok(scan)
}

/// Ends the log where the scan did, if nobody was promised more.
fn cut_tail(disk: &Disk, segment: &Segment, scan: &Scan) -> Result<(), OpenError> {
    let (offset, end) = (scan.offset as u64, scan.written_end());
    if end > scan.offset {
        if scan.synced_beyond() > scan.lsn() {
            return Err(damaged(segment, offset, "a frame that was on disk"));
        }
        tracing::warn!(
            file = %segment.path.display(), offset, bytes = end - scan.offset,
            "cut the torn tail of the log, which nobody was promised"
        );
        let zeros = vec![0; end - scan.offset];
        let written = segment.file.write_all_at(&zeros, offset);
        written.map_err(OpenError::io(&segment.path, "cut the torn tail"))?;
    } else if scan.synced > scan.lsn() {
        return Err(damaged(segment, offset, "a frame that was on disk"));
    }
    if disk.options.no_fsync {
        return Ok(());
    }
    // What a killed process wrote may be in memory only; from here on it counts as on disk.
    segment.file.sync_data().map_err(OpenError::io(&segment.path, "sync"))
}

fn open(
    path: &Path,
    number: u64,
    identity: Identity,
) -> Result<(Segment, SegmentHeader), OpenError> {
    let file = OpenOptions::new().read(true).write(true).open(path);
    let file = file.map_err(OpenError::io(path, "open"))?;
    let damaged = |offset, what| OpenError::Damaged { file: path.to_owned(), offset, what };
    let header = header(path, &file)?;
    if header.identity != identity {
        let (file, found) = (path.to_owned(), header.identity);
        return Err(OpenError::Foreign { file, found, expected: identity });
    }
    if header.number != number {
        return Err(damaged(0, "the header of another segment"));
    }
    let file_bytes = file.metadata().map_err(OpenError::io(path, "inspect"))?.len();
    if file_bytes != header.file_bytes {
        return Err(damaged(file_bytes.min(header.file_bytes), "the file's length was changed"));
    }
    Ok((Segment::new(file, path.to_owned(), &header), header))
}

fn header(path: &Path, file: &File) -> Result<SegmentHeader, OpenError> {
    let page = read_page(file).map_err(OpenError::io(path, "read"))?;
    SegmentHeader::decode(&page).map_err(|error| match error {
        HeaderError::Damaged => {
            OpenError::Damaged { file: path.to_owned(), offset: 0, what: "the segment's header" }
        }
        HeaderError::Format(found) => {
            OpenError::Format { file: path.to_owned(), found, known: FORMAT }
        }
    })
}

/// The first page; short if the file is.
fn read_page(file: &File) -> io::Result<Vec<u8>> {
    let bytes = file.metadata()?.len().min(SEGMENT_HEADER_BYTES as u64);
    let mut page = vec![0; bytes as usize];
    file.read_exact_at(&mut page, 0)?;
    Ok(page)
}

fn damaged(segment: &Segment, offset: u64, what: &'static str) -> OpenError {
    OpenError::Damaged { file: segment.path.clone(), offset, what }
}
