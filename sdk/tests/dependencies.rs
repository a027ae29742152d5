//! The SDK stays small: what a plugin compiles because of it is listed here. A change of the list
//! is a decision: it costs every author's first build and may cost every plugin's size.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

/// What becomes part of a plugin.
const IN_THE_PLUGIN: [&str; 8] =
    ["itoa", "memchr", "portunus-sdk", "serde", "serde_core", "serde_json", "wit-bindgen", "zmij"];

/// What its compiler needs: the attributes and serde's derives.
const FOR_THE_COMPILER: [&str; 6] =
    ["portunus-sdk-macros", "proc-macro2", "quote", "serde_derive", "syn", "unicode-ident"];

/// The names in `cargo tree` for a plugin's target.
fn tree(edges: &str) -> BTreeSet<String> {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--locked", "--offline", "-p", "portunus-sdk", "--prefix", "none"])
        .args(["--format", "{p}", "--target", "wasm32-unknown-unknown", "--edges", edges])
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")))
        .output()
        .expect("cargo runs");
    let text = String::from_utf8(output.stdout).expect("names are text");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    text.lines().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect()
}

#[test]
fn the_sdk_brings_few_crates_along() {
    let in_the_plugin = tree("normal,no-proc-macro");
    assert_eq!(in_the_plugin.iter().map(String::as_str).collect::<Vec<_>>(), IN_THE_PLUGIN);
    let all = tree("normal,build");
    let rest: Vec<&str> = all.difference(&in_the_plugin).map(String::as_str).collect();
    assert_eq!(rest, FOR_THE_COMPILER);
}
