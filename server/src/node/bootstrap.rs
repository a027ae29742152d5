//! What a member without data may not be: one that the others know. And whether there is data.

use std::path::Path;

use super::shared::Identity;
use super::start::Parts;
use crate::raft;
use crate::types::{ClusterId, MemberId};
use crate::wal::{self, OpenError, Wal};

/// True when a peer says that this member has served clients. Without its data it has then lost
/// what it promised: under its old id it could vote a second time in one term, or elect a leader
/// that lacks what it acknowledged. Peers that do not answer prove nothing, as when a whole cluster
/// starts for the first time.
pub async fn is_known_to_peers(parts: &Parts) -> bool {
    let Identity { cluster, member } = parts.identity;
    let others = parts.first_members.iter().filter(|(id, _)| *id != member);
    let others = others.map(|(id, peer)| (id.0, peer.clone())).collect();
    let answers =
        raft::ask_members(raft::Identity { cluster, member }, parts.dialer.clone(), others).await;
    // Where it serves clients nobody but itself has said.
    let has_served =
        |(id, peer): &(u64, raft::Peer)| *id == member.0 && !peer.client_urls.is_empty();
    answers.iter().flatten().any(has_served)
}

/// Who the member is whose log lies in the data directory, or in the log's own where there is one;
/// `None` if there is no log. Changes nothing.
///
/// # Errors
/// There is a log, and it cannot be read.
pub fn identity_on_disk(dir: &Path, wal_dir: Option<&Path>) -> Result<Option<Identity>, OpenError> {
    let found = Wal::identity(wal_dir.unwrap_or(&dir.join("wal")))?;
    Ok(found.map(|wal::Identity { cluster, member }| Identity {
        cluster: ClusterId(cluster),
        member: MemberId(member),
    }))
}

/// True when the data directory, or the log's own where there is one, holds a member's log or
/// store, whatever state they are in.
pub fn has_data(dir: &Path, wal_dir: Option<&Path>) -> bool {
    let filled = |dir: &Path| std::fs::read_dir(dir).is_ok_and(|mut all| all.next().is_some());
    filled(&dir.join("wal")) || filled(&dir.join("store")) || wal_dir.is_some_and(filled)
}
