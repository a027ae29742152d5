//! Where a component comes from: a file, a crate's folder, or the program itself.

use std::path::Path;

use anyhow::{Context, bail, ensure};
use bytes::Bytes;

use super::build;
use crate::builtin;
use crate::config::nearest::nearest;
use crate::limits::COMPONENT_BYTES_MAX;

/// What every wasm file begins with.
const WASM_MAGIC: &[u8] = b"\0asm";
const BUILTIN: &str = "builtin:";

/// A component, and what it would be called.
#[derive(Debug)]
pub struct Component {
    pub name: String,
    pub bytes: Bytes,
}

/// Finds what `text` names; a folder is built first. Relative names begin in `folder`.
pub fn find(text: &str, folder: &Path) -> anyhow::Result<Component> {
    if let Some(name) = text.strip_prefix(BUILTIN) {
        return embedded(name);
    }
    let path = folder.join(text);
    if path.is_dir() {
        let built = build::component(&path)?;
        return Ok(Component { name: built.package, bytes: read(&built.file)? });
    }
    if !path.exists() {
        bail!("{text} does not exist; {}", offer(text));
    }
    let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    Ok(Component { name: stem.to_lowercase().replace(['_', '.', ' '], "-"), bytes: read(&path)? })
}

fn embedded(name: &str) -> anyhow::Result<Component> {
    let Some(found) = builtin::find(name) else {
        let known: Vec<_> = builtin::all().iter().map(|plugin| plugin.name).collect();
        let meant = nearest(name, known.iter().copied());
        let meant = meant.map(|meant| format!("; did you mean {BUILTIN}{meant}?"));
        bail!(
            "there is no builtin plugin \"{name}\"{}; there are {}",
            meant.unwrap_or_default(),
            if known.is_empty() { "none in this build".to_owned() } else { known.join(", ") }
        );
    };
    Ok(Component { name: found.name.to_owned(), bytes: Bytes::from_static(found.component) })
}

fn offer(text: &str) -> String {
    match builtin::find(text) {
        Some(builtin) => format!("did you mean {BUILTIN}{}?", builtin.name),
        None => format!(
            "name a .wasm file, a crate's folder, or a plugin of the server's own as {BUILTIN}NAME"
        ),
    }
}

/// Reads a component, and refuses here what the server would only refuse after it has travelled.
fn read(file: &Path) -> anyhow::Result<Bytes> {
    let shown = file.display();
    let bytes = std::fs::read(file).with_context(|| format!("cannot read {shown}"))?;
    ensure!(
        bytes.len() <= COMPONENT_BYTES_MAX,
        "{shown} has {} bytes, {COMPONENT_BYTES_MAX} are allowed; build it in release mode and strip it",
        bytes.len()
    );
    ensure!(
        bytes.starts_with(WASM_MAGIC),
        "{shown} is not wasm; build the plugin and name its .wasm file, or name its folder"
    );
    Ok(bytes.into())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::find;
    use crate::limits::COMPONENT_BYTES_MAX;

    #[test]
    fn what_is_no_component_is_not_sent() {
        let folder = tempfile::tempdir().expect("a folder");
        let refusal = |name: &str| format!("{:#}", find(name, folder.path()).expect_err(name));
        let write = |name: &str, bytes: &[u8]| {
            std::fs::write(folder.path().join(name), bytes).expect("written");
        };
        assert!(refusal("missing.wasm").contains("missing.wasm does not exist"));
        write("text.wasm", b"(module)");
        assert!(refusal("text.wasm").contains("is not wasm"));
        write("large.wasm", &vec![0; COMPONENT_BYTES_MAX + 1]);
        assert!(refusal("large.wasm").contains("4194304 are allowed"));
        std::fs::create_dir(folder.path().join("empty")).expect("made");
        assert!(refusal("empty").contains("has no Cargo.toml"));
        write("My_Plugin.wasm", b"\0asm");
        let found = find("My_Plugin.wasm", folder.path()).expect("wasm");
        assert_eq!((found.name.as_str(), &found.bytes[..]), ("my-plugin", &b"\0asm"[..]));
    }

    #[test]
    fn builtins_are_found_and_mistyped_ones_named() {
        let found = find("builtin:allow-all", Path::new(".")).expect("it is embedded");
        assert!(found.bytes.starts_with(b"\0asm"));
        let refusal = |name| find(name, Path::new(".")).expect_err(name).to_string();
        assert!(refusal("builtin:alow-all").contains("did you mean builtin:allow-all?"));
        assert!(refusal("builtin:x").contains("there are "));
        assert!(refusal("allow-all").contains("did you mean builtin:allow-all?"));
    }
}
