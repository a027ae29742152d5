//! What does not compile says what would: each file in `refused/` is a plugin with a mistake, and
//! its lines `//~` are texts that the compiler's errors have to hold. Every error has to hold one.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

const MANIFEST: &str = "
[package]
name = \"refused\"
version = \"0.0.0\"
edition = \"2024\"

[workspace]

[dependencies]
serde = \"1\"
";

fn sdk() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The plugins with a mistake, by name.
fn cases() -> BTreeMap<String, PathBuf> {
    let files = fs::read_dir(sdk().join("tests/refused")).expect("the cases are there");
    files
        .map(|file| file.expect("a file").path())
        .map(|path| (path.file_stem().expect("a name").to_string_lossy().into_owned(), path))
        .collect()
}

/// One package with an example for each case, so that the SDK is compiled once.
fn write_package(folder: &Path, cases: &BTreeMap<String, PathBuf>) {
    let mut manifest = format!("{MANIFEST}portunus-sdk = {{ path = {:?} }}\n", sdk());
    for (name, path) in cases {
        manifest +=
            &format!("\n[[example]]\nname = {name:?}\npath = {path:?}\ncrate-type = [\"lib\"]\n");
    }
    fs::create_dir_all(folder.join("src")).expect("the target's folder is writable");
    fs::write(folder.join("Cargo.toml"), manifest).expect("writable");
    fs::write(folder.join("src/lib.rs"), "").expect("writable");
    fs::copy(sdk().join("Cargo.lock"), folder.join("Cargo.lock")).expect("writable");
}

/// The errors of each case, as the compiler shows them.
fn errors(folder: &Path) -> BTreeMap<String, Vec<String>> {
    let output = Command::new(env!("CARGO"))
        .args(["check", "--examples", "--keep-going", "--offline", "--message-format=json"])
        .current_dir(folder)
        .env("CARGO_TARGET_DIR", folder.join("target"))
        .env_remove("RUSTFLAGS")
        .output()
        .expect("cargo runs");
    let mut errors: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let Ok(message) = serde_json::from_str::<Value>(line) else { continue };
        let text = message["message"]["rendered"].as_str().unwrap_or_default();
        let is_summary = text.contains("aborting due to");
        if message["message"]["level"] == "error" && !is_summary {
            let target = message["target"]["name"].as_str().unwrap_or_default().to_owned();
            errors.entry(target).or_default().push(text.to_owned());
        }
    }
    assert!(!errors.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    errors
}

#[test]
fn a_wrong_signature_is_answered_with_the_right_one() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("refused");
    let cases = cases();
    write_package(&folder, &cases);
    let mut errors = errors(&folder);
    let mut wrong = String::new();
    for (name, path) in &cases {
        let source = fs::read_to_string(path).expect("readable");
        let expected: Vec<&str> =
            source.lines().filter_map(|line| line.strip_prefix("//~ ")).collect();
        assert!(!expected.is_empty(), "{name} expects nothing");
        let found = errors.remove(name).unwrap_or_default();
        let missing =
            expected.iter().filter(|text| !found.iter().any(|error| error.contains(**text)));
        let missing: Vec<_> = missing.collect();
        let surplus: Vec<_> = found
            .iter()
            .filter(|error| !expected.iter().any(|text| error.contains(text)))
            .collect();
        if !missing.is_empty() || !surplus.is_empty() {
            wrong += &format!(
                "{name}: no error holds {missing:?}, and {} hold nothing expected, among:\n{}\n",
                surplus.len(),
                found.join("\n")
            );
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
    assert!(errors.is_empty(), "errors outside the cases: {errors:?}");
}
