//! What is kept between calls has a bound, over calls and over bindings.

use portunus::wasm::{Engine, EngineOptions, Limits, Verdict};

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
