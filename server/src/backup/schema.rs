//! etcd's buckets, and the small records in them.

use serde::Serialize;

pub const KEY: &str = "key";
pub const META: &str = "meta";
pub const LEASE: &str = "lease";
pub const ALARM: &str = "alarm";
pub const CLUSTER: &str = "cluster";
pub const MEMBERS: &str = "members";
pub const MEMBERS_REMOVED: &str = "members_removed";
pub const AUTH: &str = "auth";
pub const AUTH_USERS: &str = "authUsers";
pub const AUTH_ROLES: &str = "authRoles";
/// Ours.
pub const OWN: &str = "portunus";

/// Keys of the bucket [`META`].
pub mod meta {
    pub const SCHEDULED_COMPACT: &[u8] = b"scheduledCompactRev";
    pub const FINISHED_COMPACT: &[u8] = b"finishedCompactRev";
    pub const CONSISTENT_INDEX: &[u8] = b"consistent_index";
    pub const TERM: &[u8] = b"term";
    pub const CONF_STATE: &[u8] = b"confState";
    pub const STORAGE_VERSION: &[u8] = b"storageVersion";
}

/// Keys of the bucket [`AUTH`].
pub mod auth {
    /// A byte, 1 while auth is on.
    pub const ENABLED: &[u8] = b"authEnabled";
    /// How often auth has changed: u64, big-endian.
    pub const REVISION: &[u8] = b"authRevision";
}

/// The storage schema that the files have: the oldest that says so, for an etcd refuses what is
/// newer than itself, and nothing here needs more. Older ones do not look.
pub const STORAGE_VERSION: &str = "3.6.0";

/// A granted lease, `leasepb.Lease`.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub struct Lease {
    #[prost(int64, tag = "1")]
    pub id: i64,
    #[prost(int64, tag = "2")]
    pub ttl: i64,
    #[prost(int64, tag = "3")]
    pub remaining_ttl: i64,
}

/// A member as etcd writes it, in JSON.
#[derive(Serialize)]
pub struct Member<'a> {
    pub id: u64,
    #[serde(rename = "peerURLs")]
    pub peer_urls: &'a [String],
    #[serde(rename = "isLearner", skip_serializing_if = "is_false")]
    pub is_learner: bool,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub name: &'a str,
    #[serde(rename = "clientURLs", skip_serializing_if = "<[String]>::is_empty")]
    pub client_urls: &'a [String],
}

/// Raft's voters and learners as etcd writes them, in JSON.
#[derive(Serialize)]
pub struct ConfState {
    pub voters: Vec<u64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub learners: Vec<u64>,
    pub auto_leave: bool,
}

fn is_false(value: &bool) -> bool {
    !*value
}

#[cfg(test)]
mod tests {
    use super::{ConfState, Member};

    /// As an etcd 3.5 has them in its file.
    #[test]
    fn members_are_written_as_etcd_writes_them() {
        let urls = ["http://127.0.0.1:2380".to_owned()];
        let member = Member {
            id: 7,
            peer_urls: &urls,
            is_learner: false,
            name: "default",
            client_urls: &[],
        };
        assert_eq!(
            serde_json::to_string(&member).unwrap(),
            r#"{"id":7,"peerURLs":["http://127.0.0.1:2380"],"name":"default"}"#
        );
        let state = ConfState { voters: vec![7], learners: vec![], auto_leave: false };
        assert_eq!(serde_json::to_string(&state).unwrap(), r#"{"voters":[7],"auto_leave":false}"#);
    }
}
