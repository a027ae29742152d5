//! A real etcd as a process.

use std::path::PathBuf;
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
    _dir: TempDir,
}

impl Etcd {
    /// `None`, and a line that says so, when there is no etcd on this machine.
    pub async fn start() -> Option<Self> {
        let program = PathBuf::from(std::env::var_os(PROGRAM).unwrap_or("etcd".into()));
        let Some(version) = version(&program) else {
            eprintln!("SKIPPED: no etcd to compare with; install one or set {PROGRAM}");
            return None;
        };
        let dir = tempfile::tempdir().unwrap();
        let [client, peer] = free_ports();
        let (client, peer) =
            (format!("http://127.0.0.1:{client}"), format!("http://127.0.0.1:{peer}"));
        let child = Command::new(program)
            .args(["--name=m0", &format!("--data-dir={}", dir.path().join("etcd").display())])
            .args([
                format!("--listen-client-urls={client}"),
                format!("--advertise-client-urls={client}"),
            ])
            .args([
                format!("--listen-peer-urls={peer}"),
                format!("--initial-advertise-peer-urls={peer}"),
            ])
            .arg(format!("--initial-cluster=m0={peer}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let etcd = Self { client_url: client, version, child, _dir: dir };
        eventually("etcd serves", || async {
            let mut rpc = Rpc::connect(&etcd.client_url).await?;
            let request = portunus_proto::etcdserverpb::MemberListRequest { linearizable: true };
            let members = rpc.cluster.member_list(request).await?.into_inner().members;
            // It publishes its client URLs some time after it serves.
            let published = members.iter().all(|member| !member.client_urls.is_empty());
            anyhow::ensure!(published, "not published yet");
            Ok(())
        })
        .await;
        Some(etcd)
    }
}

impl Drop for Etcd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn version(program: &PathBuf) -> Option<Version> {
    let output = Command::new(program).arg("--version").output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let number = text.lines().find_map(|line| line.strip_prefix("etcd Version: "))?;
    let mut parts = number.split(['.', '-']).map(|part| part.parse().ok());
    Some((parts.next()??, parts.next()??, parts.next()??))
}
