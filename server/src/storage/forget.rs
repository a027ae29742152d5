//! Revisions to be forgotten. Erasing one is only safe when no restart can come back to a point
//! where it still counted, so a list waits until a checkpoint covers the entry it came with; the
//! list itself is part of that checkpoint, so that a crash half-way through is made up for.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};

use super::engine::Rows;
use super::row_key;
use crate::types::Revision;

/// Revisions in one list: one row, and one portion of erasing between two batches of writes.
const LIST_MAX: usize = 4096;

/// What is still to be erased, in order.
#[derive(Default)]
pub struct Forgets {
    /// Not yet covered by a checkpoint.
    waiting: VecDeque<List>,
    ready: VecDeque<List>,
    next: u64,
}

/// Revisions that one row names.
#[derive(Clone)]
pub struct List {
    number: u64,
    pub revisions: Arc<[Revision]>,
}

impl Forgets {
    /// Takes up what a checkpoint had left to do: pairs of number and encoded list.
    pub fn resume(stored: Vec<(u64, Bytes)>) -> Option<Self> {
        let mut ready = VecDeque::new();
        for (number, bytes) in stored {
            ready.push_back(List { number, revisions: decode(&bytes)?.into() });
        }
        let next = ready.back().map_or(0, |list: &List| list.number + 1);
        Some(Self { waiting: VecDeque::new(), ready, next })
    }

    /// Notes what to forget, in rows for the next checkpoint.
    pub fn defer(&mut self, revisions: &[Revision], rows: &mut Rows) {
        for part in revisions.chunks(LIST_MAX) {
            rows.insert(row_key::forget(self.next), Some(encode(part)));
            self.waiting.push_back(List { number: self.next, revisions: part.into() });
            self.next += 1;
        }
    }

    /// A checkpoint covers everything deferred so far.
    pub fn release(&mut self) {
        self.ready.append(&mut self.waiting);
    }

    /// The next list that may be erased; it stays until [`Forgets::erased`].
    pub fn portion(&self) -> Option<List> {
        self.ready.front().cloned()
    }

    /// The list of the last portion is gone; its row goes with the next checkpoint.
    pub fn erased(&mut self, rows: &mut Rows) {
        if let Some(list) = self.ready.pop_front() {
            rows.insert(row_key::forget(list.number), None);
        }
    }

    pub fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// All revisions that no longer count although they may be stored.
    pub fn hidden(&self) -> HashSet<Revision> {
        let lists = self.waiting.iter().chain(&self.ready);
        lists.flat_map(|list| list.revisions.iter().copied()).collect()
    }
}

fn encode(revisions: &[Revision]) -> Bytes {
    let mut out = BytesMut::with_capacity(revisions.len() * 12);
    revisions.iter().for_each(|revision| out.put_slice(&revision.to_bytes()));
    out.freeze()
}

fn decode(bytes: &[u8]) -> Option<Vec<Revision>> {
    bytes.chunks(12).map(Revision::from_bytes).collect()
}

#[cfg(test)]
mod tests {
    use super::{Bytes, Forgets, LIST_MAX, Revision, Rows, row_key};

    fn revisions(count: i64) -> Vec<Revision> {
        (1..=count).map(|main| Revision::new(main, 0)).collect()
    }

    #[test]
    fn nothing_is_erased_before_a_checkpoint_covers_it() {
        let (mut forgets, mut rows) = (Forgets::default(), Rows::new());
        forgets.defer(&revisions(3), &mut rows);
        assert!(forgets.portion().is_none() && forgets.is_waiting());
        assert_eq!(forgets.hidden().len(), 3);
        forgets.release();
        assert_eq!(forgets.portion().expect("ready").revisions.len(), 3);
        forgets.erased(&mut rows);
        assert!(forgets.portion().is_none() && forgets.hidden().is_empty());
        assert_eq!(rows.get(&row_key::forget(0)), Some(&None), "the row goes too");
    }

    #[test]
    fn lists_come_back_from_their_rows_in_order() {
        let (mut forgets, mut rows) = (Forgets::default(), Rows::new());
        let all = revisions(LIST_MAX as i64 + 10);
        forgets.defer(&all, &mut rows);
        let stored = rows.into_iter().map(|(key, value)| {
            (row_key::as_forget(&key).expect("a list"), value.expect("written"))
        });
        let mut back = Forgets::resume(stored.collect()).expect("well formed");
        let mut read = Vec::new();
        let mut rows = Rows::new();
        while let Some(list) = back.portion() {
            read.extend_from_slice(&list.revisions);
            back.erased(&mut rows);
        }
        assert_eq!(read, all);
        back.defer(&all[..1], &mut rows);
        assert!(rows.contains_key(&row_key::forget(2)), "numbers are not used again");
        assert!(Forgets::resume(vec![(0, Bytes::from_static(b"short"))]).is_none());
    }
}
