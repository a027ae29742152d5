//! Whether a change of the members may be made, as etcd decides it: pure, on what is known of the
//! members. Makes no change; see `membership.rs`.

use std::collections::BTreeSet;

/// A learner may be promoted once it has this share of the leader's log, as in etcd.
const READY_PERCENT: u64 = 90;

/// A wish to change the members.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MemberAsk {
    Add { peer_urls: Vec<String>, learner: bool },
    Remove(u64),
    Update { id: u64, peer_urls: Vec<String> },
    Promote(u64),
}

/// A change that is not made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MemberRefusal {
    #[error("member ID already exist")]
    IdExists,
    #[error("peer URLs already exist")]
    PeerUrlExists,
    #[error("member not found")]
    NotFound,
    #[error("too many learner members in cluster")]
    TooManyLearners,
    #[error("can only promote a learner member")]
    NotLearner,
    #[error("can only promote a learner member which is in sync with leader")]
    LearnerNotReady,
    #[error("re-configuration failed due to not enough started members")]
    NotEnoughStarted,
    #[error("unhealthy cluster")]
    Unhealthy,
}

const CODES: [(MemberRefusal, u8); 8] = [
    (MemberRefusal::IdExists, 1),
    (MemberRefusal::PeerUrlExists, 2),
    (MemberRefusal::NotFound, 3),
    (MemberRefusal::TooManyLearners, 4),
    (MemberRefusal::NotLearner, 5),
    (MemberRefusal::LearnerNotReady, 6),
    (MemberRefusal::NotEnoughStarted, 7),
    (MemberRefusal::Unhealthy, 8),
];

impl MemberRefusal {
    /// Its number between members.
    pub(super) fn code(self) -> u8 {
        CODES.iter().find(|(refusal, _)| *refusal == self).map_or(0, |(_, code)| *code)
    }

    pub(super) fn from_code(code: u8) -> Option<Self> {
        CODES.iter().find(|(_, known)| *known == code).map(|(refusal, _)| *refusal)
    }
}

/// A member as the leader knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    pub id: u64,
    pub peer_urls: Vec<String>,
    /// Also one that is to vote as soon as it has caught up.
    pub votes: bool,
    /// It has published its name.
    pub started: bool,
    /// The leader itself, or a member that answers it.
    pub connected: bool,
    /// The last entry that its log is known to share with the leader's.
    pub matched: u64,
}

/// What a change is judged by.
pub struct Rules<'a> {
    pub members: &'a [Standing],
    /// The leader, which judges.
    pub own: u64,
    /// `--strict-reconfig-check`.
    pub strict: bool,
    /// `--max-learners`.
    pub learners_max: usize,
}

impl Rules<'_> {
    /// `id` is the one that an added member would get.
    pub fn check(&self, ask: &MemberAsk, id: u64) -> Result<(), MemberRefusal> {
        match ask {
            MemberAsk::Add { peer_urls, learner } => self.add(id, peer_urls, *learner),
            MemberAsk::Remove(id) => self.remove(*id),
            MemberAsk::Update { id, peer_urls } => self.update(*id, peer_urls),
            MemberAsk::Promote(id) => self.promote(*id),
        }
    }

    fn add(&self, id: u64, urls: &[String], learner: bool) -> Result<(), MemberRefusal> {
        if self.strict {
            // One member alone may always get a second one.
            let (started, voters) = self.voters_started(|_| true);
            let grows_from_one = started == 1 && voters == 1;
            if !learner && !grows_from_one && started < quorum(voters + 1) {
                return Err(MemberRefusal::NotEnoughStarted);
            }
            // The new one counts as down: the quorum with it must be there without it.
            if voters > 1 && self.voters_connected() < quorum(voters + 1) {
                return Err(MemberRefusal::Unhealthy);
            }
        }
        if self.find(id).is_some() {
            return Err(MemberRefusal::IdExists);
        }
        if self.is_taken(urls, None) {
            return Err(MemberRefusal::PeerUrlExists);
        }
        let learners = self.members.iter().filter(|member| !member.votes).count();
        match learner && learners >= self.learners_max {
            true => Err(MemberRefusal::TooManyLearners),
            false => Ok(()),
        }
    }

    fn remove(&self, id: u64) -> Result<(), MemberRefusal> {
        let leaving = self.find(id).ok_or(MemberRefusal::NotFound)?;
        let (started, left) = self.voters_started(|member| member.id != id);
        // Nobody can bring back a cluster whose last voter has gone.
        if leaving.votes && left == 0 {
            return Err(MemberRefusal::NotEnoughStarted);
        }
        if !self.strict || !leaving.votes {
            return Ok(());
        }
        if started < quorum(left) {
            return Err(MemberRefusal::NotEnoughStarted);
        }
        // A member that is down is no part of the quorum that works.
        if id != self.own && !leaving.connected {
            return Ok(());
        }
        match self.voters_connected().saturating_sub(1) < quorum(left) {
            true => Err(MemberRefusal::Unhealthy),
            false => Ok(()),
        }
    }

    fn voters_connected(&self) -> usize {
        self.members.iter().filter(|member| member.votes && member.connected).count()
    }

    fn update(&self, id: u64, urls: &[String]) -> Result<(), MemberRefusal> {
        self.find(id).ok_or(MemberRefusal::NotFound)?;
        match self.is_taken(urls, Some(id)) {
            true => Err(MemberRefusal::PeerUrlExists),
            false => Ok(()),
        }
    }

    fn promote(&self, id: u64) -> Result<(), MemberRefusal> {
        let learner = self.find(id).ok_or(MemberRefusal::NotFound)?;
        let leader = self.find(self.own).map_or(0, |leader| leader.matched);
        if learner.matched * 100 < leader * READY_PERCENT {
            return Err(MemberRefusal::LearnerNotReady);
        }
        let (started, voters) = self.voters_started(|member| member.id != id);
        // The learner counts as started: it follows.
        if self.strict && started + 1 < quorum(voters + 1) {
            return Err(MemberRefusal::NotEnoughStarted);
        }
        match learner.votes {
            true => Err(MemberRefusal::NotLearner),
            false => Ok(()),
        }
    }

    fn find(&self, id: u64) -> Option<&Standing> {
        self.members.iter().find(|member| member.id == id)
    }

    fn is_taken(&self, urls: &[String], except: Option<u64>) -> bool {
        let others = self.members.iter().filter(|member| Some(member.id) != except);
        let taken: BTreeSet<&String> = others.flat_map(|member| &member.peer_urls).collect();
        urls.iter().any(|url| taken.contains(url))
    }

    /// How many of the voters that count have started, and how many there are.
    fn voters_started(&self, counts: impl Fn(&Standing) -> bool) -> (usize, usize) {
        let voters = self.members.iter().filter(|member| member.votes && counts(member));
        let started: Vec<bool> = voters.map(|member| member.started).collect();
        (started.iter().filter(|started| **started).count(), started.len())
    }
}

fn quorum(voters: usize) -> usize {
    voters / 2 + 1
}

#[cfg(test)]
#[path = "member_rules_test.rs"]
mod tests;
