//! What a plugin did reaches its diary: its words, its failures, its figures and its time.

use std::sync::Arc;
use std::time::Duration;

use portunus::effect::{Isolation, Point};
use portunus::wasm::{Bound, BoundOptions, Diary, Engine, Level};

use crate::fixture::{HOSTILE, Keys, NOW_MS, PROBE, bind_to, call, engine, options, plugin, put};

fn recipe(engine: &Engine, file: &str, name: &str) -> (Bound, Arc<Diary>) {
    let diary = Diary::new(name);
    let options = BoundOptions { diary: Arc::clone(&diary), ..options(Point::Recipe, "") };
    (bind_to(engine, &plugin(engine, file), options), diary)
}

/// The exported value of a counter, or the count of a histogram.
fn exported(family: &str, plugin: &str, name: &str) -> Option<f64> {
    let families = prometheus::gather();
    let family = families.iter().find(|found| found.name() == family)?;
    let metric = family.get_metric().iter().find(|metric| {
        let has = |label, value| {
            metric.get_label().iter().any(|own| own.name() == label && own.value() == value)
        };
        has("plugin", plugin) && has("point", "recipe") && has("name", name)
    })?;
    let histogram = metric.get_histogram().get_sample_count();
    Some(if histogram > 0 { histogram as f64 } else { metric.get_counter().get_value() })
}

#[test]
fn log_lines_keep_their_level_point_and_time() {
    let engine = engine();
    let (recipe, diary) = recipe(&engine, PROBE, "logging");
    call(&recipe, &mut Keys::default(), "context", "").expect("an answer");
    let lines = diary.lines_after(0, 10);
    let [line] = &lines[..] else { panic!("{lines:?}") };
    assert_eq!((line.level, line.point, line.unix_ms), (Level::Warn, Point::Recipe, NOW_MS));
    assert_eq!(line.text, "asked for the context");
}

#[test]
fn a_panic_is_written_down_with_its_text_place_and_frames() {
    let engine = engine();
    let (recipe, diary) = recipe(&engine, HOSTILE, "panicking");
    call(&recipe, &mut Keys::default(), "commit", "panic").expect_err("it panics");
    let line = diary.lines_after(0, 10).pop().expect("a line");
    assert_eq!((line.level, line.unix_ms), (Level::Error, NOW_MS));
    let expect = "plugin panicked: on purpose, in panic at hostile/src/deeds.rs:";
    assert!(line.text.starts_with(expect), "{}", line.text);
    assert!(line.text.contains("hostile::deeds::panic_on_purpose"), "{}", line.text);
}

#[test]
fn calls_refusals_failures_time_and_memory_are_counted() {
    let engine = engine();
    let (recipe, diary) = recipe(&engine, PROBE, "counted");
    let mut keys = Keys::default();
    call(&recipe, &mut keys, "add", "2").expect("an answer");
    call(&recipe, &mut keys, "reject", "").expect("an answer");
    call(&recipe, &mut keys, "nothing-of-the-kind", "").expect("an answer");
    let figures = diary.figures();
    let [(Point::Recipe, figures)] = &figures[..] else { panic!("{figures:?}") };
    assert_eq!((figures.calls, figures.refusals), (2, 1));
    assert!(figures.memory_bytes_max >= 64 * 1024, "{figures:?}");
    assert!(figures.failures.is_empty());
    assert!(figures.time > Duration::ZERO);
}

#[test]
fn a_plugins_own_figures_are_exported_under_its_name_and_go_with_it() {
    let engine = engine();
    let (recipe, diary) = recipe(&engine, PROBE, "measuring");
    let mut keys = Keys::default();
    for _ in 0..3 {
        call(&recipe, &mut keys, "add", "2").expect("an answer");
    }
    let added = || exported("portunus_plugin_user_observed", "measuring", "added");
    assert_eq!(added(), Some(3.0));
    drop((recipe, diary));
    assert_eq!(added(), None);
}

#[test]
fn metric_names_flood_only_up_to_the_limit() {
    let engine = engine();
    let (recipe, diary) = recipe(&engine, HOSTILE, "naming");
    for _ in 0..2 {
        let error = call(&recipe, &mut Keys::default(), "commit", "metric-names");
        assert_eq!(error.expect_err("too many").kind(), "too_many_metrics");
    }
    let families = prometheus::gather();
    let user = families.iter().find(|family| family.name() == "portunus_plugin_user_total");
    let own = |metric: &&prometheus::proto::Metric| {
        metric.get_label().iter().any(|label| label.value() == "naming")
    };
    let names = user.map_or(0, |family| family.get_metric().iter().filter(own).count());
    assert_eq!(names, 32);
    let failures = &diary.figures()[0].1.failures;
    assert_eq!(failures[..], [("too_many_metrics", 2)]);
}

#[test]
fn a_flood_of_lines_leaves_a_bounded_diary() {
    let engine = engine();
    let (recipe, diary) = recipe(&engine, HOSTILE, "flooding");
    // Each call logs as many lines as a call may, and then fails.
    for _ in 0..3 {
        let error = call(&recipe, &mut Keys::default(), "commit", "log-lines");
        assert_eq!(error.expect_err("too much").kind(), "log_too_large");
    }
    let lines = diary.lines_after(0, usize::MAX);
    assert_eq!(lines.len(), 1000);
    let last = lines.last().expect("a line");
    assert_eq!(last.number, 3 * (4096 + 1));
    assert_eq!(last.text, "plugin logged more than 4096 bytes in one call");
}

#[test]
fn cpu_time_is_accounted_to_the_binding_that_used_it() {
    let engine = engine();
    let hostile = plugin(&engine, HOSTILE);
    let bound = || bind_to(&engine, &hostile, options(Point::WritePolicy, ""));
    let (idle, modest, greedy) = (bound(), bound(), bound());
    put(&modest, &mut Keys::default(), "app/a", b"v").expect("a verdict");
    put(&greedy, &mut Keys::default(), "app/loop", b"v").expect_err("endless");
    assert_eq!(idle.cpu_used(), Duration::ZERO);
    assert!(modest.cpu_used() > Duration::ZERO);
    assert!(greedy.cpu_used() >= Duration::from_millis(45), "{:?}", greedy.cpu_used());
    assert!(greedy.cpu_used() > modest.cpu_used());
}

#[test]
fn a_fresh_instance_remembers_nothing_and_is_not_kept() {
    let engine = engine();
    let plugin = plugin(&engine, HOSTILE);
    let bound = |isolation| {
        bind_to(&engine, &plugin, BoundOptions { isolation, ..options(Point::WritePolicy, "") })
    };
    let (warm, fresh) = (bound(Isolation::Warm), bound(Isolation::Fresh));
    for _ in 0..3 {
        put(&fresh, &mut Keys::default(), "app/a", b"v").expect("a verdict");
        assert_eq!(engine.instances_idle(), 0);
    }
    put(&warm, &mut Keys::default(), "app/a", b"v").expect("a verdict");
    assert_eq!(engine.instances_idle(), 1);
}
