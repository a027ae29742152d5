//! Proposals: handed to openraft in the order of the calls, without waiting for any of them.

use bytes::Bytes;
use futures::FutureExt;
use openraft::errors::ClientWriteError;
use openraft::impls::ProgressResponder;
use openraft::raft::ClientWriteResult;

use super::network::PeerRaft;
use super::types::{CommittedLeaderId, Outcome, Proposal, TypeConfig};

/// An entry that was committed, and what came of it.
pub type Proposed = Outcome;

/// Why an entry was not seen to be applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProposeError {
    /// It never reached the log: this member does not lead in that term, is handing over, or has
    /// not heard from a quorum. Trying again is safe.
    #[error("the entry was rejected before it reached the log")]
    Rejected,
    /// It reached this member's log, and another leader may yet commit it or have it overwritten.
    #[error("it is not known whether the entry will be applied")]
    Unknown,
}

pub(super) struct Proposer {
    raft: PeerRaft,
    #[cfg(test)]
    rejections: parking_lot::Mutex<std::collections::VecDeque<bool>>,
}

impl Proposer {
    pub(super) fn new(raft: PeerRaft) -> Self {
        Self {
            raft,
            #[cfg(test)]
            rejections: Default::default(),
        }
    }

    /// The entry is in openraft's queue, or rejected, when this returns.
    pub(super) fn propose(
        &self,
        entry: Bytes,
        term: u64,
    ) -> impl Future<Output = Result<Outcome, ProposeError>> + Send + use<> {
        let (responder, fate) = ProgressResponder::<TypeConfig, _>::complete_only();
        let write = self
            .raft
            .write(Proposal(entry))
            .with_leader(CommittedLeaderId::new(self.expected(term)))
            .responder(responder);
        // One poll sends: the queue has far more room than entries are in flight. Outside the
        // task's budget, or a busy task would find it full.
        let sent = tokio::task::unconstrained(write.into_future()).now_or_never();
        async move {
            match sent {
                Some(Ok(())) => settle(fate.await.ok()),
                // A full queue, or a raft that has stopped.
                Some(Err(_)) | None => Err(ProposeError::Rejected),
            }
        }
    }

    #[cfg(not(test))]
    fn expected(&self, term: u64) -> u64 {
        term
    }

    /// No leader has the last term, so openraft rejects what expects it.
    #[cfg(test)]
    fn expected(&self, term: u64) -> u64 {
        match self.rejections.lock().pop_front() {
            Some(true) => u64::MAX,
            _ => term,
        }
    }

    #[cfg(test)]
    pub(super) fn reject(&self, pattern: impl IntoIterator<Item = bool>) {
        *self.rejections.lock() = pattern.into_iter().collect();
    }
}

fn settle(fate: Option<ClientWriteResult<TypeConfig>>) -> Result<Outcome, ProposeError> {
    match fate {
        Some(Ok(response)) => Ok(response.data),
        Some(Err(ClientWriteError::ForwardToLeader(_))) => Err(ProposeError::Rejected),
        // Overwritten, superseded by a snapshot, or raft stopped.
        Some(Err(_)) | None => Err(ProposeError::Unknown),
    }
}
