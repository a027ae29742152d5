//! Recipes: typed arguments and replies, refusals, and calls that wait until what they read
//! changes.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Cluster, Failure, Plugin};
use crate::prelude::*;

recipes!(take, add, echo, after, now, both, draw, blind, late);

#[derive(Serialize, Deserialize)]
struct Add {
    name: String,
    by: i64,
}

#[recipe]
fn add(cx: &Context, args: Add) -> Result<i64> {
    if args.name.is_empty() {
        invalid("a counter has a name")?;
    }
    let key = cx.key(&args.name);
    let total = cx.get_json::<i64>(&key)?.unwrap_or(0) + args.by;
    cx.put_json(key, &total)?;
    if total < 0 { refuse("below zero") } else { Ok(total) }
}

#[recipe]
fn take(cx: &Context) -> Result<String> {
    let item = cx.prefix("queue/").next().or_wait()?;
    cx.put("taken", "");
    cx.delete(&item.key);
    Ok(String::from_utf8(item.value)?)
}

#[recipe]
fn echo(_cx: &Context, payload: Bytes) -> Result<Bytes, std::io::Error> {
    Ok(payload)
}

/// Answers one second after the time that the first call left.
#[recipe]
fn after(cx: &Context, _: Option<u8>) -> Result {
    let due = cx.get_json::<Time>("start")?.or_refuse("no start")? + Duration::from_secs(1);
    if cx.now() < due {
        return wait_until(due);
    }
    Ok(())
}

#[recipe]
fn now(cx: &Context) -> Result<Time> {
    Ok(cx.now())
}

/// Waits for `a`, then for `b`; nothing else may wake it.
#[recipe]
fn both(cx: &Context) -> Result {
    for key in ["a", "b"] {
        if cx.get(key).is_none() {
            cx.put("never", "");
            wait()?;
        }
    }
    Ok(())
}

#[recipe]
fn draw(cx: &Context) -> Result<Vec<u64>> {
    Ok(vec![cx.random_u64(), cx.random_u64()])
}

#[recipe]
fn blind(_cx: &Context) -> Result {
    wait()
}

#[recipe]
fn late(cx: &Context) -> Result {
    wait_until(cx.now())
}

fn cluster() -> Cluster {
    let cluster = Cluster::new();
    cluster.deploy(Plugin::new("r").recipes(RECIPES));
    cluster
}

#[test]
fn a_call_is_one_transaction_with_typed_ends() {
    let cluster = cluster();
    let client = cluster.client("alice");
    let by =
        |name: &str, by| client.call("r", "add", &Add { name: name.into(), by }).reply::<i64>();
    assert_eq!((by("a", 5), by("a", -2)), (Ok(5), Ok(3)));
    let refused = Failure::Refused { by: "r".to_owned(), reason: "below zero".to_owned() };
    assert_eq!(by("a", -9), Err(refused));
    assert_eq!(client.text("a"), Some("3".to_owned()), "the refused write is dropped");
    let invalid = by("", 1).expect_err("invalid").to_string();
    assert_eq!(invalid, "recipe r cannot use the payload: a counter has a name");
    let raw = |function, payload: &[u8]| client.call_bytes("r", function, payload).reply_bytes();
    let text = raw("add", b"{\"name\": 1}").expect_err("invalid").to_string();
    assert!(
        text.starts_with("recipe r cannot use the payload: name: invalid type: integer `1`"),
        "{text}"
    );
    assert!(raw("add", b"").expect_err("invalid").to_string().contains("missing field `name`"));
    assert_eq!(raw("echo", b"\xff\0"), Ok(b"\xff\0".to_vec()));
    let unknown = raw("sub", b"").expect_err("no such function").to_string();
    assert!(unknown.starts_with("recipe r has no function sub: it has take, add,"), "{unknown}");
    assert_eq!(raw("now", b""), Ok(cluster.now().as_millis().to_string().into_bytes()));
    let other = client.call("other", "add", &()).reply_bytes();
    assert_eq!(other, Err(Failure::UnknownPlugin("other".to_owned())));
    assert_eq!(RECIPES.names().next(), Some("take"));
}

#[test]
fn what_a_recipe_writes_passes_the_policies() {
    fn small(_: &Context, writes: &[Write]) -> Result<(), &'static str> {
        let long = writes.iter().any(|write| write.value().is_some_and(|value| value.len() > 1));
        if long { Err("long") } else { Ok(()) }
    }
    let cluster = cluster();
    cluster.deploy(Plugin::new("small").write_policy(small));
    let client = cluster.anonymous();
    let by = |by| client.call("r", "add", &Add { name: "a".into(), by }).reply::<i64>();
    assert_eq!(by(9), Ok(9));
    let refused = Failure::Refused { by: "small".to_owned(), reason: "long".to_owned() };
    assert_eq!(by(9), Err(refused));
}

