//! The chain: each entry names itself and its predecessor, so that an entry whose predecessor is
//! not the last one applied is recognised as void on every member alike.

use std::fmt;

use xxhash_rust::xxh3::xxh3_64_with_seed;

/// Names one sequenced entry. `hash` runs over all entries since the cluster began, so two members
/// with the same id hold the same history.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct ChainId {
    /// Raft term of the leader that sequenced it.
    pub term: u64,
    /// Counts the leader's fresh starts within its term: one more after each rejection or void.
    pub epoch: u64,
    /// Counts entries within the epoch, from 1.
    pub seq: u64,
    /// Running hash of the effects.
    pub hash: u64,
}

impl ChainId {
    /// Bytes of the encoded form.
    pub const ENCODED_BYTES: usize = 32;

    /// The id of the entry after `self` with these encoded effects.
    pub fn next(self, term: u64, epoch: u64, effects: &[u8]) -> Self {
        let same = (self.term, self.epoch) == (term, epoch);
        let seq = if same { self.seq + 1 } else { 1 };
        Self { term, epoch, seq, hash: xxh3_64_with_seed(effects, self.hash) }
    }

    pub fn to_bytes(self) -> [u8; Self::ENCODED_BYTES] {
        let mut bytes = [0; Self::ENCODED_BYTES];
        let words = [self.term, self.epoch, self.seq, self.hash];
        for (chunk, word) in bytes.chunks_exact_mut(8).zip(words) {
            chunk.copy_from_slice(&word.to_le_bytes());
        }
        bytes
    }

    /// The inverse of [`ChainId::to_bytes`]; `None` when the length is wrong.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; Self::ENCODED_BYTES] = bytes.try_into().ok()?;
        let mut words = bytes
            .chunks_exact(8)
            .map(|chunk| u64::from_le_bytes(chunk.try_into().expect("chunks of eight bytes")));
        let mut next = || words.next();
        Some(Self { term: next()?, epoch: next()?, seq: next()?, hash: next()? })
    }
}

impl fmt::Display for ChainId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.term, self.epoch, self.seq)
    }
}
