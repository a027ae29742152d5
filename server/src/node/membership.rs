//! Changing the members, on the leader: the change is judged, made in raft's own membership, which
//! is the only list of members there is, and what was left half done is ended.
//!
//! A new voter begins as a learner that is marked as joining, so that adding it needs nobody's
//! vote but that of the members there are; it votes once it has caught up.

use std::sync::Arc;
use std::time::Duration;

use sha1::{Digest, Sha1};

use super::answer::{Bounce, Delivery, Executed};
use super::ask::{Ask, Said};
use super::error::{Error, Failure};
use super::handle::{Node, unreachable_answer};
use super::member_rules::{MemberAsk, MemberRefusal, Rules, Standing};
use super::metrics;
use super::shared::Shared;
use crate::raft::{ChangeError, MemberChange, Peer};
use crate::types::MemberId;

/// How often the leader looks for changes to end and for members to let vote.
const RECONCILE_INTERVAL: Duration = Duration::from_millis(200);
/// Entries that a joining member may lack and be let vote: a round trip brings them.
const JOIN_ENTRIES: u64 = 64;

impl Node {
    /// Has the leader change the members. Returns the id of the member concerned.
    pub async fn change_members(&self, ask: MemberAsk) -> Result<MemberId, MemberError> {
        let promotes = matches!(ask, MemberAsk::Promote(_));
        match self.ask(Ask::Member(ask)).await? {
            Said::Member(said) => {
                let member = said?;
                metrics::LEARNERS_PROMOTED.inc_by(u64::from(promotes));
                Ok(MemberId(member))
            }
            other => Ok(unreachable_answer(&other)?),
        }
    }

    /// Makes the change, as the leader.
    pub(super) async fn change_members_here(&self, ask: MemberAsk) -> Delivery {
        let shared = &self.shared;
        let alone = shared.changing.lock().await;
        let back = |ask, failure| Err(Bounce::NotExecuted(Box::new(Ask::Member(ask)), failure));
        if shared.reign().is_none() {
            return back(ask, Failure::NotLeader);
        }
        // The word of a leader that has been deposed counts for nothing.
        if shared.read_index_round().await.is_err() {
            return back(ask, Failure::NoLeader);
        }
        // What another leader left half done comes first.
        if let Err(error) = shared.group().finish_change().await {
            tracing::warn!(%error, "a change of the members is not ended yet");
            return back(ask, Failure::NotLeader);
        }
        let id = match &ask {
            MemberAsk::Add { peer_urls, .. } => new_id(peer_urls, shared.clock.unix_ms() / 1000),
            MemberAsk::Remove(id) | MemberAsk::Promote(id) | MemberAsk::Update { id, .. } => *id,
        };
        if let Err(refusal) = judge(shared, &ask, id) {
            return said(shared, Err(refusal));
        }
        if ask == MemberAsk::Remove(shared.identity.member.0) {
            // Whoever leads then is asked to do it: nothing under way here is cut off.
            drop(alone);
            self.hand_over_leadership().await;
            return back(ask, Failure::NotLeader);
        }
        match shared.group().change_members(change(shared, &ask, id)).await {
            Ok(()) => {
                tracing::info!(member = %MemberId(id), "the members were changed");
                said(shared, Ok(id))
            }
            Err(ChangeError::NotLeader) => back(ask, Failure::NotLeader),
            Err(ChangeError::Refused(why)) => {
                tracing::warn!(why, "raft refuses a change of the members");
                said(shared, Err(MemberRefusal::Unhealthy))
            }
            Err(ChangeError::Unknown) => Err(Bounce::Unknown(Failure::TimedOutLeaderFailed)),
        }
    }
}

