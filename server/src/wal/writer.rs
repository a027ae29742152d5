//! Committing a group: its frames in one write, and one sync.

use std::io;
use std::sync::Arc;

use parking_lot::Mutex;

use super::disk::Disk;
use super::frame::{self, Frame, Kind, frame_bytes};
use super::header::{Checkpoint, SEGMENT_HEADER_BYTES, SegmentHeader};
use super::index::{Index, Placed};
use super::queue::{Group, Op};
use super::segment::Segment;
use super::supply::Supply;
use super::{Entry, Identity, Position};

/// A write buffer larger than this is given back after use.
const BUFFER_KEPT_BYTES: usize = 16 * 1024 * 1024;

pub struct Writer {
    pub disk: Arc<Disk>,
    pub identity: Identity,
    pub supply: Arc<Supply>,
    pub index: Arc<Mutex<Index>>,
    pub segment: Arc<Segment>,
    /// Where in the segment the buffer goes.
    pub offset: u64,
    pub buffer: Vec<u8>,
    pub chain: u32,
    /// What the frames written so far amount to.
    pub checkpoint: Checkpoint,
    /// All before this LSN is on disk.
    pub synced: u64,
    /// The newest `synced` that a frame records.
    pub noted: u64,
    /// The purge that segments were last removed for.
    pub reaped: Option<Position>,
    pub placed: Vec<Placed>,
}

/// Why nothing more can be written.
pub enum Halt {
    /// The disk failed.
    Failed(&'static str, io::Error),
    /// The log was closed while the disk was full.
    Full,
}

impl Writer {
    /// Says why, to the owner of the log where the disk failed.
    pub fn halted(&self, halt: Halt) -> String {
        let file = self.segment.path.display();
        match halt {
            Halt::Failed(action, error) => {
                let reason = format!(
                    "write-ahead log {file}: {action}: {error}; what was written may be lost, so \
                     this member stops rather than promise more"
                );
                (self.disk.options.on_fatal)(&reason);
                reason
            }
            Halt::Full => format!("write-ahead log {file} was closed while the disk was full"),
        }
    }

    /// Everything written is known by a frame to be on disk.
    pub fn is_settled(&self) -> bool {
        self.noted >= self.synced
    }

    /// True when the segment takes these entries, and a note of what is committed, without being
    /// ended; the next one may have to be waited for.
    pub fn has_room_for(&self, op: &Op) -> bool {
        let Op::Append { entries, .. } = op else { return false };
        let frames: usize = entries.iter().map(|entry| frame_bytes(entry.payload.len())).sum();
        self.has_room(frames + frame_bytes(0))
    }

    pub fn commit(&mut self, group: &Group) -> Result<(), Halt> {
        for job in &group.jobs {
            self.put_op(&job.op)?;
        }
        if let Some(committed) = group.committed {
            self.put_position(Kind::Committed, committed)?;
            self.checkpoint.committed = Some(committed);
        }
        if group.jobs.is_empty() && !self.is_settled() && self.has_room(frame_bytes(0)) {
            self.put(Kind::Mark, 0, 0, 0, &[])?;
        }
        self.write_out()?;
        self.publish();
        if group.closing || group.jobs.iter().any(|job| job.durable) {
            self.sync()?;
        }
        Ok(())
    }

    fn put_op(&mut self, op: &Op) -> Result<(), Halt> {
        match op {
            Op::Append { entries, first_ticket } => {
                for (entry, ticket) in entries.iter().zip(*first_ticket..) {
                    self.put_entry(entry, ticket)?;
                }
            }
            Op::Vote(vote) => {
                self.put(Kind::Vote, 0, 0, 0, vote)?;
                self.checkpoint.vote = Some(vote.clone());
            }
            Op::Truncate { next, last } => {
                let term = last.map_or(0, |last| last.term);
                self.put(Kind::Truncate, 0, term, *next, &[])?;
                self.checkpoint.last = *last;
            }
            Op::Purge(upto) => {
                self.put_position(Kind::Purge, *upto)?;
                self.checkpoint.purged = Some(*upto);
                self.checkpoint.last = self.checkpoint.last.filter(|last| last.index > upto.index);
                self.checkpoint.last = self.checkpoint.last.or(Some(*upto));
            }
            Op::Flush => {}
        }
        Ok(())
    }

