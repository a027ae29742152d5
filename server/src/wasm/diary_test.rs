//! What reaches the author and the operator, and that it goes with the plugin.

use std::collections::BTreeMap;
use std::time::Duration;

use prometheus::proto::MetricFamily;

use super::{Diaries, Diary, Level};
use crate::effect::Point;
use crate::wasm::bounds::DIARY_LINES_MAX;
use crate::wasm::error::{CallError, Panic};

/// The exported series of `plugin`: family, labels but its own, and the value or the count.
fn exported(plugin: &str) -> BTreeMap<String, f64> {
    let mut series = BTreeMap::new();
    for family in prometheus::gather() {
        for metric in family.get_metric() {
            let labels = metric.get_label();
            let is = |label: &&prometheus::proto::LabelPair| label.name() == "plugin";
            if labels.iter().find(is).is_none_or(|label| label.value() != plugin) {
                continue;
            }
            let mut name = family.name().to_owned();
            for label in labels.iter().filter(|label| label.name() != "plugin") {
                name = format!("{name} {}", label.value());
            }
            assert!(series.insert(name.clone(), value(&family, metric)).is_none(), "{name} twice");
        }
    }
    series
}

fn value(family: &MetricFamily, metric: &prometheus::proto::Metric) -> f64 {
    match family.get_field_type() {
        prometheus::proto::MetricType::COUNTER => metric.get_counter().get_value(),
        prometheus::proto::MetricType::GAUGE => metric.get_gauge().get_value(),
        _ => metric.get_histogram().get_sample_count() as f64,
    }
}

#[test]
fn figures_are_exported_by_plugin_and_point_and_go_with_the_plugin() {
    let diaries = Diaries::default();
    let diary = diaries.of("exported");
    assert!(exported("exported").is_empty(), "nothing of a plugin that was never asked");
    diary.meters(Point::WritePolicy).called(Duration::from_micros(3), 70_000);
    diary.meters(Point::WritePolicy).called(Duration::from_micros(3), 60_000);
    diary.meters(Point::WritePolicy).refused();
    diary.failed(Point::Recipe, 1, &CallError::NoRoom);
    diary.reran(Point::Recipe);
    diary.reran(Point::Recipe);
    diary.conflicted(Point::Recipe);
    let parked = diary.park(Point::Recipe);
    diary.count(Point::Trigger, "hits", 5).expect("a good name");
    diary.observe(Point::Trigger, "hits", 0.5).expect("a good name");

    let series = exported("exported");
    let expect = [
        ("portunus_plugin_call_duration_seconds write-policy", 2.0),
        ("portunus_plugin_refusals_total write-policy", 1.0),
        ("portunus_plugin_memory_max_bytes write-policy", 70_000.0),
        ("portunus_plugin_failures_total no_room recipe", 1.0),
        ("portunus_plugin_reruns_total recipe", 2.0),
        ("portunus_plugin_conflicts_total recipe", 1.0),
        ("portunus_plugin_parked_calls recipe", 1.0),
        ("portunus_plugin_user_total hits trigger", 5.0),
        ("portunus_plugin_user_observed hits trigger", 1.0),
    ];
    for (name, value) in expect {
        assert_eq!(series.get(name), Some(&value), "{name} in {series:?}");
    }
    let figures: BTreeMap<_, _> = diary.figures().into_iter().collect();
    assert_eq!(figures[&Point::WritePolicy].calls, 2);
    assert_eq!(figures[&Point::WritePolicy].memory_bytes_max, 70_000);
    assert_eq!(figures[&Point::Recipe].failures, [("no_room", 1)]);
    assert_eq!(figures[&Point::Recipe].parked, 1);
    drop(parked);
    assert_eq!(exported("exported")["portunus_plugin_parked_calls recipe"], 0.0);

    drop(diary);
    diaries.retain(|plugin| plugin != "exported");
    assert!(diaries.get("exported").is_none());
    assert!(exported("exported").is_empty());
}

#[test]
fn a_plugin_deployed_anew_is_shown_once() {
    let old = Diary::new("anew");
    old.reran(Point::Trigger);
    let new = Diary::new("anew");
    new.meters(Point::Trigger);
    assert_eq!(exported("anew")["portunus_plugin_reruns_total trigger"], 0.0);
    drop(old);
    assert!(exported("anew").contains_key("portunus_plugin_reruns_total trigger"));
}

#[test]
fn a_failure_reaches_the_author_with_text_place_and_frames() {
    let diary = Diary::new("failing");
    let panic = Panic {
        text: "on purpose".to_owned(),
        location: "lib.rs:7:3".to_owned(),
        backtrace: "    0: guard::check".to_owned(),
    };
    diary.failed(Point::WritePolicy, 42, &CallError::Panicked(Box::new(panic)));
    let lines = diary.lines_after(0, 10);
    let [line] = &lines[..] else { panic!("{lines:?}") };
    assert_eq!((line.number, line.unix_ms, line.level), (1, 42, Level::Error));
    assert_eq!(line.text, "plugin panicked: on purpose at lib.rs:7:3\n    0: guard::check");
}

#[tokio::test]
async fn a_follower_hears_of_each_line_and_of_the_end() {
    let diaries = Diaries::default();
    let diary = diaries.of("followed");
    let say = |text: &str| diary.write(Point::Recipe, Level::Info, 1, text.to_owned());
    say("before");
    let mut newest = diary.follow();
    let seen = *newest.borrow_and_update();
    assert_eq!(seen, 1);
    say("a");
    say("b");
    newest.changed().await.expect("it lives");
    let heard = diary.lines_after(seen, DIARY_LINES_MAX);
    assert_eq!(heard.iter().map(|line| &*line.text).collect::<Vec<_>>(), ["a", "b"]);
    newest.borrow_and_update();
    drop(diary);
    diaries.retain(|_| false);
    assert!(newest.changed().await.is_err());
}
