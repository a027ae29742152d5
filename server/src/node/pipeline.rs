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
pub struct Pipeline {
    entries: Mutex<VecDeque<Prepared>>,
}

impl Pipeline {
    pub fn push(&self, prepared: Prepared) {
        self.entries.lock().push_back(prepared);
    }

    /// Takes out the entry with this id if it follows `applied`; one that does not is void, and
    /// stays for the sequencer to take back.
    pub fn take_following(&self, id: ChainId, applied: ChainId) -> Option<Prepared> {
        let mut entries = self.entries.lock();
        let at = entries.iter().position(|entry| entry.id == id && entry.prev == applied)?;
        entries.remove(at)
    }

    /// Takes out the entry with this id.
    pub fn take(&self, id: ChainId) -> Option<Prepared> {
        let mut entries = self.entries.lock();
        let at = entries.iter().position(|entry| entry.id == id)?;
        entries.remove(at)
    }

    /// Hangs decisions that wrote nothing on the newest unresolved entry: they saw its state, so
    /// they may leave when it is applied. Gives them back when there is none.
    pub fn attach(&self, after: ChainId, decided: Vec<Decided>) -> Result<(), Vec<Decided>> {
        let mut entries = self.entries.lock();
        match entries.back_mut() {
            Some(last) if last.id == after => {
                last.decided.extend(decided);
                Ok(())
            }
            _ => Err(decided),
        }
    }

    /// Takes out everything, oldest first.
    pub fn drain(&self) -> Vec<Prepared> {
        self.entries.lock().drain(..).collect()
    }
}
