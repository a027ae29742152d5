//! Order, grouping, the bound, and what is served while it waits.

use std::sync::Arc;
use std::time::Duration;

use super::{Batch, Queue, Record, Stop, Work};
use crate::storage::Body;
use crate::types::{Item, LeaseId, Revision};

fn batch(index: u64) -> Batch {
    let at = Revision::new(index as i64, 0);
    let item = Item::new(b"k", &[7; 100], at.main, at, 1, LeaseId::NONE);
    Batch { index, records: vec![(at, Record::new(Body::Put(item)))], ..Batch::default() }
}

fn take(queue: &Queue, group: usize) -> Vec<Batch> {
    match queue.next(Duration::ZERO, group) {
        Work::Batches(batches) => batches,
        _ => panic!("batches wait"),
    }
}

#[test]
fn batches_come_in_order_and_are_served_until_written() {
    let queue = Queue::new(1 << 20);
    (1..=5).for_each(|index| queue.push(batch(index)).expect("room"));
    let one = batch(1).bytes();
    let first = take(&queue, one * 3);
    assert_eq!(first.iter().map(|b| b.index).collect::<Vec<_>>(), [1, 2, 3]);
    assert!(queue.record(Revision::new(2, 0)).is_some(), "taken is not written");
    queue.written(&first);
    assert!(queue.record(Revision::new(2, 0)).is_none());
    assert_eq!(queue.pending_bytes(), 2 * one);
    let left = queue.records(Revision::new(0, 0), Revision::new(5, 0), 10);
    assert_eq!(left.into_keys().map(|at| at.main).collect::<Vec<_>>(), [4]);
}

#[test]
fn a_full_queue_holds_the_caller_until_there_is_room() {
    let queue = Arc::new(Queue::new(1));
    queue.push(batch(1)).expect("the first always fits");
    let pusher = std::thread::spawn({
        let queue = queue.clone();
        move || queue.push(batch(2))
    });
    let first = take(&queue, 1);
    assert!(matches!(queue.next(Duration::ZERO, 1), Work::Nothing), "the second must wait");
    queue.written(&first);
    pusher.join().expect("no panic").expect("taken");
    assert_eq!(take(&queue, 1)[0].index, 2);
}

#[test]
fn the_end_frees_whoever_waits_and_keeps_serving() {
    let queue = Arc::new(Queue::new(1));
    queue.push(batch(1)).expect("room");
    let pusher = std::thread::spawn({
        let queue = queue.clone();
        move || queue.push(batch(2))
    });
    queue.end("the disk is gone");
    let error = pusher.join().expect("no panic").expect_err("refused");
    assert_eq!(error.to_string(), "the store has stopped: the disk is gone");
    assert!(queue.record(Revision::new(1, 0)).is_some());
}

#[test]
fn an_orderly_stop_comes_after_the_work_and_an_abrupt_one_before() {
    let queue = Queue::new(1 << 20);
    queue.push(batch(1)).expect("room");
    queue.stop(Stop::Orderly);
    assert!(queue.push(batch(2)).is_err(), "nothing is taken while it closes");
    assert_eq!(take(&queue, 1).len(), 1);
    assert!(matches!(queue.next(Duration::ZERO, 1), Work::Stop(Stop::Orderly)));
    queue.stop(Stop::Now);
    assert!(matches!(queue.next(Duration::ZERO, 1), Work::Stop(Stop::Now)));
}
