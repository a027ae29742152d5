//! A cluster whose members come and go, each started as an operator would: founders with the list
//! of all of them, later ones with what they were told when they were added.

use std::path::Path;
use std::process::ExitStatus;

use anyhow::{Context, Result, ensure};
use portunus::tls::ClientOptions;
use portunus_proto::etcdserverpb as pb;
use tempfile::TempDir;
use tonic::Code;

use crate::member::Member;
use crate::{Rpc, eventually, free_ports};

/// Members in the order in which they came.
pub struct Growing {
    pub members: Vec<Member>,
    pub peer_urls: Vec<String>,
    more: Vec<String>,
    /// What the harness shows members that speak TLS.
    tls: Option<ClientOptions>,
    dir: TempDir,
}

/// A member that is not running and has no data.
pub struct Newcomer {
    pub name: String,
    pub peer_url: String,
    client_url: String,
}

impl Growing {
    /// As many founders, started and ready; `more` flags go to each member.
    pub fn founded(count: usize, more: &[&str]) -> Result<Self> {
        Self::found(count, more.iter().map(|flag| (*flag).to_owned()).collect(), None)
    }

    /// The same over TLS, for clients and between members: `more` names the members' certificates.
    /// The harness shows what `client` has; once there are users it must be root's.
    pub fn secured(count: usize, more: Vec<String>, client: ClientOptions) -> Result<Self> {
        Self::found(count, more, Some(client))
    }

    fn found(count: usize, more: Vec<String>, tls: Option<ClientOptions>) -> Result<Self> {
        let (members, peer_urls) = (Vec::new(), Vec::new());
        let mut cluster = Self { members, peer_urls, more, tls, dir: tempfile::tempdir()? };
        let founders: Vec<Newcomer> = (0..count).map(|n| cluster.nth_newcomer(n)).collect();
        let all: Vec<(String, String)> =
            founders.iter().map(|one| (one.name.clone(), one.peer_url.clone())).collect();
        for founder in founders {
            cluster.launch(founder, &all, "new")?;
        }
        cluster.wait_ready()?;
        Ok(cluster)
    }

