//! Raft's position in the store: the last log entry that the store contains, and the members as
//! of then. One row of the system space, written with every batch.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::raft::{LogId, Peer, StoredMembership, log_id};

/// The row's key; the machine's own rows lie elsewhere.
const KEY: &[u8] = b"raft/position";

/// The row as it is written. JSON: it is small, and a person may have to read it.
#[derive(Serialize, Deserialize)]
struct Stored {
    applied: (u64, u64),
    membership: Option<(u64, u64)>,
    voters: Vec<BTreeSet<u64>>,
    peers: BTreeMap<u64, StoredPeer>,
}

#[derive(Serialize, Deserialize)]
struct StoredPeer {
    name: String,
    peer_urls: Vec<String>,
    client_urls: Vec<String>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    joining: bool,
}

/// The position row is not one that this program wrote.
#[derive(Debug, thiserror::Error)]
#[error("the store's raft position is damaged: {0}")]
pub struct DamagedPosition(#[from] serde_json::Error);

/// The row for a store that contains everything up to `applied`.
pub fn row(applied: &LogId, membership: &StoredMembership) -> (Bytes, Option<Bytes>) {
    let peers = membership.peers.iter().map(|(id, peer)| {
        let Peer { name, peer_urls, client_urls, joining } = peer.clone();
        (*id, StoredPeer { name, peer_urls, client_urls, joining })
    });
    let stored = Stored {
        applied: parts(applied),
        membership: membership.log_id.as_ref().map(parts),
        voters: membership.voters.clone(),
        peers: peers.collect(),
    };
    let value = serde_json::to_vec(&stored).expect("numbers and strings can be written as JSON");
    (Bytes::from_static(KEY), Some(value.into()))
}

/// Finds the position among the store's rows; a fresh store has none.
pub fn find(rows: &[(Bytes, Bytes)]) -> Result<(Option<LogId>, StoredMembership), DamagedPosition> {
    let Some((_, value)) = rows.iter().find(|(key, _)| key == KEY) else {
        return Ok((None, StoredMembership::default()));
    };
    let stored: Stored = serde_json::from_slice(value)?;
    let peers = stored.peers.into_iter().map(|(id, peer)| {
        let StoredPeer { name, peer_urls, client_urls, joining } = peer;
        (id, Peer { name, peer_urls, client_urls, joining })
    });
    let membership = StoredMembership {
        log_id: stored.membership.map(|(term, index)| log_id(term, index)),
        voters: stored.voters,
        peers: peers.collect(),
    };
    Ok((Some(log_id(stored.applied.0, stored.applied.1)), membership))
}

fn parts(id: &LogId) -> (u64, u64) {
    (id.leader_id.term, id.index)
}

#[cfg(test)]
mod tests {
    use super::{find, row};
    use crate::raft::{Peer, StoredMembership, log_id};

    #[test]
    fn the_position_reads_back() {
        let peer = Peer {
            name: "a".into(),
            peer_urls: vec!["p".into()],
            client_urls: vec![],
            joining: true,
        };
        let membership = StoredMembership {
            log_id: Some(log_id(1, 1)),
            voters: vec![[u64::MAX, 2].into()],
            peers: [(u64::MAX, peer), (2, Peer::default())].into(),
        };
        let (key, value) = row(&log_id(7, 9), &membership);
        let rows = [("other".into(), "x".into()), (key, value.unwrap())];
        assert_eq!(find(&rows).unwrap(), (Some(log_id(7, 9)), membership));
        assert_eq!(find(&rows[..1]).unwrap(), (None, StoredMembership::default()));
        assert!(find(&[(rows[1].0.clone(), "{".into())]).is_err());
    }
}
