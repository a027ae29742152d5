//! Flags, variables and the configuration file: lines of `--flag`, `NAME=value` and, behind a line
//! `---`, YAML.

use std::ffi::OsString;
use std::path::Path;

use portunus::config::Config;
use portunus::config::read::{Request, read};

pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let (lines, yaml) = text.split_once("\n---\n").unwrap_or((text, ""));
    let is_flag = |line: &&str| line.starts_with('-');
    let flags = lines.lines().filter(is_flag).map(OsString::from);
    let variables = lines
        .lines()
        .filter(|line| !is_flag(line))
        .filter_map(|line| line.split_once('='))
        .map(|(name, value)| (name.into(), value.into()));
    if let Ok(Request::Serve(values)) = read(flags, variables) {
        told(Config::from_values(&values).map(drop));
    }
    if let Ok(values) = portunus::config::read_file(Path::new("fuzz.yml"), yaml) {
        told(Config::from_values(&values).map(drop));
    }
}

/// A refusal is one line that somebody can act on.
fn told(result: Result<(), portunus::config::Error>) {
    if let Err(error) = result {
        assert!(!error.to_string().is_empty());
    }
}
