//! Members of one static cluster, with links between them that can be cut.

use std::time::Duration;

use anyhow::{Context, Result};
use etcd_client::{Client, ConnectOptions};
use tempfile::TempDir;

use crate::links::Links;
use crate::member::Member;
use crate::{eventually, free_ports};

/// Three members on this machine.
pub struct Cluster {
    pub members: Vec<Member>,
    pub links: Links,
    _dir: TempDir,
}

impl Cluster {
    /// Three members, started and ready; `more` flags go to each.
    pub async fn three(more: &[&str]) -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let ports: [[u16; 3]; 3] = [free_ports(), free_ports(), free_ports()];
        let url = |port: u16| format!("http://127.0.0.1:{port}");
        let all: Vec<_> = ports
            .iter()
            .enumerate()
            .map(|(n, [_, public, _])| format!("m{n}={}", url(*public)))
            .collect();
        let token = format!("--initial-cluster-token=test-{}", ports[0][1]);
        let links = Links::default();
        let mut members = Vec::new();
        for (n, [client, public, real]) in ports.into_iter().enumerate() {
            links.relay(n, public, real).await?;
            let mut flags = vec![
                format!("--listen-peer-urls={}", url(real)),
                format!("--initial-advertise-peer-urls={}", url(public)),
                format!("--initial-cluster={}", all.join(",")),
                "--initial-cluster-state=new".to_owned(),
                token.clone(),
            ];
            flags.extend(more.iter().map(|flag| (*flag).to_owned()));
            members.push(Member::new(&format!("m{n}"), dir.path(), client, flags));
        }
        let mut cluster = Self { members, links, _dir: dir };
        for n in 0..3 {
            cluster.launch(n)?;
        }
        cluster.wait_ready().await?;
        Ok(cluster)
    }

    /// Starts a member's process without waiting for it.
    pub fn launch(&mut self, n: usize) -> Result<()> {
        self.members[n].launch()?;
        self.links.set_pid(n, self.members[n].pid().context("just started")?);
        Ok(())
    }

    /// Starts a member's process and waits until it serves.
    pub async fn restart(&mut self, n: usize) -> Result<()> {
        self.launch(n)?;
        self.wait_member(n).await
    }

    /// Waits until every member serves.
    pub async fn wait_ready(&mut self) -> Result<()> {
        for n in 0..self.members.len() {
            self.wait_member(n).await?;
        }
        Ok(())
    }

    /// Waits on a thread of its own, since the links are carried by this one's runtime.
    async fn wait_member(&mut self, n: usize) -> Result<()> {
        tokio::task::block_in_place(|| self.members[n].wait_ready())
    }

    /// A client of all members, which goes on with another when one fails.
    pub async fn client(&self) -> Result<Client> {
        let urls: Vec<_> = self.members.iter().map(|member| &member.client_url).collect();
        let options = ConnectOptions::new()
            .with_connect_timeout(Duration::from_secs(1))
            .with_timeout(Duration::from_secs(8));
        Ok(Client::connect(urls, Some(options)).await?)
    }

    /// Which member leads, as the members that answer agree.
    pub async fn leader(&self) -> usize {
        eventually("a leader that all running members name", || async {
            let mut named = None;
            let mut ids = Vec::new();
            for (n, member) in self.members.iter().enumerate().filter(|(_, m)| m.is_running()) {
                let status = member.client().await?.status().await?;
                let id = status.header().context("a header")?.member_id();
                ids.push((n, id));
                anyhow::ensure!(status.leader() != 0, "{} knows no leader", member.name);
                anyhow::ensure!(named.is_none_or(|l| l == status.leader()), "they disagree");
                named = Some(status.leader());
            }
            let leader = ids.into_iter().find(|(_, id)| Some(*id) == named);
            leader.map(|(n, _)| n).context("the leader does not run")
        })
        .await
    }

    /// Waits until all running members hold the same data: the same revision and the same hash.
    pub async fn assert_equal(&self) {
        eventually("equal hashes on all members", || async {
            let mut seen = None;
            for member in self.members.iter().filter(|member| member.is_running()) {
                let mut client = member.client().await?;
                let hash = client.hash_kv(0).await?;
                let revision = hash.header().context("a header")?.revision();
                let this = (revision, hash.hash(), hash.compact_version());
                anyhow::ensure!(seen.is_none_or(|s| s == this), "{seen:?} and {this:?}");
                seen = Some(this);
            }
            Ok(())
        })
        .await;
    }
}
