//! What can be asked of the leader's sequencer, and what it says. Decisions are the core's; the
//! others concern the leader's own clock, which no entry carries.

use bytes::Bytes;
use portunus_proto::portunus::v1::{lock_ask, queue_ask};

use super::member_rules::{MemberAsk, MemberRefusal};
use super::plugin::{Handled, TriggerBatch};
use crate::decide::{Reply, Request};
use crate::types::LeaseId;

/// A question to the leader.
#[derive(Clone, Debug)]
pub enum Ask {
    Decide(Request),
    /// Have a trigger handle events. Asked by the leader's own duty only.
    Handle(Box<TriggerBatch>),
    /// Change the members. Answered beside the sequencer, by the leader.
    Member(MemberAsk),
    /// Restart a lease's time.
    KeepAlive(LeaseId),
    /// What is left of a lease, and its keys if wanted.
    TimeToLive {
        id: LeaseId,
        keys: bool,
    },
}

impl Ask {
    /// True when the answer may be long in coming although nothing is wrong.
    pub fn may_wait(&self) -> bool {
        let Self::Decide(request) = self else { return false };
        match request {
            Request::Call(_) => true,
            Request::Queue(ask) => match &ask.ask {
                Some(queue_ask::Ask::Dequeue(request)) => request.wait,
                // Whether it waits for room is the queue's setting.
                Some(queue_ask::Ask::Enqueue(_)) => true,
                _ => false,
            },
            Request::Lock(ask) => matches!(ask.ask, Some(lock_ask::Ask::AwaitTurn(_))),
            _ => false,
        }
    }
}

/// The leader's word.
#[derive(Clone, Debug)]
pub enum Said {
    Reply(Reply),
    Handled(Handled),
    /// The member that was concerned.
    Member(Result<u64, MemberRefusal>),
    KeepAlive(KeepAlive),
    TimeToLive(TimeToLive),
}

/// A lease was kept alive; `ttl` 0 says that there is no such lease.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KeepAlive {
    /// Seconds until it expires.
    pub ttl: i64,
    /// The store's revision before the renewal, as etcd reports it.
    pub revision: i64,
}

/// A lease's remaining time; `ttl` -1 says that there is no such lease.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TimeToLive {
    /// Seconds until it expires.
    pub ttl: i64,
    /// Seconds it was granted.
    pub granted_ttl: i64,
    pub keys: Vec<Bytes>,
}
