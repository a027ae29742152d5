//! Locks that plugins admit, with the lane and the sequencer by hand: grants and their tokens, who
//! is asked again when, and that nobody walks around the plugin.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use portunus_proto::etcdserverpb as pb;
use portunus_proto::portunus::v1::{
    LockAcquireRequest, LockAsk, LockAwait, LockPlace as Place, LockReleaseRequest, LockSaid,
    lock_ask,
};
use tokio::sync::oneshot::Receiver;

use super::answer::Delivery;
use super::ask::{Ask, Said};
use super::hand_test::{Hand, Script, binding, call, one, put, refusal, said};
use crate::decide::lock::{self, admission};
use crate::decide::{LockRefusal, Refusal, Reply, Request, Undeploy};
use crate::effect::{Binding, FailurePolicy, Grants, Mode, Point};
use crate::types::{KeyRange, LeaseId};
use crate::wasm::{Admission, LockPlace, LockRequest, Outcome, View};

/// Admits while fewer than `permits` hold, in order. Counts how often it is asked.
pub fn counting(permits: usize, asked: Arc<AtomicUsize>) -> Script {
    let admit = move |view: &mut dyn View, _: &LockRequest<'_>, holders: &[LockPlace]| {
        asked.fetch_add(1, Ordering::Relaxed);
        let next = view.is_next().expect("it is asked about a lock");
        match next && holders.len() < permits {
            true => Admission::Admit,
            false => Admission::Wait(None),
        }
    };
    Script { admission: Box::new(admit), ..Script::default() }
}

fn semaphore(permits: usize) -> Script {
    counting(permits, Arc::default())
}

pub async fn with(script: Script, more: Binding) -> Hand {
    let mut hand = Hand::leading().await;
    let admits = Binding { point: Point::LockAdmission, prefix: "locks/".into(), ..more };
    hand.plug("gate", script, vec![admits]).await;
    hand.grant(1..=9).await;
    hand
}

pub fn ask(kind: lock_ask::Ask) -> Ask {
    Ask::Decide(Request::Lock(LockAsk { ask: Some(kind), ..LockAsk::default() }))
}

