//! The codec of the checkpoint mark, the one row that says what the tables on disk hold. It is
//! written in the same atomic flush as the rows it speaks for.

use crate::types::Revision;

/// What a checkpoint covers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mark {
    /// Log index of the last entry whose records and rows are all there.
    pub index: u64,
    /// Highest revision among those records: whatever is stored above it does not count.
    pub head: Revision,
    /// Index of the checkpoint before: the log is needed from there on.
    pub previous: u64,
}

const VERSION: u8 = 1;
const ENCODED_BYTES: usize = 1 + 8 + 12 + 8;

impl Mark {
    pub fn encode(self) -> Vec<u8> {
        let mut out = Vec::with_capacity(ENCODED_BYTES);
        out.push(VERSION);
        out.extend_from_slice(&self.index.to_le_bytes());
        out.extend_from_slice(&self.head.to_bytes());
        out.extend_from_slice(&self.previous.to_le_bytes());
        out
    }

    /// The inverse of [`Mark::encode`]; `None` when the bytes are not a mark of this version.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; ENCODED_BYTES] = bytes.try_into().ok()?;
        if bytes[0] != VERSION {
            return None;
        }
        Some(Self {
            index: u64::from_le_bytes(bytes[1..9].try_into().ok()?),
            head: Revision::from_bytes(&bytes[9..21])?,
            previous: u64::from_le_bytes(bytes[21..].try_into().ok()?),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Mark, Revision};

    #[test]
    fn a_mark_reads_back_what_it_encoded_and_refuses_the_rest() {
        let mark = Mark { index: 900, head: Revision::new(70, 3), previous: 800 };
        let bytes = mark.encode();
        assert_eq!(Mark::decode(&bytes), Some(mark));
        assert_eq!(Mark::decode(&Mark::default().encode()), Some(Mark::default()));
        assert_eq!(Mark::decode(&bytes[1..]), None);
        let mut newer = bytes;
        newer[0] += 1;
        assert_eq!(Mark::decode(&newer), None);
    }
}
