//! Blind application of an entry, the same on every member.

use super::{Change, Rows, State};
use crate::effect::{ChainId, Entry};

/// What became of an entry.
#[derive(Debug)]
pub enum Applied {
    /// It was applied; `rows` do not hold the position, see [`super::position_rows`].
    Done { changes: Vec<Change>, rows: Rows },
    /// Its predecessor is not the last entry applied here, so it is applied nowhere. The state is
    /// untouched.
    Void,
}

/// After the entry this member's keys differ from the leader's: it must stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("digest after entry {entry} is {actual:x}, not {expected:x}")]
pub struct Diverged {
    pub entry: ChainId,
    pub expected: u64,
    pub actual: u64,
}

/// Applies an entry to the state.
pub fn apply(state: &mut State, entry: &Entry) -> Result<Applied, Diverged> {
    if entry.prev != state.chain {
        return Ok(Applied::Void);
    }
    let (mut changes, mut rows) = (Vec::with_capacity(entry.effects.len()), Rows::new());
    for effect in &entry.effects {
        state.apply(effect, &mut changes, &mut rows);
    }
    state.chain = entry.id;
    if state.digest != entry.digest {
        let (expected, actual) = (entry.digest, state.digest);
        return Err(Diverged { entry: entry.id, expected, actual });
    }
    Ok(Applied::Done { changes, rows })
}
