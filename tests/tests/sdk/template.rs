//! The crate that `plugin new` writes builds, passes its own tests and is taken by the server.

use std::fs;
use std::path::Path;

use portunus::effect::Point;
use portunus::wasm::{Engine, EngineOptions};

use crate::nested::{cargo, root, scratch};
use crate::size::{self, GUEST_BYTES_MAX};

/// Writes the template out as the crate `name`.
fn write_out(folder: &Path, name: &str, source: &str) {
    let template = root().join("sdk/template");
    let sdk = root().join("sdk").canonicalize().expect("the SDK is there");
    fs::create_dir_all(folder.join("src")).expect("the target's folder is writable");
    for (from, to) in
        [("Cargo.toml.in", "Cargo.toml"), ("gitignore.in", ".gitignore"), (source, "src/lib.rs")]
    {
        let text = fs::read_to_string(template.join(from)).expect("the template is there");
        let text = text.replace("{{name}}", name);
        let text = text.replace("{{sdk}}", &format!("{{ path = {sdk:?} }}"));
        assert!(!text.contains("{{"), "{from} has a placeholder that nobody fills");
        fs::write(folder.join(to), text).expect("writable");
    }
}

#[test]
fn a_new_crate_for_each_point_passes_its_tests() {
    for point in ["lock-admission", "queue-condition"] {
        let folder = scratch("template").join(point);
        write_out(&folder, "my-plugin", &format!("points/{point}.rs.in"));
        fs::copy(root().join("sdk/Cargo.lock"), folder.join("Cargo.lock")).expect("writable");
        let tests = cargo(&folder, &["test"]);
        assert!(tests.contains("2 passed"), "{point}: {tests}");
    }
}

#[test]
fn a_new_crate_works_without_an_edit() {
    let folder = scratch("template").join("my-plugin");
    write_out(&folder, "my-plugin", "src/lib.rs.in");
    // What the SDK's own lock file names is what this machine has.
    fs::copy(root().join("sdk/Cargo.lock"), folder.join("Cargo.lock")).expect("writable");
    let tests = cargo(&folder, &["test"]);
    assert!(tests.contains("2 passed"), "{tests}");
    let target = scratch("template").join("target");
    let built = portunus_sdk_build::build(&folder, &["my-plugin"], &target).expect("it builds");
    size::check(&built[0], GUEST_BYTES_MAX);
    let engine = Engine::new(EngineOptions::default()).expect("an engine");
    let component = fs::read(&built[0]).expect("the component");
    size::check_paths("my-plugin", &component, "portunus-sdk/src/");
    let plugin = engine.compile(&component).expect("the server takes it");
    assert_eq!(plugin.points(), [Point::WritePolicy, Point::Recipe]);
    assert_eq!(plugin.functions(), ["count"]);
}
