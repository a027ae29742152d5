//! Every way to misbehave ends in the error that names it, at every extension point, and never
//! reaches the next call.

use std::time::Duration;

use portunus::effect::{PluginLimits, Point};
use portunus::wasm::{
    Admission, Bound, BoundOptions, CallError, Engine, Handled, Limits, Outcome, QueueReadiness,
    Verdict,
};

use crate::fixture::{
    Answer, HOSTILE, Keys, admit, bind_to, call, engine, no_limits, options, plugin, put, ready,
    tell,
};

/// What the plugin said in answer to `deed`; none when it just did it.
fn ask(bound: &Bound, keys: &mut Keys, deed: &str) -> Answer<Option<String>> {
    let key = format!("app/{deed}");
    match bound.point() {
        Point::WritePolicy => put(bound, keys, &key, b"v").map(|verdict| match verdict {
            Verdict::Allow => None,
            Verdict::Refuse(text) => Some(text),
        }),
        Point::Trigger => tell(bound, keys, &key).map(|handled| match handled {
            Handled::Done => None,
            Handled::Failed(text) => Some(text),
        }),
        Point::Recipe => call(bound, keys, "commit", &key).map(|outcome| match outcome {
            Outcome::Done(reply) if reply.is_empty() => None,
            Outcome::Done(reply) => Some(String::from_utf8(reply).expect("it replies text")),
            other => panic!("{other:?}"),
        }),
        Point::LockAdmission => admit(bound, keys, &key).map(|admission| match admission {
            Admission::Admit => None,
            Admission::Refuse(text) => Some(text),
            other => panic!("{other:?}"),
        }),
        Point::QueueCondition => ready(bound, keys, &key).map(|readiness| match readiness {
            QueueReadiness::Ready => None,
            QueueReadiness::Refuse(text) => Some(text),
            other => panic!("{other:?}"),
        }),
    }
}

/// Asks the hostile plugin to do `deed` between two harmless things, at one point.
fn commit_at(
    engine: &Engine,
    point: Point,
    deed: &str,
    limits: PluginLimits,
    keys: &mut Keys,
) -> Answer<Option<String>> {
    let options = BoundOptions { limits, ..options(point, "") };
    let bound = bind_to(engine, &plugin(engine, HOSTILE), options);
    assert_eq!(ask(&bound, keys, "before"), Ok(None));
    let answer = ask(&bound, keys, deed);
    assert_eq!(ask(&bound, keys, "after"), Ok(None), "after {deed} at {point}");
    answer
}

/// The same at every point, on a store of its own each time.
fn commit(
    deed: &str,
    limits: PluginLimits,
    keys: impl Fn() -> Keys,
) -> [(Point, Answer<Option<String>>, Keys); 5] {
    let engine = engine();
    Point::ALL.map(|point| {
        let mut keys = keys();
        let answer = commit_at(&engine, point, deed, limits, &mut keys);
        (point, answer, keys)
    })
}

/// Asserts that `deed` ends in `error`, everywhere.
fn ends(deed: &str, limits: PluginLimits, error: &CallError) {
    for (point, answer, _) in commit(deed, limits, Keys::default) {
        assert_eq!(answer.as_ref(), Err(error), "{deed} at {point}");
    }
}

fn kinds(deed: &str) -> [&'static str; 5] {
    commit(deed, no_limits(), Keys::default).map(|(_, answer, _)| answer.expect_err(deed).kind())
}

#[test]
fn an_endless_loop_times_out() {
    ends("loop", no_limits(), &CallError::TimedOut { limit: Limits::DEFAULT.call_time });
}

#[test]
fn a_storm_of_host_calls_that_cost_nothing_times_out() {
    let timed_out = CallError::TimedOut { limit: Limits::DEFAULT.call_time };
    ends("clock", no_limits(), &timed_out);
    ends("metric-storm", no_limits(), &timed_out);
}

#[test]
fn a_binding_can_shorten_the_time() {
    let limits = PluginLimits { call_time_ms: Some(10), ..no_limits() };
    ends("loop", limits, &CallError::TimedOut { limit: Duration::from_millis(10) });
}

#[test]
fn deep_recursion_uses_up_the_stack() {
    for (point, answer, _) in commit("recurse", no_limits(), Keys::default) {
        let error = answer.expect_err("it has no end");
        assert_eq!(error.kind(), "stack_overflow", "{point}: {error:?}");
        assert!(error.backtrace().is_some_and(|frames| frames.contains("recurse")), "{error:?}");
    }
}

#[test]
fn growing_memory_ends_at_the_limit() {
    let limit_bytes = Limits::DEFAULT.memory_bytes;
    ends("memory", no_limits(), &CallError::OutOfMemory { limit_bytes });
    let limits = PluginLimits { memory_bytes: Some(2 << 20), ..no_limits() };
    ends("memory", limits, &CallError::OutOfMemory { limit_bytes: 2 << 20 });
}

#[test]
fn a_storm_of_reads_ends_at_the_limit() {
    let limits = PluginLimits { reads: Some(100), ..no_limits() };
    for (point, answer, keys) in commit("reads", limits, Keys::default) {
        assert_eq!(answer, Err(CallError::TooManyReads { limit: 100 }), "{point}");
        assert_eq!(keys.reads, 100, "{point}");
    }
}

