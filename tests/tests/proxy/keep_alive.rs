//! Leases that are kept alive through the proxy while the member behind it is exchanged.

use std::time::Duration;

use anyhow::{Context, Result};
use portunus_proto::etcdserverpb as pb;
use portunus_tests::{Cluster, Rpc};
use tokio::sync::mpsc;
use tokio_stream::wrappers::UnboundedReceiverStream;

use crate::fixture::Proxy;

/// Reached only when an answer is missing.
const PATIENCE: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_stream_outlives_every_member_in_turn() -> Result<()> {
    let mut cluster = Cluster::three(&[]).await?;
    let members: Vec<_> = cluster.members.iter().collect();
    let proxy = Proxy::before(&members, &[])?;
    let mut rpc = Rpc::connect(&proxy.url).await?;
    let grant = pb::LeaseGrantRequest { ttl: 600, id: 0 };
    let lease = rpc.lease.lease_grant(grant).await?.into_inner().id;
    let (ask, asked) = mpsc::unbounded_channel();
    let mut answers =
        rpc.lease.lease_keep_alive(UnboundedReceiverStream::new(asked)).await?.into_inner();
    for n in 0..3 {
        ask.send(pb::LeaseKeepAliveRequest { id: lease })?;
        let answer = tokio::time::timeout(PATIENCE, answers.message()).await??;
        assert_eq!(answer.context("an answer")?.ttl, 600);
        cluster.members[n].kill()?;
        // Asked of a member that is gone: answered by another.
        ask.send(pb::LeaseKeepAliveRequest { id: lease })?;
        ask.send(pb::LeaseKeepAliveRequest { id: lease + 1 })?;
        for expected in [(lease, 600), (lease + 1, 0)] {
            let answer = tokio::time::timeout(PATIENCE, answers.message()).await??;
            let answer = answer.context("an answer")?;
            assert_eq!((answer.id, answer.ttl), expected);
        }
        cluster.restart(n).await?;
    }
    drop(ask);
    let end = tokio::time::timeout(PATIENCE, answers.message()).await??;
    assert_eq!(end, None, "the client has said that it wants no more");
    Ok(())
}
