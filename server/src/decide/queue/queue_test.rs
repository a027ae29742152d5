//! What queues do, case by case.

use portunus_proto::etcdserverpb as pb;
use portunus_proto::portunus::v1::{
    PutSequentialRequest, QueueAckRequest, QueueAckResponse, QueueAsk, QueueClaim,
    QueueConfigureRequest, QueueDelivery, QueueDequeueRequest, QueueEnqueueRequest,
    QueueExtendRequest, QueueNackRequest, QueueNewItem, QueuePeekRequest, QueueRemoveRequest,
    QueueShelf, QueueWithdrawRequest, queue_ask::Ask, queue_said::Said,
};

use super::{explain, peek, stats};
use crate::decide::stepper::Stepper;
use crate::decide::{QueueRefusal, Refusal, Reply, Request};
use crate::types::{Item, KeyRange, LeaseId};

fn world() -> Stepper {
    let mut world = Stepper::new();
    world.grant(1);
    world.grant(2);
    world
}

fn ask(ask: Ask) -> Request {
    Request::Queue(QueueAsk { ask: Some(ask), ..Default::default() })
}

fn said(answer: Result<Reply, Refusal>) -> Result<Said, Refusal> {
    match answer? {
        Reply::Queue(said) => Ok(said.said.expect("it says something")),
        other => panic!("{other:?}"),
    }
}

fn new(payload: &str) -> QueueNewItem {
    QueueNewItem { payload: payload.to_owned().into(), ..QueueNewItem::default() }
}

fn enqueuing(items: Vec<QueueNewItem>) -> Request {
    ask(Ask::Enqueue(QueueEnqueueRequest { queue: "q".into(), items, wait: false }))
}

fn enqueue(world: &mut Stepper, items: Vec<QueueNewItem>) -> Result<Vec<u64>, Refusal> {
    match said(world.tell(enqueuing(items)))? {
        Said::Enqueued(enqueued) => Ok(enqueued.ids),
        other => panic!("{other:?}"),
    }
}

fn dequeuing(lease: i64, max: u32, wait: bool) -> Request {
    let own_lease = if lease == 0 { 77 } else { 0 };
    ask(Ask::Dequeue(QueueDequeueRequest {
        queue: "q".into(),
        max,
        lease,
        wait,
        own_lease,
        ..QueueDequeueRequest::default()
    }))
}

fn delivered(answer: Result<Reply, Refusal>) -> Vec<QueueDelivery> {
    match said(answer).unwrap() {
        Said::Dequeued(dequeued) => dequeued.deliveries,
        other => panic!("{other:?}"),
    }
}

fn take(world: &mut Stepper, lease: i64, max: u32) -> Vec<(String, QueueClaim)> {
    let request = dequeuing(lease, max, false);
    let deliveries = delivered(world.tell(request)).into_iter();
    deliveries
        .map(|delivery| {
            let payload = delivery.item.unwrap().payload.to_vec();
            (String::from_utf8(payload).unwrap(), delivery.claim.unwrap())
        })
        .collect()
}

fn names(taken: &[(String, QueueClaim)]) -> Vec<&str> {
    taken.iter().map(|(payload, _)| payload.as_str()).collect()
}

fn ack(
    world: &mut Stepper,
    claim: QueueClaim,
    txn: Option<pb::TxnRequest>,
) -> Result<QueueAckResponse, Refusal> {
    let request = QueueAckRequest { queue: "q".into(), claims: vec![claim], txn };
    match said(world.tell(ask(Ask::Ack(request))))? {
        Said::Acked(acked) => Ok(acked),
        other => panic!("{other:?}"),
    }
}

fn configure(world: &mut Stepper, config: Option<&str>, condition: Option<&str>) {
    let request = QueueConfigureRequest {
        queue: "q".into(),
        config: config.map(str::to_owned),
        condition: condition.map(str::to_owned),
    };
    said(world.tell(ask(Ask::Configure(request)))).unwrap();
}

fn refused(refusal: QueueRefusal) -> Refusal {
    Refusal::Queue(refusal)
}

