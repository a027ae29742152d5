//! How a member learns that it was removed: by the entry that says so where it still gets it, and
//! otherwise by asking, since nobody tells it any more. And what it answers to such questions.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::handle::Node;
use super::shared::Shared;
use crate::raft::{Roll, RollMember, ask_rolls};
use crate::tls::Dialer;

/// How long an answer may wait for a quorum to confirm it.
const CONFIRM: Duration = Duration::from_millis(500);

impl Node {
    /// Resolves once this member is known to be removed for good.
    pub async fn removed(&self) {
        let mut removed = self.shared.removed.subscribe();
        // It ends when the member does.
        let _ = removed.wait_for(|removed| *removed).await;
    }

    /// The cluster and its members.
    pub(super) async fn roll(&self) -> Roll {
        let confirmed = tokio::time::timeout(CONFIRM, self.linearizable()).await;
        let members = self.members().into_iter().map(|member| RollMember {
            id: member.id,
            name: member.name,
            peer_urls: member.peer_urls,
            client_urls: member.client_urls,
            is_learner: member.is_learner,
        });
        Roll {
            cluster: self.shared.identity.cluster,
            member: self.shared.identity.member,
            confirmed: matches!(confirmed, Ok(Ok(()))),
            members: members.collect(),
        }
    }
}

/// While there is no leader, asks all peers that this member knows of whether it still belongs to
/// them. `more` are URLs beside those of the members that are applied here.
pub async fn watch(shared: Arc<Shared>, dialer: Arc<Dialer>, more: Vec<String>) {
    let mut ticks = tokio::time::interval(shared.options.election_timeout);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let leadership = shared.group().leadership();
    loop {
        ticks.tick().await;
        if *shared.removed.borrow() {
            return;
        }
        if leadership.borrow().leader.is_some() {
            continue;
        }
        let me = shared.identity.member.0;
        let known = shared.membership();
        let others = known.peers.iter().filter(|(id, _)| **id != me);
        let mut urls: BTreeSet<String> =
            others.flat_map(|(_, peer)| peer.peer_urls.clone()).collect();
        urls.extend(more.iter().cloned());
        let urls: Vec<String> = urls.into_iter().collect();
        let rolls = ask_rolls(dialer.clone(), &urls).await;
        if rolls.iter().any(|roll| tells_removed(&shared, roll)) {
            shared.removed.send_replace(true);
        }
    }
}

/// A list that a quorum has confirmed is newer than the one by which this member was started.
fn tells_removed(shared: &Shared, roll: &Roll) -> bool {
    let own = shared.identity;
    let listed = roll.members.iter().any(|member| member.id == own.member);
    roll.confirmed && roll.cluster == own.cluster && !listed
}
