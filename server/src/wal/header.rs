//! A segment's first page: whose it is, where in the log it begins, and a checkpoint of all that
//! earlier segments say besides entries, so that those can be dropped.

use bytes::{Buf, BufMut, Bytes};
use crc32c::crc32c;

use super::options::VOTE_BYTES_MAX;
use super::{Identity, Position};

/// Bytes before a segment's first frame.
pub const SEGMENT_HEADER_BYTES: usize = 4096;
/// The version this program writes, and the newest it reads.
pub const FORMAT: u32 = 1;

const MAGIC: &[u8; 8] = b"PORTUWAL";
const FIXED_BYTES: usize = 8 + 4 + 6 * 8 + 4 + 3 * 17 + 2;
const _: () = assert!(FIXED_BYTES + VOTE_BYTES_MAX + 4 <= SEGMENT_HEADER_BYTES);

/// What the log says apart from its entries, as of some LSN.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checkpoint {
    pub vote: Option<Bytes>,
    /// Entries up to here are gone.
    pub purged: Option<Position>,
    pub committed: Option<Position>,
    /// The last entry, or `purged` if there is none.
    pub last: Option<Position>,
}

impl Checkpoint {
    /// The index the next entry must have.
    pub fn next_index(&self) -> u64 {
        self.last.map_or(0, |last| last.index + 1)
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentHeader {
    pub identity: Identity,
    /// Number of the segment; its neighbours' differ by one.
    pub number: u64,
    /// LSN of its first frame: all before it was synced when this header was written.
    pub base_lsn: u64,
    /// Length of the file. It is made whole before the header is written, so that a shorter one
    /// was cut.
    pub file_bytes: u64,
    /// The chain after the last frame of the segment before.
    pub chain: u32,
    pub checkpoint: Checkpoint,
}

/// Why a page is not a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeaderError {
    Format(u32),
    Damaged,
}

impl SegmentHeader {
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(SEGMENT_HEADER_BYTES);
        out.put_slice(MAGIC);
        out.put_u32_le(FORMAT);
        out.put_u64_le(self.identity.cluster);
        out.put_u64_le(self.identity.member);
        out.put_u64_le(self.number);
        out.put_u64_le(self.base_lsn);
        out.put_u64_le(self.file_bytes);
        out.put_u64_le(self.checkpoint.next_index());
        out.put_u32_le(self.chain);
        for position in [self.checkpoint.purged, self.checkpoint.committed, self.checkpoint.last] {
            out.put_u8(u8::from(position.is_some()));
            out.put_u64_le(position.map_or(0, |position| position.term));
            out.put_u64_le(position.map_or(0, |position| position.index));
        }
        // A vote is never empty, so an empty one stands for none.
        let vote = self.checkpoint.vote.as_deref().unwrap_or_default();
        out.put_u16_le(vote.len() as u16);
        out.put_slice(vote);
        out.resize(SEGMENT_HEADER_BYTES - 4, 0);
        out.put_u32_le(crc32c(&out));
        out
    }

    pub fn decode(page: &[u8]) -> Result<Self, HeaderError> {
        let (body, crc) = page.split_last_chunk::<4>().ok_or(HeaderError::Damaged)?;
        if page.len() != SEGMENT_HEADER_BYTES
            || crc32c(body) != u32::from_le_bytes(*crc)
            || !body.starts_with(MAGIC)
        {
            return Err(HeaderError::Damaged);
        }
        let mut input = &body[MAGIC.len()..];
        let format = input.get_u32_le();
        if format != FORMAT {
            return Err(HeaderError::Format(format));
        }
        let identity = Identity { cluster: input.get_u64_le(), member: input.get_u64_le() };
        let (number, base_lsn) = (input.get_u64_le(), input.get_u64_le());
        let (file_bytes, next_index) = (input.get_u64_le(), input.get_u64_le());
        let chain = input.get_u32_le();
        let mut position = || {
            let present = input.get_u8() == 1;
            let (term, index) = (input.get_u64_le(), input.get_u64_le());
            present.then_some(Position { term, index })
        };
        let (purged, committed, last) = (position(), position(), position());
        let vote_bytes = usize::from(input.get_u16_le());
        let vote = input.get(..vote_bytes).ok_or(HeaderError::Damaged)?;
        let vote = (!vote.is_empty()).then(|| Bytes::copy_from_slice(vote));
        let checkpoint = Checkpoint { vote, purged, committed, last };
        if checkpoint.next_index() != next_index {
            return Err(HeaderError::Damaged);
        }
        Ok(Self { identity, number, base_lsn, file_bytes, chain, checkpoint })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> SegmentHeader {
        SegmentHeader {
            identity: Identity { cluster: 1, member: 2 },
            number: 3,
            base_lsn: 4,
            file_bytes: 5,
            chain: 6,
            checkpoint: Checkpoint {
                vote: Some(Bytes::from_static(b"vote")),
                purged: None,
                committed: Some(Position { term: 1, index: 0 }),
                last: Some(Position { term: 2, index: 8 }),
            },
        }
    }

    #[test]
    fn a_header_comes_back() {
        assert_eq!(SegmentHeader::decode(&header().encode()), Ok(header()));
    }

    #[test]
    fn a_newer_format_is_told_from_damage() {
        let mut page = header().encode();
        page[8] = 2;
        assert_eq!(SegmentHeader::decode(&page), Err(HeaderError::Damaged));
        let crc = crc32c(&page[..SEGMENT_HEADER_BYTES - 4]).to_le_bytes();
        page[SEGMENT_HEADER_BYTES - 4..].copy_from_slice(&crc);
        assert_eq!(SegmentHeader::decode(&page), Err(HeaderError::Format(2)));
    }
}