#[test]
fn items_leave_by_priority_and_then_in_order() {
    let mut world = world();
    let urgent = |payload| QueueNewItem { priority: 9, ..new(payload) };
    enqueue(&mut world, vec![new("a"), new("b"), urgent("c"), new("d"), urgent("e")]).unwrap();
    assert_eq!(names(&take(&mut world, 1, 9)), ["c", "e", "a", "b", "d"]);
    let ready = stats(&world.head, b"q").unwrap();
    assert_eq!((ready.ready, ready.taken, ready.enqueued), (0, 5, 5));
}

#[test]
fn the_first_waiting_consumer_gets_the_item() {
    let mut world = world();
    let first = world.ask(dequeuing(1, 1, true));
    let second = world.ask(dequeuing(2, 1, true));
    enqueue(&mut world, vec![new("a")]).unwrap();
    assert_eq!(delivered(world.answer(first).unwrap()).len(), 1);
    assert!(world.waits(second));
}

#[test]
fn what_a_crashed_consumer_had_goes_to_the_next_in_its_place() {
    let mut world = world();
    enqueue(&mut world, vec![new("a"), new("b"), new("c")]).unwrap();
    let lost = take(&mut world, 1, 2);
    let waiting = {
        assert_eq!(names(&take(&mut world, 2, 1)), ["c"]);
        world.ask(dequeuing(2, 9, true))
    };
    world.expire(1);
    let again = delivered(world.answer(waiting).expect("woken by the end of the claims"));
    let attempts: Vec<u32> = again.iter().map(|it| it.item.as_ref().unwrap().attempts).collect();
    assert_eq!(attempts, [2, 2]);
    let late = ack(&mut world, lost[0].1, None).unwrap_err();
    assert_eq!(late, refused(QueueRefusal::ClaimLost { id: lost[0].1.id }));
}

#[test]
fn an_ack_and_the_consumers_writes_are_one() {
    let mut world = world();
    enqueue(&mut world, vec![new("a")]).unwrap();
    let (_, claim) = take(&mut world, 0, 1).remove(0);
    let put = pb::PutRequest { key: "result".into(), value: "1".into(), ..Default::default() };
    let put = pb::request_op::Request::RequestPut(put);
    let success = vec![pb::RequestOp { request: Some(put) }];
    let compare = pb::Compare {
        key: "result".into(),
        target: pb::compare::CompareTarget::Version.into(),
        target_union: Some(pb::compare::TargetUnion::Version(5)),
        ..Default::default()
    };
    let unmet =
        pb::TxnRequest { compare: vec![compare], success: success.clone(), failure: vec![] };
    assert!(!ack(&mut world, claim, Some(unmet)).unwrap().acked);
    assert!(world.head.get(b"result").is_none());
    let txn = pb::TxnRequest { success, ..Default::default() };
    let acked = ack(&mut world, claim, Some(txn.clone())).unwrap();
    assert!(acked.acked && acked.txn.is_some());
    assert_eq!(world.head.get(b"result").map(Item::version), Some(1));
    assert!(ack(&mut world, claim, Some(txn)).is_err(), "once");
    assert_eq!(world.head.get(b"result").map(Item::version), Some(1));
    assert!(world.head.lease(LeaseId(77)).is_none(), "its lease went with the last claim");
}

fn calling(lease: i64, call: i64, again: bool) -> Request {
    let Request::Queue(QueueAsk { ask: Some(Ask::Dequeue(request)), .. }) =
        dequeuing(lease, 2, true)
    else {
        panic!("a dequeue");
    };
    ask(Ask::Dequeue(QueueDequeueRequest { call, again, ..request }))
}

fn withdraw(world: &mut Stepper, lease: i64, call: i64) -> Said {
    let request = QueueWithdrawRequest { queue: "q".into(), lease, call };
    said(world.tell(ask(Ask::Withdraw(request)))).unwrap()
}

