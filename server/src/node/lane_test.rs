//! The lane and the sequencer together: chained batches equal a serial order whatever comes
//! between, policies hold for every way to write, and each breach has its name.

use std::collections::BTreeMap;

use bytes::Bytes;
use portunus_proto::etcdserverpb as pb;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::answer::Bounce;
use super::ask::{Ask, Said};
use super::hand_test::{
    Hand, Script, binding, call, called, counter, number, put, put_revision, refusal, said,
};
use super::plugin::{Handled, TriggerBatch};
use crate::decide::{Reply, Request};
use crate::effect::{Binding, Effect, FailurePolicy, Grants, Mode, Point};
use crate::types::{KeyRange, LeaseId};
use crate::wasm::{CallError, Outcome, Verdict, View, Write};

async fn with_counter() -> Hand {
    let mut hand = Hand::leading().await;
    hand.plug("c", counter(), vec![binding(Point::Recipe, "")]).await;
    hand
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_on_one_key_follow_each_other_in_one_entry() {
    let mut hand = with_counter().await;
    let before = hand.sequencer.head.revision;
    let answers = hand.submit((0..100).map(|_| call("c", "add", "n")));
    assert!(hand.turn());
    assert_eq!(hand.sequencer.outstanding.len(), 1, "one batch, one entry");
    assert!(!hand.turn(), "nothing had to run again");
    hand.resolve().await;
    for (n, answer) in (1i64..).zip(answers) {
        assert_eq!(called(answer).await, (n.to_string(), before + n));
    }
    hand.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_foreseen_wrongly_runs_again_and_costs_no_try() {
    let mut hand = with_counter().await;
    let answers = hand.submit((0..10).map(|_| call("c", "add", "n")));
    let mut turns = 0;
    while let Some(turn) = hand.node.shared.lane.begin_turn() {
        // Elsewhere, but it takes the revision that the batch foresees for its first job.
        hand.submit([put("elsewhere", "")]);
        hand.node.shared.lane.end_turn(&hand.node.shared, &turn);
        hand.sequencer.take(None, &mut Vec::new());
        turns += 1;
        assert!(turns <= 10, "each batch brings at least one job through");
    }
    assert_eq!(turns, 10);
    hand.resolve().await;
    for (n, answer) in (1..).zip(answers) {
        assert_eq!(called(answer).await.0, n.to_string());
    }
    hand.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_overtaken_again_and_again_gets_its_keys_to_itself() {
    let mut hand = with_counter().await;
    let answer = hand.submit([call("c", "add", "n")]).pop().expect("one");
    let mut puts = Vec::new();
    while let Some(turn) = hand.node.shared.lane.begin_turn() {
        // Somebody writes the counter each time between its being read and being written.
        puts.extend(hand.submit([put("n", "100")]));
        hand.node.shared.lane.end_turn(&hand.node.shared, &turn);
        hand.sequencer.take(None, &mut Vec::new());
        assert!(puts.len() < 20, "it never comes through");
        hand.resolve().await;
    }
    assert_eq!(called(answer).await.0, "101", "no conflict: the last put stood back");
    hand.resolve().await;
    for put in puts {
        put_revision(put).await;
    }
    assert_eq!(hand.value("n").as_deref(), Some("100"), "and came after it");
    hand.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reservation_ends_with_its_time() {
    let mut hand = with_counter().await;
    let gone = hand.submit([call("c", "add", "n")]);
    for _ in 0..4 {
        let turn = hand.node.shared.lane.begin_turn().expect("it runs again");
        hand.submit([put("n", "1")]);
        hand.node.shared.lane.end_turn(&hand.node.shared, &turn);
        hand.sequencer.take(None, &mut Vec::new());
        hand.resolve().await;
    }
    assert!(hand.sequencer.reservation.is_some());
    let putting = hand.submit([put("n", "2")]).pop().expect("one");
    assert_eq!(hand.sequencer.standing_back.len(), 1);
    drop(gone);
    hand.node.shared.clock.advance(std::time::Duration::from_millis(200));
    hand.sequencer.on_lease_tick();
    hand.resolve().await;
    put_revision(putting).await;
    hand.close().await;
}

/// What the steps come to one after the other; each recipe must have answered that.
fn replay(order: BTreeMap<i64, (Ask, Option<Bytes>)>) -> BTreeMap<Bytes, i64> {
    let mut model: BTreeMap<Bytes, i64> = BTreeMap::new();
    for (revision, (ask, payload)) in order {
        let (key, value) = match ask {
            Ask::Decide(Request::Put(put)) => {
                (put.key, String::from_utf8_lossy(&put.value).parse().expect("a number"))
            }
            Ask::Decide(Request::Call(call)) => {
                let value = model.get(&call.payload).copied().unwrap_or(0) + 1;
                let answered = String::from_utf8(payload.expect("a reply").to_vec());
                assert_eq!(answered.as_deref(), Ok(&*value.to_string()), "at {revision}");
                (call.payload, value)
            }
            other => panic!("{other:?}"),
        };
        if key.starts_with(b"n/") {
            *model.entry("audit".into()).or_default() += 1;
        }
        model.insert(key, value);
    }
    model
}

/// Random calls and puts, batches overtaken at random, entries lost at random: what comes out is
/// what the same steps give one after the other, in the order of their revisions.
#[tokio::test(flavor = "multi_thread")]
async fn chained_batches_equal_a_serial_order() {
    let mut hand = with_counter().await;
    let audit = |view: &mut dyn View, writes: &[Write<'_>]| {
        // Counts every write under n/, in the same transaction.
        let count = number(view, "audit") + writes.len() as i64;
        view.put(b"audit", count.to_string().as_bytes(), LeaseId::NONE).expect("granted");
        Ok(Verdict::Allow)
    };
    let grants = Grants { write: vec![KeyRange::single("audit")], ..Grants::default() };
    let policy = Binding { grants, ..binding(Point::WritePolicy, "n/") };
    hand.plug("p", Script { policy: Box::new(audit), ..Script::default() }, vec![policy]).await;
    let mut dice = StdRng::seed_from_u64(7);
    let mut steps = Vec::new();
    for _ in 0..60 {
        let rejected: Vec<bool> = (0..3).map(|_| dice.random_bool(0.1)).collect();
        hand.node.shared.group().reject_proposals(rejected);
        let turn = hand.node.shared.lane.begin_turn();
        for _ in 0..dice.random_range(0..6) {
            let key = format!("n/{}", dice.random_range(0..3));
            let ask = match dice.random_range(0..4) {
                0 => put(&key, &dice.random_range(0..1000).to_string()),
                1 => put("elsewhere", "0"),
                _ => call("c", "add", &key),
            };
            steps.push((ask.clone(), hand.submit([ask]).pop().expect("one")));
        }
        if let Some(turn) = turn {
            hand.node.shared.lane.end_turn(&hand.node.shared, &turn);
        }
        if dice.random_bool(0.7) {
            hand.sequencer.take(None, &mut Vec::new());
        }
        if dice.random_bool(0.4) {
            hand.resolve().await;
        }
    }
    hand.sequencer.take(None, &mut Vec::new());
    hand.work().await;
    let mut order = BTreeMap::new();
    for (ask, answer) in steps {
        let (revision, payload) = match said(answer).await {
            Said::Reply(Reply::Put(reply)) => (reply.header.expect("a header").revision, None),
            Said::Reply(Reply::Called { revision, payload }) => (revision, Some(payload)),
            other => panic!("{other:?}"),
        };
        assert!(order.insert(revision, (ask, payload)).is_none(), "two steps at {revision}");
    }
    for (key, value) in replay(order) {
        let key = String::from_utf8_lossy(&key).into_owned();
        assert_eq!(hand.value(&key), Some(value.to_string()), "{key}");
    }
    hand.close().await;
}

fn refusing(why: &'static str) -> Script {
    let policy = move |_: &mut dyn View, _: &[Write<'_>]| Ok(Verdict::Refuse(why.into()));
    Script { policy: Box::new(policy), ..Script::default() }
}

fn nested_put(key: &'static str) -> Ask {
    use pb::request_op::Request as Op;
    let op = |op| pb::RequestOp { request: Some(op) };
    let put = pb::PutRequest { key: key.into(), ..Default::default() };
    let inner = pb::TxnRequest { success: vec![op(Op::RequestPut(put))], ..Default::default() };
    let outer = pb::TxnRequest { success: vec![op(Op::RequestTxn(inner))], ..Default::default() };
    Ask::Decide(Request::Txn(outer))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_holds_for_every_way_to_write() {
    let mut hand = with_counter().await;
    let grant = Ask::Decide(Request::LeaseGrant(pb::LeaseGrantRequest { ttl: 60, id: 5 }));
    let leased = pb::PutRequest { key: "p/leased".into(), lease: 5, ..Default::default() };
    hand.submit([grant, Ask::Decide(Request::Put(leased)), put("p/old", "")]);
    hand.resolve().await;
    hand.plug("no", refusing("no"), vec![binding(Point::WritePolicy, "p/")]).await;
    let delete = |key: &'static str, end: &'static str| {
        let (key, range_end) = (key.into(), end.into());
        Ask::Decide(Request::DeleteRange(pb::DeleteRangeRequest { key, range_end, prev_kv: false }))
    };
    let refused = [
        put("p/new", ""),
        delete("p/old", ""),
        delete("a", "z"),
        nested_put("p/new"),
        call("c", "add", "p/new"),
        Ask::Decide(Request::lease_revoke(LeaseId(5))),
    ];
    for ask in refused {
        let answer = hand.submit([ask.clone()]).pop().expect("one");
        hand.work().await;
        assert_eq!(refusal(answer).await.to_string(), "refused by no: no", "{ask:?}");
    }
    let allowed = [put("q", ""), delete("p/none", ""), nested_put("q"), call("c", "add", "q/n")];
    for ask in allowed {
        let answer = hand.submit([ask]).pop().expect("one");
        hand.work().await;
        said(answer).await;
    }
    // Expiry is not refused.
    hand.sequencer.evaluate_own(Request::lease_revoke(LeaseId(5)), &mut Default::default());
    assert!(hand.sequencer.head.get(b"p/leased").is_none());
    hand.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn modes_failures_and_order() {
    let mut hand = Hand::leading().await;
    let failing = || {
        let policy = |_: &mut dyn View, _: &[Write<'_>]| Err(CallError::NoRoom);
        Script { policy: Box::new(policy), ..Script::default() }
    };
    let mode = |mode, prefix| Binding { mode, ..binding(Point::WritePolicy, prefix) };
    hand.plug("monitored", refusing("no"), vec![mode(Mode::Monitor, "m")]).await;
    hand.plug("off", refusing("no"), vec![mode(Mode::Disabled, "m")]).await;
    let open = Binding { on_failure: FailurePolicy::Open, ..binding(Point::WritePolicy, "m") };
    hand.plug("open", failing(), vec![open]).await;
    hand.plug("closed", failing(), vec![binding(Point::WritePolicy, "closed/")]).await;
    hand.plug("b", refusing("from b"), vec![binding(Point::WritePolicy, "order")]).await;
    hand.plug("a", refusing("from a"), vec![binding(Point::WritePolicy, "order")]).await;
    let passes = hand.submit([put("m/1", "")]).pop().expect("one");
    let closed = hand.submit([put("closed/1", "")]).pop().expect("one");
    let order = hand.submit([put("order/1", "")]).pop().expect("one");
    hand.work().await;
    put_revision(passes).await;
    let closed = refusal(closed).await.to_string();
    assert!(closed.starts_with("refused by closed: the policy failed: "), "{closed}");
    assert_eq!(refusal(order).await.to_string(), "refused by a: from a");
    hand.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn breaches_and_cycles_are_named() {
    let mut hand = Hand::leading().await;
    let adding = |from: &'static str, to: &'static str| {
        let policy = move |view: &mut dyn View, writes: &[Write<'_>]| {
            let own = |write: &Write<'_>| matches!(write, Write::Put { key, .. } if key.starts_with(from.as_bytes()));
            if writes.iter().any(own) {
                view.put(to.as_bytes(), b"", LeaseId::NONE)?;
            }
            Ok(Verdict::Allow)
        };
        Script { policy: Box::new(policy), ..Script::default() }
    };
    let with = |prefix, write: &'static str| {
        let grants = Grants { write: vec![KeyRange::prefix(write)], ..Grants::default() };
        Binding { grants, ..binding(Point::WritePolicy, prefix) }
    };
    hand.plug("ping", adding("a", "b/1"), vec![with("a", "b")]).await;
    hand.plug("pong", adding("b", "a/1"), vec![with("b", "a")]).await;
    hand.plug("greedy", adding("g", "elsewhere"), vec![binding(Point::WritePolicy, "g")]).await;
    hand.plug("usurper", adding("u", "u/1"), vec![binding(Point::WritePolicy, "u")]).await;
    hand.plug("index", adding("x", "i/x"), vec![with("x", "i/")]).await;
    let cases = [
        ("a/0", &["without end", "ping/write-policy/a", "pong/write-policy/b"][..]),
        ("g/0", &["refused by greedy", "may not write \"elsewhere\""]),
        ("u/1", &["refused by usurper", "which the transaction writes itself"]),
    ];
    for (key, texts) in cases {
        let answer = hand.submit([put(key, "")]).pop().expect("one");
        hand.work().await;
        let told = refusal(answer).await.to_string();
        assert!(texts.iter().all(|text| told.contains(text)), "{key}: {told}");
    }
    let indexed = hand.submit([put("x", "")]).pop().expect("one");
    hand.work().await;
    let revision = put_revision(indexed).await;
    let state = hand.node.shared.applied.with(|version| version.state.clone());
    let at = |key: &[u8]| state.get(key).map(|item| item.mod_revision());
    assert_eq!((at(b"x"), at(b"i/x")), (Some(revision), Some(revision)), "one transaction");
    hand.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn recipes_are_refused_by_name_and_leave_nothing() {
    let mut hand = with_counter().await;
    let half = |view: &mut dyn View, function: &str, _: &str| {
        view.put(b"h/half", b"", LeaseId::NONE).expect("granted");
        match function {
            "refuse" => Outcome::Refuse("second thoughts".into()),
            "invalid" => Outcome::Invalid("not json".into()),
            "past" => Outcome::Wait(Some(0)),
            "twice" => {
                view.put(b"h/half", b"2", LeaseId::NONE).expect("granted");
                let seen = view.get(b"h/half").expect("granted").expect("its own write");
                Outcome::Done(seen.value().to_vec())
            }
            _ => Outcome::UnknownFunction,
        }
    };
    let half = || Script { recipe: Box::new(half), ..Script::default() };
    hand.plug("h", half(), vec![binding(Point::Recipe, "h/")]).await;
    let off = Binding { mode: Mode::Disabled, ..binding(Point::Recipe, "h/") };
    hand.plug("off", half(), vec![off]).await;
    hand.plug("mute", refusing(""), vec![binding(Point::WritePolicy, "zzz")]).await;
    let cases = [
        (call("h", "refuse", ""), "refused by h: second thoughts"),
        (call("h", "invalid", ""), "recipe h cannot use the payload: not json"),
        (call("h", "past", ""), "it waits until a time that is over"),
        (call("h", "none", ""), "recipe h has no function none: it has known"),
        (call("off", "refuse", ""), "plugin off is disabled"),
        (call("mute", "refuse", ""), "plugin mute offers no recipe"),
        (call("gone", "refuse", ""), "plugin gone not found"),
    ];
    for (ask, text) in cases {
        let answer = hand.submit([ask]).pop().expect("one");
        hand.work().await;
        let told = refusal(answer).await.to_string();
        assert!(told.contains(text), "{told}");
    }
    assert_eq!(hand.value("h/half"), None);
    let twice = hand.submit([call("h", "twice", "")]).pop().expect("one");
    hand.work().await;
    assert_eq!(called(twice).await.0, "2", "it sees its own writes");
    let version = hand.node.shared.applied.with(|v| v.state.get(b"h/half").map(|i| i.version()));
    assert_eq!(version, Some(1), "and writes each key once");
    hand.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trigger_moves_its_cursor_with_what_it_writes() {
    let mut hand = Hand::leading().await;
    let trigger = |view: &mut dyn View, events: usize| {
        let seen = number(view, "t/seen") + events as i64;
        view.put(b"t/seen", seen.to_string().as_bytes(), LeaseId::NONE).map_err(|no| no.0)?;
        if events == 0 { Err("nothing to do".into()) } else { Ok(()) }
    };
    let script = Script { trigger: Box::new(trigger), ..Script::default() };
    let id = binding(Point::Trigger, "t/");
    hand.plug("t", script, vec![id.clone()]).await;
    let id = Binding { plugin: "t".into(), ..id }.id();
    let cursor = |hand: &Hand| hand.sequencer.head.trigger(&id).expect("it is there").cursor;
    let from = cursor(&hand);
    let mut changes = Vec::new();
    let item = crate::types::Item::new(
        b"t/k",
        b"",
        9,
        crate::types::Revision::new(9, 0),
        1,
        LeaseId::NONE,
    );
    crate::machine::State::default().apply(&Effect::Put(item), &mut changes, &mut Vec::new());
    let batch = |from, to, events: &[crate::machine::Change]| {
        let (binding, events) = (id.clone(), events.to_vec());
        let batch = TriggerBatch { binding, from, to, missed: None, events, depth: 1, via: vec![] };
        Ask::Handle(Box::new(batch))
    };
    let handle = async |hand: &mut Hand, ask: Ask| {
        let answer = hand.submit([ask]).pop().expect("one");
        hand.work().await;
        match said(answer).await {
            Said::Handled(handled) => handled,
            other => panic!("{other:?}"),
        }
    };
    let done = handle(&mut hand, batch(from, from + 1, &changes)).await;
    assert!(matches!(done, Handled::Done { .. }), "{done:?}");
    assert_eq!((cursor(&hand), hand.value("t/seen").as_deref()), (from + 1, Some("1")));
    let failed = handle(&mut hand, batch(from + 1, from + 2, &[])).await;
    assert_eq!(failed, Handled::Failed("nothing to do".into()));
    let stale = handle(&mut hand, batch(from, from + 1, &changes)).await;
    assert_eq!(stale, Handled::Stale, "somebody handled these already");
    assert_eq!((cursor(&hand), hand.value("t/seen").as_deref()), (from + 1, Some("1")));
    let mut gone = batch(from, from + 1, &changes);
    if let Ask::Handle(batch) = &mut gone {
        batch.binding = "t/trigger/elsewhere".into();
    }
    assert_eq!(handle(&mut hand, gone).await, Handled::Stale);
    hand.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_its_plugin_compiled_a_call_waits_and_nobody_else_does() {
    let mut hand = with_counter().await;
    let stand_in = hand.node.shared.policies.stand_ins.lock().remove("c").expect("it is there");
    let waiting = hand.submit([call("c", "add", "n")]).pop().expect("one");
    assert!(hand.turn(), "somebody looked");
    assert!(!hand.turn(), "and does not look again");
    let plain = hand.submit([put("k", "")]).pop().expect("one");
    hand.resolve().await;
    put_revision(plain).await;
    hand.node.shared.policies.stand_ins.lock().insert("c".into(), stand_in);
    hand.node.shared.lane.desk.compiled();
    hand.work().await;
    assert_eq!(called(waiting).await.0, "1");
    hand.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_of_a_lost_leadership_go_elsewhere() {
    let mut hand = with_counter().await;
    let queued = hand.submit([call("c", "add", "n")]).pop().expect("one");
    let turn = hand.node.shared.lane.begin_turn().expect("a job");
    let behind = hand.submit([call("c", "add", "n")]).pop().expect("one");
    hand.node.shared.lane.end_turn(&hand.node.shared, &turn);
    let (_tell, follower) = tokio::sync::watch::channel(crate::raft::Leadership::default());
    hand.sequencer.leadership = follower;
    hand.sequencer.on_leadership();
    hand.sequencer.take(None, &mut Vec::new());
    for answer in [queued, behind] {
        let answer = answer.await.expect("answered");
        assert!(matches!(answer, Err(Bounce::NotExecuted(..))), "{answer:?}");
    }
    assert!(hand.node.shared.lane.begin_turn().is_none());
    hand.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_explanation_tells_what_each_policy_says_and_changes_nothing() {
    let mut hand = Hand::leading().await;
    let index = |view: &mut dyn View, _: &[Write<'_>]| {
        view.put(b"i/k", b"", LeaseId::NONE)?;
        Ok(Verdict::Allow)
    };
    let grants = Grants { write: vec![KeyRange::prefix("i/")], ..Grants::default() };
    let adding = Binding { grants, ..binding(Point::WritePolicy, "k") };
    let monitored = Binding { mode: Mode::Monitor, ..binding(Point::WritePolicy, "k") };
    hand.plug("adds", Script { policy: Box::new(index), ..Script::default() }, vec![adding]).await;
    hand.plug("first", refusing("one"), vec![binding(Point::WritePolicy, "k")]).await;
    hand.plug("later", refusing("two"), vec![binding(Point::WritePolicy, "i/")]).await;
    hand.plug("watch", refusing("three"), vec![monitored]).await;
    hand.plug("else", refusing("four"), vec![binding(Point::WritePolicy, "z")]).await;
    let Ask::Decide(Request::Txn(txn)) = nested_put("k") else { panic!("a transaction") };
    let explained = hand.node.explain(txn, None).await.expect("explained");
    let said: Vec<_> =
        explained.said.iter().map(|it| (&*it.binding, it.objection.as_deref())).collect();
    let expected = [
        ("adds/write-policy/k", None),
        ("first/write-policy/k", Some("one")),
        ("watch/write-policy/k", Some("three")),
        ("later/write-policy/i/", Some("two")),
    ];
    assert_eq!(said, expected);
    assert_eq!(explained.said[0].added.len(), 1);
    let refusal = explained.refusal.expect("it would be refused").to_string();
    assert_eq!(refusal, "refused by first: one");
    assert_eq!((hand.value("k"), hand.value("i/k")), (None, None));
    hand.close().await;
}
