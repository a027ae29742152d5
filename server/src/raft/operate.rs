//! What a group can be asked beside proposing: read indexes, its state, purging, handing over the
//! leadership, and changes of membership.

use std::collections::{BTreeMap, BTreeSet};

use openraft::ChangeMembers;
use openraft::async_runtime::watch::WatchReceiver;
use portunus_proto::portunus::peer::v1 as wire;

use super::group::{Group, POSITION_TIMEOUT};
use super::network::{Target, Use};
use super::read::{self, ReadError};
use super::types::{LogId, Peer};

/// Where a member's log stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    pub term: u64,
    pub leader: Option<u64>,
    /// The last entry in the log, committed or not.
    pub last_index: Option<u64>,
    /// What this member knows to be committed.
    pub committed: Option<LogId>,
    pub applied: Option<LogId>,
    pub purged: Option<LogId>,
    /// On the leader: how far each member's log is known to agree.
    pub matching: BTreeMap<u64, Option<u64>>,
}

/// A leadership that was not handed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TransferError {
    #[error("this member does not lead")]
    NotLeader,
    #[error("member {0:x} is no voter")]
    NotVoter(u64),
    #[error("member {0:x} did not take over in time")]
    TimedOut(u64),
}

/// A membership that was not changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChangeError {
    #[error("this member does not lead")]
    NotLeader,
    #[error("the change is not possible: {0}")]
    Refused(String),
    #[error("it is not known whether the change will take effect")]
    Unknown,
}

/// A change of one member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MemberChange {
    AddLearner(u64, Peer),
    AddVoter(u64, Peer),
    /// Makes a learner a voter.
    Promote(u64),
    /// Gives a member other URLs or another name.
    Update(u64, Peer),
    Remove(u64),
}

impl Group {
    /// The log index that a linearizable read must see applied, on any member. A follower asks the
    /// leader.
    pub async fn read_index(&self) -> Result<u64, ReadError> {
        let leader = self.leadership().borrow().leader.ok_or(ReadError::NoLeader)?;
        if leader == self.identity.member.0 {
            return Ok(read::lead(&self.raft, self.timing.round()).await?.index);
        }
        let peer = self.peer(leader).ok_or(ReadError::NoLeader)?;
        let (pool, limit) = (self.pool.clone(), self.timing.round());
        let asking = self.outside.spawn(async move {
            let target = Target::new(leader, &peer);
            let mut client = pool
                .client(&target, Use::Forward)
                .map_err(|error| ReadError::Unreachable(error.to_string()))?;
            let call = client.read_index(wire::ReadIndexRequest {});
            match tokio::time::timeout(limit, call).await {
                Ok(Ok(response)) => Ok(response.into_inner().index),
                Ok(Err(status)) => Err(ReadError::Unreachable(status.message().to_owned())),
                Err(_) => Err(ReadError::NoQuorum),
            }
        });
        asking.await.unwrap_or(Err(ReadError::NoLeader))
    }

    /// Proof that this member led in `term` after the call began, and the index of
    /// [`Self::read_index`]. Asks nobody else: another leader's word says nothing about this one.
    pub async fn confirm(&self, term: u64) -> Result<u64, ReadError> {
        let position = read::lead(&self.raft, self.timing.round()).await?;
        match position.leader_id.term == term {
            true => Ok(position.index),
            false => Err(ReadError::NotLeading(term)),
        }
    }

    pub fn status(&self) -> Status {
        let metrics = self.raft.metrics();
        let metrics = metrics.borrow_watched();
        let replication = metrics.replication.iter().flatten();
        Status {
            term: metrics.current_term,
            leader: self.leadership().borrow().leader,
            last_index: metrics.last_log_index,
            committed: metrics.local_committed,
            applied: metrics.last_applied,
            purged: metrics.purged,
            matching: replication.map(|(id, at)| (*id, at.map(|at| at.index))).collect(),
        }
    }