#[test]
fn a_call_that_is_asked_again_finds_what_it_has_taken() {
    for lease in [0, 1] {
        let mut world = world();
        enqueue(&mut world, ["a", "b", "c", "d", "e"].map(new).to_vec()).unwrap();
        let other = delivered(world.tell(calling(2, 6, false)));
        let first = delivered(world.tell(calling(lease, 7, false)));
        assert_eq!(first, delivered(world.tell(calling(lease, 7, true))));
        assert_eq!(stats(&world.head, b"q").unwrap().ready, 1);
        // Another call of the same lease is another, and what it took has nothing to do with it.
        if lease == 1 {
            let next = delivered(world.tell(calling(1, 8, true)));
            assert_eq!((next.len(), other.len()), (1, 2));
            assert!(!first.contains(&next[0]));
        }
    }
}

#[test]
fn what_nobody_heard_of_is_put_back_as_if_it_had_not_left() {
    let mut world = world();
    configure(&mut world, Some("max-attempts 1"), Some("size>=3"));
    enqueue(&mut world, ["a", "b", "c"].map(new).to_vec()).unwrap();
    assert_eq!(delivered(world.tell(calling(1, 7, false))).len(), 2);
    let kept = delivered(world.tell(calling(1, 8, false)));
    assert_eq!(withdraw(&mut world, 1, 7), Said::Count(2));
    assert_eq!(withdraw(&mut world, 1, 7), Said::Count(0), "once");
    let now = stats(&world.head, b"q").unwrap();
    assert_eq!((now.ready, now.taken, now.dead), (2, 1, 0));
    let again = delivered(world.tell(calling(2, 9, false)));
    let again: Vec<_> = again.into_iter().filter_map(|it| it.item).collect();
    assert!(again.iter().all(|item| item.attempts == 1), "nobody had them: {again:?}");
    let payloads: Vec<&[u8]> = again.iter().map(|item| &item.payload[..]).collect();
    assert_eq!(payloads, [b"a", b"b"], "the condition lets pass what it let pass");
    assert!(ack(&mut world, kept[0].claim.unwrap(), None).unwrap().acked);
    // The lease of a call that had its own goes too.
    enqueue(&mut world, ["d", "e", "f"].map(new).to_vec()).unwrap();
    delivered(world.tell(calling(0, 10, false)));
    withdraw(&mut world, 77, 10);
    assert!(world.head.lease(LeaseId(77)).is_none());
}

#[test]
fn a_producer_that_asks_again_is_not_told_that_its_own_items_fill_the_queue() {
    let mut world = world();
    configure(&mut world, Some("max-length 2"), None);
    let item = |id: &str| QueueNewItem { dedup_id: id.to_owned(), ..new(id) };
    assert_eq!(enqueue(&mut world, vec![item("x"), item("y")]).unwrap(), [1, 2]);
    assert_eq!(enqueue(&mut world, vec![item("x"), item("y")]).unwrap(), [1, 2]);
    let full = enqueue(&mut world, vec![item("y"), item("z")]).unwrap_err();
    assert_eq!(full, refused(QueueRefusal::Full { queue: "q".into(), max: 2 }));
}

#[test]
fn an_id_counts_no_longer_than_its_window_however_many_there_are() {
    let mut world = world();
    configure(&mut world, Some("dedup-window 1"), None);
    let batch = || {
        let ids = (0..500).map(|n| QueueNewItem { dedup_id: format!("{n}"), ..new("") });
        ids.collect::<Vec<_>>()
    };
    enqueue(&mut world, batch()).unwrap();
    world.advance(1000);
    let last = QueueNewItem { dedup_id: "499".into(), ..new("") };
    assert_eq!(enqueue(&mut world, vec![last.clone()]).unwrap(), [501]);
    // What is forgotten of the first does not forget the second.
    enqueue(&mut world, (0..600).map(|_| new("")).collect()).unwrap();
    assert_eq!(enqueue(&mut world, vec![last]).unwrap(), [501]);
    world.advance(1000);
    enqueue(&mut world, vec![new("")]).unwrap();
    let left = world.head.items().count(&KeyRange::prefix("q/dedup/"));
    assert_eq!(left, 0, "nothing stays behind");
}

