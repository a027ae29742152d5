//! `cargo xtask tidy`: the checks that no compiler makes; reads files, writes nothing.
//! `cargo xtask plugin DIR`: builds a plugin crate into a component that can be deployed.
//! `cargo xtask fuzz TARGET [SECONDS]`: lets libFuzzer loose on a reader of untrusted bytes.

mod fuzz;
mod headers;
mod layers;
mod tree;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};

const TASKS: &str = "tidy, plugin DIR, fuzz TARGET [SECONDS]";

fn main() -> Result<ExitCode> {
    let mut args = std::env::args().skip(1);
    let task = args.next();
    match task.as_deref() {
        Some("tidy") => Ok(report(&tidy()?)),
        Some("plugin") => build_plugin(args.next()),
        Some("fuzz") => fuzz::run(args.next(), args.next()),
        // Cargo, which has been told by `fuzz` to compile through this program.
        Some(compiler) if compiler.ends_with("rustc") => fuzz::compile(compiler, args.collect()),
        Some(other) => bail!("no task {other:?}; there are: {TASKS}"),
        None => bail!("which task? there are: {TASKS}"),
    }
}

/// Builds the plugin crate in `dir` and prints where its component is.
fn build_plugin(dir: Option<String>) -> Result<ExitCode> {
    let dir = PathBuf::from(dir.context("which plugin? cargo xtask plugin DIR")?);
    let dir = dir.canonicalize().with_context(|| dir.display().to_string())?;
    let name = dir.file_name().and_then(|name| name.to_str()).context("a plugin has a name")?;
    let workspace = dir.parent().context("a plugin lies in a workspace")?;
    let target = tree::root().join("target").join("plugins");
    for component in portunus_sdk_build::build(workspace, &[name], &target)? {
        println!("{}", component.display());
    }
    Ok(ExitCode::SUCCESS)
}

/// Every rule's complaints, each naming file and rule.
fn tidy() -> Result<Vec<String>> {
    let sources = tree::sources()?;
    let mut complaints = headers::check(&sources);
    complaints.extend(layers::check(&sources)?);
    Ok(complaints)
}

fn report(complaints: &[String]) -> ExitCode {
    for complaint in complaints {
        eprintln!("tidy: {complaint}");
    }
    match complaints.len() {
        0 => {
            println!("tidy: nothing to complain about");
            ExitCode::SUCCESS
        }
        _ => ExitCode::FAILURE,
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_tree_is_tidy() {
        let complaints = super::tidy().unwrap();
        assert!(complaints.is_empty(), "{complaints:#?}");
    }
}
