//! Locks: who is asked when, what is woken by what, and what a grant leaves behind.

use std::time::Duration;

use super::{Cluster, Failure, LockCall, Plugin};
use crate::prelude::*;

/// As many holders as the setting says, in order of arrival.
#[lock_admission]
fn in_order(cx: &Context, lock: &Lock) -> Admission {
    let permits = cx.config("permits").unwrap_or(1);
    if lock.is_next() && lock.holders().len() < permits {
        cx.put(cx.key("last"), lock.name());
        Admit
    } else {
        cx.put(cx.key("never"), "");
        Wait
    }
}

/// Closed while a key says so, and for a second after it was opened.
fn opened(cx: &Context, _lock: &Lock) -> Result {
    let Some(key) = cx.get("gate") else { return wait() };
    match &key.value[..] {
        b"shut" => refuse("the gate is shut"),
        b"broken" => panic!("no such gate"),
        value => {
            let from: Time = serde_json::from_slice(value)?;
            if cx.now() < from { wait_until(from) } else { Ok(()) }
        }
    }
}

/// Whoever looks at all waiters.
fn nosy(_cx: &Context, lock: &Lock) -> Admission {
    if lock.ahead().is_empty() && lock.holders().is_empty() { Admit } else { Wait }
}

fn with(plugin: Plugin) -> Cluster {
    let cluster = Cluster::new();
    cluster.deploy(plugin);
    cluster
}

fn ordered() -> Cluster {
    with(Plugin::new("sem").under("l/").config("permits = 2").lock_admission(in_order))
}

fn woken(calls: &[&LockCall]) -> Vec<bool> {
    calls.iter().map(|call| call.is_woken()).collect()
}

#[test]
fn a_release_wakes_the_next_alone_and_tokens_grow() {
    let cluster = ordered();
    let client = cluster.client("alice");
    let calls: Vec<LockCall> = (0..5).map(|_| client.lock("l/a").acquire()).collect();
    let [a, b, c, d, e] = &calls[..] else { unreachable!("five were asked for") };
    assert!(a.is_held() && b.is_held() && c.is_waiting() && d.is_waiting() && e.is_waiting());
    assert!(a.token().ok() < b.token().ok());
    assert_eq!(client.get("l/never"), None, "what it wrote before it waited is dropped");
    a.release();
    assert_eq!(woken(&[c, d, e]), [true, false, false], "who is not next rests on those before it");
    cluster.settle();
    assert!(c.is_held() && d.is_waiting() && e.is_waiting() && !a.is_held());
    assert!(b.token().ok() < c.token().ok());
    assert_eq!(client.get(c.key().expect("held")).map(|k| k.create_revision), c.token().ok());
}

#[test]
fn a_waiter_that_leaves_wakes_the_one_behind_it() {
    let cluster = ordered();
    let client = cluster.anonymous();
    let calls: Vec<LockCall> = (0..5).map(|_| client.lock("l/a").acquire()).collect();
    calls[3].release();
    assert_eq!(woken(&[&calls[2], &calls[4]]), [false, true]);
    cluster.settle();
    assert!(calls[2].is_waiting() && calls[4].is_waiting());
    assert_eq!(calls[2].runs(), 1, "nothing that it read has changed");
}

#[test]
fn the_end_of_a_lease_frees_the_lock_and_loses_the_place() {
    let cluster = ordered();
    let client = cluster.anonymous();
    let calls: Vec<LockCall> = (0..4).map(|_| client.lock("l/a").acquire()).collect();
    calls[2].expire();
    calls[0].expire();
    cluster.settle();
    assert!(!calls[0].is_held());
    assert_eq!(calls[2].token(), Err(Failure::PlaceLost("l/a".into())));
    assert!(calls[3].is_held());
    cluster.advance(Duration::from_secs(61));
    assert!(!calls[3].is_held(), "its lease has ended by the clock");
}

