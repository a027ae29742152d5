//! Batches of events for a trigger, as its duty on the leader hands them to the lane, and what
//! becomes of them.

use std::ops::RangeInclusive;

use crate::effect::BindingId;
use crate::machine::Change;
use crate::node::answer::{Bounce, Executed};
use crate::node::ask::{Ask, Said};
use crate::node::error::Failure;
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
    /// [`crate::effect::Author::via`] of it.
    pub via: Vec<String>,
}

/// What became of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Handled {
    /// Its writes and the cursor are applied on this member, as of this revision.
    Done { revision: i64 },
    /// The plugin failed, by its own word or by a breach of its limits; nothing was written.
    Failed(String),
    /// The cursor is elsewhere, the trigger paused or disabled, or the binding gone. Nothing was
    /// written; read the state again.
    Stale,
    /// This member does not lead, or its queue is full; nothing was written.
    NotExecuted,
    /// Leadership was lost meanwhile: whoever leads next reads the cursor and knows.
    Unknown,
}

impl Node {
    /// Has the lane handle a batch. One batch of a binding at a time: the next one begins where
    /// this one has put the cursor.
    pub(in crate::node) async fn handle_events(&self, batch: TriggerBatch) -> Handled {
        match self.ask_here(Ask::Handle(Box::new(batch))).await {
            Ok(Executed { result: Ok(Said::Handled(handled)), index }) => {
                self.shared.applied.reached(index).await;
                handled
            }
            Ok(Executed { result: Ok(other), .. }) => {
                tracing::error!(?other, "a trigger got an answer of another kind");
                Handled::Unknown
            }
            Ok(Executed { result: Err(refusal), .. }) => Handled::Failed(refusal.to_string()),
            Err(Bounce::NotExecuted(_, Failure::Stopped)) => Handled::Unknown,
            Err(Bounce::NotExecuted(..)) => Handled::NotExecuted,
            Err(Bounce::Unknown(_)) => Handled::Unknown,
        }
    }
}
