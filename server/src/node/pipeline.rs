//! Entries that were proposed and not yet resolved, with the state each leads to. The sequencer
//! puts them in, the applier takes them out and so need not compute anything twice; what the
//! applier finds void goes back to the sequencer.

use std::collections::VecDeque;

use parking_lot::Mutex;

use super::answer::Decided;
use crate::effect::ChainId;
use crate::machine::{Change, Rows, State};

/// A proposed entry as its proposer computed it.
pub struct Prepared {
    pub id: ChainId,
    pub prev: ChainId,
    /// The head right after this entry.
    pub state: State,
    pub changes: Vec<Change>,
    pub rows: Rows,
    pub decided: Vec<Decided>,
}

/// Shared between the sequencer's thread and the applier's; both hold it for moments.
#[derive(Default)]
pub struct Pipeline(Mutex<Entries>);

#[derive(Default)]
struct Entries {
    waiting: VecDeque<Prepared>,
    /// The last entry taken by the applier, while what it did is not visible yet.
    unpublished: Option<ChainId>,
    /// Decisions on that entry's state that came after it was taken.
    late: Vec<Decided>,
}

impl Pipeline {
    pub fn push(&self, prepared: Prepared) {
        self.0.lock().waiting.push_back(prepared);
    }

    /// Takes out the entry with this id if it follows `applied`; one that does not is void, and
    /// stays for the sequencer to take back.
    pub fn take_following(&self, id: ChainId, applied: ChainId) -> Option<Prepared> {
        let mut entries = self.0.lock();
        let follows = |entry: &Prepared| entry.id == id && entry.prev == applied;
        let at = entries.waiting.iter().position(follows)?;
        entries.unpublished = Some(id);
        entries.waiting.remove(at)
    }

    /// Takes out the entry with this id.
    pub fn take(&self, id: ChainId) -> Option<Prepared> {
        let waiting = &mut self.0.lock().waiting;
        let at = waiting.iter().position(|entry| entry.id == id)?;
        waiting.remove(at)
    }

    /// Hangs decisions that wrote nothing on the newest unresolved entry: they saw its state, so
    /// they may leave when it is visible. Gives them back when everything is.
    pub fn attach(&self, after: ChainId, decided: Vec<Decided>) -> Result<(), Vec<Decided>> {
        let mut locked = self.0.lock();
        let entries = &mut *locked;
        match entries.waiting.back_mut() {
            Some(last) if last.id == after => last.decided.extend(decided),
            None if entries.unpublished == Some(after) => entries.late.extend(decided),
            _ => return Err(decided),
        }
        Ok(())
    }

    /// What the applier took is visible now. Returns the decisions that came late, with the entry
    /// whose state they saw.
    pub fn published(&self) -> Option<(ChainId, Vec<Decided>)> {
        let mut entries = self.0.lock();
        let id = entries.unpublished.take()?;
        Some((id, std::mem::take(&mut entries.late)))
    }

    /// Takes out everything, oldest first.
    pub fn drain(&self) -> Vec<Prepared> {
        self.0.lock().waiting.drain(..).collect()
    }
}
