//! What lock admissions and queue conditions are asked and what they answer, in the server's own
//! terms, and their translation into those of the contract and back.

use bytes::Bytes;

use super::asked::Answer;
use super::contract::exports::portunus::plugin::{lock_admission, queue_condition};
use super::contract::portunus::plugin::{locks, queues};
use crate::types::LeaseId;

/// How a lock is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LockMode {
    #[default]
    Exclusive,
    Shared,
    Permits,
}

/// A place in a lock's line, waiting or held.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LockPlace {
    pub lease: LeaseId,
    pub mode: LockMode,
    pub permits: u32,
    pub weight: u32,
    pub metadata: Bytes,
    /// None while authentication is off.
    pub user: Option<String>,
    /// The revision at which it entered; 0 when it enters with this decision.
    pub entered: i64,
    /// The fencing token of a holder; 0 while it waits.
    pub token: i64,
}

/// Who wants which lock.
#[derive(Clone, Copy, Debug)]
pub struct LockRequest<'a> {
    pub name: &'a [u8],
    pub place: &'a LockPlace,
}

/// What a lock admission answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Admission {
    /// What it wrote happens in the same transaction.
    Admit,
    /// Not before something it looked at changes, or this time in unix milliseconds.
    Wait(Option<u64>),
    /// Never, with a reason for the caller.
    Refuse(String),
}

/// An item of a queue.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QueuedItem {
    pub id: u64,
    pub payload: Vec<u8>,
    pub headers: Vec<(String, String)>,
    pub priority: u32,
    pub attempts: u32,
    pub enqueued_ms: u64,
}

/// From which queue how much is wanted.
#[derive(Clone, Copy, Debug)]
pub struct QueueAsked<'a> {
    pub name: &'a [u8],
    pub ready: u64,
    pub in_flight: u64,
    /// At least 1.
    pub wanted: u32,
}

/// What a queue condition answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum QueueReadiness {
    /// The next items, as many as are wanted.
    Ready,
    /// These.
    Items(Vec<u64>),
    /// None before something it looked at changes, or this time in unix milliseconds.
    Wait(Option<u64>),
    /// The dequeue fails, with a reason for its caller.
    Refuse(String),
}

impl Answer for Admission {
    fn is_refusal(&self) -> bool {
        matches!(self, Self::Refuse(_))
    }

    fn size_bytes(&self) -> usize {
        match self {
            Self::Admit | Self::Wait(_) => 0,
            Self::Refuse(reason) => reason.len(),
        }
    }
}

impl Answer for QueueReadiness {
    fn is_refusal(&self) -> bool {
        matches!(self, Self::Refuse(_))
    }

    fn size_bytes(&self) -> usize {
        match self {
            Self::Ready | Self::Wait(_) => 0,
            Self::Items(ids) => std::mem::size_of_val(&ids[..]),
            Self::Refuse(reason) => reason.len(),
        }
    }
}

impl From<lock_admission::Admission> for Admission {
    fn from(admission: lock_admission::Admission) -> Self {
        match admission {
            lock_admission::Admission::Admit => Self::Admit,
            lock_admission::Admission::Wait(until) => Self::Wait(until),
            lock_admission::Admission::Refuse(reason) => Self::Refuse(reason),
        }
    }
}

impl From<queue_condition::Readiness> for QueueReadiness {
    fn from(readiness: queue_condition::Readiness) -> Self {
        match readiness {
            queue_condition::Readiness::Ready => Self::Ready,
            queue_condition::Readiness::Items(ids) => Self::Items(ids),
            queue_condition::Readiness::Wait(until) => Self::Wait(until),
            queue_condition::Readiness::Refuse(reason) => Self::Refuse(reason),
        }
    }
}

fn lower_mode(mode: LockMode) -> locks::LockMode {
    match mode {
        LockMode::Exclusive => locks::LockMode::Exclusive,
        LockMode::Shared => locks::LockMode::Shared,
        LockMode::Permits => locks::LockMode::Permits,
    }
}

pub(super) fn lower_place(place: &LockPlace) -> locks::PlaceParam<'_> {
    locks::PlaceParam {
        lease: place.lease.0,
        mode: lower_mode(place.mode),
        permits: place.permits,
        weight: place.weight,
        metadata: &place.metadata,
        user: place.user.as_deref(),
        entered: place.entered,
        token: place.token,
    }
}

pub(super) fn hand_out_place(place: LockPlace) -> locks::PlaceResult {
    locks::PlaceResult {
        lease: place.lease.0,
        mode: lower_mode(place.mode),
        permits: place.permits,
        weight: place.weight,
        metadata: place.metadata.to_vec(),
        user: place.user,
        entered: place.entered,
        token: place.token,
    }
}

pub(super) fn lower_request<'a>(request: &LockRequest<'a>) -> lock_admission::Request<'a> {
    lock_admission::Request { name: request.name, place: lower_place(request.place) }
}

pub(super) fn lower_queue<'a>(queue: &QueueAsked<'a>) -> queue_condition::Queue<'a> {
    queue_condition::Queue {
        name: queue.name,
        ready: queue.ready,
        in_flight: queue.in_flight,
        wanted: queue.wanted,
    }
}

pub(super) fn hand_out_item(item: QueuedItem) -> queues::QueueItem {
    queues::QueueItem {
        id: item.id,
        payload: item.payload,
        headers: item.headers,
        priority: item.priority,
        attempts: item.attempts,
        enqueued: item.enqueued_ms,
    }
}
