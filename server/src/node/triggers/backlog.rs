//! Events that were read and not yet handed on: whole revisions, cut into batches.

use std::collections::VecDeque;
use std::ops::RangeInclusive;

use crate::limits::{CASCADE_DEPTH_MAX, TRIGGER_BATCH_BYTES, TRIGGER_BATCH_EVENTS};
use crate::machine::{Change, What};

/// Events of one prefix, as they were read from the history.
#[derive(Debug, Default)]
pub struct Stretch {
    /// In order; revisions without events of the prefix are left out.
    pub revisions: VecDeque<(i64, Vec<Change>)>,
    /// There are no others up to this revision.
    pub up_to: i64,
    /// Revisions before them whose events compaction may have taken.
    pub missed: Option<RangeInclusive<i64>>,
    /// Nothing more was applied when it was read.
    pub whole: bool,
}

/// The next thing to do with a stretch.
#[derive(Debug, PartialEq)]
pub enum Cut {
    Batch(Batch),
    /// The next events come from a cascade of triggers that is too deep.
    TooDeep {
        /// Their revision.
        at: i64,
        /// The plugins of the cascade, the first one first.
        chain: Vec<String>,
    },
}

/// Events to hand on together.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    /// Everything up to this revision is in it, or has no events.
    pub to: i64,
    /// The revision of its first event, or the last one missed.
    pub first: i64,
    pub missed: Option<RangeInclusive<i64>>,
    pub events: Vec<Change>,
    /// The depth of what the trigger writes in answer.
    pub depth: u8,
    /// The plugins that led to the deepest of its events, the first one first.
    pub via: Vec<String>,
}

impl Stretch {
    /// Takes the next batch of at most `appetite` events, or of one revision where that has more.
    /// `None` when nothing is left to tell.
    pub fn cut(&mut self, appetite: usize) -> Option<Cut> {
        let missed = self.missed.take();
        let told = missed.as_ref().map(|missed| *missed.end());
        let mut batch =
            Batch { to: 0, first: 0, missed, events: Vec::new(), depth: 1, via: Vec::new() };
        let (mut bytes, mut last) = (0, told);
        while let Some((at, events)) = self.revisions.front() {
            let more: usize = events.iter().map(size_bytes).sum();
            let count = batch.events.len() + events.len();
            let fits =
                count <= appetite.min(TRIGGER_BATCH_EVENTS) && bytes + more <= TRIGGER_BATCH_BYTES;
            if !batch.events.is_empty() && !fits {
                break;
            }
            let (depth, deepest) = depth(events);
            if depth > CASCADE_DEPTH_MAX {
                if last.is_none() {
                    let (at, chain) = (*at, chain(deepest));
                    return Some(Cut::TooDeep { at, chain });
                }
                break;
            }
            if depth > batch.depth {
                (batch.depth, batch.via) = (depth, chain(deepest));
            }
            bytes += more;
            last = Some(*at);
            batch.events.extend(self.revisions.pop_front().into_iter().flat_map(|(_, all)| all));
        }
        let last = last?;
        batch.first = batch.events.first().map_or(last, |event| event.at.main);
        batch.to = if self.revisions.is_empty() { self.up_to } else { last };
        Some(Cut::Batch(batch))
    }
}

/// The depth of a trigger's answer to these events, and the event it comes from.
fn depth(events: &[Change]) -> (u8, Option<&Change>) {
    let depth_of = |event: &Change| event.author.as_ref().map_or(0, |author| author.depth);
    let deepest = events.iter().max_by_key(|event| depth_of(event));
    (deepest.map_or(0, depth_of).saturating_add(1), deepest)
}

/// The plugins that led to an event, its author last.
fn chain(event: Option<&Change>) -> Vec<String> {
    let author = event.and_then(|event| event.author.as_ref());
    author.map_or_else(Vec::new, |author| {
        author.via.iter().chain([&author.plugin]).cloned().collect()
    })
}

fn size_bytes(event: &Change) -> usize {
    let new = match &event.what {
        What::Put(item) => item.size_bytes(),
        What::Delete { key } => key.len(),
    };
    new + event.prev.as_ref().map_or(0, |item| item.size_bytes())
}

#[cfg(test)]
#[path = "backlog_test.rs"]
mod tests;
