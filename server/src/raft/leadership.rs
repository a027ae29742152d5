//! Who leads, as this member knows it, and the watch over raft's health.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use openraft::async_runtime::watch::WatchReceiver;
use openraft::metrics::RaftMetrics;
use openraft::{Instant, ServerState};
use tokio::sync::watch;

use super::contact::Contact;
use super::fatal::Fatal;
use super::network::{PeerRaft, Pool};
use super::timing::Timing;
use super::types::TypeConfig;

/// What this member knows of the group's leader.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Leadership {
    /// Of this member's vote: it may be ahead of the leader's during an election.
    pub term: u64,
    /// `None` also when the leader has been silent for long, or leads no quorum any more.
    pub leader: Option<u64>,
    /// This member leads in `term`.
    pub is_leader: bool,
    /// This member is one that is not to vote before somebody promotes it.
    pub is_learner: bool,
    /// This member is to vote by itself and does not do so yet.
    pub is_joining: bool,
}

/// Passes on every change, until raft stops; a stop nobody asked for is fatal.
pub(super) async fn follow(
    raft: PeerRaft,
    (contact, timing): (Contact, Timing),
    pool: Arc<Pool>,
    tell: watch::Sender<Leadership>,
    fatal: Fatal,
) {
    let mut metrics = raft.metrics();
    let patience = timing.patience();
    let mut known = None;
    loop {
        let (leadership, running) = {
            let metrics = metrics.borrow_watched();
            let members = &metrics.membership_config;
            if known != Some(*members.log_id()) {
                known = Some(*members.log_id());
                pool.learn(members.membership().nodes());
            }
            let leader = metrics.current_leader;
            let is_leader = metrics.state == ServerState::Leader && leader == Some(metrics.id);
            if is_leader && !tell.borrow().is_leader {
                // Its election is the first it hears of its quorum.
                contact.note();
            }
            let silence = match is_leader {
                true => unsupported(&metrics).unwrap_or_else(|| contact.silence()),
                false => contact.silence(),
            };
            let leader = leader.filter(|_| silence < patience);
            let term = metrics.current_term;
            let (is_learner, is_joining) = (is_learner(&metrics), is_joining(&metrics));
            let leadership = Leadership { term, leader, is_leader, is_learner, is_joining };
            (leadership, metrics.running_state.clone())
        };
        tell.send_if_modified(|current| {
            let changed = *current != leadership;
            if changed {
                *current = leadership;
            }
            changed
        });
        let reason = match running {
            Err(error) => error.to_string(),
            // Silence changes nothing, so it is looked for.
            Ok(()) => match tokio::time::timeout(patience / 8, metrics.changed()).await {
                Ok(Ok(())) | Err(_) => continue,
                Ok(Err(_)) => "raft's task has ended".to_owned(),
            },
        };
        tell.send_modify(|last| {
            last.leader = None;
            last.is_leader = false;
        });
        return fatal.raise(&reason);
    }
}

fn is_learner(metrics: &RaftMetrics<TypeConfig>) -> bool {
    let members = metrics.membership_config.membership();
    let own = members.get_node(&metrics.id);
    own.is_some_and(|own| !own.joining) && members.voter_ids().all(|id| id != metrics.id)
}

fn is_joining(metrics: &RaftMetrics<TypeConfig>) -> bool {
    let members = metrics.membership_config.membership();
    let votes = |set: &BTreeSet<u64>| set.contains(&metrics.id);
    // Before the change has ended its old voters may still be asked alone.
    let counts = matches!(&members.get_joint_config()[..], [only] if votes(only));
    members.get_node(&metrics.id).is_some_and(|own| own.joining) && !counts
}

/// How long a quorum has not confirmed this leader, if one ever has; one that is the only voter
/// needs none.
fn unsupported(metrics: &RaftMetrics<TypeConfig>) -> Option<Duration> {
    match metrics.membership_config.membership().voter_ids().count() {
        0 | 1 => Some(Duration::ZERO),
        _ => metrics.last_quorum_acked.as_ref().map(|acked| acked.elapsed()),
    }
}
