//! Reading a segment from its start: which frames stand, and what those behind a bad one prove.

use super::frame::{self, ALIGN, Frame, Read};
use super::header::SEGMENT_HEADER_BYTES;
use super::segment::Segment;

/// A whole segment in memory, read frame by frame.
pub struct Scan<'a> {
    segment: &'a Segment,
    bytes: &'a [u8],
    pub offset: usize,
    pub chain: u32,
    /// The highest LSN that a frame read so far says was on disk.
    pub synced: u64,
}

impl<'a> Scan<'a> {
    pub fn new(segment: &'a Segment, bytes: &'a [u8], chain: u32) -> Self {
        Self {
            segment,
            bytes,
            offset: SEGMENT_HEADER_BYTES,
            chain,
            // A segment is begun only when all before it is on disk.
            synced: segment.base_lsn,
        }
    }

    /// LSN of the next frame.
    pub fn lsn(&self) -> u64 {
        self.segment.lsn(self.offset as u64)
    }

    /// The next frame and its offset, unless it is not whole or does not follow.
    pub fn next_frame(&mut self) -> Option<(Frame<'a>, u64)> {
        let read = self.frame_at(self.offset)?;
        self.chain = read.follows(self.chain)?;
        self.synced = self.synced.max(read.frame.synced);
        let offset = self.offset as u64;
        self.offset += read.bytes;
        Some((read.frame, offset))
    }

    /// The highest LSN that any frame from here on says was on disk. Looks at every place where a
    /// frame could begin, since after a bad one their places are not known.
    pub fn synced_beyond(&self) -> u64 {
        let written = self.written_end();
        (self.offset..written)
            .step_by(ALIGN)
            .filter_map(|offset| self.frame_at(offset))
            .map(|read| read.frame.synced)
            .fold(self.synced, u64::max)
    }

    /// End of the last byte that is not zero, or the scan's place if that is behind it.
    pub fn written_end(&self) -> usize {
        const PAGE: &[u8; 4096] = &[0; 4096];
        let mut rest = &self.bytes[self.offset..];
        // A segment is mostly zeros: whole pages of them are passed over quickly.
        while rest.ends_with(PAGE) {
            rest = &rest[..rest.len() - PAGE.len()];
        }
        let end = rest.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        self.offset + end
    }

    fn frame_at(&self, offset: usize) -> Option<Read<'a>> {
        let lsn = self.segment.lsn(offset as u64);
        frame::decode(self.bytes.get(offset..)?, self.segment.salt, lsn)
    }
}
