//! A guarded cluster over TLS from its founding to its restore, while a client writes: three
//! members are restarted one after the other, grow to five, shrink to one, and go on from their
//! snapshot. Nothing that was acknowledged is lost, and nobody may do more or less than before.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use portunus::tls::ClientOptions;
use portunus_proto::authpb::permission::Type;
use portunus_proto::etcdserverpb as pb;
use portunus_tests::certificates::{Authority, Issued, Wanted};
use portunus_tests::snapshots::{save_as, snapshot, snapshot_done};
use portunus_tests::{Growing, Rpc, Token, Users, login};
use tempfile::TempDir;
use tokio::task::block_in_place;

use crate::fixture::{
    BAD_TOKEN, CHEAP, DENIED, FAILED, allow, assert_done, assert_refused, auth_status, delete,
    grant, people, permission, put, range, role, user,
};
use crate::writer::{Writer, assert_kept};

const HERE: &[&str] = &["127.0.0.1"];
/// Numbers between two changes of the members.
const STEP: usize = 30;

/// Certificates: one authority for clients and what they connect to, one for peers.
struct Site {
    clients: Authority,
    /// Its name is a user's.
    root: Issued,
    /// Its name is nobody's: who shows it must log in.
    desk: Issued,
    flags: Vec<String>,
    _dir: TempDir,
}

impl Site {
    fn new() -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let named = |common_name| Wanted { common_name, hosts: HERE, ..Wanted::default() };
        let clients = Authority::new(dir.path(), "clients")?;
        let server = clients.issue("server", &named("server"))?;
        let (root, desk) =
            (clients.issue("root", &named("root"))?, clients.issue("desk", &named("desk"))?);
        let peers = Authority::new(dir.path(), "peers")?;
        let peer = peers.issue("peer", &named("peer"))?;
        let flag = |name: &str, path: &Path| format!("--{name}={}", path.display());
        let flags = vec![
            flag("cert-file", &server.cert),
            flag("key-file", &server.key),
            flag("trusted-ca-file", &clients.file()),
            "--client-cert-auth".to_owned(),
            flag("peer-cert-file", &peer.cert),
            flag("peer-key-file", &peer.key),
            flag("peer-trusted-ca-file", &peers.file()),
            "--peer-client-cert-auth".to_owned(),
            "--peer-cert-allowed-cn=peer".to_owned(),
            CHEAP.to_owned(),
        ];
        Ok(Self { clients, root, desk, flags, _dir: dir })
    }

    fn client(&self, shown: Option<&Issued>) -> ClientOptions {
        ClientOptions {
            identity: shown.map(|shown| (shown.cert.clone(), shown.key.clone())),
            trusted_ca_file: Some(self.clients.file()),
            ..ClientOptions::default()
        }
    }

    /// Words for a command that logs in.
    fn words(&self, user: &str) -> Vec<String> {
        let path = |name: &str, path: &Path| format!("--{name}={}", path.display());
        vec![
            path("cacert", &self.clients.file()),
            path("cert", &self.desk.cert),
            path("key", &self.desk.key),
            format!("--user={user}"),
        ]
    }

    /// By a certificate that is no user's.
    async fn at_the_desk(&self, url: &str) -> Result<Rpc> {
        Rpc::secured(url, &self.client(Some(&self.desk))).await
    }
}

/// What every member must say of auth, before and after.
async fn told(cluster: &Growing) -> Result<((bool, u64), Users)> {
    let mut seen = None;
    for member in cluster.members.iter().filter(|member| member.is_running()) {
        let mut rpc = cluster.connect(&member.client_url).await?;
        let this = (auth_status(&mut rpc).await?, Users::of(&mut rpc, &Token::none()).await?);
        ensure!(seen.is_none() || seen.as_ref() == Some(&this), "{seen:?} and {this:?}");
        seen = Some(this);
    }
    seen.context("a member runs")
}

/// Who is somebody gets what is theirs, and everybody else what they deserve. `rubbish` is a token
/// that is none.
async fn assert_guarded(site: &Site, url: &str, rubbish: &Token) -> Result<()> {
    // In TLS 1.3 a client hears of its refusal with the first answer.
    if let Ok(mut stranger) = Rpc::secured(url, &site.client(None)).await {
        let answer = stranger.maintenance.status(pb::StatusRequest {}).await;
        ensure!(answer.is_err(), "without a certificate: {answer:?}");
    }
    let mut rpc = site.at_the_desk(url).await?;
    assert_refused("no user", rpc.kv.put(put("a/k")).await, DENIED);
    assert_refused("no token", rpc.kv.put(rubbish.with(put("a/k"))).await, BAD_TOKEN);
    assert_refused("no password", login(&mut rpc, "ada", "Secret").await, FAILED);
    let ada = login(&mut rpc, "ada", "secret").await?;
    assert_done("own", rpc.kv.put(ada.with(put("a/k"))).await);
    assert_done("own", rpc.kv.range(ada.with(range("a/k"))).await);
    assert_refused("b", rpc.kv.put(ada.with(put("b/k"))).await, DENIED);
    assert_refused("r", rpc.kv.put(ada.with(put("r/k"))).await, DENIED);
    assert_refused("all", rpc.kv.delete_range(ada.with(delete("\0", "\0"))).await, DENIED);
    for serializable in [false, true] {
        let other = pb::RangeRequest { serializable, ..range("b/k") };
        assert_refused("b", rpc.kv.range(ada.with(other)).await, DENIED);
    }
    let request = pb::MemberAddRequest {
        peer_urls: vec!["https://127.0.0.1:1".into()],
        ..Default::default()
    };
    assert_refused("members", rpc.cluster.member_add(ada.with(request)).await, DENIED);
    let bob = login(&mut rpc, "bob", "builder").await?;
    assert_done("bob's", rpc.kv.put(bob.with(put("b/k"))).await);
    assert_refused("ada's", rpc.kv.put(bob.with(put("a/k"))).await, DENIED);
    Ok(())
}

