//! Turns: whose is next, and what a slow binding cannot do to the others.

use std::sync::Arc;
use std::time::Duration;

use super::{Desk, Head, Pace, Spent, Stage, Turn};
use crate::clock::Clock;
use crate::limits::LANE_QUEUED_MAX;
use crate::machine::State;
use crate::node::answer::{Call, Delivery};
use crate::node::ask::Ask;
use crate::node::plugin::{Bindings, Job};
use crate::node::reign::Leading;
use crate::types::LeaseId;
use tokio::sync::oneshot::Receiver;

const MS: fn(u64) -> Duration = Duration::from_millis;

fn job(order: u64) -> (Job, Receiver<Delivery>) {
    let (call, answer) = Call::new(Ask::KeepAlive(LeaseId(1)));
    (Job { call, order, tries: 0 }, answer)
}

fn spent(calls: u32, cpu: Duration) -> Spent {
    Spent { calls, failures: 0, cpu }
}

struct Room {
    desk: Desk,
    clock: Clock,
    answers: Vec<Receiver<Delivery>>,
    order: u64,
}

impl Room {
    fn open() -> Self {
        let clock = Clock::manual();
        let desk = Desk::new(clock.clone());
        let room = Self { desk, clock, answers: Vec::new(), order: 0 };
        room.publish();
        room
    }

    fn publish(&self) {
        let reign = Leading { term: 1, epoch: 1 };
        let (state, bindings) = (State::default(), Arc::new(Bindings::default()));
        self.desk.publish(Some(Arc::new(Head { state, reign, bindings })));
    }

    fn push(&mut self, binding: &str, jobs: usize) {
        for _ in 0..jobs {
            self.order += 1;
            let (job, answer) = job(self.order);
            self.answers.push(answer);
            self.desk.push(binding, job, true).expect("room");
        }
    }

    /// Whose turn it is, if anybody's.
    fn next(&self, pace: Pace) -> Option<String> {
        self.desk.has_ready(pace).then(|| self.desk.next(pace).expect("it is open").0)
    }

    /// Has the next one work for `cpu` and hears the sequencer.
    fn turn(&mut self, pace: Pace, cpu: Duration) -> Option<String> {
        let binding = self.next(pace)?;
        self.desk.take(&binding).expect("it has a job");
        self.desk.end_turn(&binding, spent(1, cpu), &Turn::Sent);
        self.desk.acknowledge(&binding);
        Some(binding)
    }
}

#[test]
fn who_answers_quickly_has_threads_that_no_slow_one_can_hold() {
    let mut room = Room::open();
    room.push("quick", 3);
    room.push("hog", 3);
    assert_eq!(room.next(Pace::Brisk), None, "nobody is known yet");
    assert_eq!(room.turn(Pace::Slow, MS(50)).as_deref(), Some("hog"));
    assert_eq!(room.turn(Pace::Slow, MS(0)).as_deref(), Some("quick"));
    assert_eq!(room.turn(Pace::Brisk, MS(0)).as_deref(), Some("quick"));
    // One that turns slow loses its place, and earns it again.
    assert_eq!(room.turn(Pace::Brisk, MS(50)).as_deref(), Some("quick"));
    room.push("quick", 20);
    assert_eq!(room.next(Pace::Brisk), None);
    let mut turns = 0;
    while room.desk.waiting.lock().brisk.ready.is_empty() {
        room.push("hog", 1);
        room.turn(Pace::Slow, MS(0));
        turns += 1;
        assert!(turns < 100, "it never comes back");
    }
}

#[test]
fn turns_are_by_cpu_time_and_rest_is_no_credit() {
    let mut room = Room::open();
    room.push("a", 40);
    room.push("b", 40);
    let mut turns = std::collections::HashMap::new();
    for _ in 0..40 {
        let binding = room.next(Pace::Slow).expect("both have jobs");
        room.desk.take(&binding).expect("it has a job");
        let cpu = if binding == "a" { MS(30) } else { MS(10) };
        room.desk.end_turn(&binding, spent(1, cpu), &Turn::Sent);
        room.desk.acknowledge(&binding);
        *turns.entry(binding).or_insert(0) += 1;
    }
    assert_eq!((turns["a"], turns["b"]), (10, 30));
    room.push("late", 5);
    let first: Vec<_> = (0..6).map(|_| room.turn(Pace::Slow, MS(30)).expect("jobs")).collect();
    let late = first.iter().filter(|binding| *binding == "late").count();
    assert!((1..=3).contains(&late), "{first:?}");
}

