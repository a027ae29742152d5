//! Every way to misbehave ends in the error that names it, and never reaches the next call.

use portunus::wasm::{CallError, Limits, Verdict};

use crate::fixture::{Answer, HOSTILE, Keys, bind, engine, plugin, put};

/// Asks the hostile plugin to do `deed`, then something harmless.
fn commit(deed: &str, limits: Limits, keys: &mut Keys) -> Answer {
    let engine = engine();
    let policy = bind(&engine, &plugin(&engine, HOSTILE), "", limits);
    assert_eq!(put(&policy, keys, "app/before", b"v"), Ok(Verdict::Allow));
    let answer = put(&policy, keys, &format!("app/{deed}"), b"v");
    assert_eq!(put(&policy, keys, "app/after", b"v"), Ok(Verdict::Allow), "after {deed}");
    answer
}

fn error_of(deed: &str) -> CallError {
    commit(deed, Limits::MAX, &mut Keys::default()).expect_err(deed)
}

#[test]
fn an_endless_loop_times_out() {
    assert_eq!(error_of("loop"), CallError::TimedOut { limit: Limits::MAX.call_time });
}

#[test]
fn a_binding_can_shorten_the_time() {
    let limits = Limits { call_time: Limits::MAX.call_time / 5, ..Limits::MAX };
    let error = commit("loop", limits, &mut Keys::default()).expect_err("endless");
    assert_eq!(error, CallError::TimedOut { limit: limits.call_time });
}

#[test]
fn deep_recursion_uses_up_the_stack() {
    let error = error_of("recurse");
    assert_eq!(error.kind(), "stack_overflow", "{error:?}");
    assert!(error.backtrace().is_some_and(|frames| frames.contains("recurse")), "{error:?}");
}

#[test]
fn growing_memory_ends_at_the_limit() {
    let limit_bytes = Limits::MAX.memory_bytes;
    assert_eq!(error_of("memory"), CallError::OutOfMemory { limit_bytes });
    let limits = Limits { memory_bytes: 2 << 20, ..Limits::MAX };
    let error = commit("memory", limits, &mut Keys::default()).expect_err("grows on");
    assert_eq!(error, CallError::OutOfMemory { limit_bytes: 2 << 20 });
}

#[test]
fn a_storm_of_reads_ends_at_the_limit() {
    let mut keys = Keys::default();
    let limits = Limits { reads: 100, ..Limits::MAX };
    let error = commit("reads", limits, &mut keys).expect_err("reads on");
    assert_eq!(error, CallError::TooManyReads { limit: 100 });
    assert_eq!(keys.reads, 100);
}

#[test]
fn a_long_range_counts_as_many_reads() {
    let mut keys = Keys::with((0..200).map(|n| (format!("app/{n:03}"), vec![0; 10])));
    let limits = Limits { reads: 100, ..Limits::MAX };
    let error = commit("range", limits, &mut keys).expect_err("200 items");
    assert_eq!(error, CallError::TooManyReads { limit: 100 });
    let limits = Limits { reads: 201, ..Limits::MAX };
    let verdict = commit("range", limits, &mut keys);
    assert_eq!(verdict, Ok(Verdict::Refuse("200".to_owned())));
}

#[test]
fn large_values_count_by_their_bytes() {
    let mut keys = Keys::with((0..20).map(|n| (format!("app/{n:03}"), vec![0; 1 << 20])));
    let error = commit("range", Limits::MAX, &mut keys).expect_err("20 MiB");
    assert_eq!(error, CallError::ReadTooLarge { limit_bytes: Limits::MAX.read_bytes });
}

#[test]
fn a_panic_reaches_the_author_with_text_place_and_backtrace() {
    for (deed, text, frame) in [
        ("panic", "on purpose, in app/panic", "panic_on_purpose"),
        ("index", "index out of bounds: the len is 1", "write-policy@0.1.0#check"),
    ] {
        let CallError::Panicked(panic) = error_of(deed) else { panic!("{deed} panics") };
        assert!(panic.text.starts_with(text), "{panic:?}");
        assert!(panic.location.starts_with("hostile/src/lib.rs:"), "{panic:?}");
        assert!(panic.backtrace.contains(frame), "{panic:?}");
    }
}

#[test]
fn a_bare_trap_says_what_it_was() {
    let error = error_of("abort");
    let CallError::Trapped { reason, .. } = &error else { panic!("{error:?}") };
    assert_eq!(reason, "wasm `unreachable` instruction executed");
}

#[test]
fn a_flood_of_log_lines_ends_at_the_limit() {
    let limit_bytes = Limits::MAX.log_bytes;
    assert_eq!(error_of("log-lines"), CallError::LogTooLarge { limit_bytes });
}

#[test]
fn what_is_handed_over_at_once_has_a_limit() {
    for deed in ["log-line", "reason", "big-reason", "big-change", "very-many-changes"] {
        let error = error_of(deed);
        assert_eq!(error.kind(), "result_too_large", "{deed}: {error:?}");
    }
    let limit = Limits::MAX.changes;
    assert_eq!(error_of("many-changes"), CallError::TooManyChanges { limit });
}
