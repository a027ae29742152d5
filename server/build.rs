//! Builds the first-party plugins, which the program carries, and packs the SDK's sources for
//! `plugin new`. A nested cargo compiles the plugins for wasm; `PORTUNUS_WITHOUT_BUILTINS=1`
//! leaves them out, for a toolchain that cannot.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use anyhow::{Context, Result, bail};
use serde_json::Value;

/// Leaves the plugins out when it is set and not empty.
const WITHOUT: &str = "PORTUNUS_WITHOUT_BUILTINS";
/// What of `sdk/` a plugin's author needs.
const SDK_PARTS: [&str; 6] = ["Cargo.toml", "Cargo.lock", "src", "macros", "wit", "build"];

fn main() -> Result<()> {
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?).join("..");
    let out = PathBuf::from(env::var("OUT_DIR")?);
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed={WITHOUT}");
    let builtins = match env::var_os(WITHOUT).is_some_and(|value| !value.is_empty()) {
        true => Vec::new(),
        false => builtins(&root.join("plugins"), &out.join("plugins"))?,
    };
    fs::write(out.join("builtins.rs"), builtin_table(&builtins))?;
    fs::write(out.join("sdk_files.rs"), sdk_table(&root.join("sdk"))?)?;
    Ok(())
}

struct Builtin {
    name: String,
    about: String,
    file: PathBuf,
}

/// The packages that say `[package.metadata.portunus] builtin = true`, compiled.
fn builtins(plugins: &Path, target: &Path) -> Result<Vec<Builtin>> {
    for file in ["Cargo.toml", "Cargo.lock"] {
        println!("cargo::rerun-if-changed={}", plugins.join(file).display());
    }
    let mut found: Vec<Builtin> = Vec::new();
    for package in packages(plugins)? {
        let text = |field: &str| package[field].as_str().unwrap_or_default().to_owned();
        let folder = PathBuf::from(text("manifest_path"));
        let folder = folder.parent().context("a manifest has a folder")?;
        println!("cargo::rerun-if-changed={}", folder.display());
        if package["metadata"]["portunus"]["builtin"] == Value::Bool(true) {
            found.push(Builtin {
                name: text("name"),
                about: text("description"),
                file: PathBuf::new(),
            });
        }
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    let names: Vec<&str> = found.iter().map(|builtin| builtin.name.as_str()).collect();
    let built = portunus_sdk_build::build(plugins, &names, target);
    let built = built.with_context(|| {
        format!("cannot build the server's own plugins; {WITHOUT}=1 builds a server without them")
    })?;
    found.iter_mut().zip(built).for_each(|(builtin, file)| builtin.file = file);
    Ok(found)
}

fn packages(plugins: &Path) -> Result<Vec<Value>> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let described = Command::new(cargo)
        .current_dir(plugins)
        .args(["metadata", "--no-deps", "--format-version=1"])
        .output()
        .context("cargo does not run")?;
    if !described.status.success() {
        bail!("cargo cannot read plugins/: {}", String::from_utf8_lossy(&described.stderr));
    }
    let mut described: Value = serde_json::from_slice(&described.stdout)?;
    match described["packages"].take() {
        Value::Array(packages) => Ok(packages),
        other => bail!("cargo describes no packages: {other}"),
    }
}

fn builtin_table(builtins: &[Builtin]) -> String {
    let mut text = String::from("static BUILTINS: &[Builtin] = &[\n");
    for Builtin { name, about, file } in builtins {
        writeln!(
            text,
            "    Builtin {{ name: {name:?}, about: {about:?}, component: include_bytes!({file:?}) }},"
        )
        .expect("writing to a string cannot fail");
    }
    text + "];\n"
}

fn sdk_table(sdk: &Path) -> Result<String> {
    let mut files = Vec::new();
    for part in SDK_PARTS {
        println!("cargo::rerun-if-changed={}", sdk.join(part).display());
        collect(&sdk.join(part), &mut files)?;
    }
    files.sort();
    let mut text = String::from("static SDK_FILES: &[(&str, &str)] = &[\n");
    for file in files {
        let name = file.strip_prefix(sdk)?.to_str().context("a file's name is text")?;
        let name = name.replace('\\', "/");
        writeln!(text, "    ({name:?}, include_str!({file:?})),")?;
    }
    Ok(text + "];\n")
}

fn collect(path: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    if !path.is_dir() {
        files.push(path.to_owned());
        return Ok(());
    }
    for entry in fs::read_dir(path).with_context(|| format!("read {}", path.display()))? {
        collect(&entry?.path(), files)?;
    }
    Ok(())
}
