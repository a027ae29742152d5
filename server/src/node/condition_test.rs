//! Queues that plugins hold, with the lane and the sequencer by hand: what leaves, who is asked when,
//! and what a waiting dequeue rests on.

use portunus_proto::portunus::v1::{
    QueueAckRequest, QueueAsk, QueueConfigureRequest, QueueDequeueRequest, QueueEnqueueRequest,
    QueueNewItem, queue_ask, queue_said,
};

use super::ask::{Ask, Said};
use super::hand_test::{Hand, Script, binding, one, put, refusal, said};
use super::plugin::condition_word;
use crate::decide::queue;
use crate::decide::{QueueRefusal, Refusal, Reply, Request, SetMode};
use crate::effect::{Mode, Point};
use crate::wasm::{QueueAsked, QueueReadiness, View};

fn ask(kind: queue_ask::Ask) -> Ask {
    Ask::Decide(Request::Queue(QueueAsk { ask: Some(kind), readiness: None }))
}

fn dequeuing(wait: bool, max: u32, own_lease: i64) -> Ask {
    let request =
        QueueDequeueRequest { queue: "q".into(), wait, max, own_lease, ..Default::default() };
    ask(queue_ask::Ask::Dequeue(request))
}

fn delivered(said: Said) -> Vec<(u64, i64, i64)> {
    let Said::Reply(Reply::Queue(said)) = said else { panic!("{said:?}") };
    let Some(queue_said::Said::Dequeued(said)) = said.said else { panic!("{said:?}") };
    let claims = said.deliveries.into_iter().map(|delivery| delivery.claim.expect("a claim"));
    claims.map(|claim| (claim.id, claim.token, claim.lease)).collect()
}

async fn queue_with(script: Script, condition: &str) -> Hand {
    let mut hand = Hand::leading().await;
    hand.plug("gate", script, vec![binding(Point::QueueCondition, "q")]).await;
    let configure = QueueConfigureRequest {
        queue: "q".into(),
        condition: Some(condition.into()),
        ..Default::default()
    };
    one(&mut hand, ask(queue_ask::Ask::Configure(configure))).await;
    let item = |n: u32| QueueNewItem { payload: n.to_string().into(), ..Default::default() };
    let items = (1..=5).map(item).collect();
    let enqueue = QueueEnqueueRequest { queue: "q".into(), items, wait: false };
    one(&mut hand, ask(queue_ask::Ask::Enqueue(enqueue))).await;
    hand
}

