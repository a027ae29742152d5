//! What a binding changes for a plugin: its limits, monitor mode, failing open; and transactions
//! within transactions, as policies see them.

use super::{Cluster, Limits, Plugin};
use crate::prelude::*;

/// Reads, writes and logs as much as the key's value says, then refuses `no`.
fn busy(cx: &Context, writes: &[Write]) -> Result {
    for write in writes {
        let text = String::from_utf8_lossy(write.value().unwrap_or_default()).into_owned();
        match text.split_once(' ').unwrap_or((&text, "1")) {
            ("no", _) => refuse("no")?,
            ("panic", _) => panic!("broken"),
            ("get", count) => (0..count.parse()?).for_each(|_: u32| drop(cx.get("b/none"))),
            ("range", count) => drop(cx.prefix("b/k").limit(count.parse()?).count()),
            ("put", count) => (0..count.parse()?).for_each(|at: u32| cx.put(format!("n/{at}"), "")),
            ("wipe", _) => drop(cx.delete_prefix("w/")),
            ("log", text) => log::info(text),
            _ => {}
        }
    }
    Ok(())
}

fn plugin() -> Plugin {
    Plugin::new("busy").under("b/").may_write("n/").may_write("w/").write_policy(busy)
}

fn limited(limits: Limits) -> Cluster {
    let cluster = Cluster::new();
    cluster.deploy(plugin().limits(limits));
    cluster
}

fn why(cluster: &Cluster, value: &str) -> String {
    let refused = cluster.anonymous().put("b/x", value);
    refused.map_or_else(|failure| failure.to_string(), |_| "done".to_owned())
}

#[test]
fn reads_count_one_for_each_and_one_for_each_item() {
    let cluster = limited(Limits { reads: 5, ..Limits::default() });
    for at in 0..9 {
        cluster.anonymous().put(format!("b/k{at}"), "").expect("it asks for nothing");
    }
    let breach = "refused by busy: the policy failed: plugin read more than 5 keys in one call";
    assert_eq!(why(&cluster, "get 5"), "done");
    assert_eq!(why(&cluster, "get 6"), breach);
    assert_eq!(why(&cluster, "range 4"), "done");
    assert_eq!(why(&cluster, "range 5"), breach);
}

#[test]
fn writes_count_keys_and_bytes() {
    let cluster = limited(Limits { writes: 3, ..Limits::default() });
    let client = cluster.anonymous();
    let breach = "refused by busy: the policy failed: plugin wrote more than 3 keys in one call";
    assert_eq!(why(&cluster, "put 3"), "done");
    assert_eq!(why(&cluster, "put 4"), breach);
    client.txn().put("w/1", "").put("w/2", "").put("w/3", "").commit().expect("no policy");
    assert_eq!(why(&cluster, "wipe"), "done", "three keys");
    for at in 0..4 {
        client.put(format!("w/{at}"), "").expect("no policy");
    }
    assert_eq!(why(&cluster, "wipe"), breach, "four keys");
    let cluster = limited(Limits { write_bytes: 6, ..Limits::default() });
    assert_eq!(why(&cluster, "put 2"), "done");
    assert!(why(&cluster, "put 3").ends_with("plugin wrote more than 6 bytes in one call"));
}

#[test]
fn bytes_of_reads_and_log_are_bounded() {
    let cluster = limited(Limits { read_bytes: 8, log_bytes: 5, ..Limits::default() });
    cluster.anonymous().put("b/k", "12345").expect("it asks for nothing");
    assert_eq!(why(&cluster, "range 1"), "done");
    cluster.anonymous().put("b/k", "123456").expect("it asks for nothing");
    assert!(why(&cluster, "range 1").ends_with("plugin read more than 8 bytes in one call"));
    assert_eq!(why(&cluster, "log 12345"), "done");
    assert!(why(&cluster, "log 123456").ends_with("plugin logged more than 5 bytes in one call"));
}

#[test]
fn a_monitored_policy_is_asked_and_not_followed() {
    let cluster = Cluster::new();
    cluster.deploy(plugin().monitor());
    for value in ["no", "put 2", "panic"] {
        assert_eq!(why(&cluster, value), "done");
    }
    assert_eq!(cluster.anonymous().get("n/0"), None, "what it wrote does not happen");
    let would: Vec<String> = cluster.would_refuse().iter().map(ToString::to_string).collect();
    let failed = "refused by busy: the policy failed: plugin panicked: broken";
    assert_eq!(would, ["refused by busy: no", failed]);
}

#[test]
fn failing_open_lets_failures_pass_and_refusals_not() {
    let cluster = Cluster::new();
    cluster.deploy(plugin().limits(Limits { writes: 1, ..Limits::default() }).fail_open());
    assert_eq!(why(&cluster, "panic"), "done");
    assert_eq!(why(&cluster, "put 2"), "done");
    assert_eq!(cluster.anonymous().get("n/0"), None, "what it wrote before it failed is dropped");
    assert_eq!(why(&cluster, "no"), "refused by busy: no");
}

#[test]
fn a_transaction_within_another_is_one_decision() {
    let cluster = Cluster::new();
    cluster.deploy(plugin());
    let client = cluster.anonymous();
    let nested = |value: &str| {
        let value = value.to_owned();
        let txn = client.txn().if_absent("b/a").put("b/a", "1");
        let txn = txn.then_txn(|txn| {
            // Its comparison sees what was there before the outer transaction's put.
            let inner = txn.if_exists("b/a").put("b/wrong", "").or_put("b/b", value);
            inner.or_txn(|txn| txn.put("b/c", "3"))
        });
        txn.or_txn(|txn| txn.put("b/d", "4")).commit()
    };
    assert_eq!(nested("no").expect_err("refused").to_string(), "refused by busy: no");
    assert!(client.prefix("b/").is_empty(), "all or nothing");
    let reply = nested("2").expect("allowed");
    let keys: Vec<Vec<u8>> = client.prefix("b/").into_iter().map(|item| item.key).collect();
    assert_eq!(keys, [b"b/a", b"b/b", b"b/c"]);
    assert!(
        reply.succeeded && client.prefix("b/").iter().all(|k| k.mod_revision == reply.revision)
    );
    assert!(!nested("2").expect("allowed").succeeded);
    assert_eq!(client.text("b/d").as_deref(), Some("4"));
}
