//! One frame: a fixed header and a payload, zero-padded to eight bytes.
//!
//! The header's checksum is seeded with the segment and the LSN, so a frame counts only where it
//! was written: bytes of another file or an older place never pass. The chain ties each frame to
//! all before it.

use crc32c::{crc32c, crc32c_append};

/// Bytes of a frame before its payload.
pub const HEADER_BYTES: usize = 48;
/// Frames begin at multiples of this.
pub const ALIGN: usize = 8;

/// What a frame records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// An entry at (term, index).
    Entry = 1,
    /// The vote: its bytes are the payload.
    Vote = 2,
    /// Everything up to (term, index) is committed.
    Committed = 3,
    /// Entries from `index` on are gone; `term` is that of the entry before.
    Truncate = 4,
    /// Entries up to (term, index) are gone.
    Purge = 5,
    /// Nothing but the LSN synced so far.
    Mark = 6,
}

impl Kind {
    fn from_byte(byte: u8) -> Option<Self> {
        Some(match byte {
            1 => Self::Entry,
            2 => Self::Vote,
            3 => Self::Committed,
            4 => Self::Truncate,
            5 => Self::Purge,
            6 => Self::Mark,
            _ => return None,
        })
    }
}

/// A frame's content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    pub kind: Kind,
    pub tag: u8,
    pub term: u64,
    pub index: u64,
    /// The log below this LSN was on disk when the frame was written.
    pub synced: u64,
    pub payload: &'a [u8],
}

/// A frame as read: whole in itself; whether it follows its predecessor is for the reader to ask.
#[derive(Clone, Copy, Debug)]
pub struct Read<'a> {
    pub frame: Frame<'a>,
    /// Bytes up to the next frame.
    pub bytes: usize,
    linked: [u8; 36],
    chain: u32,
}

impl Read<'_> {
    /// The chain after this frame, if it follows one that left the chain at `before`.
    pub fn follows(&self, before: u32) -> Option<u32> {
        (crc32c_append(before, &self.linked) == self.chain).then_some(self.chain)
    }
}

/// Bytes a frame takes for a payload of that length.
pub const fn frame_bytes(payload_bytes: usize) -> usize {
    (HEADER_BYTES + payload_bytes).next_multiple_of(ALIGN)
}

/// Appends the frame to `out` for its place in the log; answers the chain after it.
pub fn encode(frame: &Frame, salt: u32, lsn: u64, chain: u32, out: &mut Vec<u8>) -> u32 {
    let mut header = [0; HEADER_BYTES];
    header[0..4].copy_from_slice(&(frame.payload.len() as u32).to_le_bytes());
    header[4] = frame.kind as u8;
    header[5] = frame.tag;
    header[8..16].copy_from_slice(&frame.index.to_le_bytes());
    header[16..24].copy_from_slice(&frame.term.to_le_bytes());
    header[24..32].copy_from_slice(&frame.synced.to_le_bytes());
    header[32..36].copy_from_slice(&crc32c(frame.payload).to_le_bytes());
    let chain = crc32c_append(chain, &header[..36]);
    header[36..40].copy_from_slice(&chain.to_le_bytes());
    let crc = crc32c_append(seed(salt, lsn), &header[..44]);
    header[44..48].copy_from_slice(&crc.to_le_bytes());
    let end = out.len() + frame_bytes(frame.payload.len());
    out.extend_from_slice(&header);
    out.extend_from_slice(frame.payload);
    out.resize(end, 0);
    chain
}

/// The frame at the start of `bytes`, if one was written at this place in the log.
pub fn decode(bytes: &[u8], salt: u32, lsn: u64) -> Option<Read<'_>> {
    let header = bytes.first_chunk::<HEADER_BYTES>()?;
    let kind = Kind::from_byte(header[4])?;
    if crc32c_append(seed(salt, lsn), &header[..44]) != word(header, 44) {
        return None;
    }
    let len = word(header, 0) as usize;
    let total = frame_bytes(len);
    let (payload, padding) = bytes.get(HEADER_BYTES..total)?.split_at(len);
    if crc32c(payload) != word(header, 32) || padding.iter().any(|byte| *byte != 0) {
        return None;
    }
    let frame = Frame {
        kind,
        tag: header[5],
        index: long(header, 8),
        term: long(header, 16),
        synced: long(header, 24),
        payload,
    };
    let linked = *header.first_chunk().expect("a header is longer than what the chain covers");
    Some(Read { frame, bytes: total, linked, chain: word(header, 36) })
}

fn seed(salt: u32, lsn: u64) -> u32 {
    crc32c_append(salt, &lsn.to_le_bytes())
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(*bytes[at..].first_chunk().expect("a field within the header"))
}

fn long(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(*bytes[at..].first_chunk().expect("a field within the header"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAME: Frame =
        Frame { kind: Kind::Entry, tag: 7, term: 3, index: 9, synced: 40, payload: b"payload" };

    #[test]
    fn a_frame_comes_back_where_it_was_written() {
        let mut out = Vec::new();
        let chain = encode(&FRAME, 1, 96, 5, &mut out);
        assert_eq!(out.len(), frame_bytes(7));
        let read = decode(&out, 1, 96).unwrap();
        assert_eq!((read.frame, read.bytes), (FRAME, out.len()));
        assert_eq!(read.follows(5), Some(chain));
        assert_eq!(read.follows(6), None);
    }

    #[test]
    fn a_frame_counts_nowhere_else() {
        let mut out = Vec::new();
        encode(&FRAME, 1, 96, 5, &mut out);
        assert!(decode(&out, 2, 96).is_none(), "another segment");
        assert!(decode(&out, 1, 104).is_none(), "another place");
        assert!(decode(&out[..out.len() - 1], 1, 96).is_none(), "cut short");
    }

    #[test]
    fn no_flipped_bit_passes() {
        let mut out = Vec::new();
        encode(&FRAME, 1, 96, 5, &mut out);
        for bit in 0..out.len() * 8 {
            out[bit / 8] ^= 1 << (bit % 8);
            assert!(decode(&out, 1, 96).is_none(), "bit {bit}");
            out[bit / 8] ^= 1 << (bit % 8);
        }
    }
}
