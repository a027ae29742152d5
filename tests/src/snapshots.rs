//! The program's `snapshot` commands, and members made from what they saved.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Result, ensure};
use portunus_proto::etcdserverpb::{HashKvRequest, HashKvResponse};

use crate::{Member, Rpc, free_ports};

/// Runs `portunus snapshot` with these words.
pub fn snapshot<S: AsRef<OsStr>>(words: impl IntoIterator<Item = S>) -> Result<Output> {
    Ok(Command::new(Member::program()?).arg("snapshot").args(words).output()?)
}

/// The same, and it has to succeed. Returns what it printed.
pub fn snapshot_done<S: AsRef<OsStr>>(words: impl IntoIterator<Item = S>) -> Result<String> {
    let output = snapshot(words)?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?)
}

/// Saves what the server at `url` holds. Returns the file.
pub fn save(url: &str, dir: &Path) -> Result<PathBuf> {
    save_as(url, dir, &[])
}

/// The same with more words: certificates, and a user.
pub fn save_as(url: &str, dir: &Path, more: &[String]) -> Result<PathBuf> {
    let [number] = free_ports();
    let file = dir.join(format!("{number}.db"));
    let mut words = vec!["save".to_owned(), file.display().to_string()];
    words.extend(["--endpoints".to_owned(), url.to_owned()]);
    snapshot_done(words.iter().chain(more))?;
    Ok(file)
}

/// The revision of a file.
pub fn revision(file: &Path) -> Result<i64> {
    let json = snapshot_done([OsStr::new("status"), file.as_os_str(), "-w=json".as_ref()])?;
    let status: serde_json::Value = serde_json::from_str(&json)?;
    let revision = status["revision"].as_i64();
    revision.ok_or_else(|| anyhow::anyhow!("no revision in {json}"))
}

/// Members of a new cluster restored from `file`, not started yet; `more` goes to the command.
pub fn restored(file: &Path, dir: &Path, members: usize, more: &[&str]) -> Result<Vec<Member>> {
    let ports: Vec<[u16; 2]> = (0..members).map(|_| free_ports()).collect();
    let peer = |n: usize| format!("http://127.0.0.1:{}", ports[n][1]);
    let all: Vec<String> = (0..members).map(|n| format!("m{n}={}", peer(n))).collect();
    let restored = ports.iter().enumerate().map(|(n, [client, _])| {
        let founding = vec![
            format!("--initial-cluster={}", all.join(",")),
            format!("--initial-advertise-peer-urls={}", peer(n)),
            format!("--initial-cluster-token=restored-{}", ports[0][1]),
        ];
        let mut flags = founding.clone();
        flags.push(format!("--listen-peer-urls={}", peer(n)));
        let member = Member::new(&format!("m{n}"), dir, *client, flags);
        let mut words = vec!["restore".to_owned(), file.display().to_string()];
        words.push(format!("--name=m{n}"));
        words.push(format!("--data-dir={}", member.data_dir.display()));
        words.extend(founding.into_iter().chain(more.iter().map(|word| (*word).to_owned())));
        snapshot_done(&words)?;
        Ok(member)
    });
    restored.collect()
}

/// The hash of everything up to a revision, 0 for all there is.
pub async fn hash_kv(url: &str, revision: i64) -> Result<HashKvResponse> {
    let mut rpc = Rpc::connect(url).await?;
    let answer = rpc.maintenance.hash_kv(HashKvRequest { revision }).await?.into_inner();
    Ok(HashKvResponse { header: None, ..answer })
}
