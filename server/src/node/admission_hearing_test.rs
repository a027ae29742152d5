//! What comes of an admission plugin's word: which writes of its stand, whom of several the decision
//! follows, when it is asked at all and when again.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use portunus_proto::portunus::v1::{LockAcquireRequest, lock_ask};

use super::admission_test::{ask, counting, enlist, holders, locked, release, wait, wanting, with};
use super::hand_test::{Hand, Script, binding, refusal, said};
use crate::decide::Refusal;
use crate::decide::lock;
use crate::effect::{Binding, Mode, Point};
use crate::types::LeaseId;
use crate::wasm::{Admission, LockPlace, LockRequest, View};

const NOTE: &str = "locks/note";

/// Writes a note and says `word`.
fn noting(word: fn() -> Admission) -> Script {
    let admission = move |view: &mut dyn View, _: &LockRequest<'_>, _: &[LockPlace]| {
        view.put(NOTE.as_bytes(), b"x", LeaseId::NONE).expect("its own prefix");
        word()
    };
    Script { admission: Box::new(admission), ..Script::default() }
}

fn saying(word: fn() -> Admission) -> Script {
    let admission = move |_: &mut dyn View, _: &LockRequest<'_>, _: &[LockPlace]| word();
    Script { admission: Box::new(admission), ..Script::default() }
}

fn first_come() -> Script {
    let admission = |_: &mut dyn View, _: &LockRequest<'_>, holders: &[LockPlace]| {
        if holders.is_empty() { Admission::Admit } else { Admission::Wait(None) }
    };
    Script { admission: Box::new(admission), ..Script::default() }
}

/// Puts another plugin over the same locks.
async fn plug(hand: &mut Hand, name: &str, script: Script) {
    hand.plug(name, script, vec![binding(Point::LockAdmission, "locks/")]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_it_writes_stands_with_the_grant_alone() {
    let mut hand = with(noting(|| Admission::Wait(None)), Binding::default()).await;
    assert!(!enlist(&mut hand, wanting(1, &["locks/a"])).await.granted);
    assert_eq!(hand.value(NOTE), None, "it said wait");
    hand.close().await;

    let monitored = Binding { mode: Mode::Monitor, ..Binding::default() };
    let mut hand = with(noting(|| Admission::Admit), monitored).await;
    assert!(enlist(&mut hand, wanting(1, &["locks/a"])).await.granted);
    assert_eq!(hand.value(NOTE), None, "nothing of what is only monitored stands");
    hand.close().await;

    let mut hand = with(noting(|| Admission::Admit), Binding::default()).await;
    plug(&mut hand, "later", saying(|| Admission::Wait(None))).await;
    assert!(!enlist(&mut hand, wanting(1, &["locks/a"])).await.granted);
    assert_eq!(hand.value(NOTE), None, "another said wait");
    hand.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_several_the_first_that_does_not_admit_decides() {
    let asked = Arc::new(AtomicUsize::new(0));
    let mut hand = with(saying(|| Admission::Wait(None)), Binding::default()).await;
    plug(&mut hand, "later", counting(9, asked.clone())).await;
    assert!(!enlist(&mut hand, wanting(1, &["locks/a"])).await.granted);
    assert_eq!(asked.load(Ordering::Relaxed), 0, "it need not be asked");
    assert!(holders(&hand, "locks/a").is_empty());
    hand.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_asked_again_at_the_time_it_names() {
    let late = |view: &mut dyn View, _: &LockRequest<'_>, _: &[LockPlace]| match view.now_ms() {
        now if now < 5000 => Admission::Wait(Some(5000)),
        _ => Admission::Admit,
    };
    let script = Script { admission: Box::new(late), ..Script::default() };
    let mut hand = with(script, Binding::default()).await;
    let clock = hand.node.shared.clock.clone();
    clock.advance(Duration::from_secs(1));
    let taken = enlist(&mut hand, wanting(1, &["locks/a"])).await;
    let turn = wait(&mut hand, taken.places);
    hand.work().await;
    for (step, is_due) in [(3999, false), (1, true)] {
        clock.advance(Duration::from_millis(step));
        hand.sequencer.parked.wake_due(clock.now());
        hand.sequencer.decide_released();
        assert_eq!(hand.turn(), is_due, "after {step} ms more");
    }
    hand.work().await;
    assert!(locked(said(turn).await).granted);
    hand.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_holds_may_take_it_again_without_its_word() {
    let asked = Arc::new(AtomicUsize::new(0));
    let mut hand = with(counting(1, asked.clone()), Binding::default()).await;
    let again = || LockAcquireRequest { reentrant: true, ..wanting(1, &["locks/a"]) };
    assert!(enlist(&mut hand, again()).await.granted);
    assert_eq!(asked.load(Ordering::Relaxed), 1);
    let taken = enlist(&mut hand, again()).await;
    assert!(taken.granted);
    assert_eq!((taken.places[0].holds, asked.load(Ordering::Relaxed)), (2, 1));
    hand.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_cannot_write_the_keys_of_the_place_it_judges() {
    let forging = |view: &mut dyn View, request: &LockRequest<'_>, _: &[LockPlace]| {
        let key = lock::place_key(request.name, request.place.lease);
        match view.put(&key, b"", LeaseId::NONE) {
            Ok(()) => Admission::Admit,
            Err(refused) => Admission::Refuse(refused.0),
        }
    };
    let script = Script { admission: Box::new(forging), ..Script::default() };
    let mut hand = with(script, Binding::default()).await;
    let wants = ask(lock_ask::Ask::Enlist(wanting(1, &["locks/a"])));
    let answer = hand.submit([wants]).pop().expect("one");
    hand.work().await;
    assert!(matches!(refusal(answer).await, Refusal::PolicyRefused { .. }));
    assert!(hand.value("locks/a/1").is_none());
    hand.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_holder_of_before_wakes_it_though_it_looks_at_no_line() {
    let mut hand = Hand::leading().await;
    hand.grant(1..=2).await;
    assert!(enlist(&mut hand, wanting(1, &["locks/a"])).await.granted);
    plug(&mut hand, "gate", first_come()).await;
    let second = enlist(&mut hand, wanting(2, &["locks/a"])).await;
    assert!(!second.granted, "it sees who held it before");
    let turn = wait(&mut hand, second.places);
    hand.work().await;
    release(&mut hand, 1, "locks/a").await;
    assert!(locked(said(turn).await).granted);
    hand.close().await;
}
