//! The layers of ARCHITECTURE.md hold: a module of the server uses only modules of its own level
//! or below, modules of one level do not use each other in a circle, and fjall, wasmtime and
//! openraft are known to one module each.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use anyhow::{Context, Result, ensure};

use crate::tree::{Source, root};

/// Libraries that only one module may name.
const KEPT_BY: [(&str, &str); 3] =
    [("fjall", "storage"), ("wasmtime", "wasm"), ("openraft", "raft")];

pub fn check(sources: &[Source]) -> Result<Vec<String>> {
    let levels = levels()?;
    let mut complaints = Vec::new();
    let mut sideways: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for source in sources {
        let Some(module) = module(&source.path) else { continue };
        let Some(level) = levels.get(module) else {
            complaints.push(format!("{}: {module} has no level in ARCHITECTURE.md", source.path));
            continue;
        };
        for used in used_modules(&source.text) {
            match levels.get(used.as_str()) {
                Some(other) if other > level => complaints.push(format!(
                    "{}: {module} (level {level}) uses {used} (level {other})",
                    source.path
                )),
                Some(other) if other == level && used != module => {
                    sideways.entry(module.to_owned()).or_default().insert(used);
                }
                _ => {}
            }
        }
        for (library, keeper) in KEPT_BY {
            if module != keeper && source.text.contains(&format!("{library}::")) {
                complaints.push(format!("{}: only {keeper} may know {library}", source.path));
            }
        }
    }
    complaints.extend(circles(&sideways));
    Ok(complaints)
}

/// Module to level, from the table in ARCHITECTURE.md whose rows read `| 3 | a b | ... |`.
fn levels() -> Result<BTreeMap<String, u32>> {
    let text = fs::read_to_string(root().join("ARCHITECTURE.md")).context("ARCHITECTURE.md")?;
    let mut levels = BTreeMap::new();
    for line in text.lines().filter(|line| line.starts_with("| ")) {
        let mut cells = line.split('|').map(str::trim).skip(1);
        let (Some(level), Some(modules)) = (cells.next(), cells.next()) else { continue };
        let Ok(level) = level.parse::<u32>() else { continue };
        for module in modules.split('`').skip(1).step_by(2) {
            levels.insert(module.trim_end_matches('/').trim_end_matches(".rs").to_owned(), level);
        }
    }
    ensure!(levels.len() > 10, "the table of layers in ARCHITECTURE.md was not found");
    Ok(levels)
}

/// The module of the server that a file belongs to. `lib.rs` lists them all and belongs to none.
fn module(path: &str) -> Option<&str> {
    let rest = path.strip_prefix("server/src/")?;
    let first = rest.split('/').next()?.trim_end_matches(".rs").trim_end_matches("_test");
    (first != "lib").then_some(first)
}

fn used_modules(text: &str) -> BTreeSet<String> {
    let code = text.lines().map(str::trim_start).filter(|line| !line.starts_with("//"));
    let mut used = BTreeSet::new();
    for line in code {
        for part in line.split("crate::").skip(1).chain(line.split("portunus::").skip(1)) {
            let names = part.strip_prefix('{').map_or(vec![part], |list| list.split(',').collect());
            for name in names {
                let end = name.trim_start().find(|c: char| !c.is_alphanumeric() && c != '_');
                let name = name.trim_start();
                used.insert(name[..end.unwrap_or(name.len())].to_owned());
            }
        }
    }
    used
}

fn circles(uses: &BTreeMap<String, BTreeSet<String>>) -> Vec<String> {
    let reaches = |from: &String| {
        let mut seen = BTreeSet::new();
        let mut next: Vec<&String> = uses.get(from).into_iter().flatten().collect();
        while let Some(module) = next.pop() {
            if seen.insert(module) {
                next.extend(uses.get(module).into_iter().flatten());
            }
        }
        seen
    };
    let circular = uses.keys().filter(|module| reaches(module).contains(module));
    circular
        .map(|module| format!("server/src/{module}: uses itself through its own level"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{circles, used_modules};
    use std::collections::{BTreeMap, BTreeSet};

    #[test]
    fn uses_are_found_in_every_form() {
        let text = "use crate::a::B;\nuse crate::{c::D, e};\n// crate::not\nlet x = crate::f::g();";
        let found: Vec<_> = used_modules(text).into_iter().collect();
        assert_eq!(found, ["a", "c", "e", "f"]);
    }

    #[test]
    fn a_circle_within_a_level_is_found() {
        let edge = |to: &str| BTreeSet::from([to.to_owned()]);
        let mut uses = BTreeMap::from([("a".to_owned(), edge("b")), ("b".to_owned(), edge("c"))]);
        assert!(circles(&uses).is_empty());
        uses.insert("c".to_owned(), edge("a"));
        assert_eq!(circles(&uses).len(), 3);
    }
}