    fn put_entry(&mut self, entry: &Entry, ticket: u64) -> Result<(), Halt> {
        let offset = self.put(Kind::Entry, entry.tag, entry.term, entry.index, &entry.payload)?;
        self.segment.note_entry(entry.index);
        self.checkpoint.last = Some(entry.position());
        let (index, segment) = (entry.index, self.segment.number);
        self.placed.push(Placed { index, ticket, segment, offset });
        Ok(())
    }

    fn put_position(&mut self, kind: Kind, position: Position) -> Result<(), Halt> {
        self.put(kind, 0, position.term, position.index, &[]).map(|_| ())
    }

    /// Adds a frame to the buffer; answers its offset in the segment.
    fn put(
        &mut self,
        kind: Kind,
        tag: u8,
        term: u64,
        index: u64,
        payload: &[u8],
    ) -> Result<u64, Halt> {
        if !self.has_room(frame_bytes(payload.len())) {
            self.roll(frame_bytes(payload.len()))?;
        }
        let offset = self.offset + self.buffer.len() as u64;
        let frame = Frame { kind, tag, term, index, synced: self.synced, payload };
        let lsn = self.segment.lsn(offset);
        self.chain = frame::encode(&frame, self.segment.salt, lsn, self.chain, &mut self.buffer);
        self.noted = self.synced;
        Ok(offset)
    }

    fn has_room(&self, bytes: usize) -> bool {
        self.offset + (self.buffer.len() + bytes) as u64 <= self.segment.file_bytes
    }

    fn write_out(&mut self) -> Result<(), Halt> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let written = self.disk.write(&self.segment.file, &self.buffer, self.offset);
        written.map_err(|error| Halt::Failed("write", error))?;
        self.offset += self.buffer.len() as u64;
        self.buffer.clear();
        self.buffer.shrink_to(BUFFER_KEPT_BYTES);
        Ok(())
    }

    fn sync(&mut self) -> Result<(), Halt> {
        self.disk.sync(&self.segment.file).map_err(|error| Halt::Failed("fdatasync", error))?;
        self.synced = self.segment.lsn(self.offset);
        Ok(())
    }

    /// Ends the segment, with all of it on disk, and goes on in the next.
    fn roll(&mut self, frame_bytes: usize) -> Result<(), Halt> {
        self.write_out()?;
        self.sync()?;
        let spare = self.supply.take((SEGMENT_HEADER_BYTES + frame_bytes) as u64);
        let spare = spare.ok_or(Halt::Full)?;
        let header = SegmentHeader {
            identity: self.identity,
            number: self.segment.number + 1,
            base_lsn: self.synced,
            file_bytes: spare.file_bytes,
            chain: self.chain,
            checkpoint: self.checkpoint.clone(),
        };
        let segment = self.disk.activate(spare, &header);
        self.segment =
            Arc::new(segment.map_err(|error| Halt::Failed("begin the next segment", error))?);
        self.supply.renew();
        self.offset = SEGMENT_HEADER_BYTES as u64;
        self.index.lock().segments.insert(header.number, self.segment.clone());
        Ok(())
    }

    /// Lets readers find on disk what was written, so that memory can be freed.
    fn publish(&mut self) {
        if self.placed.is_empty() {
            return;
        }
        let mut index = self.index.lock();
        self.placed.drain(..).for_each(|placed| index.place(&placed));
        index.evict();
    }

    /// Removes segments that only hold what is purged. The purge itself is on disk by now.
    pub fn reap(&mut self) {
        if self.reaped == self.checkpoint.purged {
            return;
        }
        self.reaped = self.checkpoint.purged;
        let behind = self.index.lock().take_behind(self.reaped);
        self.supply.remove(behind.iter().map(|segment| segment.path.clone()));
    }
}