#[test]
fn waiting_callers_run_in_the_order_that_the_test_chooses() {
    let cluster = cluster();
    let (alice, bob) = (cluster.client("alice"), cluster.client("bob"));
    let (first, second) = (alice.call("r", "take", &()), bob.call("r", "take", &()));
    bob.put("taken", "by hand").expect("no policies");
    assert!(!first.is_woken(), "it has only written that key, and its writes were dropped");
    assert_eq!(alice.text("taken"), Some("by hand".to_owned()));
    bob.put("queue/1", "work").expect("no policies");
    assert!(first.is_woken() && second.is_woken());
    second.run();
    assert_eq!(second.reply(), Ok("work".to_owned()));
    first.run();
    assert!(first.is_parked() && !first.is_woken());
    bob.put("queue/2", "more").expect("no policies");
    cluster.settle();
    assert_eq!((first.reply(), first.runs()), (Ok("more".to_owned()), 3));
}

#[test]
fn a_call_is_woken_by_what_it_read_and_by_nothing_else() {
    let cluster = cluster();
    let client = cluster.anonymous();
    let call = client.call("r", "both", &());
    client.put("b", "").expect("no policies");
    cluster.settle();
    assert_eq!(call.runs(), 1, "it has not come to b yet");
    client.delete("b").expect("no policies");
    client.put("a", "").expect("no policies");
    cluster.settle();
    assert!(call.is_parked() && call.runs() == 2);
    client.put("b", "").expect("no policies");
    cluster.settle();
    assert_eq!((call.reply(), client.get("never")), (Ok(()), None));
}

#[test]
#[should_panic(expected = "the call is not woken")]
fn a_call_that_is_not_woken_does_not_run() {
    cluster().anonymous().call("r", "both", &()).run();
}

#[test]
fn the_clock_wakes_who_waits_for_it() {
    let cluster = cluster();
    let client = cluster.anonymous();
    let start = serde_json::to_vec(&cluster.now()).expect("json");
    client.put("start", start).expect("no policies");
    let call = client.call("r", "after", &());
    assert_eq!(call.waits_until(), Some(cluster.now() + Duration::from_secs(1)));
    cluster.advance(Duration::from_millis(999));
    assert!(!call.is_woken());
    cluster.advance(Duration::from_millis(1));
    cluster.settle();
    assert_eq!((call.reply(), call.runs()), (Ok(()), 2));
}

#[test]
fn a_wait_that_nothing_would_end_is_a_failure() {
    let cluster = cluster();
    let client = cluster.anonymous();
    let why = |function| client.call("r", function, &()).reply::<()>().expect_err("failed");
    let blind = why("blind").to_string();
    assert!(
        blind.starts_with("refused by r: the recipe failed: it waits without having"),
        "{blind}"
    );
    let late = why("late").to_string();
    assert_eq!(late, "refused by r: the recipe failed: it waits until a time that is over");
}

#[test]
fn parked_calls_end_with_their_leader_or_their_client() {
    let cluster = cluster();
    let client = cluster.anonymous();
    let (parked, cancelled) = (client.call("r", "take", &()), client.call("r", "take", &()));
    cancelled.cancel();
    cluster.change_leader();
    assert_eq!(parked.reply::<String>(), Err(Failure::LeaderChanged));
    assert_eq!(cancelled.reply::<String>(), Err(Failure::Cancelled));
    cluster.change_leader_before_commit();
    let by = |by| client.call("r", "add", &Add { name: "a".into(), by }).reply::<i64>();
    assert_eq!(by(1), Err(Failure::LeaderChanged));
    assert_eq!(by(1), Ok(1), "the first one did not happen");
}

#[test]
fn randomness_is_the_same_in_every_run_and_differs_from_call_to_call() {
    let draw = |cluster: &Cluster| {
        cluster.deploy(Plugin::new("r").recipes(RECIPES));
        cluster.anonymous().call("r", "draw", &()).reply::<Vec<u64>>().expect("numbers")
    };
    let (one, other) = (Cluster::new(), Cluster::new());
    let first = draw(&one);
    assert_eq!(first, draw(&other));
    assert_ne!(first[0], first[1]);
    assert_ne!(first, draw(&one));
    assert_ne!(first, draw(&Cluster::with_seed(1)));
}
