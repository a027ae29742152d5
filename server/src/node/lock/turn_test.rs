//! A place and its turn asked for at once, on a member whose sequencer is driven by hand.

use std::future::pending;
use std::time::Duration;

use portunus_proto::etcdserverpb as pb;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::Turn;
use crate::decide::Request;
use crate::node::LineError;
use crate::node::ask::Ask;
use crate::node::hand_test::{Hand, said};
use crate::raft::Leadership;
use crate::types::LeaseId;

/// Reached only when what is waited for never comes.
const PATIENCE: Duration = Duration::from_secs(20);

type Waiting = JoinHandle<Result<Option<Turn>, LineError>>;

/// A member with three leases.
async fn hand() -> Hand {
    let mut hand = Hand::leading().await;
    hand.grant(1..=3).await;
    hand
}

fn wait(hand: &Hand, lease: i64) -> Waiting {
    let node = hand.node.clone();
    tokio::spawn(async move { node.take_turn("line".into(), LeaseId(lease), pending()).await })
}

/// Gives the sequencer what arrives until `done`.
async fn until(hand: &mut Hand, what: &str, mut done: impl FnMut(&Hand) -> bool) {
    let working = async {
        while !done(hand) {
            let mut arrived = Vec::new();
            hand.sequencer.gather(&mut arrived);
            hand.sequencer.take(None, &mut arrived);
            hand.sequencer.lose_patience();
            hand.resolve().await;
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, working).await.unwrap_or_else(|_| panic!("never came: {what}"));
}

/// Its turn, which it keeps.
async fn turn(hand: &mut Hand, waiting: Waiting) -> (String, i64, i64) {
    until(hand, "the turn", |_| waiting.is_finished()).await;
    let mut turn = waiting.await.unwrap().unwrap().expect("not stopped");
    turn.place.keep();
    let key = String::from_utf8_lossy(&turn.place.key).into_owned();
    (key, turn.place.revision, turn.revision)
}

async fn delete(hand: &mut Hand, key: &'static str) {
    let delete = pb::DeleteRangeRequest { key: key.into(), ..Default::default() };
    let answer = hand.submit([Ask::Decide(Request::DeleteRange(delete))]).pop().expect("one");
    hand.resolve().await;
    said(answer).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_waits_is_parked_with_the_entry_of_its_place() {
    let mut hand = hand().await;
    let first = wait(&hand, 1);
    let (key, revision, at) = turn(&mut hand, first).await;
    assert_eq!((key.as_str(), revision), ("line/1", at), "nobody was there before");
    let second = wait(&hand, 2);
    until(&mut hand, "its place", |hand| hand.value("line/2").is_some()).await;
    assert_eq!(hand.sequencer.parked.len(), 1, "its turn was not asked for by its caller");
    assert!(!second.is_finished());
    let placed = hand.sequencer.head.revision;
    delete(&mut hand, "line/1").await;
    let (key, revision, at) = turn(&mut hand, second).await;
    assert_eq!((key.as_str(), revision, at), ("line/2", placed, placed + 1));
    hand.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_place_whose_entry_is_lost_is_taken_again_before_its_turn_is_judged() {
    let mut hand = hand().await;
    let first = wait(&hand, 1);
    turn(&mut hand, first).await;
    hand.node.shared.group().reject_proposals([true]);
    let second = wait(&hand, 2);
    until(&mut hand, "its place", |hand| hand.value("line/2").is_some()).await;
    assert!(!second.is_finished(), "it waits, and is not told that its place is lost");
    delete(&mut hand, "line/1").await;
    assert_eq!(turn(&mut hand, second).await.0, "line/2");
    hand.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_turn_goes_on_being_waited_for_under_another_reign() {
    let mut hand = hand().await;
    let first = wait(&hand, 1);
    turn(&mut hand, first).await;
    let second = wait(&hand, 2);
    until(&mut hand, "its place", |hand| hand.value("line/2").is_some()).await;
    let now = hand.sequencer.leadership.borrow().clone();
    let (says, heard) = watch::channel(now.clone());
    hand.sequencer.leadership = heard;
    says.send_replace(Leadership { is_leader: false, leader: None, ..now.clone() });
    hand.sequencer.on_leadership();
    assert_eq!(hand.sequencer.parked.len(), 0);
    says.send_replace(now);
    hand.sequencer.on_leadership();
    hand.resolve().await;
    until(&mut hand, "it asks again", |hand| hand.sequencer.parked.len() == 1).await;
    delete(&mut hand, "line/1").await;
    assert_eq!(turn(&mut hand, second).await.0, "line/2");
    hand.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_that_goes_leaves_no_key_whenever_it_goes() {
    let mut hand = hand().await;
    let first = wait(&hand, 1);
    turn(&mut hand, first).await;
    // Parked, and before it was decided.
    let parked = wait(&hand, 2);
    until(&mut hand, "its place", |hand| hand.value("line/2").is_some()).await;
    parked.abort();
    until(&mut hand, "it is cleared", |hand| hand.value("line/2").is_none()).await;
    let early = wait(&hand, 3);
    let mut arrived = Vec::new();
    while arrived.is_empty() {
        hand.sequencer.gather(&mut arrived);
        tokio::task::yield_now().await;
    }
    early.abort();
    assert!(early.await.is_err_and(|ended| ended.is_cancelled()));
    hand.sequencer.take(None, &mut arrived);
    hand.sequencer.lose_patience();
    hand.resolve().await;
    until(&mut hand, "it is cleared", |hand| hand.value("line/3").is_none()).await;
    assert!(hand.value("line/1").is_some(), "whoever holds goes on holding");
    hand.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_that_is_lost_while_it_is_waited_for_is_said_to_be() {
    let mut hand = hand().await;
    let first = wait(&hand, 1);
    turn(&mut hand, first).await;
    let second = wait(&hand, 2);
    until(&mut hand, "its place", |hand| hand.value("line/2").is_some()).await;
    delete(&mut hand, "line/2").await;
    until(&mut hand, "the word", |_| second.is_finished()).await;
    assert!(matches!(second.await.unwrap(), Err(LineError::Lost)));
    let refused = wait(&hand, 77);
    until(&mut hand, "the refusal", |_| refused.is_finished()).await;
    assert!(matches!(refused.await.unwrap(), Err(LineError::Node(_))), "there is no such lease");
    hand.close().await;
}