/// Why the members were not changed.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum MemberError {
    #[error(transparent)]
    Refused(#[from] MemberRefusal),
    #[error(transparent)]
    Node(#[from] Error),
}

fn said(shared: &Shared, result: Result<u64, MemberRefusal>) -> Delivery {
    let listed = shared.members.load().log_id.map_or(0, |at| at.index);
    let index = shared.applied_index().max(listed);
    Ok(Executed { result: Ok(Said::Member(result)), index })
}

fn change(shared: &Shared, ask: &MemberAsk, id: u64) -> MemberChange {
    match ask {
        MemberAsk::Add { peer_urls, learner } => {
            let peer = Peer { peer_urls: peer_urls.clone(), joining: !learner, ..Peer::default() };
            MemberChange::AddLearner(id, peer)
        }
        MemberAsk::Remove(_) => MemberChange::Remove(id),
        MemberAsk::Promote(_) => MemberChange::Promote(id),
        MemberAsk::Update { peer_urls, .. } => {
            let known = shared.group().membership().peers.get(&id).cloned().unwrap_or_default();
            MemberChange::Update(id, Peer { peer_urls: peer_urls.clone(), ..known })
        }
    }
}

/// The id of a member that joins, as etcd derives it: from its sorted URLs and the time.
fn new_id(peer_urls: &[String], unix_seconds: u64) -> u64 {
    let mut urls: Vec<&String> = peer_urls.iter().collect();
    urls.sort_unstable();
    let mut hash = Sha1::new();
    urls.iter().for_each(|url| hash.update(url.as_bytes()));
    hash.update(unix_seconds.to_string().as_bytes());
    let digest: [u8; 20] = hash.finalize().into();
    let (head, _) = digest.split_first_chunk().expect("a SHA-1 digest has 20 bytes");
    u64::from_be_bytes(*head)
}

fn judge(shared: &Shared, ask: &MemberAsk, id: u64) -> Result<(), MemberRefusal> {
    let own = shared.identity.member.0;
    let group = shared.group();
    let (membership, status) = (group.membership(), group.status());
    let applied = shared.applied.load();
    let published = &applied.state.registry().members;
    let standing = |(id, peer): (&u64, &Peer)| Standing {
        id: *id,
        peer_urls: peer.peer_urls.clone(),
        votes: peer.joining || membership.is_voter(*id),
        started: published.contains_key(&MemberId(*id)),
        connected: *id == own || group.answers(MemberId(*id)),
        matched: match *id == own {
            true => status.last_index.unwrap_or(0),
            false => status.matching.get(id).copied().flatten().unwrap_or(0),
        },
    };
    let members: Vec<Standing> = membership.peers.iter().map(standing).collect();
    let Shared { options, .. } = shared;
    let (strict, learners_max) = (options.strict_reconfig_check, options.learners_max);
    Rules { members: &members, own, strict, learners_max }.check(ask, id)
}

/// While this member leads: ends a change of voters whose leader went away in its middle, and lets
/// those vote that joined and have caught up.
pub async fn reconcile(shared: Arc<Shared>) {
    let mut ticks = tokio::time::interval(RECONCILE_INTERVAL);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if shared.reign().is_none() {
            continue;
        }
        let _one_at_a_time = shared.changing.lock().await;
        let group = shared.group();
        if group.membership().is_joint() {
            match group.finish_change().await {
                Ok(()) => tracing::info!("ended a change of the members that was interrupted"),
                Err(error) => tracing::warn!(%error, "a change of the members is not ended yet"),
            }
        }
        let Some(member) = caught_up(&shared) else { continue };
        match group.change_members(MemberChange::Promote(member)).await {
            Ok(()) => tracing::info!(member = %MemberId(member), "a new member votes"),
            Err(error) => tracing::warn!(%error, "a new member cannot vote yet"),
        }
    }
}

/// A member that is to vote, has started, knows the effects in use, and has the log.
fn caught_up(shared: &Shared) -> Option<u64> {
    let group = shared.group();
    let (membership, status) = (group.membership(), group.status());
    let committed = status.committed.map_or(0, |at| at.index);
    let applied = shared.applied.load();
    let level = applied.state.feature_level;
    let published = &applied.state.registry().members;
    let ready = |(id, peer): &(&u64, &Peer)| {
        let matched = status.matching.get(*id).copied().flatten();
        let known = published.get(&MemberId(**id));
        peer.joining
            && !membership.is_voter(**id)
            && known.is_some_and(|own| own.feature_level >= level)
            && matched.is_some_and(|at| at + JOIN_ENTRIES >= committed)
    };
    membership.peers.iter().find(ready).map(|(id, _)| *id)
}

#[cfg(test)]
mod tests {
    use super::new_id;

    /// The ids that etcd's own tests expect of these URLs at 1984-12-23T15:04:05Z.
    #[test]
    fn a_member_that_joins_has_etcds_id() {
        let id = |url: &str| new_id(&[url.to_owned()], 472_662_245);
        assert_eq!(id("http://10.0.0.8:2379"), 2_448_790_162_483_548_276);
        assert_eq!(id("http://10.0.0.1:2379"), 1_466_075_294_948_436_910);
    }
}
