//! Bringing the state back from what a store holds.

use bytes::Bytes;

use super::rows::{POSITION, Position, SPACE};
use super::{Change, Rows, State, What};
use crate::effect::{CodecError, Effect, decode_effects};
use crate::mvcc::History;
use crate::types::Revision;

/// Changes handed to the history at a time.
const CHUNK: usize = 1024;

/// The store's content is not what a state leaves behind.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    #[error("the position row is damaged or newer than this program")]
    Position,
    #[error("a system row is damaged: {0}")]
    Row(#[from] CodecError),
    #[error(
        "the records' digest is {actual:x}, the position's is {expected:x}: the store is damaged"
    )]
    Digest { expected: u64, actual: u64 },
}

/// Rebuilds state and history. `rows` are those of the system space in any order, foreign ones
/// included; `records` come in order of revision, and those above the position are left out (they
/// belong to entries that are replayed from the log).
pub fn load(
    rows: impl IntoIterator<Item = (Bytes, Bytes)>,
    records: impl IntoIterator<Item = (Revision, What)>,
) -> Result<(State, History), LoadError> {
    let mut state = State::default();
    let (mut position, mut unwritten) = (None, Rows::new());
    for (key, value) in rows {
        if &key[..] == POSITION {
            position = Some(Position::decode(&value).ok_or(LoadError::Position)?);
        } else if key.starts_with(SPACE) {
            for effect in decode_effects(&value)? {
                state.apply(&effect, &mut Vec::new(), &mut unwritten);
            }
        }
    }
    let Some(position) = position else {
        return Ok((State::default(), History::default()));
    };
    let history = replay(&mut state, position.revision, records);
    state.set_position(&position);
    if state.digest != position.digest {
        let (expected, actual) = (position.digest, state.digest);
        return Err(LoadError::Digest { expected, actual });
    }
    Ok((state, history))
}

fn replay(
    state: &mut State,
    up_to: i64,
    records: impl IntoIterator<Item = (Revision, What)>,
) -> History {
    let history = History::default();
    let (mut changes, mut no_rows): (Vec<Change>, _) = (Vec::with_capacity(CHUNK), Rows::new());
    for (at, what) in records {
        if at.main > up_to {
            break;
        }
        let effect = match what {
            What::Put(item) => Effect::Put(item),
            What::Delete { key } => Effect::Delete { key, at },
        };
        // A delete whose put is forgotten already changes nothing, but is forgotten in its turn.
        if let Effect::Delete { key, .. } = &effect
            && state.get(key).is_none()
        {
            history.note_tombstone(at);
            continue;
        }
        state.apply(&effect, &mut changes, &mut no_rows);
        if changes.len() == CHUNK {
            history.extend(&changes);
            changes.clear();
        }
    }
    history.extend(&changes);
    history
}
