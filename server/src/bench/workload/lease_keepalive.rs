//! One keep-alive of one lease: each client holds a lease and a stream of its own.

use crate::dial::Channel;
use anyhow::{Context, ensure};
use portunus_proto::etcdserverpb::lease_client::LeaseClient;
use portunus_proto::etcdserverpb::{
    LeaseGrantRequest, LeaseKeepAliveRequest, LeaseKeepAliveResponse, LeaseRevokeRequest,
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;

use crate::bench::workload::{ClientId, Failure, Operate, Workload};

/// Longer than any pause between two keep-alives of one client.
const TTL_SECONDS: i64 = 600;

/// Keep-alives.
#[derive(Clone, Debug)]
pub struct LeaseKeepalive;

pub struct Client {
    lease: LeaseClient<Channel>,
    id: i64,
    requests: mpsc::Sender<LeaseKeepAliveRequest>,
    answers: Streaming<LeaseKeepAliveResponse>,
}

impl Workload for LeaseKeepalive {
    type Client = Client;

    async fn client(&self, channel: Channel, _: ClientId) -> anyhow::Result<Client> {
        let mut lease = LeaseClient::new(channel);
        let grant = LeaseGrantRequest { ttl: TTL_SECONDS, ..LeaseGrantRequest::default() };
        let id = lease.lease_grant(grant).await.context("grant a lease")?.get_ref().id;
        let (requests, queue) = mpsc::channel(1);
        // Some servers open their side of the stream only with the first answer.
        requests.send(LeaseKeepAliveRequest { id }).await?;
        let mut answers = lease.lease_keep_alive(ReceiverStream::new(queue)).await?.into_inner();
        let first = answers.message().await?.context("the keep-alive stream ended")?;
        ensure!(first.ttl > 0, "lease {id:x} is gone just after it was granted");
        Ok(Client { lease, id, requests, answers })
    }
}

impl Operate for Client {
    async fn operate(&mut self) -> Result<(), Failure> {
        let request = LeaseKeepAliveRequest { id: self.id };
        let ended = || Failure { why: "the keep-alive stream ended".to_owned(), unavailable: true };
        self.requests.send(request).await.map_err(|_| ended())?;
        match self.answers.message().await?.ok_or_else(ended)?.ttl {
            1.. => Ok(()),
            _ => Err(Failure::wrong("the lease is gone")),
        }
    }

    async fn close(mut self) {
        // The lease would end by itself; this only leaves less behind.
        let _ = self.lease.lease_revoke(LeaseRevokeRequest { id: self.id }).await;
    }
}
