//! The guide's blocks of Rust are one crate that compiles and passes its tests.

use std::fs;
use std::path::Path;
use std::process::Command;

const MANIFEST: &str = "
[package]
name = \"guard\"
version = \"0.0.0\"
edition = \"2024\"

[workspace]

[lints.rust]
warnings = \"deny\"

[dependencies]
serde = { version = \"1\", features = [\"derive\"] }
";

/// Three printed pages.
const LINES_MAX: usize = 225;

/// The text of all blocks that are marked as Rust, in order.
fn rust_in(page: &str) -> String {
    let blocks = page.split("```rust\n").skip(1).filter_map(|rest| rest.split("```").next());
    format!("//! The guide's crate.\n\n{}", blocks.collect::<Vec<_>>().join("\n"))
}

#[test]
fn the_guides_crate_passes_its_tests() {
    let sdk = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(sdk.join("../docs/plugins.md")).expect("the guide is there");
    assert!(page.lines().count() <= LINES_MAX, "the guide has more than three pages");
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("guide");
    fs::create_dir_all(folder.join("src")).expect("the target's folder is writable");
    let manifest = format!("{MANIFEST}portunus-sdk = {{ path = {sdk:?} }}\n");
    fs::write(folder.join("Cargo.toml"), manifest).expect("writable");
    fs::write(folder.join("src/lib.rs"), rust_in(&page)).expect("writable");
    fs::copy(sdk.join("Cargo.lock"), folder.join("Cargo.lock")).expect("writable");
    let output = Command::new(env!("CARGO"))
        .args(["test", "--offline"])
        .current_dir(&folder)
        .env("CARGO_TARGET_DIR", folder.join("target"))
        .env_remove("RUSTFLAGS")
        .output()
        .expect("cargo runs");
    let (out, err) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{out}{err}");
    assert!(out.contains("3 passed"), "all tests of the guide run: {out}");
}
