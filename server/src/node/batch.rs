//! One entry in the making: the decisions taken since the last proposal, their effects encoded
//! one after the other.

use super::answer::Decided;
use super::pipeline::Prepared;
use crate::decide::Draft;
use crate::effect::{ChainId, encode_around, encode_effect};
use crate::limits::{ENTRY_BYTES_MAX, ENTRY_DECISIONS_MAX};
use crate::machine::{Change, Rows, State};
use bytes::Bytes;

/// Collects decisions until it is full or nothing more has arrived.
#[derive(Default)]
pub struct Batch {
    effects: Vec<u8>,
    changes: Vec<Change>,
    rows: Rows,
    decided: Vec<Decided>,
}

impl Batch {
    /// Takes over what a decision drafted; the head has already taken the same effects.
    pub fn add(&mut self, draft: &mut Draft, decided: Decided) {
        for effect in &draft.effects {
            encode_effect(effect, &mut self.effects);
        }
        self.changes.append(&mut draft.changes);
        self.rows.append(&mut draft.rows);
        draft.effects.clear();
        self.decided.push(decided);
    }

    /// No decision was taken.
    pub fn is_empty(&self) -> bool {
        self.decided.is_empty()
    }

    /// Some decision changes something, so an entry is due.
    pub fn has_effects(&self) -> bool {
        !self.effects.is_empty()
    }

    pub fn is_full(&self) -> bool {
        self.effects.len() >= ENTRY_BYTES_MAX || self.decided.len() >= ENTRY_DECISIONS_MAX
    }

    /// The decisions of a batch without effects.
    pub fn into_decided(self) -> Vec<Decided> {
        self.decided
    }

    /// Closes the batch: extends the head's chain by one and returns the entry's bytes and what
    /// the applier needs to apply it without computing it again.
    pub fn seal(self, head: &mut State, term: u64, epoch: u64) -> (Bytes, Prepared) {
        let prev = head.chain;
        let id: ChainId = prev.next(term, epoch, &self.effects);
        let bytes = encode_around(id, prev, head.digest, &self.effects);
        head.chain = id;
        let prepared = Prepared {
            id,
            prev,
            state: head.clone(),
            changes: self.changes,
            rows: self.rows,
            decided: self.decided,
        };
        (bytes, prepared)
    }
}
