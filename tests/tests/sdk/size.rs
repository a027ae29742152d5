//! A release guest stays small: it travels to every member and is compiled there.

use std::path::Path;

/// 100 KB.
pub const GUEST_BYTES_MAX: u64 = 100_000;
/// What the largest of the server's own plugins may have, `approval` and `json-schema`; most stay
/// below [`GUEST_BYTES_MAX`].
const BUILTIN_BYTES_MAX: usize = 140_000;
/// What a policy costs that does nothing: no JSON, no configuration.
const SMALLEST_BYTES_MAX: u64 = 30_000;

pub fn check(component: impl AsRef<Path>, bytes_max: u64) {
    let path = component.as_ref();
    let bytes = std::fs::metadata(path).expect("the build made the guest").len();
    assert!(bytes <= bytes_max, "{} has {bytes} bytes, more than {bytes_max}", path.display());
}

#[test]
fn guests_are_small() {
    check(env!("PLUGIN_ALLOW_ALL"), SMALLEST_BYTES_MAX);
    check(env!("PLUGIN_VALUE_GUARD"), GUEST_BYTES_MAX);
    check(env!("PLUGIN_HOSTILE"), GUEST_BYTES_MAX);
}

#[test]
fn the_plugins_that_the_server_brings_along_do_not_grow() {
    for builtin in portunus::builtin::all() {
        let bytes = builtin.component.len();
        assert!(bytes <= BUILTIN_BYTES_MAX, "{} has {bytes} bytes", builtin.name);
    }
}
