//! Builds plugin crates for wasm32-unknown-unknown and turns them into components, the form the
//! server loads. Used by the test suite and by `portunus plugin build`; knows nothing of the
//! server. The build does not inherit what an outer cargo put into the environment, so it comes
//! out the same whether it is started by hand or from a build script.

mod names;
mod paths;
mod sections;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use wit_component::ComponentEncoder;

/// What the guest is compiled for. No WASI: a plugin has only the imports of its contract.
pub const TARGET: &str = "wasm32-unknown-unknown";

/// Why a plugin could not be built.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The compiler lacks the target's standard library and it could not be installed.
    #[error(
        "this Rust toolchain cannot compile for {TARGET} ({why}); run `rustup target add {TARGET}` \
         for the toolchain in use"
    )]
    TargetMissing {
        /// What was tried and how it ended.
        why: String,
    },
    /// A program could not be started.
    #[error("cannot run {program}")]
    Start {
        /// Its name.
        program: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Cargo could not say what the workspace is made of.
    #[error("cargo cannot describe {workspace}: {why}")]
    Describe {
        /// The workspace.
        workspace: PathBuf,
        /// What it said.
        why: String,
    },
    /// Cargo ran and failed; its own output says why.
    #[error("cargo could not build {packages} for {TARGET}")]
    Compile {
        /// The packages asked for.
        packages: String,
    },
    /// A file could not be read or written.
    #[error("cannot access {path}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The module does not follow the contract, so no component can be made of it.
    #[error("cannot make a component of {package}: {why}")]
    Encode {
        /// The plugin.
        package: String,
        /// What the encoder found.
        why: String,
    },
}

/// Builds `packages` of the cargo workspace in `workspace` into `target_dir`, honouring its lock
/// file if it has one, and returns the path of each one's component, in order.
///
/// Cargo's output goes to this process's standard error.
pub fn build(
    workspace: &Path,
    packages: &[&str],
    target_dir: &Path,
) -> Result<Vec<PathBuf>, Error> {
    let toolchain = ensure_target(workspace)?;
    let renames = paths::setting(workspace, target_dir, &toolchain)?;
    compile(workspace, packages, target_dir, &renames)?;
    packages.iter().map(|package| encode(package, target_dir)).collect()
}

fn compile(
    workspace: &Path,
    packages: &[&str],
    target_dir: &Path,
    renames: &str,
) -> Result<(), Error> {
    let mut cargo = command("CARGO", "cargo", workspace);
    cargo.args(["build", "--release", "--target", TARGET, "--target-dir"]);
    cargo.arg(target_dir).args(["--config", renames]);
    // A crate that was made just now has no lock file yet.
    if workspace.join("Cargo.lock").exists() {
        cargo.arg("--locked");
    }
    for package in packages {
        cargo.args(["-p", package]);
    }
    let status =
        cargo.status().map_err(|source| Error::Start { program: "cargo".to_owned(), source })?;
    status.success().then_some(()).ok_or_else(|| Error::Compile { packages: packages.join(", ") })
}

fn encode(package: &str, target_dir: &Path) -> Result<PathBuf, Error> {
    let built = target_dir.join(TARGET).join("release").join(file_name(package));
    let module =
        std::fs::read(&built).map_err(|source| Error::File { path: built.clone(), source })?;
    let component =
        component_of(&module).map_err(|why| Error::Encode { package: package.to_owned(), why })?;
    let path = target_dir.join(file_name(package));
    std::fs::write(&path, component)
        .map_err(|source| Error::File { path: path.clone(), source })?;
    Ok(path)
}

/// The component of a core module that carries its contract in a custom section, as the SDK's
/// bindings make it, with the names of its functions shortened and without what names the tools. `Err` is the encoder's text.
pub fn component_of(module: &[u8]) -> Result<Vec<u8>, String> {
    ComponentEncoder::default()
        .validate(true)
        .module(module)
        .and_then(|encoder| encoder.encode())
        .map(|component| sections::trimmed(&component).unwrap_or(component))
        .map_err(|error| format!("{error:#}"))
}

fn file_name(package: &str) -> String {
    format!("{}.wasm", package.replace('-', "_"))
}

/// Installs the target's standard library when the compiler in use does not have it, and returns
/// the compiler's folder.
fn ensure_target(workspace: &Path) -> Result<PathBuf, Error> {
    if let Some(toolchain) = toolchain_with_target(workspace)? {
        return Ok(toolchain);
    }
    let added = command("RUSTUP", "rustup", workspace).args(["target", "add", TARGET]).output();
    let why = match added {
        Ok(output) => {
            let found = toolchain_with_target(workspace)?.filter(|_| output.status.success());
            if let Some(toolchain) = found {
                return Ok(toolchain);
            }
            format!("`rustup target add` said: {}", String::from_utf8_lossy(&output.stderr).trim())
        }
        Err(error) => format!("`rustup` does not run: {error}"),
    };
    Err(Error::TargetMissing { why })
}

fn toolchain_with_target(workspace: &Path) -> Result<Option<PathBuf>, Error> {
    let output = command("RUSTC", "rustc", workspace)
        .args(["--print", "sysroot", "--print", "target-libdir", "--target", TARGET])
        .output()
        .map_err(|source| Error::Start { program: "rustc".to_owned(), source })?;
    let text = String::from_utf8_lossy(&output.stdout);
    let (toolchain, libraries) = text.trim().split_once('\n').unwrap_or_default();
    let is_there = output.status.success() && Path::new(libraries).is_dir();
    Ok(is_there.then(|| PathBuf::from(toolchain)))
}

/// The program that `variable` names, else `default`, without an outer build's settings.
fn command(variable: &str, default: &str, directory: &Path) -> Command {
    let program = std::env::var_os(variable).unwrap_or_else(|| OsString::from(default));
    let mut command = Command::new(program);
    command.current_dir(directory);
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(is_outer_setting) {
            command.env_remove(name);
        }
    }
    command
}

fn is_outer_setting(name: &str) -> bool {
    const NAMES: [&str; 8] = [
        "CARGO_ENCODED_RUSTFLAGS",
        "RUSTFLAGS",
        "RUSTC_WRAPPER",
        "RUSTC_WORKSPACE_WRAPPER",
        "CARGO_BUILD_TARGET",
        "CARGO_MAKEFLAGS",
        "MAKEFLAGS",
        "CARGO_TARGET_DIR",
    ];
    const PREFIXES: [&str; 3] = ["CARGO_PROFILE_", "CARGO_FEATURE_", "CARGO_CFG_"];
    NAMES.contains(&name) || PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::{component_of, is_outer_setting};

    #[test]
    fn an_outer_builds_settings_do_not_reach_the_guest() {
        assert!(is_outer_setting("RUSTFLAGS"));
        assert!(is_outer_setting("CARGO_PROFILE_RELEASE_LTO"));
        assert!(!is_outer_setting("PATH"));
        assert!(!is_outer_setting("CARGO_HOME"));
    }

    #[test]
    fn what_is_no_module_makes_no_component() {
        assert!(component_of(b"not wasm").is_err());
    }
}
