//! The rules of the write path, each with the failure it guards against: entries that raft rejects
//! in the middle of a pipeline, decisions that rest on them, a leader that has not yet applied what
//! earlier ones left, renewals and what a new leader knows of them.

use std::time::Duration;

use portunus_proto::etcdserverpb as pb;

use super::answer::Call;
use super::ask::{Ask, KeepAlive, Said};
use super::error::Failure;
use super::hand_test::{Hand, put, put_revision, said};
use super::reign::Reign;
use crate::decide::{Reply, Request};
use crate::limits::ENTRIES_IN_FLIGHT_MAX;
use crate::raft::Leadership;
use crate::types::LeaseId;

/// Puts `key` if it does not exist.
fn create(key: &'static str) -> Ask {
    let compare = pb::Compare {
        result: pb::compare::CompareResult::Equal.into(),
        target: pb::compare::CompareTarget::Create.into(),
        key: key.into(),
        target_union: Some(pb::compare::TargetUnion::CreateRevision(0)),
        ..Default::default()
    };
    let put = pb::PutRequest { key: key.into(), value: "created".into(), ..Default::default() };
    let success = pb::RequestOp { request: Some(pb::request_op::Request::RequestPut(put)) };
    Ask::Decide(Request::Txn(pb::TxnRequest {
        compare: vec![compare],
        success: vec![success],
        failure: Vec::new(),
    }))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rejected_entry_in_the_middle_of_a_pipeline_loses_and_repeats_nothing() {
    let mut hand = Hand::leading().await;
    let before = hand.sequencer.reign.leading().unwrap();
    // Three entries in flight, each built on the one before; raft takes the first and the third.
    hand.node.shared.group().reject_proposals([false, true, false]);
    let first = hand.submit([put("a", "1")]);
    let second = hand.submit([put("b", "2")]);
    let third = hand.submit([put("c", "3")]);
    hand.resolve().await;
    let after = hand.sequencer.reign.leading().unwrap();
    assert!(after.epoch > before.epoch, "a lost entry begins a new epoch");
    let mut revisions = Vec::new();
    for answer in first.into_iter().chain(second).chain(third) {
        revisions.push(put_revision(answer).await);
    }
    revisions.sort_unstable();
    assert_eq!(revisions, [2, 3, 4], "each is executed once");
    for (key, value) in [("a", "1"), ("b", "2"), ("c", "3")] {
        assert_eq!(hand.value(key).as_deref(), Some(value));
    }
    let version = hand.node.shared.applied.load();
    assert!(version.state.items().iter().all(|item| item.version() == 1));
    assert_eq!(version.state.chain, hand.sequencer.head.chain, "the head is the applied state");
    hand.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_rests_on_a_lost_entry_is_decided_again() {
    let mut hand = Hand::leading().await;
    hand.node.shared.group().reject_proposals([true]);
    // The transaction sees the key that the put before it makes, and so would change nothing.
    let mut answers = hand.submit([put("k", "lost"), create("k")]);
    let created = answers.pop().unwrap();
    // Nobody waits for the put any more, so it is not made again; the key never existed.
    drop(answers);
    hand.resolve().await;
    match said(created).await {
        Said::Reply(Reply::Txn(reply)) => assert!(reply.succeeded, "the key never existed"),
        other => panic!("{other:?}"),
    }
    assert_eq!(hand.value("k").as_deref(), Some("created"));
    hand.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_without_effect_waits_for_what_it_saw() {
    let mut hand = Hand::leading().await;
    let put = hand.submit([put("k", "v")]);
    // Nothing is resolved yet: the create sees the key in the head only.
    let mut create = hand.submit([create("k")]);
    assert_eq!(hand.sequencer.outstanding.len(), 1, "a txn that writes nothing makes no entry");
    let answer = create.pop().unwrap();
    hand.resolve().await;
    assert_eq!(put_revision(put.into_iter().next().unwrap()).await, 2);
    let executed = answer.await.unwrap().unwrap();
    assert!(executed.index >= hand.node.shared.applied_index(), "not before the put is applied");
    match executed.result.unwrap() {
        Said::Reply(Reply::Txn(reply)) => assert!(!reply.succeeded),
        other => panic!("{other:?}"),
    }
    hand.close().await;
}

/// Between an entry's being applied and its being visible a reader could still see less than an
/// answer that was decided on it.
#[test]
fn an_answer_on_an_entry_being_applied_waits_until_it_is_visible() {
    let state = crate::machine::State::default();
    let prev = state.chain;
    let id = prev.next(1, 1, b"effects");
    let pipeline = super::pipeline::Pipeline::default();
    let rows = Default::default();
    let (changes, decided) = (Vec::new(), Vec::new());
    pipeline.push(super::pipeline::Prepared { id, prev, state, changes, rows, decided });
    let answer = || {
        let (call, _) = Call::new(Ask::KeepAlive(LeaseId(1)));
        let result = Ok(Said::KeepAlive(KeepAlive::default()));
        vec![super::answer::Decided { call, result, confirm: true }]
    };
    assert!(pipeline.attach(id, answer()).is_ok(), "it waits with the entry");
    assert_eq!(pipeline.take_following(id, prev).expect("it follows").decided.len(), 1);
    assert!(pipeline.attach(id, answer()).is_ok(), "and with the entry being applied");
    let (seen, late) = pipeline.published().expect("one was taken");
    assert_eq!((seen, late.len()), (id, 1));
    assert!(pipeline.attach(id, answer()).is_err(), "afterwards there is nothing to wait for");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_decided_before_a_blank_entry_of_this_reign_is_applied() {
    let mut hand = Hand::elected().await;
    hand.sequencer.on_leadership();
    assert!(matches!(hand.sequencer.reign, Reign::Starting { .. }));
    assert!(hand.sequencer.reign.is_waiting(), "questions stay in the queue");
    assert!(hand.node.shared.reign().is_none(), "and no read is served as by a leader");
    hand.resolve().await;
    assert!(hand.sequencer.reign.leading().is_some());
    // A blank that raft rejects (no quorum has answered yet) is proposed again.
    let mut late = Hand::elected().await;
    late.node.shared.group().reject_proposals([true, true]);
    late.sequencer.on_leadership();
    late.resolve().await;
    assert!(late.sequencer.reign.leading().is_some());
    hand.close().await;
    late.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_whose_predecessor_was_not_applied_is_void_and_taken_back() {
    let mut hand = Hand::leading().await;
    // The head is moved on by something that was never proposed.
    let applied = hand.sequencer.head.chain;
    hand.sequencer.head.chain = applied.next(applied.term, applied.epoch, b"never proposed");
    let answers = hand.submit([put("k", "v")]);
    hand.resolve().await;
    for answer in answers {
        assert_eq!(put_revision(answer).await, 2, "decided again on the applied state");
    }
    assert_eq!(hand.value("k").as_deref(), Some("v"));
    hand.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_renewal_after_a_checkpoint_is_in_the_log_before_it_is_answered() {
    let mut hand = Hand::leading().await;
    let id = LeaseId(9);
    let remaining = |hand: &Hand| {
        hand.node.shared.applied.with(|version| version.state.lease(id).map(|l| l.remaining))
    };
    let granted = hand.submit([
        Ask::Decide(Request::LeaseGrant(pb::LeaseGrantRequest { ttl: 600, id: 9 })),
        Ask::Decide(Request::LeaseCheckpoint { id, remaining: 100 }),
    ]);
    hand.resolve().await;
    drop(granted);
    assert_eq!(remaining(&hand), Some(100), "what a new leader would give it");
    let mut renewed = hand.submit([Ask::KeepAlive(id)]);
    assert_eq!(hand.sequencer.outstanding.len(), 1, "the reset is an entry");
    assert!(renewed[0].try_recv().is_err(), "and the holder hears of it only then");
    hand.resolve().await;
    assert_eq!(remaining(&hand), Some(0), "a new leader gives it its full time");
    let renewed = said(renewed.pop().unwrap()).await;
    assert!(matches!(renewed, Said::KeepAlive(KeepAlive { ttl: 600, .. })), "{renewed:?}");
    // The next one needs no entry.
    let again = hand.submit([Ask::KeepAlive(id)]);
    assert_eq!(hand.sequencer.outstanding.len(), 0);
    for answer in again {
        assert!(matches!(said(answer).await, Said::KeepAlive(KeepAlive { ttl: 600, .. })));
    }
    hand.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revocation_in_flight_answers_a_renewal_only_once_it_is_applied() {
    let mut hand = Hand::leading().await;
    let granted =
        hand.submit([Ask::Decide(Request::LeaseGrant(pb::LeaseGrantRequest { ttl: 600, id: 9 }))]);
    hand.resolve().await;
    drop(granted);
    let revoked = hand.submit([Ask::Decide(Request::lease_revoke(LeaseId(9)))]);
    let mut renewed = hand.submit([Ask::KeepAlive(LeaseId(9))]);
    assert!(renewed[0].try_recv().is_err(), "the revocation may yet be lost");
    hand.resolve().await;
    drop(revoked);
    let renewed = said(renewed.pop().unwrap()).await;
    assert!(matches!(renewed, Said::KeepAlive(KeepAlive { ttl: 0, .. })), "{renewed:?}");
    hand.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_does_not_lead_hands_the_question_back() {
    let mut hand = Hand::elected().await;
    // It was elected, but its sequencer has not heard of it.
    let mut answers = hand.submit([put("k", "v")]);
    let answer = answers.pop().unwrap().await.unwrap();
    assert!(matches!(answer, Err(super::answer::Bounce::NotExecuted(..))), "{answer:?}");
    hand.sequencer.on_leadership();
    hand.resolve().await;
    assert_eq!(hand.value("k"), None);
    hand.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn proposals_of_an_earlier_reign_do_not_hold_up_calls_that_must_go_elsewhere() {
    let mut hand = Hand::elected().await;
    let (_tell, follower) = tokio::sync::watch::channel(Leadership::default());
    hand.sequencer.leadership = follower;
    // Cut off with its last entries: nobody will say what became of them for a long time.
    for _ in 0..ENTRIES_IN_FLIGHT_MAX {
        hand.sequencer.outstanding.push(Box::pin(std::future::pending()));
    }
    let Hand { node, sequencer, rounds: _rounds, dir: _dir } = hand;
    let running = tokio::spawn(sequencer.run());
    let asked = tokio::time::timeout(Duration::from_secs(20), node.ask_here(put("k", "v"))).await;
    let answer = asked.expect("handed back at once");
    assert!(
        matches!(answer, Err(super::answer::Bounce::NotExecuted(_, Failure::NotLeader))),
        "{answer:?}"
    );
    running.abort();
    node.stop().await;
}