    /// Where members' data lies.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    pub fn wait_ready(&mut self) -> Result<()> {
        for member in &mut self.members {
            tokio::task::block_in_place(|| member.wait_ready())?;
        }
        Ok(())
    }

    /// Members that are launched from now on go on without those that their data names.
    pub fn force_new_cluster(&mut self) {
        self.more.push("--force-new-cluster".to_owned());
    }

    /// A member nobody has heard of, named by how many came before.
    pub fn newcomer(&self) -> Newcomer {
        self.nth_newcomer(self.members.len())
    }

    fn nth_newcomer(&self, n: usize) -> Newcomer {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        let [client_url, peer_url] =
            free_ports().map(|port: u16| format!("{scheme}://127.0.0.1:{port}"));
        Newcomer { name: format!("m{n}"), peer_url, client_url }
    }

    /// A connection to the member at `url`.
    pub async fn connect(&self, url: &str) -> Result<Rpc> {
        match &self.tls {
            None => Rpc::connect(url).await,
            Some(client) => Rpc::secured(url, client).await,
        }
    }

    /// Launches a member that is told of `all`, without waiting for it. Returns its place.
    pub fn launch(
        &mut self,
        newcomer: Newcomer,
        all: &[(String, String)],
        state: &str,
    ) -> Result<usize> {
        let Newcomer { name, peer_url, client_url } = newcomer;
        let list: Vec<String> = all.iter().map(|(name, url)| format!("{name}={url}")).collect();
        let mut flags = vec![
            format!("--listen-peer-urls={peer_url}"),
            format!("--initial-advertise-peer-urls={peer_url}"),
            format!("--initial-cluster={}", list.join(",")),
            format!("--initial-cluster-state={state}"),
        ];
        flags.extend(self.more.iter().cloned());
        let mut member = Member::at(&name, self.dir.path(), client_url, flags);
        member.launch()?;
        self.members.push(member);
        self.peer_urls.push(peer_url);
        Ok(self.members.len() - 1)
    }

    /// Adds a member and starts it, as voter or learner; returns its place once it serves.
    pub async fn grow(&mut self, learner: bool) -> Result<usize> {
        let newcomer = self.newcomer();
        let added = self.add(&newcomer, learner).await;
        let n = self.launch_added(newcomer, &added)?;
        tokio::task::block_in_place(|| self.members[n].wait_ready())?;
        Ok(n)
    }

    /// Tells the cluster of a member to come, as soon as it can be told.
    pub async fn add(&self, newcomer: &Newcomer, learner: bool) -> pb::MemberAddResponse {
        let urls = vec![newcomer.peer_url.clone()];
        let request = pb::MemberAddRequest { peer_urls: urls, is_learner: learner };
        eventually("a member is added", || async {
            let mut rpc = self.rpc().await?;
            Ok::<_, anyhow::Error>(rpc.cluster.member_add(request.clone()).await?.into_inner())
        })
        .await
    }

    /// Launches a member that was added, with the list that the answer gives.
    pub fn launch_added(
        &mut self,
        newcomer: Newcomer,
        added: &pb::MemberAddResponse,
    ) -> Result<usize> {
        let own = added.member.as_ref().context("the answer names the member")?.id;
        let all = added.members.iter().map(|member| {
            let name = if member.id == own { &newcomer.name } else { &member.name };
            (name.clone(), member.peer_urls.join(","))
        });
        let all: Vec<(String, String)> = all.collect();
        self.launch(newcomer, &all, "existing")
    }

    /// Removes a running member and waits until it has ended by itself.
    pub async fn shrink(&mut self, n: usize) -> Result<ExitStatus> {
        self.remove(n).await;
        tokio::task::block_in_place(|| self.members[n].wait())
    }

    /// Has the cluster forget a member, whether it runs or not.
    pub async fn remove(&self, n: usize) {
        let name = self.members[n].name.clone();
        eventually("a member is removed", || async {
            let listed = self.list().await?.into_iter().find(|member| member.name == name);
            let Some(member) = listed else { return Ok(()) };
            let mut rpc = self.rpc().await?;
            match rpc.cluster.member_remove(pb::MemberRemoveRequest { id: member.id }).await {
                Ok(_) => Ok(()),
                // An earlier attempt whose answer was lost.
                Err(status) if status.code() == Code::NotFound => Ok(()),
                Err(status) => Err(anyhow::Error::from(status)),
            }
        })
        .await;
    }

    /// The members as a quorum has them.
    pub async fn list(&self) -> Result<Vec<pb::Member>> {
        let request = pb::MemberListRequest { linearizable: true };
        let mut rpc = self.rpc().await?;
        Ok(rpc.cluster.member_list(request).await?.into_inner().members)
    }

    /// The id that the cluster knows a member by.
    pub async fn id(&self, n: usize) -> u64 {
        let name = &self.members[n].name;
        eventually("a member that is listed", || async {
            let listed = self.list().await?;
            let found = listed.iter().find(|member| member.name == *name);
            found.map(|member| member.id).context("not listed")
        })
        .await
    }

    /// Waits until so many voters and nobody else are listed, and each has told its name and
    /// knows a leader.
    pub async fn assert_voters(&self, count: usize) {
        eventually("as many voters", || async {
            let listed = self.list().await?;
            ensure!(listed.len() == count, "{listed:?}");
            ensure!(listed.iter().all(|member| !member.is_learner && !member.name.is_empty()));
            for member in &listed {
                let mut rpc = self.connect(&member.client_urls[0]).await?;
                let status = rpc.maintenance.status(pb::StatusRequest {}).await?.into_inner();
                ensure!(!status.is_learner && status.leader != 0, "{status:?}");
            }
            Ok(())
        })
        .await;
    }

    /// A connection to the first member that runs and answers for a quorum.
    pub async fn rpc(&self) -> Result<Rpc> {
        for member in self.members.iter().filter(|member| member.is_running()) {
            let Ok(mut rpc) = self.connect(&member.client_url).await else { continue };
            let request = pb::MemberListRequest { linearizable: true };
            if rpc.cluster.member_list(request).await.is_ok() {
                return Ok(rpc);
            }
        }
        anyhow::bail!("no member answers")
    }

    /// Which member leads, as the cluster says.
    pub async fn leader(&self) -> usize {
        eventually("a leader", || async {
            let mut rpc = self.rpc().await?;
            let leader = rpc.maintenance.status(pb::StatusRequest {}).await?.into_inner().leader;
            let listed = self.list().await?;
            let found = listed.iter().find(|member| member.id == leader).context("no leader")?;
            let place = self.members.iter().rposition(|member| member.name == found.name);
            let place = place.context("the leader has not been started here")?;
            ensure!(self.members[place].is_running(), "the leader does not run");
            Ok(place)
        })
        .await
    }

    /// Has this voter lead.
    pub async fn lead(&self, n: usize) {
        let id = self.id(n).await;
        eventually("the leadership is handed over", || async {
            let leader = self.leader().await;
            if leader == n {
                return Ok(());
            }
            let mut rpc = self.connect(&self.members[leader].client_url).await?;
            rpc.maintenance.move_leader(pb::MoveLeaderRequest { target_id: id }).await?;
            Ok::<_, anyhow::Error>(())
        })
        .await;
    }

    /// Waits until all members that run hold the same data up to some revision of now; writes may
    /// go on.
    pub async fn assert_equal(&self) {
        eventually("equal hashes on all members", || async {
            let mut rpc = self.rpc().await?;
            let now = rpc.kv.range(pb::RangeRequest { key: "k".into(), ..Default::default() });
            let revision = now.await?.into_inner().header.context("a header")?.revision;
            let mut seen = None;
            for member in self.members.iter().filter(|member| member.is_running()) {
                let mut rpc = self.connect(&member.client_url).await?;
                let hash = rpc.maintenance.hash_kv(pb::HashKvRequest { revision }).await?;
                let hash = hash.into_inner();
                let this = (hash.hash, hash.compact_revision);
                ensure!(seen.is_none_or(|seen| seen == this), "{seen:?} and {this:?}");
                seen = Some(this);
            }
            Ok(())
        })
        .await;
    }
}
