//! Asks other members who belongs to the cluster, before this one takes part in it. It has no
//! group yet, so its connections are its own and end with the question.

use std::sync::Arc;

use futures::future::join_all;
use portunus_proto::portunus::peer::v1 as wire;

use super::convert;
use super::identity::Identity;
use super::pool::{Pool, Target, Use};
use super::tuning::INQUIRY_TIMEOUT;
use crate::raft::types::Peer;
use crate::tls::Dialer;

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
