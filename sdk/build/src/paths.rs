//! Which directories of the builder's machine a guest's panics would name, and what they name
//! instead: the same on every machine, so that nobody learns who compiled it where. The digest may
//! still differ between two places: cargo tells packages outside the workspace apart by theirs, and
//! the compiler orders functions by that.

use std::path::Path;

use serde::Deserialize;

use crate::{Error, TARGET, command};

/// What cargo says of a workspace, as far as it is needed.
#[derive(Deserialize)]
struct Workspace {
    packages: Vec<Package>,
    workspace_root: String,
    target_directory: String,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    version: String,
    manifest_path: String,
    /// None for one that lies on the machine as a folder of its own.
    source: Option<String>,
}

/// The setting of cargo's that renames the directories in what it compiles for the target. It is
/// put behind the target's flags in the author's configuration, if there are any.
pub fn setting(workspace: &Path, target_dir: &Path, toolchain: &Path) -> Result<String, Error> {
    let mut cargo = command("CARGO", "cargo", workspace);
    cargo.args(["metadata", "--format-version=1", "--filter-platform", TARGET]);
    if workspace.join("Cargo.lock").exists() {
        cargo.arg("--locked");
    }
    let described =
        cargo.output().map_err(|source| Error::Start { program: "cargo".to_owned(), source })?;
    if !described.status.success() {
        let why = String::from_utf8_lossy(&described.stderr).trim().to_owned();
        return Err(Error::Describe { workspace: workspace.to_owned(), why });
    }
    let described = serde_json::from_slice(&described.stdout).map_err(|error| Error::Describe {
        workspace: workspace.to_owned(),
        why: error.to_string(),
    })?;
    let mut renames = vec![
        (toolchain.display().to_string(), "rust".to_owned()),
        (target_dir.display().to_string(), "target".to_owned()),
    ];
    renames.extend(of_workspace(described));
    let flags: Vec<String> =
        renames.iter().map(|(from, to)| format!("--remap-path-prefix={from}={to}")).collect();
    // A list of texts is written alike in JSON and in TOML.
    let flags = serde_json::to_string(&flags).expect("texts have JSON");
    Ok(format!("target.{TARGET}.rustflags={flags}"))
}

/// The later ones go first where several fit.
fn of_workspace(workspace: Workspace) -> Vec<(String, String)> {
    let mut renames = vec![
        (workspace.workspace_root, String::new()),
        (workspace.target_directory, "target".to_owned()),
    ];
    let mut packages: Vec<(String, String)> = workspace
        .packages
        .into_iter()
        .filter_map(|package| {
            let folder = Path::new(&package.manifest_path).parent()?.to_str()?.to_owned();
            let name = match package.source {
                Some(_) => format!("{}-{}", package.name, package.version),
                None => package.name,
            };
            Some((folder, name))
        })
        .collect();
    packages.sort_by_key(|(folder, _)| folder.len());
    renames.extend(packages);
    renames
}

#[cfg(test)]
mod tests {
    use super::{Workspace, of_workspace};

    #[test]
    fn folders_have_the_names_of_what_lies_in_them() {
        let described = serde_json::from_value::<Workspace>(serde_json::json!({
            "packages": [
                {"name": "inner", "version": "1.0.0", "manifest_path": "/a/sdk/inner/Cargo.toml"},
                {"name": "sdk", "version": "1.0.0", "manifest_path": "/a/sdk/Cargo.toml"},
                {"name": "serde", "version": "1.2.3", "manifest_path": "/r/x-serde/Cargo.toml",
                    "source": "registry"},
            ],
            "workspace_root": "/a/plugins",
            "target_directory": "/a/plugins/target",
        }));
        let renames = of_workspace(described.expect("what cargo says"));
        let expected = [
            ("/a/plugins", ""),
            ("/a/plugins/target", "target"),
            ("/a/sdk", "sdk"),
            ("/r/x-serde", "serde-1.2.3"),
            ("/a/sdk/inner", "inner"),
        ];
        assert_eq!(renames, expected.map(|(from, to)| (from.to_owned(), to.to_owned())));
    }
}
