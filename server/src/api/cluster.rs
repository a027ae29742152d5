//! The Cluster service: who the members are. Its headers carry no revision, as etcd's.

use portunus_proto::etcdserverpb::cluster_server::Cluster;
use portunus_proto::etcdserverpb::{
    Member, MemberAddRequest, MemberAddResponse, MemberListRequest, MemberListResponse,
    MemberPromoteRequest, MemberPromoteResponse, MemberRemoveRequest, MemberRemoveResponse,
    MemberUpdateRequest, MemberUpdateResponse, ResponseHeader,
};
use tonic::transport::Uri;
use tonic::{Request, Response, Status, async_trait};

use super::answer::header_without_revision;
use super::caller::acting;
use super::status;
use crate::node::{self, MemberAsk, Node};
use crate::types::MemberId;

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
        let MemberAddRequest { peer_urls, is_learner } = request.into_inner();
        let peer_urls = checked(peer_urls)?;
        let added = self.change(MemberAsk::Add { peer_urls, learner: is_learner }).await?;
        let (header, members) = self.answer();
        let member = members.iter().find(|member| member.id == added.0).cloned();
        Ok(Response::new(MemberAddResponse { header, member, members }))
    }

    async fn member_remove(
        &self,
        request: Request<MemberRemoveRequest>,
    ) -> Result<Response<MemberRemoveResponse>, Status> {
        self.only_root(&request).await?;
        self.change(MemberAsk::Remove(request.into_inner().id)).await?;
        let (header, members) = self.answer();
        Ok(Response::new(MemberRemoveResponse { header, members }))
    }

    async fn member_update(
        &self,
        request: Request<MemberUpdateRequest>,
    ) -> Result<Response<MemberUpdateResponse>, Status> {
        self.only_root(&request).await?;
        let MemberUpdateRequest { id, peer_urls } = request.into_inner();
        let peer_urls = checked(peer_urls)?;
        self.change(MemberAsk::Update { id, peer_urls }).await?;
        let (header, members) = self.answer();
        Ok(Response::new(MemberUpdateResponse { header, members }))
    }

    async fn member_promote(
        &self,
        request: Request<MemberPromoteRequest>,
    ) -> Result<Response<MemberPromoteResponse>, Status> {
        self.only_root(&request).await?;
        self.change(MemberAsk::Promote(request.into_inner().id)).await?;
        let (header, members) = self.answer();
        Ok(Response::new(MemberPromoteResponse { header, members }))
    }
}

impl ClusterService {
    async fn change(&self, ask: MemberAsk) -> Result<MemberId, Status> {
        self.node.change_members(ask).await.map_err(status::of_member)
    }

    fn answer(&self) -> (Option<ResponseHeader>, Vec<Member>) {
        let members = self.node.members().into_iter().map(wire_member).collect();
        (Some(header_without_revision(&self.node)), members)
    }
}

/// Sorted, as etcd keeps them: at least one, each a scheme, a host and a port and no path.
fn checked(mut urls: Vec<String>) -> Result<Vec<String>, Status> {
    let is_good = |url: &String| {
        if url.starts_with("unix://") || url.starts_with("unixs://") {
            return true;
        }
        let Ok(uri) = url.parse::<Uri>() else { return false };
        matches!(uri.scheme_str(), Some("http" | "https"))
            && uri.port_u16().is_some()
            && uri.path() == "/"
            && !url.ends_with('/')
            && uri.query().is_none()
    };
    urls.iter_mut().for_each(|url| *url = url.trim().to_owned());
    if urls.is_empty() || !urls.iter().all(is_good) {
        return Err(status::bad_member_urls());
    }
    urls.sort_unstable();
    Ok(urls)
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
