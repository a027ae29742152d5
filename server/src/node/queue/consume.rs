//! A consumer that is sent items as they come, a bounded number ahead of its acknowledgements. Its
//! lease lives as long as it does: when it goes, what it has not acknowledged goes to others.

use std::time::Duration;

use bytes::Bytes;
use portunus_proto::etcdserverpb::LeaseGrantRequest;
use portunus_proto::portunus::v1::{
    QueueConsumeRequest, QueueDequeueRequest, QueueDequeueResponse,
};
use tokio::task::JoinHandle;

use crate::decide::{Refusal, Reply, Request, queue};
use crate::node::{Error, Failure, Node};
use crate::types::LeaseId;

/// Of the lease that the server grants and keeps alive for a consumer.
const LEASE_SECONDS: i64 = 10;
const KEEP_ALIVE_EVERY: Duration = Duration::from_secs(3);

/// One stream of deliveries.
pub struct Consumer {
    intake: Intake,
    /// Keeps the lease alive, if it is the server's, and says when it cannot.
    keeper: Option<JoinHandle<Error>>,
}

struct Intake {
    node: Node,
    request: QueueConsumeRequest,
    lease: LeaseId,
    /// Claims that were not seen to end yet.
    claims: Vec<(Bytes, i64)>,
}

impl Node {
    /// # Errors
    /// A lease cannot be granted.
    pub async fn consume(&self, request: QueueConsumeRequest) -> Result<Consumer, Error> {
        let given = LeaseId(request.lease);
        let owns_lease = given.is_none();
        let lease = match owns_lease {
            false => given,
            true => {
                let grant = LeaseGrantRequest { id: 0, ttl: LEASE_SECONDS };
                let Reply::LeaseGrant(granted) = self.write(Request::LeaseGrant(grant)).await?
                else {
                    return Err(Failure::TimedOutConnectionLost.into());
                };
                LeaseId(granted.id)
            }
        };
        let keeping = || self.shared.runtime.spawn(keep_alive(self.clone(), lease));
        let keeper = owns_lease.then(keeping);
        let intake = Intake { node: self.clone(), request, lease, claims: Vec::new() };
        Ok(Consumer { intake, keeper })
    }
}

impl Consumer {
    /// The next items, as soon as there are some and room for them.
    ///
    /// # Errors
    /// Refusals of the dequeue, such as a lease that ended.
    pub async fn next(&mut self) -> Result<(i64, QueueDequeueResponse), Error> {
        tokio::select! {
            items = self.intake.next() => items,
            error = ended(&mut self.keeper) => Err(error),
        }
    }
}

impl Intake {
    /// Cancelled, it loses nothing: what a cancelled dequeue has taken is given back.
    async fn next(&mut self) -> Result<(i64, QueueDequeueResponse), Error> {
        let max = self.request.max.max(1) as usize;
        loop {
            let version = self.node.shared.applied.load();
            self.claims.retain(|(key, token)| {
                version.state.get(key).is_some_and(|item| item.create_revision() == *token)
            });
            if self.claims.len() < max {
                break;
            }
            let keys: Vec<Bytes> = self.claims.iter().map(|(key, _)| key.clone()).collect();
            self.node.until_deleted(&keys, version.state.revision + 1).await?;
        }
        let request = QueueDequeueRequest {
            queue: self.request.queue.clone(),
            max: (max - self.claims.len()) as u32,
            lease: self.lease.0,
            wait: true,
            consumer: self.request.consumer.clone(),
            ..QueueDequeueRequest::default()
        };
        let (revision, items) = self.node.dequeue(request).await?;
        for claim in items.deliveries.iter().filter_map(|delivery| delivery.claim.as_ref()) {
            let key = queue::claim_key(&self.request.queue, claim.id);
            self.claims.push((key, claim.token));
        }
        Ok((revision, items))
    }
}

/// Keeps the lease alive until that is refused: it has ended. A cluster without a leader is asked
/// again; it ends no leases meanwhile.
async fn keep_alive(node: Node, lease: LeaseId) -> Error {
    loop {
        match node.lease_keep_alive(lease).await {
            Ok(kept) if kept.ttl == 0 => return Refusal::LeaseNotFound.into(),
            Err(error @ (Error::Refused(_) | Error::Failed(Failure::Stopped))) => return error,
            Err(error) => tracing::debug!(%error, "a consumer's lease is kept alive again"),
            Ok(_) => tokio::time::sleep(KEEP_ALIVE_EVERY).await,
        }
    }
}

async fn ended(keeper: &mut Option<JoinHandle<Error>>) -> Error {
    match keeper {
        Some(keeper) => keeper.await.unwrap_or(Failure::Stopped.into()),
        None => std::future::pending().await,
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        let Some(keeper) = &self.keeper else { return };
        keeper.abort();
        let (node, lease) = (self.intake.node.clone(), self.intake.lease);
        node.clone().shared.runtime.spawn(async move {
            // What fails ends by itself soon.
            if let Err(error) = node.write(Request::lease_revoke(lease)).await {
                tracing::debug!(%error, "a consumer's lease is not revoked");
            }
        });
    }
}
