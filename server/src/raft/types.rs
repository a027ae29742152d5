//! Raft's types as this server fills them in, and the few of our own that the levels above see, so
//! that they need not know openraft. No behaviour beyond conversions.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use bytes::Bytes;
use openraft::type_config::alias;
use openraft::vote::leader_id_std;

openraft::declare_raft_types!(
    /// One leader per term, as etcd's `raft_term` promises.
    pub TypeConfig:
        D = Proposal,
        R = Outcome,
        NodeId = u64,
        Node = Peer,
        LeaderId = leader_id_std::LeaderId<u64, u64>,
);

pub type LogId = alias::LogIdOf<TypeConfig>;
pub type Vote = alias::VoteOf<TypeConfig>;
pub type Entry = alias::EntryOf<TypeConfig>;
pub type EntryPayload = alias::PayloadOf<TypeConfig>;
/// The term under which an entry was proposed.
pub type CommittedLeaderId = alias::CommittedLeaderIdOf<TypeConfig>;
pub(super) type RaftMembership = openraft::Membership<u64, Peer>;
pub(super) type RaftStoredMembership = alias::StoredMembershipOf<TypeConfig>;
pub(super) type RaftSnapshotMeta = alias::SnapshotMetaOf<TypeConfig>;

/// The log id of the entry at `index` proposed in `term`.
pub fn log_id(term: u64, index: u64) -> LogId {
    LogId { leader_id: CommittedLeaderId::new(term), index }
}

/// What a log entry carries for the machine: an encoded [`crate::effect::Entry`]. Empty bytes are
/// the blank entry of a fresh leader (openraft's own blank cannot name the term it is meant for).
#[derive(Clone, PartialEq, Eq)]
pub struct Proposal(pub Bytes);

impl fmt::Debug for Proposal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

impl fmt::Display for Proposal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// How applying an entry ended; the same on every member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Applied,
    /// Its predecessor is not the last entry applied, so it had no effect.
    Void,
}

/// Where a member is reached.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Peer {
    /// Empty until the member has started once.
    pub name: String,
    pub peer_urls: Vec<String>,
    pub client_urls: Vec<String>,
    /// A learner that is to vote as soon as it has caught up; says nothing of a voter.
    pub joining: bool,
}

/// The members as some log entry states them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoredMembership {
    /// The entry; `None` before the first.
    pub log_id: Option<LogId>,
    /// Voters; two sets while a change is under way, and both must agree then.
    pub voters: Vec<BTreeSet<u64>>,
    /// Voters and learners.
    pub peers: BTreeMap<u64, Peer>,
}

impl StoredMembership {
    pub fn new(log_id: Option<LogId>, membership: &RaftMembership) -> Self {
        let peers = membership.nodes().map(|(id, peer)| (*id, peer.clone())).collect();
        Self { log_id, voters: membership.get_joint_config().clone(), peers }
    }

    /// True when `member` alone decides, now and after any change under way.
    pub fn is_sole_voter(&self, member: u64) -> bool {
        let alone = |set: &BTreeSet<u64>| set.len() == 1 && set.contains(&member);
        !self.voters.is_empty() && self.voters.iter().all(alone)
    }

    pub fn is_voter(&self, member: u64) -> bool {
        self.voters.iter().any(|set| set.contains(&member))
    }

    /// True while a change of voters waits for its second half.
    pub fn is_joint(&self) -> bool {
        self.voters.len() > 1
    }

    /// openraft's form. A voter without a peer gets an empty one: nothing can reach it then.
    pub fn membership(&self) -> RaftMembership {
        let voters: Vec<_> = self.voters.iter().filter(|set| !set.is_empty()).cloned().collect();
        let mut peers = self.peers.clone();
        for voter in voters.iter().flatten() {
            peers.entry(*voter).or_default();
        }
        RaftMembership::new(voters, peers).expect("no set is empty and each voter has a peer")
    }
}

impl From<&RaftStoredMembership> for StoredMembership {
    fn from(stored: &RaftStoredMembership) -> Self {
        Self::new(*stored.log_id(), stored.membership())
    }
}

impl From<&StoredMembership> for RaftStoredMembership {
    fn from(stored: &StoredMembership) -> Self {
        RaftStoredMembership::new(stored.log_id, stored.membership())
    }
}