pub fn wanting(lease: i64, names: &[&'static str]) -> LockAcquireRequest {
    let names = names.iter().map(|name| (*name).into()).collect();
    LockAcquireRequest { names, lease, ..LockAcquireRequest::default() }
}

pub async fn enlist(hand: &mut Hand, request: LockAcquireRequest) -> LockSaid {
    locked(one(hand, ask(lock_ask::Ask::Enlist(request))).await)
}

pub fn locked(said: Said) -> LockSaid {
    match said {
        Said::Reply(Reply::Lock(said)) => said,
        other => panic!("{other:?}"),
    }
}

pub fn wait(hand: &mut Hand, places: Vec<Place>) -> Receiver<Delivery> {
    hand.submit([ask(lock_ask::Ask::AwaitTurn(LockAwait { places }))]).pop().expect("one")
}

pub async fn release(hand: &mut Hand, lease: i64, name: &'static str) {
    let names = vec![name.into()];
    let release = LockReleaseRequest { names, lease, entirely: true };
    one(hand, ask(lock_ask::Ask::Release(release))).await;
}

pub fn holders(hand: &Hand, name: &'static str) -> Vec<i64> {
    hand.node.shared.applied.with(|version| {
        let held = admission::held(&version.state, &name.into());
        held.iter().map(|holder| holder.lease.0).collect()
    })
}

fn keys(hand: &Hand) -> usize {
    hand.node.shared.applied.with(|version| version.state.items().count(&KeyRange::all()))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_admits_as_many_as_it_likes_and_wakes_the_next_alone() {
    let asked = Arc::new(AtomicUsize::new(0));
    let mut hand = with(counting(2, asked.clone()), Binding::default()).await;
    let mut tokens = Vec::new();
    for lease in 1..=2 {
        let taken = enlist(&mut hand, wanting(lease, &["locks/a"])).await;
        assert!(taken.granted);
        assert_eq!(taken.places[0].key, format!("locks/a!holders/{}", LeaseId(lease)));
        tokens.push(taken.places[0].token);
    }
    let mut waits = Vec::new();
    for lease in 3..=5 {
        let taken = enlist(&mut hand, wanting(lease, &["locks/a"])).await;
        assert!(!taken.granted, "{lease}");
        waits.push(wait(&mut hand, taken.places));
    }
    hand.work().await;
    assert_eq!(holders(&hand, "locks/a"), [1, 2]);
    asked.store(0, Ordering::Relaxed);
    release(&mut hand, 2, "locks/a").await;
    assert_eq!(holders(&hand, "locks/a"), [1, 3]);
    // The one that got it, and the one that is next now.
    assert_eq!(asked.load(Ordering::Relaxed), 2);
    let third = locked(said(waits.remove(0)).await);
    tokens.push(third.places[0].token);
    assert!(tokens.is_sorted_by(|a, b| a < b), "{tokens:?}");
    assert_eq!(hand.sequencer.parked.len(), 2);
    let line = hand.node.shared.applied.with(|version| lock::describe(&version.state, b"locks/a"));
    let told: Vec<_> = line.line.iter().map(|place| (place.lease, place.holds_it)).collect();
    assert_eq!(told, [(1, true), (3, true), (4, false), (5, false)]);
    assert_eq!(line.line[1].token, third.places[0].token);
    hand.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_are_never_admitted_on_one_state() {
    let first_come = |_: &mut dyn View, _: &LockRequest<'_>, holders: &[LockPlace]| {
        if holders.is_empty() { Admission::Admit } else { Admission::Wait(None) }
    };
    let script = Script { admission: Box::new(first_come), ..Script::default() };
    let mut hand = with(script, Binding::default()).await;
    let asks = (1..=9).map(|lease| ask(lock_ask::Ask::Enlist(wanting(lease, &["locks/a"]))));
    let answers = hand.submit(asks);
    hand.work().await;
    let mut granted = 0;
    for answer in answers {
        granted += usize::from(locked(said(answer).await).granted);
    }
    assert_eq!((granted, holders(&hand, "locks/a").len()), (1, 1));
    hand.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn out_of_turn_the_token_still_grows() {
    let by_weight = |view: &mut dyn View, request: &LockRequest<'_>, holders: &[LockPlace]| {
        let heaviest = view.waiters().expect("a lock").iter().map(|place| place.weight).max();
        match holders.is_empty() && Some(request.place.weight) == heaviest {
            true => Admission::Admit,
            false => Admission::Wait(None),
        }
    };
    let script = Script { admission: Box::new(by_weight), ..Script::default() };
    let mut hand = with(script, Binding::default()).await;
    let weighing =
        |lease| LockAcquireRequest { weight: lease as u32, ..wanting(lease, &["locks/a"]) };
    let first = enlist(&mut hand, weighing(1)).await;
    assert!(first.granted);
    let mut waits = Vec::new();
    for lease in 2..=4 {
        let taken = enlist(&mut hand, weighing(lease)).await;
        waits.push(wait(&mut hand, taken.places));
    }
    hand.work().await;
    let (mut token, mut order) = (first.places[0].token, vec![1]);
    for _ in 0..3 {
        release(&mut hand, *order.last().expect("one"), "locks/a").await;
        order.extend(holders(&hand, "locks/a"));
        let last = *order.last().expect("one");
        let granted = locked(said(waits.remove(last as usize - 2)).await);
        waits.insert(last as usize - 2, tokio::sync::oneshot::channel().1);
        assert!(granted.places[0].token > token);
        token = granted.places[0].token;
    }
    assert_eq!(order, [1, 4, 3, 2]);
    hand.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_try_and_a_refusal_leave_nothing_behind() {
    let picky = |_: &mut dyn View, request: &LockRequest<'_>, holders: &[LockPlace]| match &request
        .place
        .metadata[..]
    {
        b"never" => Admission::Refuse("not you".into()),
        _ if holders.is_empty() => Admission::Admit,
        _ => Admission::Wait(None),
    };
    let script = Script { admission: Box::new(picky), ..Script::default() };
    let mut hand = with(script, Binding::default()).await;
    assert!(enlist(&mut hand, wanting(1, &["locks/a"])).await.granted);
    let before = keys(&hand);
    let trying = LockAcquireRequest { try_only: true, ..wanting(2, &["locks/b", "locks/a"]) };
    let answer = hand.submit([ask(lock_ask::Ask::Enlist(trying))]).pop().expect("one");
    hand.work().await;
    let held = LockRefusal::Held { name: "locks/a".into() };
    assert_eq!(refusal(answer).await, Refusal::Lock(held));
    let never = LockAcquireRequest { metadata: "never".into(), ..wanting(3, &["locks/a"]) };
    let answer = hand.submit([ask(lock_ask::Ask::Enlist(never))]).pop().expect("one");
    hand.work().await;
    let refused = Refusal::PolicyRefused { binding: "gate".into(), reason: "not you".into() };
    assert_eq!(refusal(answer).await, refused);
    assert_eq!(keys(&hand), before);
    hand.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn several_locks_are_had_together_or_not_at_all() {
    let mut hand = with(semaphore(1), Binding::default()).await;
    assert!(enlist(&mut hand, wanting(1, &["locks/b"])).await.granted);
    // One is free, one is not, and one has no plugin.
    let taken = enlist(&mut hand, wanting(2, &["locks/a", "locks/b", "plain"])).await;
    assert!(!taken.granted);
    assert!(holders(&hand, "locks/a").is_empty() && holders(&hand, "plain").is_empty());
    let waits = wait(&mut hand, taken.places);
    hand.work().await;
    release(&mut hand, 1, "locks/b").await;
    let granted = locked(said(waits).await);
    assert_eq!(granted.places.len(), 3);
    for name in ["locks/a", "locks/b", "plain"] {
        assert_eq!(holders(&hand, name), [2], "{name}");
    }
    release(&mut hand, 2, "locks/a").await;
    release(&mut hand, 2, "locks/b").await;
    release(&mut hand, 2, "plain").await;
    assert_eq!(keys(&hand), 0, "a release takes both keys of each");
    hand.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_asked_again_when_a_key_it_read_changes_or_the_lease_of_a_holder_ends() {
    let gated = |view: &mut dyn View, _: &LockRequest<'_>, holders: &[LockPlace]| {
        let shut = view.get(b"ops/shut").expect("granted").is_some();
        match !shut && holders.is_empty() {
            true => Admission::Admit,
            false => Admission::Wait(None),
        }
    };
    let script = Script { admission: Box::new(gated), ..Script::default() };
    let read = vec![KeyRange::prefix("ops/")];
    let grants = Grants { read, ..Grants::default() };
    let mut hand = with(script, Binding { grants, ..Binding::default() }).await;
    one(&mut hand, put("ops/shut", "x")).await;
    let taken = enlist(&mut hand, wanting(1, &["locks/a"])).await;
    assert!(!taken.granted);
    let waits = wait(&mut hand, taken.places);
    hand.work().await;
    one(&mut hand, put("elsewhere", "x")).await;
    assert_eq!(hand.sequencer.parked.len(), 1);
    let delete = pb::DeleteRangeRequest { key: "ops/shut".into(), ..Default::default() };
    one(&mut hand, Ask::Decide(Request::DeleteRange(delete))).await;
    assert!(locked(said(waits).await).granted);
    let second = enlist(&mut hand, wanting(2, &["locks/a"])).await;
    let waits = wait(&mut hand, second.places);
    hand.work().await;
    one(&mut hand, Ask::Decide(Request::LeaseExpire(vec![LeaseId(1)]))).await;
    assert!(locked(said(waits).await).granted);
    assert_eq!(holders(&hand, "locks/a"), [2]);
    hand.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_writes_where_a_plugin_admits_but_the_plugin() {
    let noting = |view: &mut dyn View, _: &LockRequest<'_>, _: &[LockPlace]| {
        view.put(b"locks/count", b"1", LeaseId::NONE).expect("its own prefix");
        Admission::Admit
    };
    let script = Script { admission: Box::new(noting), ..Script::default() };
    let mut hand = with(script, Binding::default()).await;
    assert!(enlist(&mut hand, wanting(1, &["locks/a"])).await.granted);
    assert_eq!(hand.value("locks/count").as_deref(), Some("1"), "with the admission");
    let own = pb::PutRequest { key: "locks/a/9".into(), ..Default::default() };
    let own = pb::request_op::Request::RequestPut(own);
    let txn = pb::TxnRequest {
        success: vec![pb::RequestOp { request: Some(own) }],
        ..Default::default()
    };
    let delete =
        pb::DeleteRangeRequest { key: "a".into(), range_end: "z".into(), ..Default::default() };
    let around = [
        put("locks/a/9", ""),
        Ask::Decide(Request::Txn(txn)),
        Ask::Decide(Request::DeleteRange(delete)),
    ];
    let refused = LockRefusal::Admitted { prefix: "locks/".into(), plugin: "gate".into() };
    for answer in hand.submit(around) {
        hand.work().await;
        assert_eq!(refusal(answer).await, Refusal::Lock(refused.clone()));
    }
    assert_eq!(holders(&hand, "locks/a"), [1]);
    let revoke = pb::LeaseRevokeRequest { id: 1 };
    one(&mut hand, Ask::Decide(Request::LeaseRevoke(revoke))).await;
    assert!(holders(&hand, "locks/a").is_empty(), "a lease may end");
    hand.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_monitored_admission_is_asked_and_the_line_decides() {
    let never = |_: &mut dyn View, _: &LockRequest<'_>, _: &[LockPlace]| Admission::Wait(None);
    let script = Script { admission: Box::new(never), ..Script::default() };
    let monitored = Binding { mode: Mode::Monitor, ..Binding::default() };
    let mut hand = with(script, monitored).await;
    assert!(enlist(&mut hand, wanting(1, &["locks/a"])).await.granted);
    let second = enlist(&mut hand, wanting(2, &["locks/a"])).await;
    assert!(!second.granted, "it is exclusive");
    let waits = wait(&mut hand, second.places);
    hand.work().await;
    release(&mut hand, 1, "locks/a").await;
    assert!(locked(said(waits).await).granted);
    one(&mut hand, put("locks/x", "")).await;
    hand.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_until_a_time_that_is_over_fails_and_lets_pass_where_it_may() {
    for (policy, granted) in [(FailurePolicy::Closed, false), (FailurePolicy::Open, true)] {
        let late =
            |_: &mut dyn View, _: &LockRequest<'_>, _: &[LockPlace]| Admission::Wait(Some(0));
        let script = Script { admission: Box::new(late), ..Script::default() };
        let more = Binding { on_failure: policy, ..Binding::default() };
        let mut hand = with(script, more).await;
        let wants = ask(lock_ask::Ask::Enlist(wanting(1, &["locks/a"])));
        let answer = hand.submit([wants]).pop().expect("one");
        hand.work().await;
        match granted {
            true => assert!(locked(said(answer).await).granted),
            false => {
                let Refusal::PolicyRefused { reason, .. } = refusal(answer).await else {
                    panic!("another refusal")
                };
                assert!(reason.starts_with("the lock-admission failed: "), "{reason}");
            }
        }
        hand.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_held_it_before_there_was_a_plugin_wakes_the_next() {
    let mut hand = Hand::leading().await;
    hand.grant(1..=3).await;
    assert!(enlist(&mut hand, wanting(1, &["locks/a"])).await.granted);
    let admits = binding(Point::LockAdmission, "locks/");
    hand.plug("gate", semaphore(1), vec![admits]).await;
    let second = enlist(&mut hand, wanting(2, &["locks/a"])).await;
    let third = enlist(&mut hand, wanting(3, &["locks/a"])).await;
    let waits = [wait(&mut hand, second.places), wait(&mut hand, third.places)];
    hand.work().await;
    let [second, third] = waits;
    // Its key alone goes: no key of a holder was ever there.
    release(&mut hand, 1, "locks/a").await;
    let second = locked(said(second).await).places.remove(0).token;
    let revoke = pb::LeaseRevokeRequest { id: 2 };
    one(&mut hand, Ask::Decide(Request::LeaseRevoke(revoke))).await;
    assert!(locked(said(third).await).places[0].token > second);
    hand.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_goes_on_by_the_lines_rules_when_the_plugin_is_gone() {
    let never = |_: &mut dyn View, _: &LockRequest<'_>, _: &[LockPlace]| Admission::Wait(None);
    let script = Script { admission: Box::new(never), ..Script::default() };
    let mut hand = with(script, Binding::default()).await;
    let mut waits = Vec::new();
    for lease in 1..=2 {
        let places = enlist(&mut hand, wanting(lease, &["locks/a"])).await.places;
        waits.push(wait(&mut hand, places));
    }
    hand.work().await;
    let undeploy = Undeploy { name: "gate".into(), caller: String::new() };
    one(&mut hand, Ask::Decide(Request::Undeploy(undeploy))).await;
    let first = locked(said(waits.remove(0)).await).places.remove(0).token;
    assert_eq!(holders(&hand, "locks/a"), [1]);
    release(&mut hand, 1, "locks/a").await;
    assert!(locked(said(waits.remove(0)).await).places[0].token > first);
    hand.close().await;
}

/// Puts a key where another plugin admits.
fn stealing() -> Script {
    let recipe = |view: &mut dyn View, _: &str, key: &str| match view.put(
        key.as_bytes(),
        b"",
        LeaseId::NONE,
    ) {
        Ok(()) => Outcome::Done(Vec::new()),
        Err(refused) => Outcome::Refuse(refused.0),
    };
    Script { recipe: Box::new(recipe), ..Script::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_another_plugin_writes_where_one_admits_is_refused_and_its_own_is_not() {
    let mut hand = with(semaphore(1), Binding::default()).await;
    let grants = || Grants { write: vec![KeyRange::prefix("locks/")], ..Grants::default() };
    let recipe = Binding { grants: grants(), ..binding(Point::Recipe, "other/") };
    hand.plug("thief", stealing(), vec![recipe]).await;
    let answer = hand.submit([call("thief", "known", "locks/a/9")]).pop().expect("one");
    hand.work().await;
    let refused = LockRefusal::Admitted { prefix: "locks/".into(), plugin: "gate".into() };
    assert_eq!(refusal(answer).await, Refusal::Lock(refused));
    assert!(hand.value("locks/a/9").is_none());
    let bindings = vec![
        Binding { grants: grants(), ..binding(Point::Recipe, "other/") },
        binding(Point::LockAdmission, "locks/"),
    ];
    hand.plug("gate", stealing(), bindings).await;
    one(&mut hand, call("gate", "known", "locks/a/9")).await;
    assert!(hand.value("locks/a/9").is_some(), "the plugin itself may");
    hand.close().await;
}
