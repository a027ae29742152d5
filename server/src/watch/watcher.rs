//! One watcher of a session: what it wants, how far it has come, what is gathered for it.

use std::collections::VecDeque;

use super::batch::{Batch, Full};
use super::board::Query;
use super::event::Committed;
use super::index::Wants;
use super::message::Response;
use crate::types::KeyRange;

/// Who serves a watcher next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// The publisher, from this revision on.
    Live { from: i64 },
    /// The session, which must find what there is from this revision on.
    Behind { next: i64 },
}

#[derive(Debug)]
pub(super) struct Watcher {
    pub(super) id: i64,
    pub(super) range: KeyRange,
    pub(super) wants: Wants,
    pub(super) fragment: bool,
    pub(super) progress_notify: bool,
    /// No events since the last turn of the progress timer.
    pub(super) idle: bool,
    pub(super) place: Place,
    batch: Batch,
}

impl Watcher {
    pub(super) fn new(id: i64, range: KeyRange, wants: Wants, place: Place) -> Self {
        Self {
            id,
            range,
            wants,
            fragment: false,
            progress_notify: false,
            idle: true,
            place,
            batch: Batch::default(),
        }
    }

    /// From where the watcher must be brought up when the publisher stopped before `next`. A
    /// watch on the future keeps its start.
    pub(super) fn resume(&self, next: i64) -> i64 {
        match self.place {
            Place::Live { from } => from.max(next),
            Place::Behind { next: own } => own.max(next),
        }
    }

    pub(super) fn query(&self, slot: u64) -> Option<Query<'_>> {
        match self.place {
            Place::Live { .. } => None,
            Place::Behind { next } => {
                Some(Query { slot, next, range: &self.range, wants: self.wants })
            }
        }
    }

    /// True when everything up to `applied` was handed over, and nothing above it is excluded by
    /// the watch's start: a client may then resume behind `applied`.
    pub(super) fn synced_at(&self, applied: i64) -> bool {
        matches!(self.place, Place::Live { from } if from <= applied + 1)
    }

    /// Adds an event; true when it is the first that waits for [`Watcher::finish`].
    pub(super) fn push(
        &mut self,
        revision: i64,
        event: bytes::Bytes,
        bytes_max: usize,
        ready: &mut VecDeque<Response>,
    ) -> bool {
        let first = self.batch.is_empty();
        if let Some(full) = self.batch.push(revision, event, bytes_max) {
            self.emit(full, bytes_max, ready);
        }
        first
    }

    /// Takes from a chunk what it wants and does not have yet. What a key held before the
    /// `compacted` revision is not told, wherever the chunk comes from.
    pub(super) fn take_from(
        &mut self,
        chunk: &[std::sync::Arc<Committed>],
        compacted: i64,
        bytes_max: usize,
        ready: &mut VecDeque<Response>,
    ) {
        let Place::Behind { next } = self.place else { return };
        let start = chunk.partition_point(|committed| committed.revision() < next);
        for committed in &chunk[start..] {
            let revision = committed.revision();
            let with_prev = self.wants.prev_kv && revision > compacted;
            for event in committed.events() {
                if self.wants.admits(event) && self.range.contains(event.key()) {
                    let encoded = event.encoded(revision, with_prev).clone();
                    self.push(revision, encoded, bytes_max, ready);
                }
            }
        }
        self.finish(bytes_max, ready);
    }

    /// Turns what is gathered into answers.
    pub(super) fn finish(&mut self, bytes_max: usize, ready: &mut VecDeque<Response>) {
        if let Some(full) = self.batch.take() {
            self.emit(full, bytes_max, ready);
        }
    }

    fn emit(&mut self, full: Full, bytes_max: usize, ready: &mut VecDeque<Response>) {
        self.idle = false;
        if self.fragment {
            ready.extend(full.fragments(self.id, bytes_max));
        } else {
            ready.push_back(full.whole(self.id));
        }
    }
}
