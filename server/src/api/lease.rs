//! The Lease service. Keep-alives of one stream are answered in order and overlap while they wait,
//! since a client sends those of all its leases on one stream.

use std::pin::Pin;

use futures::{Stream, StreamExt};
use portunus_proto::etcdserverpb::lease_server::Lease;
use portunus_proto::etcdserverpb::{
    LeaseGrantRequest, LeaseGrantResponse, LeaseKeepAliveRequest, LeaseKeepAliveResponse,
    LeaseLeasesRequest, LeaseLeasesResponse, LeaseRevokeRequest, LeaseRevokeResponse, LeaseStatus,
    LeaseTimeToLiveRequest, LeaseTimeToLiveResponse,
};
use tonic::{Request, Response, Status, Streaming, async_trait};

use super::access::Credentials;
use super::answer::{Headed, header_at, write};
use super::caller::acting;
use super::ending::Ending;
use super::status;
use crate::decide;
use crate::node::Node;
use crate::types::LeaseId;

/// Keep-alives of one stream that may be under way at once: enough to fill the rounds that confirm
/// them, few enough that one client cannot fill the queue.
const KEEP_ALIVES_IN_FLIGHT: usize = 64;

/// Serves etcd's Lease service.
pub struct LeaseService {
    pub node: Node,
    pub ending: Ending,
    pub credentials: Credentials,
}

type KeepAlives = Pin<Box<dyn Stream<Item = Result<LeaseKeepAliveResponse, Status>> + Send>>;

#[async_trait]
impl Lease for LeaseService {
    async fn lease_grant(
        &self,
        request: Request<LeaseGrantRequest>,
    ) -> Result<Response<LeaseGrantResponse>, Status> {
        write(&self.node, request, decide::Request::LeaseGrant).await
    }

    async fn lease_revoke(
        &self,
        request: Request<LeaseRevokeRequest>,
    ) -> Result<Response<LeaseRevokeResponse>, Status> {
        write(&self.node, request, decide::Request::LeaseRevoke).await
    }

    type LeaseKeepAliveStream = KeepAlives;

    async fn lease_keep_alive(
        &self,
        request: Request<Streaming<LeaseKeepAliveRequest>>,
    ) -> Result<Response<KeepAlives>, Status> {
        let end = self.ending.of(request.metadata());
        let (node, credentials) = (acting(&self.node, &request), self.credentials.clone());
        let kept = request
            .into_inner()
            .map(move |asked| keep_alive(credentials.again(&node), asked))
            .buffered(KEEP_ALIVES_IN_FLIGHT);
        Ok(Response::new(Box::pin(end.cut(kept))))
    }

    async fn lease_time_to_live(
        &self,
        request: Request<LeaseTimeToLiveRequest>,
    ) -> Result<Response<LeaseTimeToLiveResponse>, Status> {
        let node = acting(&self.node, &request);
        let LeaseTimeToLiveRequest { id, keys } = request.into_inner();
        let left = node.lease_time_to_live(LeaseId(id), keys).await.map_err(status::of)?;
        let answer = LeaseTimeToLiveResponse {
            header: None,
            id,
            ttl: left.ttl,
            granted_ttl: left.granted_ttl,
            keys: left.keys,
        };
        Ok(Response::new(answer.headed(&self.node)))
    }

    async fn lease_leases(
        &self,
        request: Request<LeaseLeasesRequest>,
    ) -> Result<Response<LeaseLeasesResponse>, Status> {
        let ids = acting(&self.node, &request).leases().await.map_err(status::of)?;
        let leases = ids.into_iter().map(|LeaseId(id)| LeaseStatus { id }).collect();
        Ok(Response::new(LeaseLeasesResponse { header: None, leases }.headed(&self.node)))
    }
}

/// Renews one lease. The header's revision is that of before the renewal: a client must not see a
/// renewal at a revision at which the lease is gone.
async fn keep_alive(
    node: Node,
    asked: Result<LeaseKeepAliveRequest, Status>,
) -> Result<LeaseKeepAliveResponse, Status> {
    let LeaseKeepAliveRequest { id } = asked?;
    let kept = node.lease_keep_alive(LeaseId(id)).await.map_err(status::of)?;
    let header = header_at(kept.revision, &node);
    Ok(LeaseKeepAliveResponse { header: Some(header), id, ttl: kept.ttl })
}
