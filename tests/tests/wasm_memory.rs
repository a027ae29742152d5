//! Ten thousand bindings do not take the memory of ten thousand instances. A process of its own,
//! because it looks at the size of the process.

use std::sync::Arc;

#[path = "wasm/fixture.rs"]
#[allow(dead_code, reason = "shared with the other tests of the plugin host")]
mod fixture;

use fixture::{ALLOW_ALL, Keys, bind_to, plugin, put};
use portunus::effect::{Isolation, PluginLimits, Point};
use portunus::wasm::{Bound, BoundOptions, Diary, Engine, EngineOptions, Verdict};

const BINDINGS: usize = 10_000;
const IDLE: usize = 32;
/// Calls before the measurement: what the first instances and the allocator take once.
const WARM_UP: usize = 128;
const PAGE_BYTES: usize = 4096;
/// What a binding that nobody has asked may take.
const BOUND_BYTES_MAX: usize = 1024;

fn resident_bytes() -> usize {
    let text = std::fs::read_to_string("/proc/self/statm").expect("linux tells a process its size");
    let pages = text.split(' ').nth(1).expect("the second field is the resident set");
    pages.parse::<usize>().expect("a number of pages") * PAGE_BYTES
}

#[test]
fn ten_thousand_bindings_share_the_warm_instances() {
    let engine = Engine::new(EngineOptions { instances_idle_max: IDLE }).expect("an engine");
    let plugin = plugin(&engine, ALLOW_ALL);
    let mut keys = Keys::default();
    let mut ask =
        |policy: &Bound| assert_eq!(put(policy, &mut keys, "app/a", b"v"), Ok(Verdict::Allow));
    let diary = Diary::new("many");
    let bind = |n: usize| {
        let options = BoundOptions {
            plugin: "many".to_owned(),
            point: Point::WritePolicy,
            prefix: format!("app/{n}").into(),
            configuration: Vec::new(),
            limits: PluginLimits::default(),
            isolation: Isolation::Warm,
            diary: Arc::clone(&diary),
        };
        bind_to(&engine, &plugin, options)
    };
    let warm_up: Vec<_> = (0..WARM_UP).map(bind).collect();
    warm_up.iter().for_each(&mut ask);
    let before = resident_bytes();
    let bindings: Vec<_> = (0..BINDINGS).map(bind).collect();
    let bound = resident_bytes().saturating_sub(before);
    assert!(bound < BINDINGS * BOUND_BYTES_MAX, "binding all of them took {bound} bytes");
    bindings.iter().for_each(&mut ask);
    let grown = resident_bytes().saturating_sub(before);
    // An instance touches at least its stack's and its heap's page.
    assert!(grown < BINDINGS * 2 * PAGE_BYTES / 4, "asking all of them took {grown} bytes");
    assert_eq!(engine.instances_idle(), IDLE);
    drop(bindings);
    assert!(engine.instances_idle() <= IDLE);
}
