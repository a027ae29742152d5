//! What a member says of itself and of the others: the list of members and its own status.

use super::handle::Node;
use crate::effect::AlarmKind;
use crate::types::MemberId;

/// One member of the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    pub id: MemberId,
    /// Empty until the member has started once.
    pub name: String,
    pub peer_urls: Vec<String>,
    pub client_urls: Vec<String>,
    pub is_learner: bool,
}

/// What Maintenance.Status reports of a member.
#[derive(Clone, Debug, PartialEq)]
pub struct NodeStatus {
    pub db_size_bytes: i64,
    pub db_size_in_use_bytes: i64,
    pub quota_bytes: Option<i64>,
    /// Member id of the leader, 0 when none is known.
    pub leader: u64,
    pub raft_index: u64,
    pub raft_applied_index: u64,
    pub raft_term: u64,
    pub is_learner: bool,
    /// Alarms and the lack of a leader, as etcd words them.
    pub errors: Vec<String>,
}

impl Node {
    /// The members as applied here, in the order of their peer URLs, as etcd lists them.
    pub fn members(&self) -> Vec<Member> {
        let membership = self.shared.membership();
        let published = self.shared.applied.load();
        let members = membership.peers.iter().map(|(id, peer)| {
            let attributes = published.state.registry().members.get(&MemberId(*id));
            let (name, client_urls) = match attributes {
                Some(own) => (own.name.clone(), own.client_urls.clone()),
                None => (peer.name.clone(), Vec::new()),
            };
            Member {
                id: MemberId(*id),
                name,
                peer_urls: peer.peer_urls.clone(),
                client_urls,
                is_learner: !membership.is_voter(*id) && !peer.joining,
            }
        });
        let mut members: Vec<Member> = members.collect();
        members.sort_by(|a, b| a.peer_urls.cmp(&b.peer_urls));
        members
    }

    /// True while this member is one that does not vote before somebody promotes it.
    pub fn is_learner(&self) -> bool {
        self.leadership().borrow().is_learner
    }

    pub fn status(&self) -> NodeStatus {
        let shared = &self.shared;
        let raft = shared.group().status();
        let applied = shared.applied.load();
        let mut errors = Vec::new();
        if raft.leader.is_none() {
            errors.push("etcdserver: no leader".to_owned());
        }
        for alarm in &applied.state.registry().alarms {
            let kind = match alarm.kind {
                AlarmKind::NoSpace => "NOSPACE",
                AlarmKind::Corrupt => "CORRUPT",
            };
            // As Go's protobuf prints the message, which leaves out a member that is none.
            errors.push(match alarm.member.0 {
                0 => format!("alarm:{kind} "),
                member => format!("memberID:{member} alarm:{kind} "),
            });
        }
        let in_use = (shared.store.live_bytes() + shared.store.pending_bytes() as u64) as i64;
        NodeStatus {
            // Log-structured files hold what is not merged away yet; the quota counts what lives.
            db_size_bytes: in_use,
            db_size_in_use_bytes: in_use,
            quota_bytes: shared.options.quota_bytes,
            leader: raft.leader.unwrap_or(0),
            raft_index: raft.committed.map_or(0, |at| at.index),
            raft_applied_index: applied.index,
            raft_term: raft.term,
            is_learner: self.is_learner(),
            errors,
        }
    }
}
