//! A protoc of the few options that prost's build scripts use, over protox, so that the tests'
//! etcd client builds on a machine without the C++ program. Writes a descriptor set and no code.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use prost::Message;

fn main() -> Result<()> {
    let mut includes: Vec<PathBuf> = Vec::new();
    let mut files: Vec<PathBuf> = Vec::new();
    let mut output = None;
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--version" => {
                println!("libprotoc 29.0 (protox)");
                return Ok(());
            }
            "-o" => output = args.next().map(PathBuf::from),
            "-I" => includes.extend(args.next().map(PathBuf::from)),
            "--include_imports" | "--include_source_info" => {}
            other if other.starts_with("--experimental_") => {}
            other => match (other.strip_prefix("-I"), other.strip_prefix('-')) {
                (Some(include), _) => includes.push(include.into()),
                (None, Some(_)) => bail!("option {other} is not known to this stand-in for protoc"),
                (None, None) => files.push(other.into()),
            },
        }
    }
    let output = output.context("-o FILE is missing")?;
    includes.retain(|include| include.is_dir());
    let set = protox::compile(files, includes)?;
    std::fs::write(&output, set.encode_to_vec())
        .with_context(|| format!("cannot write {}", output.display()))
}