#[test]
fn too_many_attempts_make_a_dead_letter() {
    let mut world = world();
    configure(&mut world, Some("max-attempts 2"), None);
    enqueue(&mut world, vec![new("a")]).unwrap();
    let (_, claim) = take(&mut world, 1, 1).remove(0);
    let nack = |claim, delay_ms| {
        let claims = vec![claim];
        let reason = "no disk".to_owned();
        let queue = "q".into();
        ask(Ask::Nack(QueueNackRequest { queue, claims, delay_ms, reason, dead: false }))
    };
    said(world.tell(nack(claim, 500))).unwrap();
    assert!(take(&mut world, 1, 1).is_empty(), "it is delayed");
    let waiting = world.ask(dequeuing(1, 1, true));
    world.advance(499);
    assert!(world.waits(waiting));
    world.advance(1);
    let again = delivered(world.answer(waiting).unwrap()).remove(0);
    said(world.tell(nack(again.claim.unwrap(), 500))).unwrap();
    let dead = QueuePeekRequest { queue: "q".into(), shelf: QueueShelf::Dead.into(), max: 9 };
    let dead = peek(&world.head, &dead).unwrap();
    assert_eq!(dead[0].reason, "delivered 2 times; no disk");
}

#[test]
fn a_bounded_queue_refuses_or_lets_producers_wait() {
    let mut world = world();
    configure(&mut world, Some("max-length 2"), None);
    enqueue(&mut world, vec![new("a"), new("b")]).unwrap();
    let full = enqueue(&mut world, vec![new("c")]).unwrap_err();
    assert_eq!(full, refused(QueueRefusal::Full { queue: "q".into(), max: 2 }));
    configure(&mut world, Some("max-length 2 overflow block"), None);
    let waiting = world.ask(enqueuing(vec![new("c")]));
    assert!(world.waits(waiting));
    take(&mut world, 1, 1);
    assert!(world.answer(waiting).is_some_and(|answer| answer.is_ok()));
    assert!(enqueue(&mut world, vec![new("x"), new("y"), new("z")]).is_err(), "it never fits");
}

#[test]
fn an_id_is_put_in_once_within_its_window() {
    let mut world = world();
    configure(&mut world, Some("dedup-window 60"), None);
    let item = || QueueNewItem { dedup_id: "order-7".into(), ..new("a") };
    assert_eq!(enqueue(&mut world, vec![item(), item()]).unwrap(), [1, 1]);
    world.advance(59_999);
    assert_eq!(enqueue(&mut world, vec![item()]).unwrap(), [1]);
    world.advance(1);
    assert_eq!(enqueue(&mut world, vec![item()]).unwrap(), [2]);
    assert_eq!(stats(&world.head, b"q").unwrap().ready, 2);
}

#[test]
fn extending_moves_the_claims_and_keeps_their_tokens() {
    let mut world = world();
    enqueue(&mut world, vec![new("a")]).unwrap();
    let (_, claim) = take(&mut world, 0, 1).remove(0);
    let extend =
        QueueExtendRequest { queue: "q".into(), claims: vec![claim], seconds: 90, own_lease: 78 };
    let Said::Extended(extended) = said(world.tell(ask(Ask::Extend(extend)))).unwrap() else {
        panic!("another answer");
    };
    assert_eq!(extended.claims[0].token, claim.token);
    assert!(world.head.lease(LeaseId(77)).is_none());
    assert_eq!(world.head.lease(LeaseId(78)).map(|lease| lease.ttl), Some(90));
    assert!(ack(&mut world, claim, None).unwrap().acked);
}

#[test]
fn a_malformed_text_is_refused_at_the_put_with_its_place() {
    let mut world = world();
    world.put("q/condition", "sice>=1").expect("q is no queue yet");
    world.delete("q/condition");
    enqueue(&mut world, vec![new("a")]).unwrap();
    let text = |at, what: &str| {
        let what = what.to_owned();
        refused(QueueRefusal::Text { key: "q/condition".into(), at, what })
    };
    let error = world.put("q/condition", "size>=x").unwrap_err();
    assert_eq!(error, text(6, "size>= takes a number above 0"));
    let put =
        pb::PutRequest { key: "q/condition".into(), value: "key".into(), ..Default::default() };
    let put = pb::request_op::Request::RequestPut(put);
    let success = vec![pb::RequestOp { request: Some(put) }];
    let txn = pb::TxnRequest { success, ..Default::default() };
    let error = world.tell(Request::Txn(txn)).unwrap_err();
    assert_eq!(error, text(3, "the name of a key is missing"));
    assert!(world.put("q/config", "max-length many").is_err());
    world.put("elsewhere/condition", "sice>=1").expect("nobody's queue");
}

