//! `plugin build` and `plugin test`: cargo, with what a guest needs around it.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail, ensure};
use clap::Args;

/// Which crate.
#[derive(Debug, Args)]
pub struct Build {
    /// The crate's folder
    #[arg(default_value = ".")]
    folder: PathBuf,
    /// Where to put the component as well
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// Which crate, and what cargo is told.
#[derive(Debug, Args)]
pub struct Test {
    /// The crate's folder
    #[arg(default_value = ".")]
    folder: PathBuf,
    /// What goes to cargo test as it is
    #[arg(last = true)]
    arguments: Vec<String>,
}

/// A component that was built.
pub struct Built {
    pub package: String,
    pub file: PathBuf,
}

/// A crate as cargo describes it.
struct Package {
    name: String,
    workspace: PathBuf,
    target: PathBuf,
}

/// Prints where the component is.
pub fn build(options: &Build) -> anyhow::Result<String> {
    let mut built = component(&options.folder)?;
    if let Some(output) = &options.output {
        std::fs::copy(&built.file, output)
            .with_context(|| format!("cannot write {}", output.display()))?;
        built.file.clone_from(output);
    }
    let bytes = std::fs::metadata(&built.file)?.len();
    eprintln!(
        "{bytes} bytes; put it in place with: portunus plugin deploy {} --prefix PREFIX",
        options.folder.display()
    );
    Ok(format!("{}\n", built.file.display()))
}

/// Runs the crate's tests, which need no server and no wasm.
pub fn test(options: &Test) -> anyhow::Result<String> {
    let package = describe(&options.folder)?;
    let mut cargo = cargo();
    cargo.current_dir(&options.folder).args(["test", "-p", &package.name]);
    let status = cargo.args(&options.arguments).status().context(NO_CARGO)?;
    ensure!(status.success(), "the tests of {} failed", package.name);
    Ok(String::new())
}

/// Builds the crate in `folder`.
pub fn component(folder: &Path) -> anyhow::Result<Built> {
    let package = describe(folder)?;
    let built = portunus_sdk_build::build(&package.workspace, &[&package.name], &package.target)?;
    let file = built.into_iter().next().context("one package makes one component")?;
    Ok(Built { package: package.name, file })
}

const NO_CARGO: &str = "cargo does not run; install Rust from https://rustup.rs";

fn cargo() -> Command {
    Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// Asks cargo what is in the folder.
fn describe(folder: &Path) -> anyhow::Result<Package> {
    let shown = folder.display();
    let manifest = folder.join("Cargo.toml");
    ensure!(
        manifest.exists(),
        "{shown} has no Cargo.toml; name a plugin's folder, or make one with: portunus plugin new NAME"
    );
    let described = cargo()
        .current_dir(folder)
        .args(["metadata", "--no-deps", "--format-version=1"])
        .output()
        .context(NO_CARGO)?;
    if !described.status.success() {
        bail!("cargo cannot read {shown}: {}", String::from_utf8_lossy(&described.stderr).trim());
    }
    let described: serde_json::Value =
        serde_json::from_slice(&described.stdout).context("cargo's description is not JSON")?;
    pick(&described, &manifest.canonicalize()?)
}

/// The package of this manifest.
fn pick(described: &serde_json::Value, manifest: &Path) -> anyhow::Result<Package> {
    let packages = described["packages"].as_array().map_or(&[][..], Vec::as_slice);
    let path = |value: &serde_json::Value| PathBuf::from(value.as_str().unwrap_or_default());
    let own = packages.iter().find(|package| path(&package["manifest_path"]) == manifest);
    let Some(package) = own else {
        let names = packages.iter().filter_map(|package| package["name"].as_str());
        bail!(
            "{} is a workspace; name the folder of one of its crates: {}",
            manifest.display(),
            names.collect::<Vec<_>>().join(", ")
        );
    };
    let name = package["name"].as_str().unwrap_or_default().to_owned();
    let kinds = package["targets"].as_array().into_iter().flatten();
    let mut kinds = kinds.flat_map(|target| target["crate_types"].as_array().into_iter().flatten());
    ensure!(
        kinds.any(|kind| kind == "cdylib"),
        "{name} makes no wasm module; add to its Cargo.toml: [lib] crate-type = [\"cdylib\"]"
    );
    Ok(Package {
        name,
        workspace: path(&described["workspace_root"]),
        target: path(&described["target_directory"]),
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::pick;

    #[test]
    fn the_crate_of_the_folder_is_picked_and_must_be_a_plugin() {
        let package = |name: &str, kind: &str| {
            serde_json::json!({
                "name": name,
                "manifest_path": format!("/w/{name}/Cargo.toml"),
                "targets": [{"crate_types": ["bin"]}, {"crate_types": [kind]}],
            })
        };
        let described = serde_json::json!({
            "packages": [package("a", "cdylib"), package("b", "lib")],
            "workspace_root": "/w",
            "target_directory": "/w/target",
        });
        let found = pick(&described, Path::new("/w/a/Cargo.toml")).expect("a plugin");
        assert_eq!((found.name.as_str(), found.target), ("a", "/w/target".into()));
        let refusal = |path| pick(&described, Path::new(path)).err().expect(path).to_string();
        assert!(refusal("/w/b/Cargo.toml").contains("crate-type = [\"cdylib\"]"));
        assert!(refusal("/w/Cargo.toml").contains("one of its crates: a, b"));
    }
}
