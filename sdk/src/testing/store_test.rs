//! The fake store keeps revisions, versions, leases and transactions as the real one, and policies
//! see and add to every write.

use std::time::Duration;

use super::{Cluster, Failure, Limits, Plugin};
use crate::log::{self, Level};
use crate::{Context, Event, OrStop, Result, Verdict, Write, metrics, refuse};

fn keys(items: &[crate::Item]) -> Vec<String> {
    items.iter().map(|item| item.key_text().into_owned()).collect()
}

#[test]
fn revisions_and_versions_count_as_in_etcd() {
    let cluster = Cluster::new();
    let client = cluster.anonymous();
    assert_eq!(cluster.revision(), 1);
    assert_eq!(client.put("a", "1"), Ok(2));
    assert_eq!(client.put("a", "1"), Ok(3));
    let item = client.get("a").expect("it was put");
    assert_eq!((item.create_revision, item.mod_revision, item.version), (2, 3, 2));
    assert_eq!((client.delete("a"), client.delete("a")), (Ok(1), Ok(0)));
    assert_eq!(cluster.revision(), 4, "a delete of nothing takes no revision");
    client.put("a", "2").expect("nothing refuses");
    assert_eq!(client.get("a").map(|item| (item.create_revision, item.version)), Some((5, 1)));
}

#[test]
fn a_transaction_is_one_revision_of_the_branch_that_is_taken() {
    let cluster = Cluster::new();
    let client = cluster.anonymous();
    let put = |value| client.txn().if_absent("a").put("a", value).put("b", value).or_delete("b");
    let first = put("1").commit().expect("nothing refuses");
    assert_eq!((first.succeeded, first.revision), (true, 2));
    let again = put("2").commit().expect("nothing refuses");
    assert_eq!((again.succeeded, again.revision), (false, 3));
    assert_eq!((client.text("a"), client.text("b")), (Some("1".to_owned()), None));
    let swap = client.txn().if_value("a", "1").if_mod_revision("a", 2).if_version("a", 1);
    assert!(swap.if_exists("a").delete_prefix("").commit().expect("nothing refuses").succeeded);
    assert_eq!(client.prefix(""), []);
}

#[test]
fn a_lease_ends_by_the_clock_and_takes_its_keys_along() {
    let cluster = Cluster::new();
    let client = cluster.anonymous();
    let lease = cluster.grant_lease(Duration::from_secs(5));
    client.put_with_lease("a", "", lease).expect("the lease is there");
    client.put_with_lease("b", "", lease).expect("the lease is there");
    client.put("b", "").expect("it takes the key off the lease");
    cluster.advance(Duration::from_millis(4_999));
    assert_eq!(keys(&client.prefix("")), ["a", "b"]);
    cluster.advance(Duration::from_millis(1));
    assert_eq!(keys(&client.prefix("")), ["b"]);
    assert_eq!(client.put_with_lease("c", "", lease), Err(Failure::UnknownLease(lease)));
}

/// Keeps `count` up to date with the keys under its prefix, at most three.
fn counting(cx: &Context, _: &[Write]) -> Result {
    let own = cx.key("count");
    let count = cx.prefix(cx.binding_prefix()).filter(|item| item.key != own).count();
    if count > 3 {
        log::warn("full");
        return refuse(format!("{count} are too many for {}", cx.caller().unwrap_or("nobody")));
    }
    metrics::count("kept", 1);
    metrics::observe("keys", f64::from(u8::try_from(count)?));
    cx.put(own, count.to_string());
    Ok(())
}

