//! What can be decided, and the answers: etcd's own messages where it has them.

use bytes::Bytes;
use portunus_proto::etcdserverpb as pb;
use portunus_proto::portunus::v1::{LockAsk, LockSaid, QueueAsk, QueueSaid};

use super::{Advance, AuthAsk, Deploy, RecipeCall, Rollback, SetMode, SetTrigger, Undeploy};
use crate::effect::{AlarmKind, Attributes};
use crate::machine::State;
use crate::types::{LeaseId, MemberId};

/// A question to the sequencer.
#[derive(Clone, Debug, PartialEq)]
pub enum Request {
    Put(pb::PutRequest),
    DeleteRange(pb::DeleteRangeRequest),
    Txn(pb::TxnRequest),
    Compact(pb::CompactionRequest),
    /// The id is drawn by the caller where the client names none.
    LeaseGrant(pb::LeaseGrantRequest),
    LeaseRevoke(pb::LeaseRevokeRequest),
    /// What is left of a lease, in seconds; 0 for its full time.
    LeaseCheckpoint {
        id: LeaseId,
        remaining: i64,
    },
    /// Leases whose time is over, each revoked at a revision of its own; unknown ones are skipped.
    LeaseExpire(Vec<LeaseId>),
    Alarm(pb::AlarmRequest),
    Deploy(Deploy),
    Undeploy(Undeploy),
    Rollback(Rollback),
    SetMode(SetMode),
    /// What a recipe wrote, which comes with the decision.
    Call(RecipeCall),
    /// What a trigger wrote, which comes with the decision, and its new cursor.
    Advance(Advance),
    SetTrigger(SetTrigger),
    /// May wait.
    Lock(LockAsk),
    /// May wait.
    Queue(QueueAsk),
    Auth(AuthAsk),
    /// A member's word about itself.
    Publish(Attributes),
    /// Every member knows the effects of this level.
    RaiseFeatureLevel(u32),
}

/// An answer. In headers only the revision is set.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    Put(pb::PutResponse),
    DeleteRange(pb::DeleteRangeResponse),
    Txn(pb::TxnResponse),
    Compact(pb::CompactionResponse),
    LeaseGrant(pb::LeaseGrantResponse),
    LeaseRevoke(pb::LeaseRevokeResponse),
    /// The leases that were revoked.
    LeaseExpire(Vec<LeaseId>),
    Alarm(pb::AlarmResponse),
    /// A recipe's word; who ran it fills in the payload.
    Called {
        revision: i64,
        payload: Bytes,
    },
    Lock(LockSaid),
    Queue(QueueSaid),
    /// It is done; there is nothing to tell but the store's revision.
    Done {
        revision: i64,
    },
}

impl Request {
    pub fn lease_revoke(id: LeaseId) -> Self {
        Self::LeaseRevoke(pb::LeaseRevokeRequest { id: id.0 })
    }

    /// Raises the alarm about space for `member`; none when it is raised already, for whomever.
    pub fn raise_no_space(head: &State, member: MemberId) -> Option<Self> {
        (!head.registry().is_raised(AlarmKind::NoSpace)).then(|| {
            Self::Alarm(pb::AlarmRequest {
                action: pb::alarm_request::AlarmAction::Activate.into(),
                member_id: member.0,
                alarm: pb::AlarmType::Nospace.into(),
            })
        })
    }
}

/// A header that says where the store stands.
pub(super) fn header(revision: i64) -> Option<pb::ResponseHeader> {
    Some(pb::ResponseHeader { revision, ..Default::default() })
}