#[test]
fn a_try_leaves_nothing_behind() {
    let cluster = ordered();
    let client = cluster.anonymous();
    let held: Vec<LockCall> = (0..2).map(|_| client.lock("l/a").try_acquire()).collect();
    assert!(held.iter().all(LockCall::is_held));
    let keys = client.prefix("l/");
    let tried = client.lock("l/a").try_acquire();
    assert_eq!(tried.token(), Err(Failure::Held("l/a".into())));
    assert_eq!(client.prefix("l/"), keys);
}

#[test]
fn what_was_read_wakes_and_a_time_does_too() {
    let cluster = with(Plugin::new("gate").under("l/").may_read("gate").lock_admission(opened));
    let client = cluster.anonymous();
    let call = client.lock("l/a").acquire();
    client.put("other", "").expect("no policy");
    assert!(call.is_waiting() && !call.is_woken());
    let soon = cluster.now() + Duration::from_secs(1);
    client.put("gate", soon.as_millis().to_string()).expect("no policy");
    cluster.settle();
    assert_eq!(call.waits_until(), Some(soon));
    cluster.advance(Duration::from_secs(1));
    assert!(call.is_woken());
    cluster.settle();
    assert!(call.is_held());
    client.put("gate", "shut").expect("no policy");
    let shut = client.lock("l/a").acquire();
    let failure = shut.token().expect_err("refused").to_string();
    assert_eq!(failure, "refused by gate: the gate is shut");
    assert_eq!(client.prefix("l/a/").len(), 1, "the place is given up");
}

#[test]
fn waiters_are_read_by_those_that_look_at_them() {
    let cluster = with(Plugin::new("nosy").under("l/").lock_admission(nosy));
    let client = cluster.anonymous();
    let first = client.lock("l/a").acquire();
    let waiting = [client.lock("l/a").acquire(), client.lock("l/a").acquire()];
    assert!(waiting[0].is_woken(), "somebody came");
    cluster.settle();
    first.release();
    cluster.settle();
    assert!(waiting[0].is_held() && waiting[1].is_waiting());
}

#[test]
fn nobody_walks_around_the_plugin() {
    let cluster = ordered();
    let refused = cluster.anonymous().put("l/a/1", "").expect_err("refused").to_string();
    assert_eq!(refused, "locks under \"l/\" are admitted by plugin sem; use the Lock service");
    assert!(cluster.anonymous().put("m", "").is_ok());
}

#[test]
fn a_failure_refuses_unless_the_binding_fails_open() {
    let gate = || Plugin::new("gate").under("l/").may_read("gate").lock_admission(opened);
    let cluster = with(gate());
    let client = cluster.anonymous();
    client.put("gate", "broken").expect("no policy");
    let failure = client.lock("l/a").acquire().token().expect_err("closed").to_string();
    assert!(failure.contains("the lock admission failed: plugin panicked"), "{failure}");
    cluster.deploy(gate().fail_open());
    let (one, two) = (client.lock("l/a").acquire(), client.lock("l/a").acquire());
    assert!(one.is_held() && two.is_waiting(), "as without a plugin");
    one.release();
    cluster.settle();
    assert!(two.is_held() && one.token().ok() < two.token().ok());
}

#[test]
fn a_monitored_admission_is_asked_and_not_followed() {
    let gate = Plugin::new("gate").under("l/").may_read("gate").lock_admission(opened);
    let cluster = with(gate.monitor());
    let client = cluster.anonymous();
    client.put("gate", "shut").expect("no policy");
    let (one, two) = (client.lock("l/a").shared().acquire(), client.lock("l/a").shared().acquire());
    assert!(one.is_held() && two.is_held());
    let asked: Vec<String> = cluster.would_refuse().iter().map(ToString::to_string).collect();
    assert_eq!(asked, ["refused by gate: the gate is shut"; 2]);
}

#[test]
fn waiting_outlives_the_leader() {
    let cluster = ordered();
    let client = cluster.anonymous();
    let calls: Vec<LockCall> = (0..4).map(|_| client.lock("l/a").acquire()).collect();
    cluster.change_leader();
    cluster.settle();
    assert!(calls[0].is_held() && calls[2].is_waiting());
    calls[1].release();
    cluster.settle();
    assert!(calls[2].is_held() && calls[3].is_waiting());
}
