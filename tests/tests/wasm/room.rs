//! What is kept between calls has a bound, over calls and over bindings.

use portunus::wasm::{Engine, EngineOptions, Limits, Verdict};

use crate::fixture::{ALLOW_ALL, HOSTILE, Keys, bind, engine, plugin, put};

const PAGE_BYTES: usize = 4096;

fn resident_bytes() -> usize {
    let text = std::fs::read_to_string("/proc/self/statm").expect("linux tells a process its size");
    let pages = text.split(' ').nth(1).expect("the second field is the resident set");
    pages.parse::<usize>().expect("a number of pages") * PAGE_BYTES
}

#[test]
fn a_plugin_that_hoards_memory_starts_anew() {
    let engine = engine();
    let policy = bind(&engine, &plugin(&engine, HOSTILE), "", Limits::MAX);
    // Ten times what one instance may hold.
    for _ in 0..Limits::MAX.memory_bytes / (2 << 20) * 10 {
        let verdict = put(&policy, &mut Keys::default(), "app/remember", b"v");
        assert_eq!(verdict, Ok(Verdict::Allow));
    }
}

#[test]
fn thousands_of_bindings_share_the_warm_instances() {
    const BINDINGS: usize = 3000;
    let engine = Engine::new(EngineOptions { instances_idle_max: 32 }).expect("an engine");
    let plugin = plugin(&engine, ALLOW_ALL);
    let mut keys = Keys::default();
    let bindings: Vec<_> = (0..BINDINGS).map(|_| bind(&engine, &plugin, "", Limits::MAX)).collect();
    let mut ask_all = || {
        for policy in &bindings {
            assert_eq!(put(policy, &mut keys, "app/a", b"v"), Ok(Verdict::Allow));
        }
    };
    ask_all();
    let before = resident_bytes();
    ask_all();
    let grown = resident_bytes().saturating_sub(before);
    // An instance of its own for each binding would take some ten kilobytes at the least.
    assert!(grown < BINDINGS * 10 * 1024, "another round took {grown} bytes");
    assert!(format!("{engine:?}").contains("instances_idle: 32"), "{engine:?}");
    drop(bindings);
    assert!(format!("{engine:?}").contains("instances_idle: 0"), "{engine:?}");
}

#[test]
fn without_room_for_idle_instances_each_call_starts_one() {
    let engine = Engine::new(EngineOptions { instances_idle_max: 0 }).expect("an engine");
    let policy = bind(&engine, &plugin(&engine, ALLOW_ALL), "", Limits::MAX);
    for _ in 0..200 {
        assert_eq!(put(&policy, &mut Keys::default(), "app/a", b"v"), Ok(Verdict::Allow));
    }
}
