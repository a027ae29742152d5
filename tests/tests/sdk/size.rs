//! A release guest stays small: it travels to every member and is compiled there.

use std::path::Path;

/// 100 KB.
pub const GUEST_BYTES_MAX: u64 = 100_000;
/// The server's own plugins that may have more, and why.
const LARGER: [(&str, u64); 5] = [
    // Five types of arguments, replies and state, read and written by serde: the readers alone are
    // a third of it.
    ("approval", 120_000),
    // Any JSON as a value, compared with any JSON as a schema, numbers with fractions included.
    ("json-schema", 114_000),
    // Many recipes, each with arguments and a reply of its own: serde makes a reader for each.
    ("elector", 105_000),
    ("saga", 108_000),
    ("membership", 170_000),
];
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
fn the_plugins_that_the_server_brings_along_are_small() {
    for builtin in portunus::builtin::all() {
        let larger = LARGER.iter().find(|(name, _)| *name == builtin.name);
        let bytes_max = larger.map_or(GUEST_BYTES_MAX, |(_, bytes_max)| *bytes_max);
        let bytes = builtin.component.len() as u64;
        assert!(bytes <= bytes_max, "{} has {bytes} bytes, more than {bytes_max}", builtin.name);
    }
}
