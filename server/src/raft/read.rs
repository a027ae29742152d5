//! Read indexes: proof that a leader led after the question was asked, and the position a read
//! must see applied. Answered by the leader, asked by anybody. Leases are not trusted: they do not
//! survive a member's restart.

use std::time::Duration;

use openraft::ReadPolicy;

use super::network::PeerRaft;
use super::types::LogId;

/// Why there is no read index.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    #[error("no leader is known")]
    NoLeader,
    #[error("this member does not lead in term {0}")]
    NotLeading(u64),
    #[error("no quorum confirmed the leader in time")]
    NoQuorum,
    #[error("the leader did not answer: {0}")]
    Unreachable(String),
}

/// The read position as this member, the leader, has it confirmed by a quorum.
pub async fn lead(raft: &PeerRaft, limit: Duration) -> Result<LogId, ReadError> {
    use openraft::errors::{LinearizableReadError, RaftError};
    let round = raft.get_read_linearizer(ReadPolicy::ReadIndex);
    let linearizer = match tokio::time::timeout(limit, round).await {
        Ok(Ok(linearizer)) => linearizer,
        Ok(Err(RaftError::APIError(LinearizableReadError::ForwardToLeader(_)))) => {
            return Err(ReadError::NoLeader);
        }
        Ok(Err(_)) | Err(_) => return Err(ReadError::NoQuorum),
    };
    Ok(*linearizer.read_log_id().log_id())
}
