//! `portunus plugin` and `portunus recipe` as their users see them.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use portunus_tests::Member;

use crate::{PROBE, put_refused};

/// What a command printed.
#[derive(Debug)]
pub struct Done {
    pub ok: bool,
    pub out: String,
    pub err: String,
}

/// A command line against one member.
pub struct Shell {
    endpoint: String,
}

impl Shell {
    pub fn of(member: &Member) -> Self {
        Self { endpoint: format!("--endpoints={}", member.client_url) }
    }

    /// Runs a command, in the order: words, the endpoint.
    pub fn run(&self, words: &[&str]) -> Result<Done> {
        let output = Command::new(Member::program()?).args(words).arg(&self.endpoint).output()?;
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Ok(Done { ok: output.status.success(), out: text(output.stdout), err: text(output.stderr) })
    }

    /// What a command that must succeed printed.
    pub fn ok(&self, words: &[&str]) -> Result<String> {
        let done = self.run(words)?;
        anyhow::ensure!(done.ok, "{words:?}: {done:?}");
        Ok(done.out)
    }

    /// Why a command that must fail did.
    pub fn refused(&self, words: &[&str]) -> Result<String> {
        let done = self.run(words)?;
        anyhow::ensure!(!done.ok && done.out.is_empty(), "{words:?}: {done:?}");
        Ok(done.err)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_is_deployed_looked_at_and_taken_away_by_commands() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let member = Member::single(dir.path(), &[])?;
    let mut client = member.client().await?;
    let shell = Shell::of(&member);
    let plugin = |words: &[&str]| shell.ok(&[&["plugin"], words].concat());

    assert_eq!(plugin(&["list"])?, "", "scripts that count lines see none");
    let out = plugin(&["deploy", "builtin:allow-all", "--name", "guard", "--write-policy", "/g/"])?;
    assert!(out.starts_with("guard 1 sha256:") && out.lines().count() == 1, "{out}");
    let out =
        plugin(&["deploy", PROBE, "--name", "guard", "--prefix", "/g/", "--limit", "reads=9"])?;
    assert!(out.starts_with("guard 2 sha256:"), "{out}");
    let list = plugin(&["list"])?;
    let rows: Vec<_> = list.lines().collect();
    assert!(rows[0].starts_with("NAME   GENERATION  POINT"), "{list}");
    assert_eq!(rows.len(), 4, "bound to all that it offers: {list}");
    assert!(rows[1].contains("write-policy") && rows[1].contains("/g/"), "{list}");
    let json: serde_json::Value = serde_json::from_str(&plugin(&["list", "--json"])?)?;
    assert_eq!(json["previous"][0]["generation"], 1);
    assert_eq!(json["bindings"][0]["limits"]["reads"], 9);
    assert!(put_refused(&mut client, "/g/").await?);

    assert_eq!(shell.ok(&["recipe", "call", "guard", "add", "20"])?, "20");
    assert_eq!(plugin(&["call", "guard", "add", "22"])?, "42");
    let blame = plugin(&["blame", "/g/total"])?;
    assert!(blame.lines().nth(1).is_some_and(|row| row.contains("guard   recipe")), "{blame}");
    let explained = plugin(&["explain", "--put", "/g/k", "refuse"])?;
    assert!(explained.contains("would be refused"), "{explained}");
    let status = plugin(&["status", "guard"])?;
    assert!(status.contains("guard/recipe//g/") && status.contains("the leader"), "{status}");
    plugin(&["call", "guard", "context"])?;
    let logs = plugin(&["logs", "guard", "--tail", "1"])?;
    assert!(logs.contains("warn  recipe asked for the context"), "{logs}");

    let off = plugin(&["disable", "guard", "--binding", "guard/write-policy//g/"])?;
    assert!(off.contains("guard/write-policy//g/ disabled\n"), "{off}");
    assert!(!put_refused(&mut client, "/g/").await?);
    let disabled = shell.refused(&["plugin", "disable", "guard", "--binding", "x"])?;
    assert!(disabled.contains("binding x not found"), "{disabled}");
    plugin(&["enable", "guard"])?;
    assert!(put_refused(&mut client, "/g/").await?);
    assert!(plugin(&["rollback", "guard"])?.starts_with("guard 3 sha256:"));
    assert!(!put_refused(&mut client, "/g/").await?);
    let inspected = plugin(&["inspect", "guard"])?;
    assert!(inspected.contains("generation 1 again"), "{inspected}");
    assert!(plugin(&["inspect", PROBE])?.contains("write-policy, trigger, recipe"));
    plugin(&["remove", "guard"])?;
    assert_eq!(plugin(&["list"])?, "");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manifest_deploys_all_or_nothing() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let member = Member::single(dir.path(), &[])?;
    let shell = Shell::of(&member);
    let manifest = |second: &str| -> Result<String> {
        let text = format!(
            "[[plugin]]\nname = \"one\"\nsource = \"builtin:allow-all\"\n\
             binding = [{{ point = \"write-policy\", prefix = \"/a/\", mode = \"monitor\" }}]\n\
             [[plugin]]\nname = \"two\"\nsource = {PROBE:?}\n\
             binding = [{{ point = \"{second}\", prefix = \"/a/\", config = {{ x = 1 }} }}]\n"
        );
        let file = dir.path().join("plugins.toml");
        std::fs::write(&file, text)?;
        Ok(file.to_str().context("text")?.to_owned())
    };
    let wrong = shell.refused(&["plugin", "deploy", "-f", &manifest("lock")?])?;
    assert!(wrong.contains("unknown variant `lock`"), "{wrong}");
    let out = shell.ok(&["plugin", "deploy", "-f", &manifest("trigger")?])?;
    let names: Vec<_> = out.lines().filter_map(|line| line.split(' ').next()).collect();
    assert_eq!(names, ["one", "two"]);
    let list = shell.ok(&["plugin", "list"])?;
    assert!(list.contains("monitor") && list.contains("trigger"), "{list}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn mistakes_say_what_to_do() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let member = Member::single(dir.path(), &[])?;
    let shell = Shell::of(&member);
    let text = dir.path().join("text.wasm");
    std::fs::write(&text, "(component)")?;
    let shown = |path: &Path| path.to_str().map(str::to_owned).context("text");
    let (text, folder) = (shown(&text)?, shown(dir.path())?);
    let p = ["--prefix", "/p/"];
    let cases: [(&[&str], &str); 12] = [
        (&["deploy", "builtin:alow-all", p[0], p[1]], "did you mean builtin:allow-all?"),
        (&["deploy", "no-such.wasm", p[0], p[1]], "no-such.wasm does not exist"),
        (&["deploy", &text, p[0], p[1]], "is not wasm"),
        (&["deploy", &folder, p[0], p[1]], "has no Cargo.toml"),
        (&["deploy", "builtin:allow-all"], "--write-policy PREFIX"),
        (&["deploy", "builtin:allow-all", "--recipe", "/p/"], "offers write-policy, not recipe"),
        (&["deploy", "builtin:allow-all", "--limit", "read=1", p[0], p[1]], "did you mean reads?"),
        (&["deploy", "builtin:allow-all", "--config", "x", p[0], p[1]], "is not NAME=VALUE"),
        (&["call", "nobody", "f", "@no-such-file"], "cannot read the payload from no-such-file"),
        (&["rollback", "nobody"], "plugin nobody not found"),
        (&["explain"], "nothing to explain"),
        (&["build", &folder], "has no Cargo.toml"),
    ];
    for (words, expected) in cases {
        // `build` takes no endpoints.
        let refused = match words[0] {
            "build" => {
                let output = Command::new(Member::program()?).arg("plugin").args(words).output()?;
                String::from_utf8_lossy(&output.stderr).into_owned()
            }
            _ => shell.refused(&[&["plugin"], words].concat())?,
        };
        assert!(refused.contains(expected), "{words:?}: {refused}");
    }
    Ok(())
}
