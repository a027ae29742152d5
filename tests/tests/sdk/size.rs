//! A release guest stays small: it travels to every member and is compiled there.

use std::path::Path;

/// 100 KB.
pub const GUEST_BYTES_MAX: u64 = 100_000;
/// What a policy costs that does nothing: no JSON, no configuration.
const SMALLEST_BYTES_MAX: u64 = 30_000;
/// A guest that implements every point and prints all that it is told.
const EVERYTHING_BYTES_MAX: u64 = 120_000;

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
    check(env!("PLUGIN_PROBE"), EVERYTHING_BYTES_MAX);
}
