//! The names of a queue's keys.

use bytes::Bytes;

use crate::decide::{QueueRefusal, Refusal};
use crate::types::KeyRange;

/// Priorities are below or at this.
pub const PRIORITY_MAX: u32 = 0xffff;

/// What stands under a queue's name; a queue's own name must not have one of them as a part, or its
/// keys would lie among another's items.
pub const PARTS: [&str; 6] = ["items", "delayed", "taken", "claims", "dead", "dedup"];

/// A queue's name, checked.
#[derive(Clone, Copy)]
pub struct Queue<'a>(&'a [u8]);

impl<'a> Queue<'a> {
    pub fn named(name: &'a [u8]) -> Result<Self, Refusal> {
        let parts = || name.split(|byte| *byte == b'/');
        if name.is_empty() || parts().any(|part| PARTS.iter().any(|own| own.as_bytes() == part)) {
            return Err(Refusal::Queue(QueueRefusal::Unnamed));
        }
        Ok(Self(name))
    }

    /// A name that was checked before.
    pub fn known(name: &'a [u8]) -> Self {
        Self(name)
    }

    fn under(self, rest: &str) -> Bytes {
        [self.0, b"/", rest.as_bytes()].concat().into()
    }

    pub fn ready(self) -> KeyRange {
        KeyRange::prefix(self.under("items/"))
    }

    pub fn delayed(self) -> KeyRange {
        KeyRange::prefix(self.under("delayed/"))
    }

    pub fn taken(self) -> KeyRange {
        KeyRange::prefix(self.under("taken/"))
    }

    pub fn claims(self) -> KeyRange {
        KeyRange::prefix(self.under("claims/"))
    }

    pub fn dead(self) -> KeyRange {
        KeyRange::prefix(self.under("dead/"))
    }

    pub fn ready_key(self, priority: u32, id: u64) -> Bytes {
        let rank = PRIORITY_MAX - priority.min(PRIORITY_MAX);
        self.under(&format!("items/{rank:04x}/{id:016x}"))
    }

    /// Keys of one priority rank and above it, for hopping over the priorities in use.
    pub fn ready_from(self, rank: u32) -> Bytes {
        self.under(&format!("items/{rank:04x}/"))
    }

    pub fn delayed_key(self, due_ms: u64, id: u64) -> Bytes {
        self.under(&format!("delayed/{due_ms:016x}/{id:016x}"))
    }

    pub fn taken_key(self, id: u64) -> Bytes {
        self.under(&format!("taken/{id:016x}"))
    }

    pub fn claim_key(self, id: u64) -> Bytes {
        self.under(&format!("claims/{id:016x}"))
    }

    pub fn dead_key(self, id: u64) -> Bytes {
        self.under(&format!("dead/{id:016x}"))
    }

    pub fn dedup_key(self, id: &str) -> Bytes {
        self.under(&format!("dedup/ids/{id}"))
    }

    pub fn dedup_until(self) -> KeyRange {
        KeyRange::prefix(self.under("dedup/until/"))
    }

    pub fn dedup_until_key(self, until_ms: u64, id: &str) -> Bytes {
        self.under(&format!("dedup/until/{until_ms:016x}/{id}"))
    }

    pub fn seq(self) -> Bytes {
        self.under("seq")
    }

    pub fn config(self) -> Bytes {
        self.under("config")
    }

    pub fn condition(self) -> Bytes {
        self.under("condition")
    }

    pub fn batch(self) -> Bytes {
        self.under("batch")
    }

    /// The number of the item whose key it is.
    pub fn id_of(key: &[u8]) -> Option<u64> {
        id(key)
    }

    pub fn name(self) -> &'a [u8] {
        self.0
    }

    /// When a delayed item is due; from its key.
    pub fn due(self, key: &[u8]) -> Option<u64> {
        let rest = key.strip_prefix(&self.under("delayed/")[..])?;
        hexadecimal(rest.get(..16)?)
    }

    /// The priority rank in a ready item's key.
    pub fn rank(self, key: &[u8]) -> Option<u32> {
        let rest = key.strip_prefix(&self.under("items/")[..])?;
        hexadecimal(rest.get(..4)?).map(|rank| rank as u32)
    }

    /// When an id is forgotten, and the id; from its key.
    pub fn forgotten(self, key: &[u8]) -> Option<(u64, String)> {
        let rest = key.strip_prefix(&self.under("dedup/until/")[..])?;
        let id = rest.get(17..)?;
        Some((hexadecimal(rest.get(..16)?)?, String::from_utf8_lossy(id).into_owned()))
    }
}

/// The item's number: the last part of its key, wherever it stands.
pub fn id(key: &[u8]) -> Option<u64> {
    let digits = key.rsplit(|byte| *byte == b'/').next()?;
    (digits.len() == 16).then(|| hexadecimal(digits)).flatten()
}

fn hexadecimal(digits: &[u8]) -> Option<u64> {
    u64::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}
