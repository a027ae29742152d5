//! What a decision leaves behind.

use crate::effect::Effect;
use crate::machine::{Change, Rows, State};
use crate::view::ReadSet;

/// The effects of a decision, and what applying them to the head did.
#[derive(Default)]
pub struct Draft {
    pub effects: Vec<Effect>,
    pub changes: Vec<Change>,
    pub rows: Rows,
    /// Filled when there is one; decisions of the server's own need none.
    pub reads: Option<ReadSet>,
}

impl Draft {
    /// A draft that records what the decision reads.
    pub fn recording(head: &State) -> Self {
        Self { reads: Some(ReadSet::on(head)), ..Self::default() }
    }

    /// Applies the effect to the head and keeps it.
    pub fn emit(&mut self, head: &mut State, effect: Effect) {
        head.apply(&effect, &mut self.changes, &mut self.rows);
        self.effects.push(effect);
    }
}
