//! What the log holds, as readers see it: where each entry lies, the last payloads in memory, and
//! the vote and marks as last set. Changed by callers at once, before the disk has it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;

use super::header::Checkpoint;
use super::segment::Segment;
use super::{Entry, Position};

/// Where an entry lies. Kept small: there is one for every entry in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot {
    pub term: u64,
    /// Number of its segment; of its ticket while it is not written.
    at: u64,
    /// Offset of its frame in the segment; 0, where no frame can be, while it is not written.
    offset: u32,
    pub payload_bytes: u32,
}

impl Slot {
    pub fn queued(term: u64, ticket: u64, payload_bytes: usize) -> Self {
        Self { term, at: ticket, offset: 0, payload_bytes: payload_bytes as u32 }
    }

    pub fn written(term: u64, segment: u64, offset: u64, payload_bytes: usize) -> Self {
        Self { term, at: segment, offset: offset as u32, payload_bytes: payload_bytes as u32 }
    }

    /// Its segment and offset, once it is written.
    pub fn place(&self) -> Option<(u64, u64)> {
        (self.offset != 0).then_some((self.at, u64::from(self.offset)))
    }
}

/// An entry has reached its place. The ticket tells it from another of the same index.
pub struct Placed {
    pub index: u64,
    pub ticket: u64,
    pub segment: u64,
    pub offset: u64,
}

/// The payload and tag of an entry, in memory.
pub type Cached = (u8, Bytes);

pub struct Index {
    /// Index of the first slot.
    pub first: u64,
    pub slots: VecDeque<Slot>,
    /// Of the last entries, as many as fit.
    ring: VecDeque<Cached>,
    ring_bytes: usize,
    ring_bytes_max: usize,
    next_ticket: u64,
    pub checkpoint: Checkpoint,
    pub segments: BTreeMap<u64, Arc<Segment>>,
}

impl Index {
    pub fn new(
        first: u64,
        slots: VecDeque<Slot>,
        checkpoint: Checkpoint,
        segments: &[Arc<Segment>],
        ring_bytes_max: usize,
    ) -> Self {
        let segments = segments.iter().map(|segment| (segment.number, segment.clone())).collect();
        let (ring, ring_bytes, next_ticket) = (VecDeque::new(), 0, 0);
        Self { first, slots, ring, ring_bytes, ring_bytes_max, next_ticket, checkpoint, segments }
    }

    pub fn next_index(&self) -> u64 {
        self.first + self.slots.len() as u64
    }

    /// Adds an entry, which must follow the last; answers its ticket. The first entry of all may
    /// have any index.
    pub fn append(&mut self, entry: &Entry) -> u64 {
        if self.checkpoint.last.is_none() {
            self.first = entry.index;
        }
        assert_eq!(entry.index, self.next_index(), "the caller checked that entries are gapless");
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        self.slots.push_back(Slot::queued(entry.term, ticket, entry.payload.len()));
        self.ring_bytes += entry.payload.len();
        self.ring.push_back((entry.tag, entry.payload.clone()));
        self.checkpoint.last = Some(entry.position());
        ticket
    }

    /// Drops the entries from `next` on; answers the position that is then the last.
    pub fn truncate(&mut self, next: u64) -> Option<Position> {
        while self.next_index() > next.max(self.first) {
            self.slots.pop_back();
            if let Some((_, payload)) = self.ring.pop_back() {
                self.ring_bytes -= payload.len();
            }
        }
        self.checkpoint.last = match self.slots.back() {
            Some(slot) => Some(Position { term: slot.term, index: self.next_index() - 1 }),
            None => self.checkpoint.purged,
        };
        self.checkpoint.last
    }

    /// Drops the entries up to `upto`, which may lie beyond the last.
    pub fn purge(&mut self, upto: Position) {
        while self.first <= upto.index && self.slots.pop_front().is_some() {
            self.first += 1;
        }
        while self.ring.len() > self.slots.len() {
            let (_, payload) = self.ring.pop_front().expect("it is longer than something");
            self.ring_bytes -= payload.len();
        }
        self.checkpoint.purged = Some(upto);
        if self.slots.is_empty() {
            self.first = upto.index + 1;
            self.checkpoint.last = Some(upto);
        }
    }

    pub fn place(&mut self, placed: &Placed) {
        let Some(slot) = placed.index.checked_sub(self.first) else { return };
        if let Some(slot) = self.slots.get_mut(slot as usize)
            && slot.offset == 0
            && slot.at == placed.ticket
        {
            slot.at = placed.segment;
            slot.offset = placed.offset as u32;
        }
    }

    /// Forgets payloads beyond the bound, oldest first, but none that is not written.
    pub fn evict(&mut self) {
        while self.ring_bytes > self.ring_bytes_max {
            let oldest = self.slots.len() - self.ring.len();
            if self.slots[oldest].place().is_none() {
                return;
            }
            let (_, payload) = self.ring.pop_front().expect("its bytes are counted");
            self.ring_bytes -= payload.len();
        }
    }

    /// The payload of the entry in this slot, if it is in memory.
    pub fn cached(&self, slot: usize) -> Option<&Cached> {
        let uncached = self.slots.len() - self.ring.len();
        slot.checked_sub(uncached).map(|at| &self.ring[at])
    }

    /// Takes the oldest segments that hold nothing any more, never the newest.
    pub fn take_behind(&mut self, purged: Option<Position>) -> Vec<Arc<Segment>> {
        let mut taken = Vec::new();
        let Some(purged) = purged else { return taken };
        while self.segments.len() > 1
            && let Some(oldest) = self.segments.first_entry()
            && oldest.get().is_behind(purged.index)
        {
            taken.push(oldest.remove());
        }
        taken
    }
}
