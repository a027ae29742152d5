//! What `docs/deploy` offers, as far as it can be checked without installing it.

use std::path::{Path, PathBuf};
use std::process::Command;

use portunus::config::flags::FLAGS;

fn deploy(name: &str) -> String {
    let path: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/deploy").join(name);
    std::fs::read_to_string(path).expect("it is there")
}

/// Every word that looks like a flag of ours, or a variable of one.
fn settings(text: &str) -> Vec<String> {
    let words = text.split(|c: char| c.is_whitespace() || matches!(c, '"' | '[' | ']' | ',' | '='));
    let ours = words.filter(|word| word.starts_with("--") || word.starts_with("PORTUNUS_"));
    ours.map(|word| {
        word.trim_start_matches("--")
            .trim_start_matches("PORTUNUS_")
            .to_lowercase()
            .replace('_', "-")
    })
    .collect()
}

#[test]
fn the_units_flags_exist() {
    let unit = deploy("portunus.service");
    let command = unit.lines().find_map(|line| line.strip_prefix("ExecStart=")).expect("a command");
    let used = settings(command);
    assert!(!used.is_empty());
    for name in used {
        assert!(FLAGS.iter().any(|flag| flag.name == name), "--{name}");
    }
}

#[test]
fn systemd_takes_the_unit() {
    let Ok(_) = Command::new("systemd-analyze").arg("--version").output() else {
        eprintln!("skipped: systemd-analyze is not installed");
        return;
    };
    // It wants the program and the user to be there.
    let unit: String = deploy("portunus.service")
        .lines()
        .map(|line| match line.split_once('=') {
            Some(("ExecStart", _)) => "ExecStart=/bin/true\n".to_owned(),
            Some(("User", _)) => "User=root\n".to_owned(),
            _ => format!("{line}\n"),
        })
        .collect();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("portunus.service");
    std::fs::write(&path, unit).unwrap();
    let verified = Command::new("systemd-analyze").arg("verify").arg(&path).output().unwrap();
    let said = String::from_utf8_lossy(&verified.stderr);
    let ours: Vec<_> = said.lines().filter(|line| line.contains("portunus.service")).collect();
    assert!(verified.status.success() && ours.is_empty(), "{said}");
}

#[test]
fn the_image_is_built_and_run_by_what_exists() {
    let file = deploy("Dockerfile");
    let lines: Vec<_> = file.lines().filter(|line| !line.starts_with('#')).collect();
    let known =
        ["FROM", "RUN", "WORKDIR", "COPY", "USER", "VOLUME", "EXPOSE", "ENV", "ENTRYPOINT", "CMD"];
    for line in lines.iter().filter(|line| !line.starts_with(' ') && !line.is_empty()) {
        let word = line.split(' ').next().unwrap_or("");
        assert!(known.contains(&word), "{line}");
        let base = line.strip_prefix("FROM ");
        assert!(base.is_none_or(|base| base.contains(':')), "{line}: name the version");
    }
    assert!(lines.iter().rposition(|line| line.starts_with("USER ")).is_some(), "runs as root");
    let run: Vec<_> =
        lines.iter().filter(|l| l.starts_with("CMD") || l.starts_with("ENV")).collect();
    let used: Vec<_> = run.iter().flat_map(|line| settings(line)).collect();
    assert!(!used.is_empty());
    for name in used {
        assert!(FLAGS.iter().any(|flag| flag.name == name), "--{name}");
    }
}