#[test]
fn a_policy_sees_the_transaction_and_adds_to_it() {
    let cluster = Cluster::new();
    cluster.deploy(Plugin::new("count").under("app/").write_policy(counting));
    let alice = cluster.client("alice");
    let two = alice.txn().put("app/a", "").put("app/b", "").put("other", "").commit();
    assert_eq!(two.map(|reply| reply.revision), Ok(2));
    assert_eq!(alice.text("app/count"), Some("2".to_owned()));
    assert_eq!(alice.get("app/count").map(|item| item.mod_revision), Some(2));
    assert_eq!(alice.delete_prefix("app/a"), Ok(1));
    assert_eq!(alice.text("app/count"), Some("1".to_owned()));
    let refused = alice.txn().put("app/c", "").put("app/d", "").put("app/e", "").put("x", "");
    let refused = refused.commit().expect_err("four are too many");
    assert_eq!(refused.to_string(), "refused by count: 4 are too many for alice");
    assert_eq!((cluster.revision(), alice.get("x")), (3, None), "a refusal rolls all back");
    assert_eq!(cluster.logged().iter().map(|line| line.level).collect::<Vec<_>>(), [Level::Warn]);
    assert_eq!(cluster.counter("count", "kept"), 2);
    assert_eq!(cluster.observed("count", "keys"), [2.0, 1.0]);
}

#[test]
fn policies_are_asked_in_order_and_about_each_others_writes() {
    fn index(cx: &Context, writes: &[Write]) {
        for write in writes {
            cx.put([b"index/", write.key()].concat(), "");
        }
    }
    fn no_secrets(_: &Context, writes: &[Write]) -> Result<(), String> {
        let secret = |write: &&Write| write.key().ends_with(b"secret");
        writes.iter().find(secret).map_or(Ok(()), |write| Err(write.key_text().into_owned()))
    }
    let cluster = Cluster::new();
    let index = |cx: &Context, writes: &[Write]| {
        index(cx, writes);
        Verdict::Allow
    };
    cluster.deploy(Plugin::new("index").under("app/").may_write("index/").write_policy(index));
    cluster.deploy(Plugin::new("z-guard").under("index/").write_policy(no_secrets));
    let client = cluster.anonymous();
    client.put("app/a", "").expect("allowed");
    assert_eq!(keys(&client.prefix("")), ["app/a", "index/app/a"]);
    let refused = client.put("app/secret", "").expect_err("the index's write is refused");
    assert_eq!(refused.to_string(), "refused by z-guard: index/app/secret");
    cluster.deploy(
        Plugin::new("a")
            .under("app/")
            .write_policy(|_: &Context, _: &[Write]| Verdict::refuse("first")),
    );
    let refused = client.put("app/secret", "").expect_err("two policies refuse");
    assert_eq!(refused.to_string(), "refused by a: first");
}

#[test]
fn policies_that_answer_each_other_are_stopped_and_named() {
    fn bounce(cx: &Context, writes: &[Write]) -> Verdict {
        let other = if cx.name() == "ping" { "pong/" } else { "ping/" };
        cx.put(format!("{other}{}", cx.random_u64()), writes[0].key());
        Verdict::Allow
    }
    let cluster = Cluster::new();
    let pong = Plugin::new("pong").under("pong/").may_write("ping/");
    cluster.deploy(pong.write_policy(bounce));
    let ping = Plugin::new("ping").under("ping/").may_write("pong/");
    cluster.deploy(ping.write_policy(bounce));
    let refused = cluster.anonymous().put("ping/x", "").expect_err("it does not end").to_string();
    assert!(
        refused.contains("without end (8 rounds): ping/write-policy/ping/, pong/"),
        "{refused}"
    );
}

#[test]
fn a_plugin_is_not_asked_about_what_it_wrote_itself() {
    fn double(cx: &Context, writes: &[Write]) -> Verdict {
        for write in writes {
            cx.put([write.key(), b"x"].concat(), "");
        }
        Verdict::Allow
    }
    fn copy(cx: &Context, events: &[Event]) {
        for event in events.iter().filter(|event| !event.key().ends_with(b"x")) {
            cx.put(cx.key("copy/x"), event.key());
        }
    }
    let cluster = Cluster::new();
    cluster.deploy(Plugin::new("p").under("app/").write_policy(double).trigger(copy));
    let client = cluster.anonymous();
    assert_eq!(client.put("app/a", ""), Ok(2));
    assert_eq!(keys(&client.prefix("")), ["app/a", "app/ax"]);
    cluster.settle();
    assert_eq!(keys(&client.prefix("")), ["app/a", "app/ax", "app/copy/x"]);
}

