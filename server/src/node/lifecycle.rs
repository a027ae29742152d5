//! A member's beginning and end as its clients see them: ready once there is a leader and what
//! this member announces of itself is known; stopped after leadership is handed over.

use std::time::Duration;

use tokio::sync::oneshot;

use super::error::{Error, Failure};
use super::handle::Node;
use super::sequencer::Submission;
use crate::decide::Request;
use crate::raft::TransferError;

/// Entries that a member may lack and still take over: it gets them within a round trip.
const CATCH_UP_ENTRIES: u64 = 64;
/// What may be asked of a handover: draining takes an fsync and a round trip, the election another.
const HANDOVER: Duration = Duration::from_millis(600);

impl Node {
    /// Resolves when the member can answer: a leader is known, everything that it had committed by
    /// then is applied here, and a new member counts in the quorum, so that whoever waited for it
    /// may stop another.
    pub async fn ready(&self) -> Result<(), Failure> {
        let mut leadership = self.leadership();
        loop {
            leadership.wait_for(|now| now.leader.is_some()).await.map_err(|_| Failure::Stopped)?;
            let index = self.shared.confirm.read_index().await;
            match index {
                Ok(index) => {
                    self.shared.applied.reached(index).await;
                    self.publish().await?;
                    let counts = leadership.wait_for(|now| !now.is_joining).await;
                    return counts.map(drop).map_err(|_| Failure::Stopped);
                }
                Err(Failure::Stopped) => return Err(Failure::Stopped),
                // Elected, but not confirmed by a quorum yet.
                Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            }
        }
    }

    /// Tells the cluster how this member is called and where clients reach it.
    async fn publish(&self) -> Result<(), Failure> {
        loop {
            match self.write(Request::Publish(self.shared.attributes.clone())).await {
                Ok(_) => return Ok(()),
                Err(Error::Failed(Failure::Stopped)) => return Err(Failure::Stopped),
                Err(error) => tracing::warn!(%error, "not published yet, trying again"),
            }
        }
    }

    /// Hands leadership to `to` without losing a decision: proposing stops, what is outstanding is
    /// resolved, and only then raft is asked.
    pub async fn move_leader(&self, to: u64) -> Result<(), Failure> {
        if self.shared.reign().is_none() {
            return Err(Failure::NotLeader);
        }
        if to == self.shared.identity.member.0 {
            return Ok(());
        }
        if !self.is_caught_up(to) {
            return Err(Failure::BadTransferee);
        }
        let (frozen, drained) = oneshot::channel();
        let (hold, held) = oneshot::channel();
        let freeze = Submission::Freeze { frozen, held };
        self.shared.queue.send(freeze).await.map_err(|_| Failure::Stopped)?;
        drained.await.map_err(|_| Failure::NotLeader)?;
        let result = self.hand_over(to).await;
        drop(hold);
        result
    }

    async fn hand_over(&self, to: u64) -> Result<(), Failure> {
        let handed = self.shared.group().transfer_leader(to).await;
        handed.map_err(|error| match error {
            TransferError::NotLeader => Failure::NotLeader,
            TransferError::NotVoter(_) => Failure::BadTransferee,
            TransferError::TimedOut(_) => Failure::TimedOut,
        })
    }

    /// Gives leadership, if this member has it and there is an heir, to the member that is
    /// furthest.
    pub async fn hand_over_leadership(&self) {
        if let Some(heir) = self.heir() {
            let handed = tokio::time::timeout(HANDOVER, self.move_leader(heir)).await;
            match handed {
                Ok(Ok(())) => tracing::info!(heir, "leadership handed over"),
                _ => tracing::warn!(heir, "leadership was not handed over"),
            }
        }
    }

    /// Closes everything. Leadership should have been handed over.
    pub async fn stop(&self) {
        self.shared.hub.close("server stopped");
        self.shared.lane.close();
        self.shared.group().shutdown().await;
        let store = self.shared.store.clone();
        // Only shortens the next start: what the store lacks is in the log.
        if let Ok(Err(error)) = tokio::task::spawn_blocking(move || store.checkpoint_now()).await {
            tracing::warn!(%error, "no checkpoint at the end");
        }
    }

    /// The voter whose log is furthest, when this member leads others.
    fn heir(&self) -> Option<u64> {
        self.shared.reign()?;
        let (group, me) = (self.shared.group(), self.shared.identity.member.0);
        let membership = group.membership();
        let matching = group.status().matching;
        let others = membership.peers.keys().filter(|id| **id != me && membership.is_voter(**id));
        others.copied().max_by_key(|id| matching.get(id).copied().flatten())
    }

    /// True when `to` is a voter that has all but the newest of this leader's log.
    fn is_caught_up(&self, to: u64) -> bool {
        let group = self.shared.group();
        let status = group.status();
        let reached = status.matching.get(&to).copied().flatten();
        let committed = status.committed.map_or(0, |at| at.index);
        group.membership().is_voter(to)
            && reached.is_some_and(|at| at + CATCH_UP_ENTRIES >= committed)
    }
}