#[test]
fn a_binding_has_one_batch_under_way() {
    let mut room = Room::open();
    room.push("a", 2);
    assert_eq!(room.next(Pace::Slow).as_deref(), Some("a"));
    room.push("a", 1);
    assert_eq!(room.next(Pace::Slow), None, "it runs");
    room.desk.take("a").expect("a job");
    room.desk.end_turn("a", spent(1, MS(5)), &Turn::Sent);
    assert_eq!(room.next(Pace::Slow), None, "the sequencer has it");
    // What must run again is first in line.
    let (again, _answer) = job(0);
    room.desk.push("a", again, false).expect("always taken");
    room.desk.acknowledge("a");
    assert_eq!(room.next(Pace::Slow).as_deref(), Some("a"));
    let orders: Vec<u64> =
        std::iter::from_fn(|| room.desk.take("a")).map(|job| job.order).collect();
    assert_eq!(orders, [0, 2, 3]);
}

#[test]
fn nothing_is_taken_without_a_head_and_too_much_is_handed_back() {
    let mut room = Room::open();
    room.desk.publish(None);
    room.push("a", LANE_QUEUED_MAX);
    let (one_more, _answer) = job(1_000_000);
    assert!(room.desk.push("a", one_more, true).is_err());
    let (again, _answer) = job(0);
    assert!(room.desk.push("a", again, false).is_ok(), "it had its place");
    room.push("b", 1);
    assert_eq!(room.desk.drain().len(), LANE_QUEUED_MAX + 2);
    room.publish();
    assert_eq!(room.next(Pace::Slow).as_deref(), Some("a"));
    assert!(room.desk.take("a").is_none());
}

#[test]
fn who_waits_for_the_compiler_misses_no_news_of_it() {
    let mut room = Room::open();
    room.push("a", 1);
    for news_during_the_turn in [true, false] {
        assert_eq!(room.next(Pace::Slow).as_deref(), Some("a"));
        let job = room.desk.take("a").expect("a job");
        if news_during_the_turn {
            room.desk.compiled();
        }
        room.desk.put_back("a", job);
        room.desk.end_turn("a", spent(0, MS(0)), &Turn::NotReady);
    }
    assert_eq!(room.next(Pace::Slow), None);
    assert!(room.desk.waiting.lock().entries["a"].stage == Stage::NotReady);
    room.desk.compiled();
    assert_eq!(room.next(Pace::Slow).as_deref(), Some("a"));
}

#[test]
fn a_binding_whose_calls_fail_rests_and_the_others_do_not() {
    let mut room = Room::open();
    room.push("fails", 100);
    room.push("works", 100);
    let (mut failed, mut worked) = (0, 0);
    // Fifty seconds of calls that take 50 ms each.
    for _ in 0..1000 {
        room.push("fails", 1);
        room.push("works", 1);
        let binding = room.next(Pace::Slow).expect("somebody may always work");
        room.desk.take(&binding).expect("it has a job");
        let failures = u32::from(binding == "fails");
        room.clock.advance(MS(50));
        let spent = Spent { calls: 1, failures, cpu: MS(50) };
        room.desk.end_turn(&binding, spent, &Turn::Sent);
        room.desk.acknowledge(&binding);
        *if binding == "fails" { &mut failed } else { &mut worked } += 1;
    }
    assert!((95..=110).contains(&failed), "{failed} of its calls failed, {worked} worked");
    // Nobody else comes: it goes on by itself when its rest is over.
    let only = room.desk.drain();
    assert!(only.len() > 900);
    room.push("fails", 1);
    room.clock.advance(MS(10_000));
    assert_eq!(room.next(Pace::Slow).as_deref(), Some("fails"));
}
