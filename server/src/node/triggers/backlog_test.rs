//! Batches: whole revisions, bounded, and never across a cascade that is too deep.

use triomphe::Arc;

use super::{Batch, Cut, Stretch};
use crate::effect::Author;
use crate::limits::{CASCADE_DEPTH_MAX, TRIGGER_BATCH_BYTES, TRIGGER_BATCH_EVENTS};
use crate::machine::{Change, What};
use crate::types::{Item, LeaseId, Revision};

fn events(main: i64, count: u32, value: usize, depth: u8) -> (i64, Vec<Change>) {
    let change = |sub| {
        let at = Revision::new(main, sub);
        let item = Item::new(b"k", &vec![0; value], main, at, 1, LeaseId::NONE);
        let via = (1..depth).map(|n| format!("p{n}")).collect();
        let author = Author { plugin: format!("p{depth}"), depth, via, ..Author::default() };
        let author = (depth > 0).then(|| Arc::new(author));
        Change { at, what: What::Put(item), prev: None, author }
    };
    (main, (0..count).map(change).collect())
}

fn stretch(revisions: impl IntoIterator<Item = (i64, Vec<Change>)>, up_to: i64) -> Stretch {
    let revisions = revisions.into_iter().collect();
    Stretch { revisions, up_to, missed: None, whole: true }
}

fn batch(cut: Option<Cut>) -> Batch {
    match cut {
        Some(Cut::Batch(batch)) => batch,
        other => panic!("not a batch: {other:?}"),
    }
}

fn shape(batch: &Batch) -> (i64, i64, usize) {
    (batch.first, batch.to, batch.events.len())
}

#[test]
fn a_batch_is_of_whole_revisions_and_the_last_one_reaches_to_the_end() {
    let mut all = stretch([events(3, 2, 1, 0), events(5, 2, 1, 0), events(9, 1, 1, 0)], 12);
    assert_eq!(shape(&batch(all.cut(3))), (3, 3, 2));
    assert_eq!(shape(&batch(all.cut(3))), (5, 12, 3));
    assert_eq!(all.cut(3), None);
    assert_eq!(stretch([], 12).cut(3), None, "nothing to tell is no batch");
}

#[test]
fn events_and_bytes_are_bounded_but_one_revision_always_goes() {
    let max = TRIGGER_BATCH_EVENTS as u32;
    let mut all = stretch([events(3, max + 5, 1, 0), events(4, max, 1, 0), events(5, 1, 1, 0)], 5);
    let sizes = [(3, 3, max as usize + 5), (4, 4, max as usize), (5, 5, 1)];
    assert_eq!([(); 3].map(|()| shape(&batch(all.cut(usize::MAX)))), sizes);
    let half = TRIGGER_BATCH_BYTES / 2;
    let mut all = stretch([3, 4, 5].map(|main| events(main, 1, half, 0)), 5);
    assert_eq!([(); 3].map(|()| shape(&batch(all.cut(9)))), [(3, 3, 1), (4, 4, 1), (5, 5, 1)]);
}

#[test]
fn what_was_missed_is_told_with_the_next_events_or_alone() {
    let mut all = Stretch { missed: Some(2..=7), ..stretch([events(8, 1, 1, 0)], 9) };
    let told = batch(all.cut(9));
    assert_eq!((told.missed.clone(), shape(&told)), (Some(2..=7), (8, 9, 1)));
    let mut none = Stretch { missed: Some(2..=7), ..stretch([], 9) };
    let told = batch(none.cut(9));
    assert_eq!((told.missed.clone(), shape(&told)), (Some(2..=7), (7, 9, 0)));
    assert_eq!(none.cut(9), None);
}

#[test]
fn a_batch_answers_one_deeper_than_its_deepest_event() {
    let mut all = stretch([events(3, 1, 1, 0), events(4, 1, 1, 2), events(5, 1, 1, 1)], 5);
    let one = batch(all.cut(9));
    assert_eq!((one.depth, one.via), (3, vec!["p1".to_owned(), "p2".to_owned()]));
}

#[test]
fn a_cascade_that_is_too_deep_is_named_once_all_before_it_is_handed_on() {
    let deep = CASCADE_DEPTH_MAX;
    let mut all = stretch([events(3, 1, 1, 0), events(4, 1, 1, deep), events(5, 1, 1, 0)], 5);
    assert_eq!(shape(&batch(all.cut(9))), (3, 3, 1));
    let Some(Cut::TooDeep { at, chain }) = all.cut(9) else { panic!("it is too deep") };
    let names: Vec<_> = (1..=deep).map(|n| format!("p{n}")).collect();
    assert_eq!((at, chain), (4, names));
}
