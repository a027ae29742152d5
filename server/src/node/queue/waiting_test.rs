//! Consumers in line, with and without plugins that have a say in their queue.

use portunus_proto::portunus::v1::{
    QueueAsk, QueueConfigureRequest, QueueDequeueRequest, QueueEnqueueRequest, QueueNewItem,
    queue_ask, queue_said,
};
use tokio::sync::oneshot;

use crate::decide::{Reply, Request};
use crate::effect::Point;
use crate::node::answer::Delivery;
use crate::node::ask::{Ask, Said};
use crate::node::hand_test::{Hand, Script, binding, refusal, said};

const CONSUMERS: i64 = 10;

fn queue(ask: queue_ask::Ask) -> Ask {
    Ask::Decide(Request::Queue(QueueAsk { ask: Some(ask), ..Default::default() }))
}

fn dequeuing(call: i64, again: bool) -> Ask {
    queue(queue_ask::Ask::Dequeue(QueueDequeueRequest {
        queue: "q".into(),
        wait: true,
        own_lease: call,
        call,
        again,
        ..Default::default()
    }))
}

fn enqueuing(items: usize) -> Ask {
    let items = vec![QueueNewItem::default(); items];
    queue(queue_ask::Ask::Enqueue(QueueEnqueueRequest { queue: "q".into(), items, wait: false }))
}

async fn taken(answer: oneshot::Receiver<Delivery>) -> Vec<u64> {
    match said(answer).await {
        Said::Reply(Reply::Queue(said)) => match said.said {
            Some(queue_said::Said::Dequeued(dequeued)) => {
                dequeued.deliveries.iter().filter_map(|it| it.claim).map(|claim| claim.id).collect()
            }
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    }
}

async fn guarded() -> Hand {
    let mut hand = Hand::leading().await;
    hand.plug("guard", Script::default(), vec![binding(Point::WritePolicy, "q/")]).await;
    hand
}

/// How many are looked at when something changes, and how many behind them are not.
fn standing(hand: &Hand) -> (usize, usize) {
    (hand.sequencer.parked.len(), hand.sequencer.lines.len())
}

#[tokio::test(flavor = "multi_thread")]
async fn one_item_wakes_one_consumer_of_a_queue_that_a_policy_guards() {
    let mut hand = guarded().await;
    let mut waiting = hand.submit((1..=CONSUMERS).map(|call| dequeuing(call, false))).into_iter();
    hand.work().await;
    assert_eq!(standing(&hand), (1, CONSUMERS as usize - 1));
    let _put_1 = hand.submit([enqueuing(1)]);
    hand.work().await;
    assert_eq!(taken(waiting.next().expect("the first")).await, [1], "in their order");
    assert_eq!(standing(&hand), (1, CONSUMERS as usize - 2));
    let _put_2 = hand.submit([enqueuing(3)]);
    hand.work().await;
    for id in 2..=4 {
        assert_eq!(taken(waiting.next().expect("the next")).await, [id]);
    }
    hand.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_that_goes_while_plugins_have_its_call_does_not_hold_the_line() {
    let mut hand = guarded().await;
    let mut waiting = hand.submit((1..=3).map(|call| dequeuing(call, false))).into_iter();
    hand.work().await;
    // The first wakes, and is dropped by the lane.
    let _put_3 = hand.submit([enqueuing(1)]);
    hand.turn();
    drop(waiting.next());
    hand.work().await;
    hand.sequencer.on_lease_tick();
    hand.work().await;
    assert_eq!(taken(waiting.next().expect("the second")).await, [1]);
    hand.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_is_asked_again_gets_what_it_has_whoever_stands_before_it() {
    for mut hand in [Hand::leading().await, guarded().await] {
        let _put_4 = hand.submit([enqueuing(1)]);
        hand.work().await;
        let lost = hand.submit([dequeuing(1, false)]);
        hand.work().await;
        drop(lost);
        let before = hand.submit([dequeuing(2, false), dequeuing(3, false)]);
        hand.work().await;
        let again = hand.submit([dequeuing(1, true)]).pop().expect("one");
        // One that has nothing stands behind the others.
        let nothing = hand.submit([dequeuing(4, true)]);
        hand.work().await;
        assert_eq!(taken(again).await, [1]);
        assert_eq!(standing(&hand), (1, 2));
        drop((before, nothing));
        hand.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_producer_that_does_not_wait_is_refused_although_others_wait() {
    let mut hand = Hand::leading().await;
    let config = Some("max-length 1".to_owned());
    let configure = QueueConfigureRequest { queue: "q".into(), config, condition: None };
    let _settings = hand.submit([queue(queue_ask::Ask::Configure(configure)), enqueuing(1)]);
    let items = vec![QueueNewItem::default()];
    let patient = QueueEnqueueRequest { queue: "q".into(), items, wait: true };
    let waiting = hand.submit([queue(queue_ask::Ask::Enqueue(patient))]);
    hand.work().await;
    assert_eq!(standing(&hand), (1, 0));
    let full = refusal(hand.submit([enqueuing(1)]).pop().expect("one")).await;
    assert_eq!(full.to_string(), "queue q is full: 1 items wait");
    drop(waiting);
    hand.close().await;
}
