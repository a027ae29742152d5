//! A directory with an authority and what it signed, members that use it, and clients of them.

use std::path::Path;

use anyhow::Result;
use portunus::tls::ClientOptions;
use portunus_proto::etcdserverpb::PutRequest;
use portunus_tests::certificates::{Authority, Issued, Wanted};
use portunus_tests::{Member, Rpc, free_ports};
use tempfile::TempDir;

/// The serial number of the certificate that lists revoke.
pub const REVOKED: u64 = 0x0bad;

pub struct Site {
    pub dir: TempDir,
    pub ca: Authority,
    pub server: Issued,
    pub client: Issued,
}

impl Site {
    pub fn new() -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let ca = Authority::new(dir.path(), "ca")?;
        let hosts = &["127.0.0.1", "localhost"];
        let wanted = |common_name| Wanted { common_name, hosts, ..Wanted::default() };
        let server = ca.issue("server", &wanted("server"))?;
        let client = ca.issue("client", &wanted("ada"))?;
        Ok(Self { dir, ca, server, client })
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// A member that serves clients over TLS; not started. `flags` are beside its certificate.
    pub fn member(&self, flags: &[String]) -> Member {
        let [client, peer] = free_ports();
        let (url, peer_url) =
            (format!("https://127.0.0.1:{client}"), format!("http://127.0.0.1:{peer}"));
        let mut all = vec![
            format!("--listen-peer-urls={peer_url}"),
            format!("--initial-advertise-peer-urls={peer_url}"),
            format!("--initial-cluster=m0={peer_url}"),
            flag("cert-file", &self.server.cert),
            flag("key-file", &self.server.key),
        ];
        all.extend(flags.iter().cloned());
        // Each with data of its own.
        let dir = self.path().join(client.to_string());
        Member::at("m0", &dir, url, all)
    }

    /// Flags that make a member ask for certificates of this authority.
    pub fn asking(&self) -> Vec<String> {
        vec![flag("trusted-ca-file", &self.ca.file()), "--client-cert-auth".to_owned()]
    }

    /// A client that believes this authority and shows `identity`.
    pub fn options(&self, identity: Option<&Issued>) -> ClientOptions {
        ClientOptions {
            identity: identity.map(|issued| (issued.cert.clone(), issued.key.clone())),
            trusted_ca_file: Some(self.ca.file()),
            ..ClientOptions::default()
        }
    }
}

pub fn flag(name: &str, path: &Path) -> String {
    format!("--{name}={}", path.display())
}

/// Connects and puts a key: in TLS 1.3 a client hears of its refusal only with the first answer.
pub async fn put(url: &str, options: ClientOptions) -> Result<Rpc> {
    let mut rpc = Rpc::secured(url, &options).await?;
    rpc.kv.put(PutRequest { key: "k".into(), value: "v".into(), ..PutRequest::default() }).await?;
    Ok(rpc)
}
