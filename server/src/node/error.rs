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
    /// What was asked for needs room on this member's disk that there is not.
    #[error("no room on the disk")]
    NoRoom,
    /// A leader transfer was asked for a member that cannot take it.
    #[error("bad leader transferee")]
    BadTransferee,
}

const CODES: [(Failure, u8); 12] = [
    (Failure::NoLeader, 1),
    (Failure::NotLeader, 2),
    (Failure::TimedOut, 3),
    (Failure::TimedOutLeaderFailed, 4),
    (Failure::TimedOutConnectionLost, 5),
    (Failure::TimedOutApplying, 6),
    (Failure::LeaderChanged, 7),
    (Failure::TooManyRequests, 8),
    (Failure::Stopped, 9),
    (Failure::Unreadable, 10),
    (Failure::BadTransferee, 11),
    (Failure::NoRoom, 12),
];

impl Failure {
    /// Its number between members.
    pub(super) fn code(self) -> u8 {
        CODES.iter().find(|(failure, _)| *failure == self).map_or(0, |(_, code)| *code)
    }

    pub(super) fn from_code(code: u8) -> Option<Self> {
        CODES.iter().find(|(_, known)| *known == code).map(|(failure, _)| *failure)
    }
}
