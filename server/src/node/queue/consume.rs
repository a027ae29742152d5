//! A consumer that is sent items as they come, a bounded number ahead of its acknowledgements. Its
//! lease lives as long as it does: when it goes, what it has not acknowledged goes to others.

use std::time::Duration;

use bytes::Bytes;
use portunus_proto::etcdserverpb::LeaseGrantRequest;
use portunus_proto::portunus::v1::{
    QueueConsumeRequest, QueueDequeueRequest, QueueDequeueResponse,
};
use tokio::time::{Instant, sleep_until};

use crate::decide::{Reply, Request, queue};
use crate::node::{Error, Failure, Node};
use crate::types::LeaseId;

/// Of the lease that the server grants and keeps alive for a consumer.
const LEASE_SECONDS: i64 = 10;
const KEEP_ALIVE_EVERY: Duration = Duration::from_secs(3);

/// One stream of deliveries.
pub struct Consumer {
    node: Node,
    request: QueueConsumeRequest,
    lease: LeaseId,
    /// The lease is the server's, and when it is to be kept alive next.
    keep_alive: Option<Instant>,
    /// Claims that were not seen to end yet.
    claims: Vec<(Bytes, i64)>,
}

impl Node {
    /// # Errors
    /// A lease cannot be granted.
    pub async fn consume(&self, request: QueueConsumeRequest) -> Result<Consumer, Error> {
        let given = LeaseId(request.lease);
        let (lease, keep_alive) = match given.is_none() {
            false => (given, None),
            true => {
                let grant = LeaseGrantRequest { id: 0, ttl: LEASE_SECONDS };
                let Reply::LeaseGrant(granted) = self.write(Request::LeaseGrant(grant)).await?
                else {
                    return Err(Failure::TimedOutConnectionLost.into());
                };
                (LeaseId(granted.id), Some(Instant::now() + KEEP_ALIVE_EVERY))
            }
        };
        Ok(Consumer { node: self.clone(), request, lease, keep_alive, claims: Vec::new() })
    }
}

impl Consumer {
    /// The next items, as soon as there are some and room for them.
    ///
    /// # Errors
    /// Refusals of the dequeue, such as a lease that ended.
    pub async fn next(&mut self) -> Result<(i64, QueueDequeueResponse), Error> {
        loop {
            let (node, lease) = (self.node.clone(), self.lease);
            let due = self.keep_alive;
            tokio::select! {
                items = self.wait() => return items,
                () = at(due) => {
                    node.lease_keep_alive(lease).await?;
                    self.keep_alive = Some(Instant::now() + KEEP_ALIVE_EVERY);
                }
            }
        }
    }

    /// Cancelled, it loses nothing: what a cancelled dequeue has taken is given back.
    async fn wait(&mut self) -> Result<(i64, QueueDequeueResponse), Error> {
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

async fn at(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due).await,
        None => std::future::pending().await,
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        if self.keep_alive.is_none() {
            return;
        }
        let (node, lease) = (self.node.clone(), self.lease);
        self.node.shared.runtime.spawn(async move {
            // What fails ends by itself soon.
            if let Err(error) = node.write(Request::lease_revoke(lease)).await {
                tracing::debug!(%error, "a consumer's lease is not revoked");
            }
        });
    }
}
