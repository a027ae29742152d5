//! What the frames of a log amount to, beginning at the oldest segment there is.

use std::collections::VecDeque;

use bytes::Bytes;

use super::Position;
use super::frame::{Frame, Kind};
use super::header::Checkpoint;
use super::index::Slot;

/// The state of the log after the frames replayed so far. Entries of segments removed before are
/// known only by the checkpoint; a truncation may reach below them.
pub struct Replay {
    pub checkpoint: Checkpoint,
    /// Index of the first slot.
    pub first: u64,
    pub slots: VecDeque<Slot>,
    /// Index at which an empty log began, if it was seen to.
    begun: u64,
}

impl Replay {
    pub fn new(checkpoint: Checkpoint) -> Self {
        Self { first: checkpoint.next_index(), checkpoint, slots: VecDeque::new(), begun: 0 }
    }

    /// Takes the frame at `offset` of the segment; `Err` says why it cannot stand there.
    pub fn apply(&mut self, frame: &Frame, segment: u64, offset: u64) -> Result<(), &'static str> {
        let position = Position { term: frame.term, index: frame.index };
        match frame.kind {
            Kind::Entry => {
                if self.checkpoint.last.is_none() {
                    (self.first, self.begun) = (frame.index, frame.index);
                } else if frame.index != self.checkpoint.next_index() {
                    return Err("an entry does not follow the one before");
                }
                let bytes = frame.payload.len();
                self.slots.push_back(Slot::written(frame.term, segment, offset, bytes));
                self.checkpoint.last = Some(position);
            }
            Kind::Vote => self.checkpoint.vote = Some(Bytes::copy_from_slice(frame.payload)),
            Kind::Committed => self.checkpoint.committed = Some(position),
            Kind::Truncate => self.truncate(frame.index, frame.term)?,
            Kind::Purge => self.purge(position),
            Kind::Mark => {}
        }
        Ok(())
    }

    fn truncate(&mut self, next: u64, term: u64) -> Result<(), &'static str> {
        if next > self.checkpoint.next_index() {
            return Err("a truncation beyond the last entry");
        }
        self.checkpoint.last = next.checked_sub(1).map(|index| Position { term, index });
        self.slots.truncate(next.saturating_sub(self.first) as usize);
        self.first = self.first.min(next);
        Ok(())
    }

    fn purge(&mut self, upto: Position) {
        self.checkpoint.purged = Some(upto);
        if upto.index >= self.checkpoint.next_index() {
            self.checkpoint.last = Some(upto);
        }
        while self.first <= upto.index && self.slots.pop_front().is_some() {
            self.first += 1;
        }
        if self.slots.is_empty() && self.first <= upto.index {
            self.first = self.checkpoint.next_index();
        }
    }

    /// Whether every entry the log should hold was seen.
    pub fn is_complete(&self) -> bool {
        let first_kept = self.checkpoint.purged.map_or(0, |purged| purged.index + 1);
        self.first <= first_kept.max(self.begun) || self.checkpoint.next_index() == first_kept
    }
}
