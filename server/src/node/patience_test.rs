//! Places behind others share the sync of what comes next, and wait for it only so long.

use std::time::Duration;

use super::PATIENCE;
use crate::decide::{Reply, Request};
use crate::node::answer::{Bounce, Delivery};
use crate::node::ask::{Ask, Said};
use crate::node::error::Failure;
use crate::node::hand_test::{Hand, put, said};
use crate::node::lock::take_place;
use crate::raft::Leadership;
use crate::types::LeaseId;
use tokio::sync::oneshot::Receiver;

fn place(lease: i64) -> Ask {
    let key = format!("line/{lease:x}").into();
    Ask::Decide(Request::Txn(take_place(&key, LeaseId(lease), &"".into(), &"line/".into())))
}

/// A line with a holder, and leases for two more.
async fn hand() -> Hand {
    let mut hand = Hand::leading().await;
    hand.grant(1..=3).await;
    let first = one(&mut hand, place(1));
    assert_eq!(hand.sequencer.outstanding.len(), 1, "nobody is before the first: it goes at once");
    hand.resolve().await;
    assert!(is_taken(first).await);
    hand
}

fn one(hand: &mut Hand, ask: Ask) -> Receiver<Delivery> {
    hand.submit([ask]).pop().expect("one")
}

async fn is_taken(answer: Receiver<Delivery>) -> bool {
    match said(answer).await {
        Said::Reply(Reply::Txn(reply)) => reply.succeeded,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_place_behind_others_goes_with_the_next_entry() {
    let mut hand = hand().await;
    let revision = hand.sequencer.head.revision;
    let second = one(&mut hand, place(2));
    let third = one(&mut hand, place(3));
    assert!(hand.sequencer.outstanding.is_empty(), "no entry is made for them");
    let release = one(&mut hand, put("other", "v"));
    assert_eq!(hand.sequencer.outstanding.len(), 1, "one entry for all three");
    hand.resolve().await;
    said(release).await;
    assert!(is_taken(second).await && is_taken(third).await);
    let created = |key: &str| {
        let version = hand.node.shared.applied.load();
        version.state.get(key.as_bytes()).expect("it is there").create_revision()
    };
    assert_eq!(created("other"), revision + 1, "what is in a hurry comes first");
    assert!(created("line/2") < created("line/3"), "in the order in which they came");
    hand.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_company_it_goes_alone_once_nothing_else_is_on_its_way() {
    let mut hand = hand().await;
    let release = one(&mut hand, put("other", "v"));
    let second = one(&mut hand, place(2));
    assert_eq!(hand.sequencer.patience_ends(), None, "an entry on its way may bring company");
    let clock = hand.node.shared.clock.clone();
    clock.advance(Duration::from_secs(1));
    hand.resolve().await;
    said(release).await;
    assert_eq!(hand.sequencer.patience_ends(), Some(clock.now().after(PATIENCE)));
    hand.sequencer.lose_patience();
    hand.resolve().await;
    assert!(is_taken(second).await);
    assert_eq!(hand.sequencer.patience_ends(), None);
    hand.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_place_that_one_has_already_is_told_at_once() {
    let mut hand = hand().await;
    let again = one(&mut hand, place(1));
    assert!(!is_taken(again).await, "it was there");
    // A line of its own is not behind the other.
    let key = "elsewhere/2".into();
    let txn = take_place(&key, LeaseId(2), &"".into(), &"elsewhere/".into());
    let elsewhere = one(&mut hand, Ask::Decide(Request::Txn(txn)));
    assert_eq!(hand.sequencer.outstanding.len(), 1);
    hand.resolve().await;
    assert!(is_taken(elsewhere).await);
    hand.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_for_company_is_handed_back_when_the_leader_goes() {
    let mut hand = hand().await;
    let second = one(&mut hand, place(2));
    let (leadership, followed) = tokio::sync::watch::channel(Leadership::default());
    hand.sequencer.leadership = followed;
    hand.sequencer.on_leadership();
    drop(leadership);
    match second.await.expect("an answer") {
        Err(Bounce::NotExecuted(ask, Failure::NotLeader)) => {
            assert!(matches!(*ask, Ask::Decide(Request::Txn(_))));
        }
        other => panic!("{other:?}"),
    }
    let at_once = one(&mut hand, place(3));
    assert!(matches!(at_once.await.expect("an answer"), Err(Bounce::NotExecuted(_, _))));
    hand.close().await;
}
