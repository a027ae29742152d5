//! Triggers: every event once and in order, through failures, leader changes and compaction.

use std::time::Duration;

use super::{Cluster, Delivery, Plugin};
use crate::prelude::*;

/// Counts events and adds their keys to a journal; fails on the key `app/bad`.
fn journal(cx: &Context, batch: &Batch) -> Result {
    let mut text = cx
        .get("journal")
        .map_or_else(String::new, |item| String::from_utf8_lossy(&item.value).into_owned());
    if let Some(missed) = batch.missed() {
        text += &format!("?{}-{} ", missed.first, missed.last);
    }
    for event in batch {
        let kind = match event {
            Event::Put(_) if event.is_create() => "+",
            Event::Put(_) => "=",
            Event::Delete(_) => "-",
        };
        text += &format!("{kind}{} ", event.key_text());
        cx.put("journal", &text);
        if event.key() == b"app/bad" && event.item().is_some() {
            refuse(format!("bad at {}", event.revision()))?;
        }
    }
    cx.put("journal", &text);
    Ok(())
}

fn cluster() -> Cluster {
    let cluster = Cluster::new();
    let plugin = Plugin::new("journal").under("app/").may_read("journal").may_write("journal");
    cluster.deploy(plugin.trigger(journal));
    cluster
}

fn text(cluster: &Cluster) -> Option<String> {
    cluster.anonymous().text("journal")
}

#[test]
fn every_event_is_told_once_and_in_order() {
    let cluster = cluster();
    let client = cluster.anonymous();
    assert_eq!(cluster.deliver("journal"), Delivery::Nothing);
    for key in ["app/a", "other", "app/b", "app/a"] {
        client.put(key, "").expect("no policies");
    }
    let lease = cluster.grant_lease(Duration::from_secs(1));
    client.put_with_lease("app/c", "", lease).expect("the lease is there");
    cluster.advance(Duration::from_secs(1));
    cluster.batch_events(2);
    assert_eq!(cluster.deliver("journal"), Delivery::Done(2));
    assert_eq!(text(&cluster).as_deref(), Some("+app/a +app/b "));
    cluster.settle();
    assert_eq!(text(&cluster).as_deref(), Some("+app/a +app/b =app/a +app/c -app/c "));
    assert_eq!(cluster.deliver("journal"), Delivery::Nothing);
    assert_eq!(client.get("journal").map(|item| item.version), Some(3));
}

#[test]
fn a_revision_is_never_told_in_parts() {
    let cluster = cluster();
    cluster.batch_events(2);
    let client = cluster.anonymous();
    client.put("app/0", "").expect("no policies");
    let three = client.txn().put("app/c", "").put("app/b", "").put("app/a", "");
    three.commit().expect("no policies");
    assert_eq!(cluster.deliver("journal"), Delivery::Done(1));
    assert_eq!(cluster.deliver("journal"), Delivery::Done(3));
    assert_eq!(text(&cluster).as_deref(), Some("+app/0 +app/c +app/b +app/a "));
}

#[test]
fn a_leader_change_before_the_commit_tells_the_events_again() {
    let cluster = cluster();
    cluster.anonymous().put("app/a", "").expect("no policies");
    cluster.change_leader_before_commit();
    assert_eq!(cluster.deliver("journal"), Delivery::LeaderChanged);
    assert_eq!((text(&cluster), cluster.cursor("journal")), (None, 1));
    cluster.settle();
    assert_eq!((text(&cluster).as_deref(), cluster.cursor("journal")), (Some("+app/a "), 2));
}

#[test]
fn a_failure_drops_the_writes_rests_and_in_the_end_pauses() {
    let cluster = cluster();
    let client = cluster.anonymous();
    client.put("app/bad", "").expect("no policies");
    cluster.settle();
    assert_eq!(text(&cluster), None);
    cluster.settle();
    let failed = Delivery::Failed("bad at 2".to_owned());
    for _ in 1..9 {
        assert_eq!(cluster.deliver("journal"), failed, "only the first failure was before");
    }
    let paused = Delivery::Paused("bad at 2".to_owned());
    assert_eq!((cluster.deliver("journal"), cluster.deliver("journal")), (paused.clone(), paused));
    client.put("app/good", "").expect("no policies");
    cluster.advance(Duration::from_secs(60));
    cluster.settle();
    assert_eq!((text(&cluster), cluster.cursor("journal")), (None, 1), "the event is kept");
    cluster.resume("journal");
    assert_eq!(cluster.deliver("journal"), failed);
    cluster.skip("journal");
    cluster.settle();
    assert_eq!(text(&cluster).as_deref(), Some("+app/good "));
}