/// Lets the last item go first, one at a time.
fn from_behind() -> Script {
    let pick = |view: &mut dyn View, _: &QueueAsked<'_>| {
        if !view.items_in_flight(1).expect("a queue").is_empty() {
            return QueueReadiness::Wait(None);
        }
        let ready = view.ready_items(0, 100).expect("a queue");
        QueueReadiness::Items(vec![ready.last().expect("something is ready").id])
    };
    Script { condition: Box::new(pick), ..Script::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_picks_what_leaves_a_queue_and_a_waiting_dequeue_goes_on_by_itself() {
    let mut hand = queue_with(from_behind(), "plugin gate").await;
    let first = delivered(one(&mut hand, dequeuing(true, 3, 101)).await);
    assert_eq!(first.iter().map(|claim| claim.0).collect::<Vec<_>>(), [5]);
    assert!(delivered(one(&mut hand, dequeuing(false, 1, 102)).await).is_empty());
    let waits = hand.submit([dequeuing(true, 1, 103)]).pop().expect("one");
    hand.work().await;
    assert_eq!(hand.sequencer.parked.len(), 1);
    let (id, token, lease) = first[0];
    let claims = vec![portunus_proto::portunus::v1::QueueClaim { id, token, lease }];
    let ack = QueueAckRequest { queue: "q".into(), claims, txn: None };
    one(&mut hand, ask(queue_ask::Ask::Ack(ack))).await;
    assert_eq!(delivered(said(waits).await)[0].0, 4);
    hand.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_plugin_is_asked_only_when_the_rest_of_the_condition_leaves_it_to_it() {
    let never =
        |_: &mut dyn View, _: &QueueAsked<'_>| QueueReadiness::Refuse("it was asked".into());
    for (condition, items) in [
        ("all(key open, plugin gate)", Some(0)),
        ("any(size>=5, plugin gate)", Some(1)),
        ("any(key open, plugin gate)", None),
    ] {
        let script = Script { condition: Box::new(never), ..Script::default() };
        let mut hand = queue_with(script, condition).await;
        let answer = hand.submit([dequeuing(false, 1, 101)]).pop().expect("one");
        hand.work().await;
        match items {
            Some(items) => assert_eq!(delivered(said(answer).await).len(), items, "{condition}"),
            None => {
                let asked = Refusal::PolicyRefused {
                    binding: "gate".into(),
                    reason: "it was asked".into(),
                };
                assert_eq!(refusal(answer).await, asked);
            }
        }
        hand.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_that_picks_rubbish_or_is_not_there_is_named() {
    let rubbish = |_: &mut dyn View, _: &QueueAsked<'_>| QueueReadiness::Items(vec![77]);
    let script = Script { condition: Box::new(rubbish), ..Script::default() };
    let mut hand = queue_with(script, "plugin gate").await;
    let answer = hand.submit([dequeuing(true, 1, 101)]).pop().expect("one");
    hand.work().await;
    let Refusal::PolicyRefused { binding, reason } = refusal(answer).await else {
        panic!("another refusal")
    };
    assert_eq!(binding, "gate");
    assert!(reason.contains("it picked item 77, which is not ready"), "{reason}");
    one(&mut hand, put("q/condition", "plugin other")).await;
    let answer = hand.submit([dequeuing(true, 1, 102)]).pop().expect("one");
    hand.work().await;
    let missing = QueueRefusal::NoCondition { queue: "q".into(), plugin: "other".into() };
    assert_eq!(refusal(answer).await, Refusal::Queue(missing));
    hand.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dequeue_that_the_plugin_holds_goes_on_with_the_rest_of_the_condition() {
    let never = |_: &mut dyn View, _: &QueueAsked<'_>| QueueReadiness::Wait(None);
    for condition in ["any(key open, plugin gate)", "any(size>=6, plugin gate)"] {
        let script = Script { condition: Box::new(never), ..Script::default() };
        let mut hand = queue_with(script, condition).await;
        let waits = hand.submit([dequeuing(true, 1, 101)]).pop().expect("one");
        hand.work().await;
        assert_eq!(hand.sequencer.parked.len(), 1, "{condition}");
        one(&mut hand, put("elsewhere", "")).await;
        assert_eq!(hand.sequencer.parked.len(), 1, "{condition}");
        // The key opens it, and the item makes six.
        one(&mut hand, put("open", "")).await;
        let items = vec![QueueNewItem::default()];
        let enqueue = QueueEnqueueRequest { queue: "q".into(), items, wait: false };
        one(&mut hand, ask(queue_ask::Ask::Enqueue(enqueue))).await;
        assert_eq!(delivered(said(waits).await).len(), 1, "{condition}");
        hand.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_condition_reaches_a_dequeue_that_the_plugin_holds() {
    let never = |_: &mut dyn View, _: &QueueAsked<'_>| QueueReadiness::Wait(None);
    let script = Script { condition: Box::new(never), ..Script::default() };
    let mut hand = queue_with(script, "plugin gate").await;
    let waits = hand.submit([dequeuing(true, 1, 101)]).pop().expect("one");
    hand.work().await;
    one(&mut hand, put("q/condition", "")).await;
    assert_eq!(delivered(said(waits).await).len(), 1);
    hand.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disabled_plugin_holds_nothing_up() {
    let never = |_: &mut dyn View, _: &QueueAsked<'_>| QueueReadiness::Wait(None);
    let script = Script { condition: Box::new(never), ..Script::default() };
    let mut hand = queue_with(script, "plugin gate").await;
    let waits = hand.submit([dequeuing(true, 1, 101)]).pop().expect("one");
    hand.work().await;
    assert_eq!(hand.sequencer.parked.len(), 1);
    let (binding, caller) = (None, String::new());
    let off = SetMode { name: "gate".into(), binding, mode: Mode::Disabled, caller };
    one(&mut hand, Ask::Decide(Request::SetMode(off))).await;
    assert_eq!(delivered(said(waits).await).len(), 1);
    assert_eq!(delivered(one(&mut hand, dequeuing(false, 1, 102)).await).len(), 1);
    hand.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_plugin_says_is_told_to_those_who_look() {
    for (word, told) in [
        (QueueReadiness::Ready, None),
        (QueueReadiness::Wait(None), Some("plugin gate")),
        (QueueReadiness::Wait(Some(9_000)), Some("plugin gate, at the latest until unix 9")),
        (QueueReadiness::Refuse("no".into()), Some("plugin gate, which refuses: no")),
        (QueueReadiness::Items(vec![5]), None),
    ] {
        let says = move |_: &mut dyn View, _: &QueueAsked<'_>| word.clone();
        let script = Script { condition: Box::new(says), ..Script::default() };
        let hand = queue_with(script, "plugin gate").await;
        let (shared, name) = (&hand.node.shared, "q".into());
        let state = shared.applied.load().state.clone();
        let said = condition_word(shared, &state, &name, 1_000).expect("compiled");
        let explained = queue::explain(&state, b"q", said.as_ref(), 1_000).expect("a queue");
        assert_eq!(explained.serves, told.is_none());
        assert_eq!(explained.waits_for, Vec::from_iter(told));
        hand.close().await;
    }
}
