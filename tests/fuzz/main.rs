//! One program for all targets: `FUZZ_TARGET` names which. `cargo xtask fuzz` builds and runs it.
#![no_main]

use std::sync::LazyLock;

#[path = "targets/mod.rs"]
mod targets;

static TARGET: LazyLock<fn(&[u8])> = LazyLock::new(|| {
    let name = std::env::var("FUZZ_TARGET").unwrap_or_default();
    targets::find(&name).unwrap_or_else(|| panic!("no target {name:?}"))
});

libfuzzer_sys::fuzz_target!(|data: &[u8]| TARGET(data));
