//! What `docs/deploy` offers, as far as it can be checked without installing it.

use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};
use portunus::config::flags::FLAGS;
use portunus_tests::{Member, free_ports};
use rustix::process::{Pid, Signal, kill_process};

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

/// With flags as kubeadm writes them for an etcd 3.5.
#[test]
fn a_unit_that_waits_for_readiness_is_told() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let path = dir.path().join("notify");
    let systemd = UnixDatagram::bind(&path)?;
    systemd.set_read_timeout(Some(Duration::from_secs(60)))?;
    let [client, peer] = free_ports();
    let (client, peer) = (format!("http://127.0.0.1:{client}"), format!("http://127.0.0.1:{peer}"));
    let mut member = Command::new(Member::program()?)
        .env("NOTIFY_SOCKET", &path)
        .arg(format!("--data-dir={}", dir.path().join("data").display()))
        .arg(format!("--listen-client-urls={client}"))
        .arg(format!("--advertise-client-urls={client}"))
        .arg(format!("--listen-peer-urls={peer}"))
        .arg(format!("--initial-advertise-peer-urls={peer}"))
        .arg(format!("--initial-cluster=default={peer}"))
        .arg("--experimental-initial-corrupt-check=true")
        .arg("--experimental-watch-progress-notify-interval=5s")
        .arg("--snapshot-count=10000")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let heard = || {
        let mut said = [0; 256];
        let length = systemd.recv(&mut said)?;
        anyhow::Ok(String::from_utf8_lossy(&said[..length]).into_owned())
    };
    let ready = heard();
    let pid = Pid::from_raw(i32::try_from(member.id())?).context("a process id")?;
    kill_process(pid, Signal::TERM)?;
    assert!(member.wait()?.success());
    assert_eq!((ready?.as_str(), heard()?.as_str()), ("READY=1\n", "STOPPING=1\n"));
    Ok(())
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
