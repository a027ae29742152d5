//! Small rooms with a sign on the door: every file says what it owns, and none is too large.

use crate::tree::Source;

const LINES_MAX: usize = 500;
const INDEX_LINES_MAX: usize = 150;

pub fn check(sources: &[Source]) -> Vec<String> {
    let mut complaints = Vec::new();
    for Source { path, text } in sources {
        let lines = text.lines().count();
        if !text.starts_with("//!") {
            complaints.push(format!("{path}: opens without //! saying what it owns"));
        }
        if lines > LINES_MAX {
            complaints
                .push(format!("{path}: {lines} lines are too many for one room ({LINES_MAX})"));
        }
        if path.ends_with("/mod.rs") && path.starts_with("server/") && lines > INDEX_LINES_MAX {
            complaints.push(format!("{path}: an index with {lines} lines holds logic"));
        }
        if ["utils", "helpers", "common"]
            .iter()
            .any(|name| text.contains(&format!("\nmod {name};")))
        {
            complaints.push(format!("{path}: utils, helpers and common name nothing"));
        }
    }
    complaints
}
