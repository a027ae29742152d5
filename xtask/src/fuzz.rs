//! `cargo xtask fuzz TARGET SECONDS`: builds `tests/fuzz` with coverage counters in our own crates
//! only, which the stable compiler can do, and runs one target over its kept corpus.
//! What is found on the way goes to `target/fuzz/found`; what breaks, to `target/fuzz/broken`.

use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail, ensure};

use crate::tree;

/// Crates whose branches steer the fuzzer. All others would cost a build of their own and lead it
/// into code that is not ours.
const OURS: [&str; 3] = ["portunus", "portunus_proto", "fuzz"];
/// What libFuzzer needs from the compiler.
const COUNTERS: [&str; 6] = [
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "-Cdebug-assertions=on",
];
/// Inputs above this only make a run slow: the readers have no state that needs more.
const INPUT_BYTES_MAX: &str = "-max_len=40000";
const INPUT_SECONDS_MAX: &str = "-timeout=20";

/// Builds, and runs `target` for so long.
pub fn run(target: Option<String>, seconds: Option<String>) -> Result<ExitCode> {
    let root = tree::root();
    let fuzz = root.join("tests").join("fuzz");
    let corpus = fuzz.join("corpus");
    let target = target.context("which target? cargo xtask fuzz TARGET [SECONDS]")?;
    let kept = corpus.join(&target);
    ensure!(kept.is_dir(), "no target {target:?}; there are: {}", names(&corpus)?);
    let seconds: u64 = seconds.as_deref().unwrap_or("600").parse().context("seconds")?;
    let built = root.join("target").join("fuzz");
    let status = Command::new("cargo")
        .args(["build", "--manifest-path"])
        .arg(fuzz.join("Cargo.toml"))
        .arg("--target-dir")
        .arg(&built)
        .env("RUSTC_WRAPPER", std::env::current_exe()?)
        .env("PORTUNUS_WITHOUT_BUILTINS", "1")
        .status()?;
    ensure!(status.success(), "the targets do not build; they need a C++ compiler");
    let (found, broken) = (built.join("found").join(&target), built.join("broken"));
    std::fs::create_dir_all(&found)?;
    std::fs::create_dir_all(&broken)?;
    let status = Command::new(built.join("debug").join("fuzz"))
        .env("FUZZ_TARGET", &target)
        .arg(format!("-max_total_time={seconds}"))
        .args([INPUT_BYTES_MAX, INPUT_SECONDS_MAX, "-print_final_stats=1"])
        .arg(format!("-artifact_prefix={}/{target}-", broken.display()))
        .args([&found, &kept])
        .status()?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn names(corpus: &Path) -> Result<String> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(corpus)? {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names.join(", "))
}

/// As cargo's `RUSTC_WRAPPER`: the compiler, with counters where the crate is ours.
pub fn compile(compiler: &str, arguments: Vec<String>) -> Result<ExitCode> {
    let mut names = arguments.iter().skip_while(|word| *word != "--crate-name").skip(1);
    let is_ours = names.next().is_some_and(|name| OURS.contains(&name.as_str()));
    let mut command = Command::new(compiler);
    command.args(&arguments);
    if is_ours {
        command.args(COUNTERS);
    }
    let status = command.status()?;
    match status.code() {
        Some(code) => Ok(ExitCode::from(u8::try_from(code).unwrap_or(1))),
        None => bail!("{compiler} was ended: {status}"),
    }
}
