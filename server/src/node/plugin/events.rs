//! Batches of events for a trigger, as its duty on the leader hands them to the lane, and what
//! becomes of them.

use std::ops::RangeInclusive;

use crate::effect::BindingId;
use crate::machine::Change;



use crate::node::handle::Node;

/// Events of whole revisions, in order. Handling it moves the cursor from `from` to `to` in the
/// same entry as what the trigger writes.
#[derive(Clone, Debug)]
pub struct TriggerBatch {
    pub binding: BindingId,
    /// Where the cursor is.
    pub from: i64,
    /// Where it will be.
    pub to: i64,
    /// Revisions whose events are compacted and cannot be told any more.
    pub missed: Option<RangeInclusive<i64>>,
    pub events: Vec<Change>,
    /// [`crate::effect::Author::depth`] of what the trigger writes in answer.
    pub depth: u8,
    /// The plugins that led to its events, the first one first.
    pub via: Vec<String>,
}

/// What became of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Handled {
    Done { revision: i64 },
    Failed(String),
    Stale,
    NotExecuted,
    Unknown,
}

impl Node {
    pub(in crate::node) async fn handle_events(&self, _batch: TriggerBatch) -> Handled {
        Handled::NotExecuted
    }
}