#[test]
fn the_clock_brings_a_failed_trigger_back() {
    fn once_only(cx: &Context, _: &[Event]) -> Result<(), &'static str> {
        if cx.now() < Time::from_millis(1_700_000_000_100) { Err("too early") } else { Ok(()) }
    }
    let cluster = Cluster::new();
    cluster.deploy(Plugin::new("t").trigger(once_only));
    cluster.anonymous().put("a", "").expect("no policies");
    cluster.settle();
    assert_eq!(cluster.cursor("t"), 1);
    cluster.advance(Duration::from_millis(100));
    cluster.settle();
    assert_eq!(cluster.cursor("t"), 2);
}

#[test]
fn a_compacted_gap_is_told_to_who_asks_and_fails_who_does_not() {
    fn deaf(_: &Context, _: &[Event]) {}
    let cluster = cluster();
    cluster.deploy(Plugin::new("deaf").trigger(deaf));
    let client = cluster.anonymous();
    for key in ["app/a", "app/b", "app/c"] {
        client.put(key, "").expect("no policies");
    }
    cluster.compact(3);
    assert_eq!(cluster.deliver("journal"), Delivery::Done(1));
    assert_eq!(text(&cluster).as_deref(), Some("?2-3 +app/c "));
    let Delivery::Failed(why) = cluster.deliver("deaf") else { panic!("it has to fail") };
    assert!(why.starts_with("revisions 2 to 3 were compacted away"), "{why}");
    cluster.skip("deaf");
    assert_eq!(cluster.deliver("deaf"), Delivery::Done(1), "what the journal wrote");
}

#[test]
fn a_cycle_of_triggers_ends_and_is_named() {
    fn answer(cx: &Context, events: &[Event]) {
        let other = if cx.name() == "ping" { "pong/" } else { "ping/" };
        cx.put(other, events[0].key());
    }
    let cluster = Cluster::new();
    cluster.deploy(Plugin::new("ping").under("ping/").may_write("pong/").trigger(answer));
    cluster.deploy(Plugin::new("pong").under("pong/").may_write("ping/").trigger(answer));
    cluster.anonymous().put("ping/", "").expect("no policies");
    cluster.settle();
    assert_eq!(cluster.revision(), 10, "the put, and eight that answered");
    let Delivery::Paused(why) = cluster.deliver("ping") else { panic!("it has to end") };
    let chain = "ping -> pong -> ping -> pong -> ping -> pong -> ping -> pong -> ping";
    assert_eq!(why, format!("trigger cascade deeper than 8: {chain}"));
}

#[test]
fn after_a_failure_the_event_to_blame_comes_alone() {
    let cluster = cluster();
    let client = cluster.anonymous();
    for key in ["app/a", "app/b", "app/bad", "app/c"] {
        client.put(key, "").expect("no policies");
    }
    for _ in 0..20 {
        cluster.advance(Duration::from_secs(60));
        cluster.settle();
    }
    assert_eq!(text(&cluster).as_deref(), Some("+app/a +app/b "));
    assert_eq!(cluster.deliver("journal"), Delivery::Paused("bad at 4".to_owned()));
    cluster.skip("journal");
    cluster.settle();
    assert_eq!(text(&cluster).as_deref(), Some("+app/a +app/b +app/c "));
}

#[test]
fn what_a_trigger_writes_passes_the_policies() {
    fn never(_: &Context, _: &[Write]) -> Verdict {
        Verdict::refuse("never")
    }
    let cluster = cluster();
    cluster.deploy(Plugin::new("guard").under("journal").write_policy(never));
    cluster.anonymous().put("app/a", "").expect("another prefix");
    let refused = Delivery::Failed("refused by guard: never".to_owned());
    assert_eq!(cluster.deliver("journal"), refused);
    cluster.remove("guard");
    assert_eq!(cluster.deliver("journal"), Delivery::Done(1));
}
