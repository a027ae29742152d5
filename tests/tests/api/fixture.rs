//! One running member and its clients.

use std::time::Duration;

use etcd_client::Client;
use portunus_proto::etcdserverpb as pb;
use portunus_proto::mvccpb::KeyValue;
use portunus_tests::{Member, Rpc, key_values};
use tempfile::TempDir;

/// Reached only when an answer is missing.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// The end of a range of all keys from its first on.
pub const FROM_KEY: &[u8] = &[0];

pub struct Single {
    pub rpc: Rpc,
    pub client: Client,
    pub member: Member,
    _dir: TempDir,
}

impl Single {
    pub async fn start() -> Self {
        Self::with(&[]).await
    }

    pub async fn with(flags: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let member = Member::single(dir.path(), flags).unwrap();
        let rpc = Rpc::connect(&member.client_url).await.unwrap();
        let client = member.client().await.unwrap();
        Self { rpc, client, member, _dir: dir }
    }

    /// Puts and returns the revision it made.
    pub async fn put(&mut self, key: &str, value: &str) -> i64 {
        let answer = self.client.put(key, value, None).await.unwrap();
        answer.header().unwrap().revision()
    }

    /// All live keys with their values.
    pub async fn live(&mut self) -> Vec<(String, String)> {
        let request = pb::RangeRequest { range_end: FROM_KEY.into(), ..range("\0") };
        let answer = self.rpc.kv.range(request).await.unwrap().into_inner();
        key_values(&answer.kvs).iter().map(|kv| (text(&kv.key), text(&kv.value))).collect()
    }
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

pub fn keys(kvs: &[KeyValue]) -> Vec<String> {
    kvs.iter().map(|kv| text(&kv.key)).collect()
}

pub fn range(key: &'static str) -> pb::RangeRequest {
    pb::RangeRequest { key: key.into(), ..Default::default() }
}

pub fn put(key: &'static str, value: &'static str) -> pb::PutRequest {
    pb::PutRequest { key: key.into(), value: value.into(), ..Default::default() }
}

pub fn delete(key: &'static str) -> pb::DeleteRangeRequest {
    pb::DeleteRangeRequest { key: key.into(), ..Default::default() }
}

/// The revision an answer's header tells, which must name who answered.
pub fn revision(header: &Option<pb::ResponseHeader>) -> i64 {
    let header = header.as_ref().expect("a header");
    assert!(header.cluster_id != 0 && header.member_id != 0 && header.raft_term != 0);
    header.revision
}