    /// Lets go of the log up to `upto`, which must lie behind a checkpoint of the applied state.
    /// What a snapshot under way still needs stays. The log may shrink only later: openraft waits
    /// for what is being sent from it.
    pub async fn purge(&self, upto: u64) -> Result<(), PurgeError> {
        let upto = self.pins.lowest().map_or(upto, |pinned| upto.min(pinned));
        if self.status().purged.is_some_and(|purged| purged.index >= upto) {
            return Ok(());
        }
        let stopped = |_| PurgeError::Stopped;
        self.raft.trigger().snapshot().await.map_err(stopped)?;
        let wait = self.raft.wait(Some(POSITION_TIMEOUT));
        let reached = wait.metrics(
            move |metrics| metrics.snapshot.is_some_and(|at| at.index >= upto),
            "purge: the position is known",
        );
        reached.await.map_err(|_| PurgeError::NotApplied(upto))?;
        self.raft.trigger().purge_log(upto).await.map_err(stopped)
    }

    /// Hands the leadership to another voter and waits until it leads. The caller freezes
    /// proposing before; whatever is proposed meanwhile is rejected. There is no way back: a heir
    /// that does not take over leaves the group to an election.
    pub async fn transfer_leader(&self, to: u64) -> Result<(), TransferError> {
        let mut leadership = self.leadership();
        if !leadership.borrow_and_update().is_leader {
            return Err(TransferError::NotLeader);
        }
        if !self.membership().is_voter(to) {
            return Err(TransferError::NotVoter(to));
        }
        if to == self.identity.member.0 {
            return Ok(());
        }
        self.raft.trigger().transfer_leader(to).await.map_err(|_| TransferError::NotLeader)?;
        let me = self.identity.member.0;
        let taken = leadership.wait_for(|now| now.leader.is_some_and(|leader| leader != me));
        let limit = 2 * self.timing.election_timeout;
        match tokio::time::timeout(limit, taken).await {
            Ok(Ok(now)) if now.leader == Some(to) => Ok(()),
            _ => Err(TransferError::TimedOut(to)),
        }
    }

    /// Changes the membership and waits until the change is applied here. A change of voters
    /// passes through a joint membership; [`Self::finish_change`] ends one that was interrupted.
    pub async fn change_members(&self, change: MemberChange) -> Result<(), ChangeError> {
        let change = match change {
            MemberChange::AddLearner(id, peer) => ChangeMembers::AddNodes([(id, peer)].into()),
            MemberChange::AddVoter(id, peer) => ChangeMembers::AddVoters([(id, peer)].into()),
            MemberChange::Promote(id) => ChangeMembers::AddVoterIds([id].into()),
            MemberChange::Update(id, peer) => ChangeMembers::SetNodes([(id, peer)].into()),
            MemberChange::Remove(id) => match self.membership().is_voter(id) {
                true => ChangeMembers::RemoveVoters([id].into()),
                false => ChangeMembers::RemoveNodes([id].into()),
            },
        };
        self.change(change).await
    }

    /// Ends a change of voters whose leader went away in its middle.
    pub async fn finish_change(&self) -> Result<(), ChangeError> {
        let membership = self.membership();
        match (membership.is_joint(), membership.voters.last()) {
            (true, Some(voters)) => {
                let voters: BTreeSet<u64> = voters.clone();
                self.change(ChangeMembers::ReplaceAllVoters(voters)).await
            }
            _ => Ok(()),
        }
    }

    async fn change(&self, change: ChangeMembers<u64, Peer>) -> Result<(), ChangeError> {
        use openraft::errors::{ClientWriteError, RaftError};
        match self.raft.change_membership(change, false).await {
            Ok(_) => Ok(()),
            Err(RaftError::APIError(ClientWriteError::ForwardToLeader(_))) => {
                Err(ChangeError::NotLeader)
            }
            Err(RaftError::APIError(ClientWriteError::ChangeMembershipError(error))) => {
                Err(ChangeError::Refused(error.to_string()))
            }
            Err(_) => Err(ChangeError::Unknown),
        }
    }
}

/// A log that was not purged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PurgeError {
    #[error("entry {0} is not applied yet, so the log up to it must stay")]
    NotApplied(u64),
    #[error("raft has stopped")]
    Stopped,
}