#[test]
fn a_long_range_counts_as_many_reads() {
    let keys = || Keys::with((0..200).map(|n| (format!("app/{n:03}"), vec![0; 10])));
    let limits = PluginLimits { reads: Some(200), ..no_limits() };
    for (point, answer, _) in commit("range", limits, keys) {
        assert_eq!(answer, Err(CallError::TooManyReads { limit: 200 }), "{point}");
    }
    for (point, answer, _) in commit("range", no_limits(), keys) {
        assert_eq!(answer, Ok(Some("200".to_owned())), "{point}");
    }
}

#[test]
fn large_values_count_by_their_bytes() {
    let keys = || Keys::with((0..20).map(|n| (format!("app/{n:03}"), vec![0; 1 << 20])));
    let limit_bytes = Limits::DEFAULT.read_bytes;
    for (point, answer, _) in commit("range", no_limits(), keys) {
        assert_eq!(answer, Err(CallError::ReadTooLarge { limit_bytes }), "{point}");
    }
}

#[test]
fn writes_end_at_their_number_and_their_bytes() {
    let limits = PluginLimits { writes: Some(50), ..no_limits() };
    for deed in ["writes", "deletes"] {
        for (point, answer, keys) in commit(deed, limits, Keys::default) {
            assert_eq!(answer, Err(CallError::TooManyWrites { limit: 50 }), "{deed} at {point}");
            assert_eq!(keys.writes, 50, "{deed} at {point}");
        }
    }
    let limit_bytes = Limits::DEFAULT.write_bytes;
    ends("big-writes", no_limits(), &CallError::WriteTooLarge { limit_bytes });
    assert_eq!(kinds("huge-write"), ["result_too_large"; 5]);
}

#[test]
fn a_ranged_delete_costs_a_write_for_each_key_and_is_refused_before_it_happens() {
    let keys = || Keys::with((0..60).map(|n| (format!("app/{n:03}"), vec![0; 10])));
    let limits = PluginLimits { writes: Some(59), ..no_limits() };
    for (point, answer, keys) in commit("clear", limits, keys) {
        assert_eq!(answer, Err(CallError::TooManyWrites { limit: 59 }), "{point}");
        assert!(keys.text("app/000").is_some(), "{point}");
        assert_eq!(keys.writes, 0, "{point}");
    }
    let limits = PluginLimits { writes: Some(60), ..no_limits() };
    for (point, answer, keys) in commit("clear", limits, keys) {
        assert_eq!(answer, Ok(Some("60".to_owned())), "{point}");
        assert!(keys.text("app/000").is_none(), "{point}");
    }
}

#[test]
fn what_is_not_granted_or_cannot_be_ends_the_call() {
    for (deed, why) in [("secret", "secret/ is not granted"), ("no-key", "a key cannot be empty")] {
        for (point, answer, _) in commit(deed, no_limits(), Keys::default) {
            let error = answer.expect_err(deed);
            let text = format!("plugin may not do this: {why}");
            assert_eq!((error.kind(), error.to_string()), ("refused", text), "{point}");
        }
    }
    ends("random", no_limits(), &CallError::TooMuchRandom { limit_bytes: 1024 });
}

#[test]
fn a_panic_reaches_the_author_with_text_place_and_backtrace() {
    for (deed, text, frame) in [
        ("panic", "on purpose, in ", "panic_on_purpose"),
        ("index", "index out of bounds: the len is ", "hostile::deeds::commit"),
    ] {
        for (point, answer, _) in commit(deed, no_limits(), Keys::default) {
            let CallError::Panicked(panic) = answer.expect_err(deed) else { panic!("{deed}") };
            assert!(panic.text.starts_with(text), "{point}: {panic:?}");
            assert!(panic.location.starts_with("hostile/src/deeds.rs:"), "{point}: {panic:?}");
            assert!(panic.backtrace.contains(frame), "{point}: {panic:?}");
        }
    }
}

#[test]
fn a_bare_trap_says_what_it_was() {
    for (point, answer, _) in commit("abort", no_limits(), Keys::default) {
        let error = answer.expect_err("it aborts");
        let CallError::Trapped { reason, .. } = &error else { panic!("{point}: {error:?}") };
        assert_eq!(reason, "wasm `unreachable` instruction executed", "{point}");
    }
}

#[test]
fn a_flood_of_log_lines_ends_at_the_limit() {
    let limit_bytes = Limits::DEFAULT.log_bytes;
    ends("log-lines", no_limits(), &CallError::LogTooLarge { limit_bytes });
    assert_eq!(kinds("log-line"), ["result_too_large"; 5]);
}

#[test]
fn an_answer_has_a_limit_and_so_has_what_is_handed_over_at_once() {
    let limit_bytes = Limits::DEFAULT.result_bytes;
    ends("big-answer", no_limits(), &CallError::ResultTooLarge { limit_bytes });
    assert_eq!(kinds("huge-answer"), ["result_too_large"; 5]);
}

#[test]
fn metrics_have_a_limit_and_proper_names() {
    ends("metric-names", no_limits(), &CallError::TooManyMetrics { limit: 32 });
    let name = "hits{plugin=\"other\"}".to_owned();
    ends("metric-name", no_limits(), &CallError::BadMetricName { name });
}

#[test]
fn a_list_too_long_for_the_guest_is_refused_in_its_own_memory() {
    let engine = engine();
    let recipe = bind_to(&engine, &plugin(&engine, HOSTILE), options(Point::Recipe, ""));
    let payload = "x".repeat(20 << 20);
    let limit_bytes = Limits::DEFAULT.memory_bytes;
    let answer = call(&recipe, &mut Keys::default(), "commit", &payload);
    assert_eq!(answer, Err(CallError::OutOfMemory { limit_bytes }));
    assert_eq!(ask(&recipe, &mut Keys::default(), "after"), Ok(None));
}
