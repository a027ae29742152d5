//! Who is looked at when.

use tokio::sync::oneshot;

use super::Lines;
use crate::node::answer::{Call, Delivery};
use crate::node::ask::Ask;
use crate::types::LeaseId;

fn call(order: u64) -> (Call, oneshot::Receiver<Delivery>) {
    let (mut call, answer) = Call::new(Ask::KeepAlive(LeaseId(1)));
    call.order = order;
    (call, answer)
}

#[test]
fn the_next_comes_when_the_front_leaves_and_those_who_went_are_passed_over() {
    let (mut lines, line) = (Lines::default(), "q".into());
    assert!(!lines.must_wait(&line, 1));
    let (mut front, _front) = call(1);
    lines.lead("q".into(), &mut front);
    assert!(lines.must_wait(&line, 2) && !lines.must_wait(&line, 1));
    let mut answers = Vec::new();
    for order in [4, 2, 3] {
        let (call, answer) = call(order);
        lines.stand(&line, call);
        answers.push((order, answer));
    }
    assert_eq!(lines.len(), 3);
    assert!(lines.leave(&line, 3).is_none(), "it was not the front");
    answers.retain(|(order, _)| *order != 2);
    assert_eq!(lines.leave(&line, 1).map(|call| call.order), Some(3));
    assert!(lines.must_wait(&line, 5), "3 is looked at now");
    assert_eq!(lines.leave(&line, 3).map(|call| call.order), Some(4));
    assert!(lines.leave(&line, 4).is_none());
    assert!(!lines.must_wait(&line, 5));
    assert_eq!(lines.len(), 0);
}

#[test]
fn those_who_went_are_swept() {
    let mut lines = Lines::default();
    let (mut front, _front) = call(1);
    lines.lead("q".into(), &mut front);
    let (kept, _answer) = call(2);
    lines.stand(&"q".into(), kept);
    lines.stand(&"q".into(), call(3).0);
    assert!(lines.sweep().is_empty());
    assert_eq!(lines.len(), 1);
    assert_eq!(lines.drain().len(), 1);
    assert_eq!(lines.len(), 0);
}

#[test]
fn a_front_that_vanished_does_not_hold_the_line() {
    let mut lines = Lines::default();
    let (mut front, _front) = call(1);
    lines.lead("q".into(), &mut front);
    let (next, _next) = call(2);
    lines.stand(&"q".into(), next);
    assert!(lines.sweep().is_empty(), "it is still somewhere");
    drop(front);
    let ahead = lines.sweep();
    assert_eq!(ahead.iter().map(|call| call.order).collect::<Vec<_>>(), [2]);
    drop(ahead);
    assert!(lines.sweep().is_empty() && !lines.must_wait(&"q".into(), 3), "an empty line goes");
}
