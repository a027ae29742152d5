//! Keys and values: of exact sizes, cheap to make, values not compressible.

use std::fmt::Write;

use anyhow::ensure;
use bytes::{Bytes, BytesMut};

use crate::bench::options::Load;

/// All keys begin with it.
const PREFIX: &str = "bench/";
/// The first key behind all that begin with [`PREFIX`].
const PREFIX_END: &str = "bench0";
/// Values are slices of one random block, at least this much longer than a value.
const SLACK_BYTES: usize = 64 * 1024;

/// Makes keys and values of a run.
#[derive(Clone, Debug)]
pub struct Payload {
    digits: usize,
    key_space: u64,
    sequential: bool,
    val_size: usize,
    block: Bytes,
}

impl Payload {
    pub fn new(load: &Load) -> anyhow::Result<Self> {
        let needed = PREFIX.len() + (load.key_space - 1).to_string().len();
        ensure!(
            load.key_size >= needed,
            "--key-size {} cannot hold {} different keys; it takes at least {needed}",
            load.key_size,
            load.key_space
        );
        let mut random = Random::new(0);
        let words = (load.val_size + SLACK_BYTES).div_ceil(8);
        let block: BytesMut = (0..words).flat_map(|_| random.next().to_le_bytes()).collect();
        Ok(Self {
            digits: load.key_size - PREFIX.len(),
            key_space: load.key_space,
            sequential: load.sequential,
            val_size: load.val_size,
            block: block.freeze(),
        })
    }

    /// The key for a client's operation `number`.
    pub fn pick(&self, number: u64, random: &mut Random) -> Bytes {
        let index = if self.sequential { number } else { random.next() };
        self.key(index % self.key_space)
    }

    /// The key of this index.
    pub fn key(&self, index: u64) -> Bytes {
        let mut key = String::with_capacity(PREFIX.len() + self.digits);
        let _ = write!(key, "{PREFIX}{index:0digits$}", digits = self.digits);
        key.into()
    }

    /// The end of the range of all keys.
    pub fn keys_end() -> Bytes {
        Bytes::from_static(PREFIX_END.as_bytes())
    }

    /// The beginning of the range of all keys.
    pub fn keys_begin() -> Bytes {
        Bytes::from_static(PREFIX.as_bytes())
    }

    pub fn key_space(&self) -> u64 {
        self.key_space
    }

    /// A value; shares memory with others.
    pub fn value(&self, random: &mut Random) -> Bytes {
        let from = random.next() as usize % (self.block.len() - self.val_size + 1);
        self.block.slice(from..from + self.val_size)
    }

    /// A value whose first eight bytes are `stamp`.
    pub fn stamped(&self, stamp: u64, random: &mut Random) -> Bytes {
        let mut value = BytesMut::from(self.value(random));
        value[..8].copy_from_slice(&stamp.to_le_bytes());
        value.freeze()
    }

    /// The stamp of a value that has one.
    pub fn stamp(value: &[u8]) -> Option<u64> {
        value.first_chunk().map(|bytes| u64::from_le_bytes(*bytes))
    }
}

/// Numbers without a pattern, the same for each seed (SplitMix64): a run can be repeated.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        load: Load,
    }

    fn payload(arguments: &[&str]) -> anyhow::Result<Payload> {
        let words = ["bench"].iter().chain(arguments);
        Payload::new(&Line::parse_from(words).load)
    }

    #[test]
    fn keys_and_values_have_the_sizes_asked_for() {
        let payload = payload(&["--key-size=9", "--key-space=1000", "--val-size=8"]).expect("fits");
        let mut random = Random::new(1);
        assert_eq!(payload.key(7), "bench/007");
        assert_eq!(payload.key(999), "bench/999");
        for number in 0..100 {
            let key = payload.pick(number, &mut random);
            assert!(key.len() == 9 && key >= Payload::keys_begin() && key < Payload::keys_end());
            assert_eq!(payload.value(&mut random).len(), 8);
        }
        assert_eq!(Payload::stamp(&payload.stamped(42, &mut random)), Some(42));
    }

    #[test]
    fn keys_come_in_order_when_asked() {
        let payload = payload(&["--key-space=3", "--sequential"]).expect("fits");
        let mut random = Random::new(1);
        let keys: Vec<_> = (0..4).map(|number| payload.pick(number, &mut random)).collect();
        assert!(keys[0] < keys[1] && keys[1] < keys[2] && keys[3] == keys[0]);
    }

    #[test]
    fn a_key_too_small_for_its_space_is_refused() {
        let refused = payload(&["--key-size=8", "--key-space=101"]).expect_err("needs 9");
        assert_eq!(
            refused.to_string(),
            "--key-size 8 cannot hold 101 different keys; it takes at least 9"
        );
    }
}
