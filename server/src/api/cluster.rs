//! The Cluster service: who the members are. Its headers carry no revision, as etcd's.

use portunus_proto::etcdserverpb::cluster_server::Cluster;
use portunus_proto::etcdserverpb::{
    Member, MemberAddRequest, MemberAddResponse, MemberListRequest, MemberListResponse,
    MemberPromoteRequest, MemberPromoteResponse, MemberRemoveRequest, MemberRemoveResponse,
    MemberUpdateRequest, MemberUpdateResponse,
};
use tonic::{Request, Response, Status, async_trait};

use super::answer::header_without_revision;
use super::caller::acting;
use super::status;
use crate::node::{self, Node};

/// Serves etcd's Cluster service.
pub struct ClusterService {
    pub node: Node,
}

impl ClusterService {
    async fn only_root<T>(&self, request: &Request<T>) -> Result<(), Status> {
        acting(&self.node, request).check_root().await.map_err(status::of)
    }
}

#[async_trait]
impl Cluster for ClusterService {
    async fn member_list(
        &self,
        request: Request<MemberListRequest>,
    ) -> Result<Response<MemberListResponse>, Status> {
        acting(&self.node, &request).check_known().await.map_err(status::of)?;
        if request.into_inner().linearizable {
            self.node.linearizable().await.map_err(status::of)?;
        }
        let members = self.node.members().into_iter().map(wire_member).collect();
        let header = Some(header_without_revision(&self.node));
        Ok(Response::new(MemberListResponse { header, members }))
    }

    async fn member_add(
        &self,
        request: Request<MemberAddRequest>,
    ) -> Result<Response<MemberAddResponse>, Status> {
        self.only_root(&request).await?;
        Err(status::not_offered("Cluster.MemberAdd"))
    }

    async fn member_remove(
        &self,
        request: Request<MemberRemoveRequest>,
    ) -> Result<Response<MemberRemoveResponse>, Status> {
        self.only_root(&request).await?;
        Err(status::not_offered("Cluster.MemberRemove"))
    }

    async fn member_update(
        &self,
        request: Request<MemberUpdateRequest>,
    ) -> Result<Response<MemberUpdateResponse>, Status> {
        self.only_root(&request).await?;
        Err(status::not_offered("Cluster.MemberUpdate"))
    }

    async fn member_promote(
        &self,
        request: Request<MemberPromoteRequest>,
    ) -> Result<Response<MemberPromoteResponse>, Status> {
        self.only_root(&request).await?;
        Err(status::not_offered("Cluster.MemberPromote"))
    }
}

fn wire_member(member: node::Member) -> Member {
    Member {
        id: member.id.0,
        name: member.name,
        peer_urls: member.peer_urls,
        client_urls: member.client_urls,
        is_learner: member.is_learner,
    }
}
