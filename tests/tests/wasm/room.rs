//! What is kept between calls has a bound, over calls and over bindings.

use portunus::wasm::{Engine, EngineOptions, Limits, Verdict};

use crate::encoded::{Guest, answer};
use crate::fixture::{ALLOW_ALL, HOSTILE, Keys, bind, engine, plugin, put};

#[test]
fn a_plugin_that_hoards_memory_starts_anew() {
    let engine = engine();
    let policy = bind(&engine, &plugin(&engine, HOSTILE), "");
    // Ten times what one instance may hold.
    for _ in 0..Limits::DEFAULT.memory_bytes / (2 << 20) * 10 {
        let verdict = put(&policy, &mut Keys::default(), "app/remember", b"v");
        assert_eq!(verdict, Ok(Verdict::Allow));
    }
}

#[test]
fn idle_instances_are_bounded_over_all_bindings_and_go_with_them() {
    let engine = Engine::new(EngineOptions { instances_idle_max: 3 }).expect("an engine");
    let plugin = plugin(&engine, ALLOW_ALL);
    let bindings: Vec<_> = (0..5).map(|_| bind(&engine, &plugin, "")).collect();
    for (asked, policy) in (1..).zip(&bindings) {
        assert_eq!(put(policy, &mut Keys::default(), "app/a", b"v"), Ok(Verdict::Allow));
        assert_eq!(engine.instances_idle(), asked.min(3));
    }
    drop(bindings);
    assert_eq!(engine.instances_idle(), 0);
}

#[test]
fn without_room_for_idle_instances_each_call_starts_one() {
    let engine = Engine::new(EngineOptions { instances_idle_max: 0 }).expect("an engine");
    let policy = bind(&engine, &plugin(&engine, ALLOW_ALL), "");
    for _ in 0..200 {
        assert_eq!(put(&policy, &mut Keys::default(), "app/a", b"v"), Ok(Verdict::Allow));
        assert_eq!(engine.instances_idle(), 0);
    }
}

#[test]
fn an_instance_serves_so_many_calls_and_not_one_more() {
    let engine = engine();
    // Refuses its hundred thousandth call.
    let guest =
        Guest { declarations: "(global $calls (mut i32) (i32.const 0))", ..Guest::default() };
    let last = format!(
        "(global.set $calls (i32.add (global.get $calls) (i32.const 1)))
         {}
         (i32.store8 (i32.const 0) (i32.eq (global.get $calls) (i32.const 100000)))",
        answer(0, 4, 0, 0)
    );
    let plugin = engine.compile(&guest.policy(&last)).expect("well formed");
    let policy = bind(&engine, &plugin, "");
    let mut keys = Keys::default();
    for life in 0..2 {
        for call in 1..100_000 {
            let verdict = put(&policy, &mut keys, "app/a", b"v");
            assert_eq!(verdict, Ok(Verdict::Allow), "call {call} of instance {life}");
        }
        assert_eq!(engine.instances_idle(), 1);
        let verdict = put(&policy, &mut keys, "app/a", b"v");
        assert_eq!(verdict, Ok(Verdict::Refuse(String::new())));
        assert_eq!(engine.instances_idle(), 0);
    }
}

#[test]
fn an_instance_that_failed_is_gone() {
    let engine = engine();
    let policy = bind(&engine, &plugin(&engine, HOSTILE), "");
    for deed in ["panic", "loop", "recurse", "memory", "reads"] {
        assert!(put(&policy, &mut Keys::default(), "app/fine", b"v").is_ok());
        assert_eq!(engine.instances_idle(), 1);
        assert!(put(&policy, &mut Keys::default(), &format!("app/{deed}"), b"v").is_err());
        assert_eq!(engine.instances_idle(), 0, "after {deed}");
    }
}
