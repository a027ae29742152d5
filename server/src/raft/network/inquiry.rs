//! Asks other members who belongs to the cluster, before this one takes part in it or when it may
//! have been removed; and answers such questions. Who asks may have no group yet, so connections
//! are its own and end with the question.

use std::sync::Arc;

use futures::future::join_all;
use portunus_proto::portunus::peer::v1 as wire;
use portunus_proto::portunus::peer::v1::inquiry_client::InquiryClient;
use portunus_proto::portunus::peer::v1::inquiry_server::Inquiry;
use tonic::{Request, Response, Status};

use super::convert;
use super::forward_server::PeerHandler;
use super::identity::Identity;
use super::pool::{Pool, Target, Use};
use super::tuning::{CONNECT_TIMEOUT, INQUIRY_TIMEOUT};
use crate::raft::types::Peer;
use crate::tls::{Connector, Dialer};
use crate::types::{ClusterId, MemberId};

/// A cluster and its members, as one of them tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Roll {
    pub cluster: ClusterId,
    /// Who told it.
    pub member: MemberId,
    /// A quorum has confirmed, after the question, that no newer list is committed.
    pub confirmed: bool,
    pub members: Vec<RollMember>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RollMember {
    pub id: MemberId,
    /// Empty until it has started once.
    pub name: String,
    pub peer_urls: Vec<String>,
    pub client_urls: Vec<String>,
    pub is_learner: bool,
}

/// What each of these peer URLs tells that answers in time.
pub async fn ask_rolls(dialer: Arc<Dialer>, urls: &[String]) -> Vec<Roll> {
    let asking = urls.iter().map(async |url| match ask_roll(dialer.clone(), url).await {
        Ok(roll) => Some(roll),
        Err(why) => {
            tracing::debug!(url, why, "a peer does not tell the members");
            None
        }
    });
    join_all(asking).await.into_iter().flatten().collect()
}

async fn ask_roll(dialer: Arc<Dialer>, url: &str) -> Result<Roll, String> {
    let to = url.parse().map_err(|error: crate::tls::TargetError| error.to_string())?;
    let connector = Connector::new(dialer, to);
    let endpoint = connector.endpoint().map_err(|error| error.to_string())?;
    let channel = endpoint.connect_timeout(CONNECT_TIMEOUT).connect_with_connector_lazy(connector);
    let mut client = InquiryClient::new(channel);
    let answer = tokio::time::timeout(INQUIRY_TIMEOUT, client.roll(wire::RollRequest {})).await;
    let answer = answer.map_err(|_| "no answer in time".to_owned())?;
    let wire::RollResponse { cluster, member, confirmed, members } =
        answer.map_err(|status| status.message().to_owned())?.into_inner();
    let members = members.into_iter().map(|member| {
        let wire::RollMember { id, name, peer_urls, client_urls, learner } = member;
        RollMember { id: MemberId(id), name, peer_urls, client_urls, is_learner: learner }
    });
    let members = members.collect();
    Ok(Roll { cluster: ClusterId(cluster), member: MemberId(member), confirmed, members })
}

/// The answering side.
pub struct InquiryServer(pub Arc<dyn PeerHandler>);

#[tonic::async_trait]
impl Inquiry for InquiryServer {
    async fn roll(
        &self,
        _request: Request<wire::RollRequest>,
    ) -> Result<Response<wire::RollResponse>, Status> {
        let roll = self.0.roll().await.ok_or_else(|| Status::unavailable("still starting"))?;
        let Roll { cluster, member, confirmed, members } = roll;
        let members = members.into_iter().map(|member| {
            let RollMember { id, name, peer_urls, client_urls, is_learner } = member;
            wire::RollMember { id: id.0, name, peer_urls, client_urls, learner: is_learner }
        });
        let (cluster, member, members) = (cluster.0, member.0, members.collect());
        Ok(Response::new(wire::RollResponse { cluster, member, confirmed, members }))
    }
}

/// What each of `peers` that answers in time says of the members. `own` is who asks.
pub async fn ask_members(
    own: Identity,
    dialer: Arc<Dialer>,
    peers: Vec<(u64, Peer)>,
) -> Vec<Vec<(u64, Peer)>> {
    let pool = Pool::new(own, dialer);
    let asking = peers.iter().map(async |(member, peer)| {
        let target = Target::new(*member, peer);
        // At each of its addresses once.
        for _ in &peer.peer_urls {
            match ask(&pool, &target).await {
                Ok(members) => return Some(members),
                Err(why) => {
                    tracing::debug!(member = %target.member, why, "a peer knows of no members");
                    target.next_url();
                }
            }
        }
        None
    });
    join_all(asking).await.into_iter().flatten().collect()
}

async fn ask(pool: &Pool, target: &Target) -> Result<Vec<(u64, Peer)>, String> {
    let mut client = pool.client(target, Use::Control).map_err(|error| error.to_string())?;
    let answer = tokio::time::timeout(INQUIRY_TIMEOUT, client.members(wire::MembersRequest {}));
    let answer = answer.await.map_err(|_| "no answer in time".to_owned())?;
    let answer = answer.map_err(|status| status.message().to_owned())?.into_inner();
    Ok(answer.members.into_iter().map(convert::member_from_wire).collect())
}