#[test]
fn a_breach_of_the_grants_and_a_panic_refuse_and_are_named() {
    fn touch(cx: &Context, writes: &[Write]) -> Verdict {
        match writes[0].value().unwrap_or_default() {
            b"get" => drop(cx.get("secret/a")),
            b"range" => drop(cx.prefix("ap").next()),
            b"put" => cx.put("secret/a", ""),
            b"read-granted" => cx.put("granted/a", ""),
            b"taken" => drop(cx.delete_prefix("app/")),
            b"lease" => cx.put_with_lease("app/a", "", 9),
            b"random" => drop(cx.random(2_000)),
            b"panic" => panic!("on purpose"),
            _ => drop(cx.get("granted/a")),
        }
        Verdict::Allow
    }
    let cluster = Cluster::new();
    cluster.deploy(Plugin::new("p").under("app/").may_read("granted/").write_policy(touch));
    let client = cluster.anonymous();
    let refusal = |value| client.put("app/k", value).err().map(|refused| refused.to_string());
    let breach = "plugin may not do this: p";
    let outside = "it is bound to \"app/\" and has no grant for it";
    for (value, why) in [
        ("get", format!("{breach} may not read \"secret/a\": {outside}")),
        ("range", format!("{breach} may not read a range from \"ap\": {outside}")),
        ("put", format!("{breach} may not write \"secret/a\": {outside}")),
        ("read-granted", format!("{breach} may not write \"granted/a\": {outside}")),
        ("taken", format!("{breach} writes \"app/k\", which the transaction writes itself")),
        ("lease", "plugin may not do this: there is no lease 9".to_owned()),
        ("random", "plugin asked for more than 1024 random bytes at once".to_owned()),
        ("panic", "plugin panicked: on purpose".to_owned()),
    ] {
        let expected = format!("refused by p: the policy failed: {why}");
        assert_eq!(refusal(value), Some(expected), "{value}");
    }
    assert_eq!(refusal("other"), None);
}

#[test]
fn a_scan_reads_page_by_page_and_sees_the_calls_own_writes() {
    fn scan(cx: &Context, _: &[Write]) -> Result {
        let all: Vec<_> = cx.prefix("k/").map(|item| item.key_text().into_owned()).collect();
        assert_eq!(all.len(), 1_500);
        assert!(all.is_sorted());
        assert_eq!(cx.prefix("k/").limit(20).count(), 20);
        assert_eq!(cx.range("k/0001".."k/0003").count(), 2);
        assert_eq!(cx.range("k/0001"..="k/0003").nth(2).or_refuse("three")?.key, b"k/0003");
        assert_eq!((cx.count_prefix("k/"), cx.count("k/1".."k0")), (1_500, 500));
        assert_eq!(cx.delete_range("k/0".."k/1"), 1_000);
        assert!(cx.delete("k/1000") && !cx.delete("k/1000"));
        assert_eq!((cx.count_prefix("k/"), cx.get("k/0001")), (499, None));
        cx.delete_prefix("k/");
        cx.put_json("k/json", &[1, 2])?;
        assert_eq!(cx.get_json::<Vec<u8>>("k/json")?, Some(vec![1, 2]));
        let wrong = cx.get_json::<String>("k/json").expect_err("a list is no text");
        assert!(wrong.to_string().starts_with("the value of k/json does not parse"), "{wrong}");
        Ok(())
    }
    let cluster = Cluster::new();
    let client = cluster.anonymous();
    let many = (0..1_500).fold(client.txn(), |txn, key| txn.put(format!("k/{key:04}"), ""));
    many.commit().expect("no policy yet");
    let limits = Limits { writes: 2_000, ..Limits::default() };
    let plugin = Plugin::new("scan").under("go").may_write("k/").limits(limits);
    cluster.deploy(plugin.write_policy(scan));
    assert_eq!(client.put("go", ""), Ok(3));
    assert_eq!(keys(&client.prefix("")), ["go", "k/json"]);
}
