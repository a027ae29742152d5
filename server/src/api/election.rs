//! etcd's Election service.

use std::pin::Pin;

use futures::{Stream, stream};
use portunus_proto::v3electionpb::election_server::Election;
use portunus_proto::v3electionpb::{
    CampaignRequest, CampaignResponse, LeaderKey, LeaderRequest, LeaderResponse, ProclaimRequest,
    ProclaimResponse, ResignRequest, ResignResponse,
};
use tonic::{Request, Response, Status, async_trait};

use super::answer::header_at;
use super::caller::acting;
use super::ending::Ending;
use super::status;
use crate::node::{Elected, LineError, Node};
use crate::types::LeaseId;

/// Serves etcd's Election service.
pub struct ElectionService {
    pub node: Node,
    pub ending: Ending,
}

type Leaders = Pin<Box<dyn Stream<Item = Result<LeaderResponse, Status>> + Send>>;

#[async_trait]
impl Election for ElectionService {
    async fn campaign(
        &self,
        request: Request<CampaignRequest>,
    ) -> Result<Response<CampaignResponse>, Status> {
        let node = acting(&self.node, &request);
        let end = self.ending.of(request.metadata());
        let CampaignRequest { name, lease, value } = request.into_inner();
        let (mut place, standing) =
            node.stand(&name, LeaseId(lease), value).await.map_err(refused)?;
        if !standing.is_first {
            tokio::select! {
                turn = node.await_turn(&name, &place) => turn.map_err(refused)?,
                status = end => {
                    place.hand_over();
                    return Err(status);
                }
            };
        }
        place.keep();
        let leader =
            LeaderKey { name, key: place.key.clone(), rev: place.revision, lease: place.lease.0 };
        // The revision at which it stood, not that at which it won, as etcd has it.
        let header = Some(header_at(place.at, &self.node));
        Ok(Response::new(CampaignResponse { header, leader: Some(leader) }))
    }

    async fn proclaim(
        &self,
        request: Request<ProclaimRequest>,
    ) -> Result<Response<ProclaimResponse>, Status> {
        let node = acting(&self.node, &request);
        let ProclaimRequest { leader, value } = request.into_inner();
        let leader = leader.ok_or_else(no_leader_field)?;
        let lease = LeaseId(leader.lease);
        let lease = node.lease_or_own(lease).await.map_err(status::of_recipe)?;
        let proclaimed = node.proclaim(&leader.key, leader.rev, lease, value).await;
        let revision = proclaimed.map_err(status::of_recipe)?.ok_or_else(not_leader)?;
        Ok(Response::new(ProclaimResponse { header: Some(header_at(revision, &self.node)) }))
    }

    async fn leader(
        &self,
        request: Request<LeaderRequest>,
    ) -> Result<Response<LeaderResponse>, Status> {
        let node = acting(&self.node, &request);
        let name = request.into_inner().name;
        node.check_prefix(&[&name[..], b"/"].concat()).await.map_err(status::of_recipe)?;
        let elected = node.elected(&name).await.map_err(status::of_recipe)?;
        let elected = elected.ok_or_else(|| Status::unknown("election: no leader"))?;
        Ok(Response::new(answer(elected, &self.node)))
    }

    type ObserveStream = Leaders;

    async fn observe(&self, request: Request<LeaderRequest>) -> Result<Response<Leaders>, Status> {
        let node = acting(&self.node, &request);
        let end = self.ending.of(request.metadata());
        let name = request.into_inner().name;
        node.check_prefix(&[&name[..], b"/"].concat()).await.map_err(status::of_recipe)?;
        let observation = node.observe(name);
        let node = node.clone();
        let seen = stream::unfold(Some(observation), move |observation| {
            let node = node.clone();
            async move {
                let mut observation = observation?;
                match observation.next().await {
                    Ok(elected) => Some((Ok(answer(elected, &node)), Some(observation))),
                    Err(error) => Some((Err(status::of_recipe(error)), None)),
                }
            }
        });
        Ok(Response::new(Box::pin(end.cut(seen))))
    }

    async fn resign(
        &self,
        request: Request<ResignRequest>,
    ) -> Result<Response<ResignResponse>, Status> {
        let node = acting(&self.node, &request);
        let leader = request.into_inner().leader.ok_or_else(no_leader_field)?;
        let resigned = node.resign(&leader.key, leader.rev).await;
        let revision = resigned.map_err(status::of_recipe)?;
        Ok(Response::new(ResignResponse { header: Some(header_at(revision, &self.node)) }))
    }
}

fn answer(elected: Elected, node: &Node) -> LeaderResponse {
    LeaderResponse { header: Some(header_at(elected.revision, node)), kv: Some(elected.kv) }
}

fn refused(error: LineError) -> Status {
    match error {
        LineError::Lost => not_leader(),
        LineError::Node(error) => status::of_recipe(error),
    }
}

fn not_leader() -> Status {
    Status::unknown("election: not leader")
}

fn no_leader_field() -> Status {
    Status::unknown("\"leader\" field must be provided")
}