#[test]
fn a_barrier_opens_for_as_many_as_are_there() {
    let mut world = world();
    configure(&mut world, None, Some("size>=3"));
    enqueue(&mut world, vec![new("a"), new("b")]).unwrap();
    assert!(take(&mut world, 1, 9).is_empty());
    let explained = explain(&world.head, b"q", None, world.now_ms).unwrap();
    assert_eq!(
        (explained.serves, &explained.waits_for[..]),
        (false, &["size>=3: 2 are ready".to_owned()][..])
    );
    enqueue(&mut world, vec![new("c")]).unwrap();
    let first = take(&mut world, 1, 1);
    enqueue(&mut world, vec![new("d")]).unwrap();
    assert_eq!((names(&first), names(&take(&mut world, 1, 9))), (vec!["a"], vec!["b", "c"]));
    assert!(take(&mut world, 1, 9).is_empty(), "d waits for two more");
    world.expire(1);
    let again = take(&mut world, 2, 1);
    assert_eq!(names(&again), ["a"], "what has passed passes again");
}

#[test]
fn queues_and_keys_open_and_shut_it() {
    let mut world = world();
    configure(&mut world, None, Some("any(key now, all(key gate = open, after done earlier))"));
    enqueue(&mut world, vec![new("a"), new("b")]).unwrap();
    let waiting = world.ask(dequeuing(1, 1, true));
    world.put("gate", "open").unwrap();
    world.put("done", "").unwrap();
    let other = QueueEnqueueRequest { queue: "earlier".into(), items: vec![new("x")], wait: false };
    world.tell(ask(Ask::Enqueue(other))).unwrap();
    assert!(world.waits(waiting));
    let remove = QueueRemoveRequest { queue: "earlier".into(), id: 1 };
    world.tell(ask(Ask::Remove(remove))).unwrap();
    assert!(!world.waits(waiting));
    world.put("gate", "shut").unwrap();
    assert!(take(&mut world, 1, 1).is_empty());
    world.put("now", "").unwrap();
    assert_eq!(names(&take(&mut world, 1, 1)), ["b"]);
}

#[test]
fn a_large_backlog_is_brought_back_before_anything_leaves() {
    let mut world = world();
    let items: Vec<_> = (0..900).map(|n| new(&format!("{n}"))).collect();
    enqueue(&mut world, items).unwrap();
    for _ in 0..4 {
        assert_eq!(take(&mut world, 1, 256).len(), 256);
        if stats(&world.head, b"q").unwrap().ready < 256 {
            break;
        }
    }
    take(&mut world, 1, 256);
    world.expire(1);
    assert_eq!(stats(&world.head, b"q").unwrap().returning, 900);
    assert_eq!(names(&take(&mut world, 2, 1)), ["0"]);
    let now = stats(&world.head, b"q").unwrap();
    assert_eq!((now.ready, now.returning, now.taken), (899, 0, 1));
}

#[test]
fn sequential_keys_are_in_the_order_of_their_creation() {
    let mut world = world();
    let mut keys = Vec::new();
    for _ in 0..3 {
        let request = PutSequentialRequest { prefix: "n/".into(), ..Default::default() };
        let Said::Put(put) = said(world.tell(ask(Ask::PutSequential(request)))).unwrap() else {
            panic!("another answer");
        };
        keys.push(put.key);
        world.put("other", "").unwrap();
    }
    assert!(keys.is_sorted() && keys[0] == "n/00000000000000000002", "{keys:?}");
}

#[test]
fn names_that_would_lie_in_another_queue_are_refused() {
    let mut world = world();
    for name in ["", "q/items", "dead/q", "q/claims/x"] {
        let request = QueueEnqueueRequest { queue: name.into(), ..Default::default() };
        let error = world.tell(ask(Ask::Enqueue(request))).unwrap_err();
        assert_eq!(error, refused(QueueRefusal::Unnamed), "{name}");
    }
}
