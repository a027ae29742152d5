//! A real etcd as a process.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use portunus_tests::{Rpc, eventually, free_ports};
use tempfile::TempDir;

use crate::call::Version;

/// Names the program when it is not the one in `PATH`.
const PROGRAM: &str = "REAL_ETCD";

pub struct Etcd {
    pub client_url: String,
    pub version: Version,
    child: Child,
    _home: Home,
}

impl Etcd {
    /// `None`, and a line that says so, when there is no etcd on this machine.
    pub async fn start(more: &[&str]) -> Option<Self> {
        let (program, version) = find()?;
        Some(Self::launch(&program, version, Home::new(), more).await)
    }

    /// One whose data is restored from a snapshot by etcd's own tool.
    pub async fn restored(snapshot: &Path, more: &[&str]) -> Option<Self> {
        let (program, version) = find()?;
        let home = Home::new();
        restore(&program, snapshot, &home);
        Some(Self::launch(&program, version, home, more).await)
    }

    async fn launch(program: &Path, version: Version, home: Home, more: &[&str]) -> Self {
        let child = Command::new(program)
            .args(home.founding())
            .args(more)
            .args([
                format!("--listen-client-urls={}", home.client_url),
                format!("--advertise-client-urls={}", home.client_url),
                format!("--listen-peer-urls={}", home.peer_url),
            ])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let etcd = Self { client_url: home.client_url.clone(), version, child, _home: home };
        eventually("etcd serves", || async {
            let mut rpc = Rpc::connect(&etcd.client_url).await?;
            let request = portunus_proto::etcdserverpb::MemberListRequest { linearizable: true };
            let listed = rpc.cluster.member_list(request).await;
            // Since 3.7 only users hear of the members where there is auth.
            if listed
                .as_ref()
                .is_err_and(|refused| refused.message().ends_with("user name is empty"))
            {
                return Ok(());
            }
            let members = listed?.into_inner().members;
            // It publishes its client URLs some time after it serves.
            let published = members.iter().all(|member| !member.client_urls.is_empty());
            anyhow::ensure!(published, "not published yet");
            Ok(())
        })
        .await;
        etcd
    }
}

/// The release of etcd on this machine; `None`, and a line that says so, when there is none.
pub fn installed() -> Option<Version> {
    find().map(|(_, version)| version)
}

/// Flags with which this etcd keeps what is left of a lease; `None` where it cannot.
pub fn lease_checkpoints(version: Version) -> Option<&'static [&'static str]> {
    match version {
        (3, 6.., _) | (4.., ..) => {
            Some(&["--feature-gates=LeaseCheckpoint=true,LeaseCheckpointPersist=true"])
        }
        (3, 4, 20..) | (3, 5, 2..) => Some(&[
            "--experimental-enable-lease-checkpoint",
            "--experimental-enable-lease-checkpoint-persist",
        ]),
        _ => None,
    }
}

/// Where an etcd lives.
struct Home {
    dir: TempDir,
    client_url: String,
    peer_url: String,
}

impl Home {
    fn new() -> Self {
        let [client, peer] = free_ports();
        let url = |port: u16| format!("http://127.0.0.1:{port}");
        Self { dir: tempfile::tempdir().unwrap(), client_url: url(client), peer_url: url(peer) }
    }

    /// What a start and a restore have in common.
    fn founding(&self) -> [String; 4] {
        [
            "--name=m0".to_owned(),
            format!("--data-dir={}", self.dir.path().join("etcd").display()),
            format!("--initial-advertise-peer-urls={}", self.peer_url),
            format!("--initial-cluster=m0={}", self.peer_url),
        ]
    }
}

/// `etcdutl` beside the program, or `etcdctl` where it is older.
fn restore(program: &Path, snapshot: &Path, home: &Home) {
    let tool = ["etcdutl", "etcdctl"].map(|tool| program.with_file_name(tool));
    let tool = tool.into_iter().find(|tool| tool.exists());
    let mut command = Command::new(tool.expect("a tool that restores lies beside etcd"));
    command.env("ETCDCTL_API", "3").args(["snapshot", "restore"]).arg(snapshot);
    let output = command.args(home.founding()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn find() -> Option<(PathBuf, Version)> {
    let named = PathBuf::from(std::env::var_os(PROGRAM).unwrap_or("etcd".into()));
    let in_path = |dir: PathBuf| Some(dir.join(&named)).filter(|program| program.exists());
    let path = std::env::var_os("PATH").unwrap_or_default();
    let program = match named.components().count() {
        1 => std::env::split_paths(&path).find_map(in_path),
        _ => Some(named.clone()),
    };
    let found = program.and_then(|program| Some((program.clone(), version(&program)?)));
    if found.is_none() {
        eprintln!("SKIPPED: no etcd to compare with; install one or set {PROGRAM}");
    }
    found
}

impl Drop for Etcd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn version(program: &Path) -> Option<Version> {
    let output = Command::new(program).arg("--version").output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let number = text.lines().find_map(|line| line.strip_prefix("etcd Version: "))?;
    let mut parts = number.split(['.', '-']).map(|part| part.parse().ok());
    Some((parts.next()??, parts.next()??, parts.next()??))
}
