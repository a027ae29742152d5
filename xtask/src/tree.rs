//! The Rust sources of the project, as git would see them: build output and generated bindings
//! left out.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// One source file, its path relative to the project's root.
pub struct Source {
    pub path: String,
    pub text: String,
}

/// Folders that are not ours to keep tidy.
const SKIPPED: [&str; 4] = ["target", ".git", "bindings", "node_modules"];

pub fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().map_or_else(PathBuf::new, Path::to_owned)
}

pub fn sources() -> Result<Vec<Source>> {
    let root = root();
    let mut found = Vec::new();
    for folder in ["server", "proto", "xtask", "tests", "sdk", "plugins", "examples"] {
        collect(&root, &root.join(folder), &mut found)?;
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(found)
}

fn collect(root: &Path, folder: &Path, found: &mut Vec<Source>) -> Result<()> {
    let Ok(entries) = fs::read_dir(folder) else { return Ok(()) };
    for entry in entries {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() && !SKIPPED.contains(&name.as_str()) {
            collect(root, &path, found)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
            let path = path.strip_prefix(root)?.to_string_lossy().into_owned();
            found.push(Source { path, text });
        }
    }
    Ok(())
}
