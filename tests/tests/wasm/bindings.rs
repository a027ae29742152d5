//! The SDK's bindings are generated once and checked in, so that a plugin's build needs no
//! generator. This test fails when they are not what `sdk/wit` says;
//! `UPDATE_BINDINGS=1` writes them anew.

use std::path::{Path, PathBuf};

use wit_bindgen_core::{Files, WorldGenerator};
use wit_bindgen_rust::{Opts, WithOption};
use wit_parser::Resolve;

const HOST: &str = "crate::bindings::host::portunus::plugin";

fn sdk() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../sdk")
}

/// The options for the world that holds the imports, which every plugin shares.
fn host_options() -> Opts {
    Opts {
        format: true,
        generate_all: true,
        runtime_path: Some("::portunus_sdk::__rt::wit_bindgen::rt".to_owned()),
        pub_export_macro: true,
        additional_derive_attributes: vec!["PartialEq".to_owned()],
        default_bindings_module: Some("::portunus_sdk::__rt::host".to_owned()),
        ..Opts::default()
    }
}

/// The options for an extension point's world: its imports are the shared ones.
fn point_options(point: &str) -> Opts {
    let shared = |interface: &str| {
        let name = format!("portunus:plugin/{interface}@0.1.0");
        (name, WithOption::Path(format!("{HOST}::{interface}")))
    };
    Opts {
        generate_all: false,
        with: ["types", "store", "env", "diag"].map(shared).to_vec(),
        export_macro_name: Some(format!("export_{point}")),
        default_bindings_module: Some(format!("::portunus_sdk::__rt::{point}")),
        ..host_options()
    }
}

/// The options for a point with an interface of its own to ask about what it is called for.
fn own_imports(point: &str, interface: &str) -> Opts {
    let mut options = point_options(point);
    options.with.push((format!("portunus:plugin/{interface}@0.1.0"), WithOption::Generate));
    options
}

fn generate(world: &str, options: Opts) -> String {
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_path(sdk().join("wit")).expect("the contract parses");
    let world = resolve.select_world(&[package], Some(world)).expect("the world exists");
    let mut files = Files::default();
    options.build().generate(&mut resolve, world, &mut files).expect("bindings generate");
    let (_, code) = files.iter().next().expect("one file of bindings");
    String::from_utf8(code.to_vec()).expect("bindings are text")
}

fn check(file: &str, world: &str, options: Opts) {
    let path = sdk().join("src/bindings").join(file);
    let fresh = generate(world, options);
    if std::env::var_os("UPDATE_BINDINGS").is_some() {
        std::fs::write(&path, fresh).expect("the bindings are writable");
        return;
    }
    let checked_in = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        checked_in == fresh,
        "sdk/src/bindings/{file} is not what sdk/wit says; run this test with UPDATE_BINDINGS=1"
    );
}

#[test]
fn the_checked_in_bindings_are_what_the_contract_says() {
    check("host.rs", "host", host_options());
    check("write_policy.rs", "write-policy-plugin", point_options("write_policy"));
    check("trigger.rs", "trigger-plugin", point_options("trigger"));
    check("recipe.rs", "recipe-plugin", point_options("recipe"));
    check("lock_admission.rs", "lock-admission-plugin", own_imports("lock_admission", "locks"));
    check("queue_condition.rs", "queue-condition-plugin", own_imports("queue_condition", "queues"));
}
