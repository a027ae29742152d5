//! The common name of a client's certificate is its user, where the member asks for certificates.

use std::path::Path;

use anyhow::Result;
use portunus::tls::ClientOptions;
use portunus_proto::etcdserverpb as pb;
use portunus_tests::certificates::{Authority, Issued, Wanted};
use portunus_tests::{Member, Rpc, free_ports};

use crate::fixture::{
    CHEAP, DENIED, NOBODY, Token, assert_done, assert_refused, grant, login, passwordless, people,
    put,
};

struct Site {
    dir: tempfile::TempDir,
    ca: Authority,
    server: Issued,
}

fn flag(name: &str, path: &Path) -> String {
    format!("--{name}={}", path.display())
}

impl Site {
    fn new() -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let ca = Authority::new(dir.path(), "ca")?;
        let hosts = &["127.0.0.1"];
        let server =
            ca.issue("server", &Wanted { common_name: "server", hosts, ..Wanted::default() })?;
        Ok(Self { dir, ca, server })
    }

    /// A member that is not started; it keeps its data and its ports.
    fn member(&self, more: &[&str]) -> Member {
        let [client, peer] = free_ports();
        let (url, peer) =
            (format!("https://127.0.0.1:{client}"), format!("http://127.0.0.1:{peer}"));
        let mut flags = vec![
            format!("--listen-peer-urls={peer}"),
            format!("--initial-advertise-peer-urls={peer}"),
            format!("--initial-cluster=m0={peer}"),
            flag("cert-file", &self.server.cert),
            flag("key-file", &self.server.key),
            flag("trusted-ca-file", &self.ca.file()),
            CHEAP.to_owned(),
        ];
        flags.extend(more.iter().map(|flag| (*flag).to_owned()));
        Member::at("m0", self.dir.path(), url, flags)
    }

    async fn connect(&self, member: &Member, common_name: &str) -> Result<Rpc> {
        let hosts = &["127.0.0.1"];
        let shown = self.ca.issue(
            &format!("client-{common_name}"),
            &Wanted { common_name, hosts, ..Wanted::default() },
        )?;
        let options = ClientOptions {
            identity: Some((shown.cert, shown.key)),
            trusted_ca_file: Some(self.ca.file()),
            ..ClientOptions::default()
        };
        Rpc::secured(&member.client_url, &options).await
    }
}

#[tokio::test]
async fn a_certificate_is_as_good_as_a_login() -> Result<()> {
    let site = Site::new()?;
    let mut member = site.member(&["--client-cert-auth"]);
    member.start()?;
    let mut root = site.connect(&member, "root").await?;
    people(&mut root).await?;
    root.auth.user_add(passwordless("daemon")).await?;
    root.auth.user_grant_role(grant("daemon", "own")).await?;
    assert_done("root's", root.kv.put(put("k")).await);
    for name in ["ada", "daemon"] {
        let mut rpc = site.connect(&member, name).await?;
        assert_done(name, rpc.kv.put(put("a/k")).await);
        assert_refused(name, rpc.kv.put(put("k")).await, DENIED);
    }
    let mut stranger = site.connect(&member, "eve").await?;
    assert_refused("no user", stranger.kv.put(put("a/k")).await, DENIED);
    let no_user = (tonic::Code::FailedPrecondition, "etcdserver: user name not found");
    let list = pb::AuthUserListRequest {};
    assert_refused("no user", stranger.auth.user_list(list).await, no_user);
    let mut nameless = site.connect(&member, "").await?;
    assert_refused("no name", nameless.kv.put(put("a/k")).await, NOBODY);
    // Who logs in is who the token says.
    let token = login(&mut stranger, "ada", "secret").await?;
    assert_done("with a token", stranger.kv.put(token.with(put("a/k"))).await);
    let made_up = Token("abcdefghijklmnop.7".into());
    let bad = crate::fixture::BAD_TOKEN;
    assert_refused("a bad token", root.kv.put(made_up.with(put("a/k"))).await, bad);
    Ok(())
}

/// Certificates that are not asked for by name are good for the connection alone, as in etcd.
#[tokio::test]
async fn names_count_only_where_they_are_asked_for() -> Result<()> {
    let site = Site::new()?;
    let mut member = site.member(&[]);
    member.start()?;
    let mut rpc = site.connect(&member, "ada").await?;
    people(&mut rpc).await?;
    assert_refused("no token", rpc.kv.put(put("a/k")).await, NOBODY);
    Ok(())
}
