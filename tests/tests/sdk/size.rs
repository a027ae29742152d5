//! A release guest stays small: it travels to every member and is compiled there. And it says
//! nothing of the machine that built it.

use std::path::{Path, PathBuf};

use crate::nested::root;

/// 100 KB, the server's own plugins included.
pub const GUEST_BYTES_MAX: u64 = 100_000;
/// What a policy costs that does nothing: no JSON, no configuration.
const SMALLEST_BYTES_MAX: u64 = 15_000;

pub fn check(component: impl AsRef<Path>, bytes_max: u64) {
    let path = component.as_ref();
    let bytes = std::fs::metadata(path).expect("the build made the guest").len();
    assert!(bytes <= bytes_max, "{} has {bytes} bytes, more than {bytes_max}", path.display());
}

/// Panics name files as the package that they are part of does.
pub fn check_paths(name: &str, component: &[u8], own_file: &str) {
    let has = |text: &str| component.windows(text.len()).any(|part| part == text.as_bytes());
    let folders = [Some(root().canonicalize().expect("the tree")), cargo_home(), home()];
    for folder in folders.into_iter().flatten() {
        let folder = format!("{}/", folder.display());
        assert!(!has(&folder), "{name} says that it was built in {folder}");
    }
    assert!(has(own_file), "{name} does not say that it panics in {own_file}");
}

fn cargo_home() -> Option<PathBuf> {
    std::env::var_os("CARGO_HOME").map(PathBuf::from)
}

fn home() -> Option<PathBuf> {
    std::env::home_dir().filter(|home| home.components().count() > 1)
}

#[test]
fn guests_are_small() {
    check(env!("PLUGIN_ALLOW_ALL"), SMALLEST_BYTES_MAX);
    check(env!("PLUGIN_VALUE_GUARD"), GUEST_BYTES_MAX);
    check(env!("PLUGIN_HOSTILE"), GUEST_BYTES_MAX);
}

#[test]
fn a_guest_names_no_folder_of_the_machine_that_built_it() {
    for (guest, own_file) in [
        (env!("PLUGIN_ALLOW_ALL"), "portunus-sdk/src/rt.rs"),
        (env!("PLUGIN_HOSTILE"), "hostile/src/deeds.rs"),
        (env!("PLUGIN_FENCING"), "serde_json-"),
    ] {
        check_paths(guest, &std::fs::read(guest).expect("the guest"), own_file);
    }
}

#[test]
fn the_plugins_that_the_server_brings_along_are_small() {
    for builtin in portunus::builtin::all() {
        let bytes = builtin.component.len() as u64;
        assert!(bytes <= GUEST_BYTES_MAX, "{} has {bytes} bytes", builtin.name);
        check_paths(builtin.name, builtin.component, "portunus-sdk/src/");
    }
}
