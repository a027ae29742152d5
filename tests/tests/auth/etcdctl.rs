//! etcdctl's own commands about users and roles. Needs an `etcdctl`, in `PATH` or named by
//! `REAL_ETCDCTL`; without one the test says so and passes.

use std::io::ErrorKind;
use std::process::{Command, Output};

use anyhow::{Result, ensure};

use crate::fixture::World;

const PROGRAM: &str = "REAL_ETCDCTL";

struct Etcdctl {
    url: String,
}

impl Etcdctl {
    /// `None` where there is no etcdctl.
    fn run(&self, user: &str, words: &str) -> Result<Option<Output>> {
        let program = std::env::var_os(PROGRAM).unwrap_or("etcdctl".into());
        let mut command = Command::new(program);
        command.env("ETCDCTL_API", "3").args(["--endpoints", &self.url]);
        if !user.is_empty() {
            command.args(["--user", user]);
        }
        match command.args(words.split(' ')).output() {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                eprintln!("SKIPPED: no etcdctl; install one or set {PROGRAM}");
                Ok(None)
            }
            output => Ok(Some(output?)),
        }
    }

    fn says(&self, user: &str, words: &str, expected: &str) -> Result<bool> {
        let Some(output) = self.run(user, words)? else { return Ok(false) };
        let all = [&output.stdout[..], &output.stderr].concat();
        let said = String::from_utf8_lossy(&all).into_owned();
        ensure!(said.contains(expected), "{user} {words}: {said:?} lacks {expected:?}");
        Ok(true)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn its_commands_do_what_they_say() -> Result<()> {
    let world = World::start(&[]).await?;
    let etcdctl = Etcdctl { url: world.member.client_url.clone() };
    let script = [
        ("", "user add root:root", "User root created"),
        ("", "user add root:root", "etcdserver: user name already exists"),
        ("", "role add root", "Role root created"),
        ("", "user grant-role root root", "Role root is granted to user root"),
        ("", "user add ada:secret", "User ada created"),
        ("", "user add daemon --no-password", "User daemon created"),
        ("", "role add own", "Role own created"),
        ("", "role grant-permission own readwrite a/ --prefix", "Role own updated"),
        ("", "user grant-role ada own", "Role own is granted to user ada"),
        ("", "auth enable", "Authentication Enabled"),
        ("", "put a/k v", "etcdserver: user name is empty"),
        ("ada:secret", "put a/k v", "OK"),
        ("ada:secret", "get a/k", "a/k\nv\n"),
        ("ada:secret", "put b v", "etcdserver: permission denied"),
        ("ada:wrong", "get a/k", "authentication failed, invalid user ID or password"),
        ("root:root", "user get ada", "Roles: own"),
        ("root:root", "user list", "ada\ndaemon\nroot\n"),
        ("root:root", "role get own", "[a/, a0) (prefix a/)"),
        ("root:root", "role list", "own\nroot\n"),
        ("ada:secret", "user list", "etcdserver: permission denied"),
        (
            "root:root",
            "role revoke-permission own a/ a0",
            "Permission of range [a/, a0) is revoked",
        ),
        ("ada:secret", "put a/k v", "etcdserver: permission denied"),
        ("root:root", "user revoke-role ada own", "Role own is revoked from user ada"),
        ("root:root", "role delete own", "Role own deleted"),
        ("root:root", "user delete ada", "User ada deleted"),
        ("root:root", "auth disable", "Authentication Disabled"),
        ("", "put b v", "OK"),
    ];
    for (user, words, expected) in script {
        if !etcdctl.says(user, words, expected)? {
            break;
        }
    }
    Ok(())
}
