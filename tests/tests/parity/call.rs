//! What a script is made of.

use std::ops::Range;

use bytes::Bytes;
use portunus_proto::etcdserverpb as pb;

/// A release of etcd.
pub type Version = (u32, u32, u32);

/// A request, and which releases of etcd answer it as we do, if not all.
#[derive(Debug)]
pub struct Case {
    pub call: Call,
    pub only: Option<Only>,
}

/// Why some releases of etcd are not compared.
#[derive(Debug)]
pub struct Only {
    pub releases: Range<Version>,
    pub what: &'static str,
}

impl Case {
    pub fn since(call: Call, since: Version, what: &'static str) -> Self {
        let releases = since..(u32::MAX, 0, 0);
        Self { call, only: Some(Only { releases, what }) }
    }

    pub fn until(call: Call, until: Version, what: &'static str) -> Self {
        Self { call, only: Some(Only { releases: (0, 0, 0)..until, what }) }
    }
}

impl From<Call> for Case {
    fn from(call: Call) -> Self {
        Self { call, only: None }
    }
}

/// One request, or one conversation on a stream.
#[derive(Clone, Debug)]
pub enum Call {
    Range(pb::RangeRequest),
    Put(pb::PutRequest),
    Delete(pb::DeleteRangeRequest),
    Txn(pb::TxnRequest),
    Compact(pb::CompactionRequest),
    Grant(pb::LeaseGrantRequest),
    Revoke(i64),
    /// All on one stream.
    KeepAlive(Vec<i64>),
    TimeToLive(pb::LeaseTimeToLiveRequest),
    Leases,
    Alarm(pb::AlarmRequest),
    Members {
        linearizable: bool,
    },
    AddMember {
        urls: Vec<&'static str>,
        learner: bool,
    },
    /// With the URL of the one member there is.
    AddOwnUrl {
        learner: bool,
    },
    RemoveMember(Whom),
    UpdateMember(Whom, Vec<&'static str>),
    PromoteMember(Whom),
    Status,
    Hash,
    HashKv(i64),
    Defragment,
    MoveLeader(u64),
    AuthStatus,
    /// Watches on one stream, see [`crate::watching`].
    Watch(Vec<pb::WatchCreateRequest>),
    /// Watch requests by themselves, and the answers up to the first that a cancelled watch or a
    /// progress request brings.
    Progress(Vec<pb::WatchCreateRequest>),
}

/// A member, whose id each server has drawn for itself.
#[derive(Clone, Copy, Debug)]
pub enum Whom {
    /// The one that is asked.
    Itself,
    Learner,
    Nobody,
}

/// The end of a range of all keys from its first on.
pub const FROM_KEY: Bytes = Bytes::from_static(&[0]);

pub fn range(key: &'static str) -> pb::RangeRequest {
    pb::RangeRequest { key: key.into(), ..Default::default() }
}

/// A range of all keys.
pub fn all() -> pb::RangeRequest {
    pb::RangeRequest { key: FROM_KEY, range_end: FROM_KEY, ..Default::default() }
}

pub fn put(key: &'static str, value: &'static str) -> pb::PutRequest {
    pb::PutRequest { key: key.into(), value: value.into(), ..Default::default() }
}

pub fn delete(key: &'static str) -> pb::DeleteRangeRequest {
    pb::DeleteRangeRequest { key: key.into(), ..Default::default() }
}

pub fn op(request: pb::request_op::Request) -> pb::RequestOp {
    pb::RequestOp { request: Some(request) }
}

pub fn grant(id: i64, ttl: i64) -> Call {
    Call::Grant(pb::LeaseGrantRequest { id, ttl })
}
