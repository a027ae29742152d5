//! Calls that wait: none sleeps over what it waits for, none wakes for nothing, and each hears of it
//! when its leader goes.

use std::time::Duration;

use super::answer::Bounce;
use super::error::Failure;
use super::hand_test::{Hand, binding, call, called, counter, put, refusal};
use crate::effect::Point;
use crate::raft::Leadership;

async fn hand() -> Hand {
    let mut hand = Hand::leading().await;
    hand.plug("c", counter(), vec![binding(Point::Recipe, "")]).await;
    hand
}

#[tokio::test(flavor = "multi_thread")]
async fn a_waiting_call_wakes_by_what_it_read_and_by_nothing_else() {
    let mut hand = hand().await;
    let mut waiting = hand.submit([call("c", "await", "k"), call("c", "await", "other")]);
    hand.work().await;
    assert_eq!(hand.sequencer.parked.len(), 2);
    for n in 0..20 {
        hand.submit([put(&format!("x{n}"), "")]);
        assert!(hand.node.shared.lane.begin_turn().is_none(), "nothing to run again");
        hand.resolve().await;
    }
    hand.submit([put("k", "v")]);
    assert_eq!(hand.sequencer.parked.len(), 1);
    hand.work().await;
    let other = waiting.pop().expect("two calls");
    assert_eq!(called(waiting.pop().expect("two calls")).await.0, "v");
    drop(other);
    // Its caller has gone: it is found without anything being changed.
    hand.sequencer.on_lease_tick();
    assert!(hand.sequencer.parked.is_empty());
    hand.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_between_the_look_and_the_parking_is_not_missed() {
    let mut hand = hand().await;
    let waiting = hand.submit([call("c", "await", "k")]).pop().expect("one");
    let lane = &hand.node.shared.lane;
    let turn = lane.begin_turn().expect("a job");
    // The lane looks at a head without the key, and the key is there when the verdict comes.
    hand.submit([put("k", "v")]);
    hand.node.shared.lane.end_turn(&hand.node.shared, &turn);
    hand.sequencer.take(None, &mut Vec::new());
    assert!(hand.sequencer.parked.is_empty(), "what it read has changed");
    hand.work().await;
    assert_eq!(called(waiting).await.0, "v");
    hand.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn those_that_wake_together_run_in_the_order_in_which_they_came() {
    let mut hand = hand().await;
    let waiting = hand.submit((0..5).map(|_| call("c", "await", "k")));
    hand.work().await;
    // Newer than all of them, and already in line when they wake.
    let newer = hand.submit([put("k", "v"), call("c", "add", "n")]);
    hand.turn();
    hand.work().await;
    for answer in waiting {
        assert_eq!(called(answer).await.0, "v");
    }
    drop(newer);
    hand.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_can_wait_for_a_time() {
    let mut hand = hand().await;
    let clock = hand.node.shared.clock.clone();
    clock.advance(Duration::from_secs(1));
    let sleeping = hand.submit([call("c", "sleep", "5000")]).pop().expect("one");
    let over = hand.submit([call("c", "idle", "")]).pop().expect("one");
    hand.work().await;
    assert!(refusal(over).await.to_string().contains("without having read"), "for nothing at all");
    clock.advance(Duration::from_millis(3999));
    hand.sequencer.parked.wake_due(clock.now());
    hand.sequencer.decide_released();
    assert!(!hand.turn(), "not yet");
    clock.advance(Duration::from_millis(1));
    hand.sequencer.parked.wake_due(clock.now());
    hand.sequencer.decide_released();
    hand.work().await;
    assert_eq!(called(sleeping).await.0, "5000");
    hand.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_leader_ends_waiting_calls_and_a_new_epoch_runs_them_again() {
    let mut hand = hand().await;
    let mut waiting = hand.submit([call("c", "await", "k"), call("c", "await", "never")]);
    hand.work().await;
    // The put that would wake one of them is lost, and comes true in the next epoch.
    hand.node.shared.group().reject_proposals([true]);
    let putting = hand.submit([put("k", "v")]);
    hand.turn();
    assert_eq!(hand.sequencer.parked.len(), 1);
    hand.resolve().await;
    hand.work().await;
    assert_eq!(hand.sequencer.parked.len(), 1);
    drop(putting);
    let never = waiting.pop().expect("two");
    assert_eq!(called(waiting.pop().expect("two")).await.0, "v");
    let (_tell, follower) = tokio::sync::watch::channel(Leadership::default());
    hand.sequencer.leadership = follower;
    hand.sequencer.on_leadership();
    let answer = never.await.expect("answered");
    assert!(
        matches!(answer, Err(Bounce::NotExecuted(_, Failure::LeaderChanged))),
        "clients ask again: {answer:?}"
    );
    assert!(hand.sequencer.parked.is_empty());
    hand.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_under_another_version_of_its_plugin_runs_again() {
    let mut hand = hand().await;
    let waiting = hand.submit([call("c", "await", "k")]).pop().expect("one");
    hand.work().await;
    hand.plug("elsewhere", counter(), vec![binding(Point::Recipe, "x/")]).await;
    assert_eq!(hand.sequencer.parked.len(), 1, "not for another plugin");
    hand.plug("c", counter(), vec![binding(Point::Recipe, "z/")]).await;
    hand.work().await;
    let text = refusal(waiting).await.to_string();
    assert!(text.contains("may not read"), "it is bound elsewhere now: {text}");
    hand.close().await;
}
