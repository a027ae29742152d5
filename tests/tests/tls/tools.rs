//! The program's own commands, and etcdctl where it is installed, against a member that asks for
//! certificates.

use std::path::PathBuf;
use std::process::{Command, Output};

use anyhow::Result;
use portunus_tests::Member;

use crate::site::Site;

fn run(command: &mut Command) -> Result<(bool, String)> {
    let Output { status, stdout, stderr } = command.output()?;
    let text = [stdout, stderr].concat();
    Ok((status.success(), String::from_utf8_lossy(&text).into_owned()))
}

fn tls_options(site: &Site, member: &Member) -> Vec<String> {
    let path = |path: &PathBuf| path.display().to_string();
    vec![
        format!("--endpoints={}", member.client_url.replace("https://", "")),
        format!("--cacert={}", path(&site.ca.file())),
        format!("--cert={}", path(&site.client.cert)),
        format!("--key={}", path(&site.client.key)),
    ]
}

#[test]
fn commands_show_and_believe_what_they_are_told() -> Result<()> {
    let site = Site::new()?;
    let mut member = site.member(&site.asking());
    member.start()?;
    let portunus = || Member::program().map(Command::new);
    let options = tls_options(&site, &member);
    let (ok, text) = run(portunus()?.args(["plugin", "list"]).args(&options))?;
    assert!(ok, "{text}");
    let (ok, text) =
        run(portunus()?.args(["bench", "put", "--total=10", "--clients=2"]).args(&options))?;
    assert!(ok, "{text}");
    let (ok, text) = run(portunus()?.args(["queue", "stats", "q"]).args(&options))?;
    assert!(ok, "{text}");
    // Without a certificate, and without its authority.
    let (ok, text) = run(portunus()?.args(["plugin", "list"]).args(&options[..2]))?;
    assert!(!ok, "{text}");
    let endpoint = format!("--endpoints={}", member.client_url);
    let (ok, text) = run(portunus()?
        .args(["plugin", "list", &endpoint, "--insecure-skip-tls-verify"])
        .args(&options[2..]))?;
    assert!(ok, "{text}");
    let (ok, text) = run(portunus()?.args(["plugin", "list", &endpoint]).args(&options[2..]))?;
    assert!(!ok && text.contains("signed by unknown authority"), "{text}");
    Ok(())
}

#[test]
fn etcdctl_comes_in_with_a_certificate() -> Result<()> {
    let Ok(_) = Command::new("etcdctl").arg("version").output() else {
        eprintln!("skipped: etcdctl is not installed");
        return Ok(());
    };
    let site = Site::new()?;
    let mut member = site.member(&site.asking());
    member.start()?;
    let etcdctl = || {
        let mut command = Command::new("etcdctl");
        command.env("ETCDCTL_API", "3").env("ETCDCTL_DIAL_TIMEOUT", "2s");
        command
    };
    let options = tls_options(&site, &member);
    let (ok, text) = run(etcdctl().args(&options).args(["put", "k", "v"]))?;
    assert!(ok && text.contains("OK"), "{text}");
    let (ok, text) =
        run(etcdctl().args(&options[..2]).args(["put", "k", "v", "--command-timeout=2s"]))?;
    assert!(!ok, "{text}");
    member.wait_output("tls: client didn't provide a certificate")?;
    Ok(())
}
