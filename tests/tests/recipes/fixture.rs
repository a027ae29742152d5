//! One member and what these tests ask of it again and again.

use std::process::Command;

use anyhow::{Result, ensure};
use etcd_client::{Client, GetOptions};
use portunus_proto::v3electionpb::election_client::ElectionClient;
use portunus_proto::v3lockpb::lock_client::LockClient;
use portunus_tests::{Member, Rpc, eventually};
use tempfile::TempDir;
use tonic::transport::Channel;

pub struct Single {
    pub member: Member,
    pub client: Client,
    pub rpc: Rpc,
    pub lock: LockClient<Channel>,
    pub election: ElectionClient<Channel>,
    _dir: TempDir,
}

impl Single {
    pub async fn start() -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let member = Member::single(dir.path(), &[])?;
        let client = member.client().await?;
        let rpc = Rpc::connect(&member.client_url).await?;
        let lock = LockClient::new(rpc.channel.clone());
        let election = ElectionClient::new(rpc.channel.clone());
        Ok(Self { member, client, rpc, lock, election, _dir: dir })
    }
}

/// A lease that outlives any test.
pub async fn lease(client: &Client) -> Result<i64> {
    Ok(client.lease_client().grant(600, None).await?.id())
}

/// The line of `name`, oldest first.
pub async fn line(client: &Client, name: &str) -> Result<Vec<String>> {
    let options = GetOptions::new().with_prefix();
    let answer = client.kv_client().get(format!("{name}/"), Some(options)).await?;
    let mut kvs: Vec<_> = answer.kvs().to_vec();
    kvs.sort_by_key(etcd_client::KeyValue::create_revision);
    Ok(kvs.iter().map(|kv| String::from_utf8_lossy(kv.key()).into_owned()).collect())
}

/// Waits until that many stand in line.
pub async fn stand(client: &Client, name: &str, count: usize) -> Vec<String> {
    eventually("the line to have its length", || async {
        let line = line(client, name).await?;
        ensure!(line.len() == count, "{line:?}");
        Ok(line)
    })
    .await
}

/// What a `portunus` command against a member printed; it has to succeed.
pub fn portunus(url: &str, words: &[&str]) -> Result<String> {
    let mut command = Command::new(Member::program()?);
    command.args(words).arg(format!("--endpoints={url}"));
    let output = tokio::task::block_in_place(|| command.output())?;
    let error = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{words:?}: {error}");
    Ok(String::from_utf8(output.stdout)?)
}

/// Deploys a plugin that comes with the server.
pub fn deploy(url: &str, builtin: &str, options: &[&str]) -> Result<()> {
    let source = format!("builtin:{builtin}");
    portunus(url, &[&["plugin", "deploy", &source], options].concat()).map(drop)
}
