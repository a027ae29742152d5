//! What a node can say other than a reply: a refusal of the decision, or a failure of its own.

use crate::decide::Refusal;

/// Why a request brought no reply.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Error {
    /// A correct answer the client dislikes; nothing was changed.
    #[error("refused: {0}")]
    Refused(Refusal),
    #[error(transparent)]
    Failed(#[from] Failure),
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// A failure of this node or of its cluster. Unless it says otherwise the request may or may not
/// have been executed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// No leader is known; nothing was executed.
    #[error("no leader")]
    NoLeader,
    /// The request must run on the leader, and this member is not it; nothing was executed.
    #[error("not the leader")]
    NotLeader,
    /// The deadline passed.
    #[error("request timed out")]
    TimedOut,
    /// Leadership was lost while the request was under way.
    #[error("request timed out, possibly due to previous leader failure")]
    TimedOutLeaderFailed,
    /// The connection to the leader broke while the request was under way.
    #[error("request timed out, possibly due to connection lost")]
    TimedOutConnectionLost,
    /// The leader answered, but this member did not apply the entry in time.
    #[error("request timed out, waiting for the applied index took too long")]
    TimedOutApplying,
    /// The leader changed while a read waited for it.
    #[error("leader changed")]
    LeaderChanged,
    /// The queue is full; nothing was executed.
    #[error("too many requests")]
    TooManyRequests,
    /// The member is shutting down; nothing was executed.
    #[error("server stopped")]
    Stopped,
    /// A read of an older revision failed on this member's disk.
    #[error("the store cannot be read")]
    Unreadable,
    /// A leader transfer was asked for a member that cannot take it.
    #[error("bad leader transferee")]
    BadTransferee,
}

impl Failure {
    /// True when the request provably had no effect, so that it may be sent again.
    pub fn is_not_executed(self) -> bool {
        matches!(self, Self::NoLeader | Self::NotLeader | Self::TooManyRequests)
    }
}