/// One after the other, each by an orderly end, as when their program is replaced.
async fn restart_each(cluster: &mut Growing, writer: &Writer) -> Result<()> {
    for n in 0..cluster.members.len() {
        let status = block_in_place(|| cluster.members[n].terminate())?;
        ensure!(status.success(), "{status}: {}", cluster.members[n].output());
        writer.grows_by(STEP).await;
        block_in_place(|| cluster.members[n].start())?;
        // It has what it missed before the next one goes.
        cluster.assert_equal().await;
    }
    Ok(())
}

async fn grow_to_five(cluster: &mut Growing, writer: &Writer) -> Result<()> {
    while cluster.members.len() < 5 {
        cluster.grow(false).await?;
        writer.turn_to(&cluster.members);
        writer.grows_by(STEP).await;
    }
    cluster.assert_voters(5).await;
    cluster.assert_equal().await;
    Ok(())
}

async fn shrink_to_one(cluster: &mut Growing, writer: &Writer) -> Result<()> {
    for n in (1..cluster.members.len()).rev() {
        if n % 2 == 0 {
            // Whoever leads can be removed as well.
            cluster.lead(n).await;
        }
        let status = cluster.shrink(n).await?;
        ensure!(status.success(), "{status}: {}", cluster.members[n].output());
        writer.grows_by(STEP).await;
        writer.turn_to(&cluster.members);
    }
    cluster.assert_voters(1).await;
    Ok(())
}

/// Root takes a snapshot, and nobody else can.
fn save(site: &Site, url: &str, dir: &Path) -> Result<PathBuf> {
    let mut words = vec!["save".to_owned(), dir.join("hers").display().to_string()];
    words.push(format!("--endpoints={url}"));
    words.extend(site.words("ada:secret"));
    let refused = snapshot(&words)?;
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    ensure!(!refused.status.success() && said.contains(DENIED.1), "{said}");
    ensure!(!dir.join("hers").exists(), "a snapshot was left behind");
    save_as(url, dir, &site.words("root:root"))
}

/// Starts a member of its own from the snapshot. Returns its place.
fn restore(cluster: &mut Growing, file: &Path) -> Result<usize> {
    let newcomer = cluster.newcomer();
    let (name, url) = (newcomer.name.clone(), newcomer.peer_url.clone());
    let data_dir = cluster.dir().join(format!("{name}.portunus"));
    snapshot_done([
        "restore".to_owned(),
        file.display().to_string(),
        format!("--name={name}"),
        format!("--data-dir={}", data_dir.display()),
        format!("--initial-cluster={name}={url}"),
        format!("--initial-advertise-peer-urls={url}"),
    ])?;
    let n = cluster.launch(newcomer, &[(name, url)], "new")?;
    block_in_place(|| cluster.members[n].wait_ready())?;
    Ok(n)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guarded_cluster_is_upgraded_grown_shrunk_and_restored_and_loses_nothing() -> Result<()> {
    let site = Site::new()?;
    let root = site.client(Some(&site.root));
    let mut cluster = Growing::secured(3, site.flags.clone(), root)?;
    people(&mut cluster.rpc().await?).await?;
    let writer = Writer::start(site.client(Some(&site.desk)), &cluster.members);
    writer.grows_by(STEP).await;

    restart_each(&mut cluster, &writer).await?;
    grow_to_five(&mut cluster, &writer).await?;
    // Somebody comes when there are five; those who stay know it.
    let mut rpc = cluster.rpc().await?;
    rpc.auth.user_add(user("bob", "builder")).await?;
    rpc.auth.role_add(role("site")).await?;
    let span = permission(Type::Readwrite, "b/", "b0");
    rpc.auth.role_grant_permission(allow("site", span)).await?;
    rpc.auth.user_grant_role(grant("bob", "site")).await?;
    let rubbish = Token("abcdefghijklmnop.7".into());
    assert_guarded(&site, &cluster.members[4].client_url, &rubbish).await?;
    shrink_to_one(&mut cluster, &writer).await?;
    assert_eq!(writer.logins(), 1, "a token holds at every member, whatever becomes of the others");

    // What is acknowledged from here on may be missing from the snapshot.
    let (before, auth) = (writer.acked(), told(&cluster).await?);
    let file = save(&site, &cluster.members[0].client_url, cluster.dir())?;
    let mut desk = site.at_the_desk(&cluster.members[0].client_url).await?;
    let old = login(&mut desk, "ada", "secret").await?;
    writer.grows_by(STEP).await;
    block_in_place(|| cluster.members[0].terminate())?;

    let n = restore(&mut cluster, &file)?;
    let url = cluster.members[n].client_url.clone();
    assert_eq!(told(&cluster).await?, auth, "users, roles, and their revision");
    writer.turn_to(&cluster.members);
    writer.grows_by(STEP).await;
    assert_guarded(&site, &url, &old).await?;
    let acked = writer.stop().await?;
    let mut rpc = cluster.rpc().await?;
    ensure!(before.len() > STEP * 10, "{}", before.len());
    assert_kept(&mut rpc, &Token::none(), &before).await?;
    // It lives: what it acknowledged itself is there too.
    let since: Vec<_> = acked.iter().filter(|acked| acked.by == url).cloned().collect();
    ensure!(since.len() >= STEP, "{} through {url}", since.len());
    assert_kept(&mut rpc, &Token::none(), &[before, since].concat()).await?;
    println!("{} numbers were acknowledged", acked.len());
    Ok(())
}
