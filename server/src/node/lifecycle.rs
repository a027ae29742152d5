//! A member's beginning and end as its clients see them: ready once there is a leader and what
//! this member announces of itself is known; stopped after leadership is handed over.

use std::time::Duration;

use tokio::sync::oneshot;

use super::error::Failure;
use super::handle::Node;
use super::sequencer::Submission;

/// What may be asked of a handover: draining takes an fsync and a round trip, the election another.
const HANDOVER: Duration = Duration::from_millis(600);

impl Node {
    /// Resolves when the member can answer: a leader is known and everything that it had
    /// committed by then is applied here.
    pub async fn ready(&self) -> Result<(), Failure> {
        let mut leadership = self.leadership();
        loop {
            leadership.wait_for(|now| now.leader.is_some()).await.map_err(|_| Failure::Stopped)?;
            let index = self.shared.confirm.read_index().await;
            match index {
                Ok(index) => {
                    self.shared.applied.reached(index).await;
                    return Ok(());
                }
                Err(Failure::Stopped) => return Err(Failure::Stopped),
                // Elected, but not confirmed by a quorum yet.
                Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            }
        }
    }

    /// Hands leadership to `to` without losing a decision: proposing stops, what is outstanding is
    /// resolved, and only then raft is asked.
    pub async fn move_leader(&self, to: u64) -> Result<(), Failure> {
        let group = self.shared.group();
        if self.shared.reign().is_none() {
            return Err(Failure::NotLeader);
        }
        if !group.is_caught_up(to) {
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
        let mut leadership = self.leadership();
        self.shared.group().transfer_leader(to).await.map_err(|_| Failure::TimedOut)?;
        let handed = leadership.wait_for(|now| now.leader == Some(to));
        match tokio::time::timeout(self.shared.options.election_timeout, handed).await {
            Ok(Ok(_)) => Ok(()),
            _ => Err(Failure::TimedOut),
        }
    }

    /// Ends this member: leadership goes to the member that is furthest, then everything closes.
    pub async fn stop(&self) {
        if let Some(heir) = self.shared.group().heir() {
            let handed = tokio::time::timeout(HANDOVER, self.move_leader(heir)).await;
            if !matches!(handed, Ok(Ok(()))) {
                tracing::warn!(heir, "leadership was not handed over");
            }
        }
        self.shared.hub.close("server stopped");
        self.shared.group().shutdown().await;
        self.shared.store.stop();
    }
}
