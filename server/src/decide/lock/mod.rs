//! Our own locks, as decisions. They stand in etcd's lines (`NAME/<lease in hex>`, in order of
//! creation), so that both kinds of clients wait for each other.
//!
//! - The value of a key in line is a [`LockRecord`](portunus_proto::portunus::v1::LockRecord)
//!   behind a mark. A key without one is an etcd client's: exclusive, and holding when it is first.
//! - Holders are always the first of their line: a place is granted only when the one before it is,
//!   and `granted` is written into the record. That write is what wakes the next in line, so each
//!   waiter reads its predecessor alone, and only the first of them the holders.
//! - Several names are entered at one revision. Lines are ordered by revision, so two callers never
//!   wait for each other in a circle, and nobody starves.
//! - The token is the create revision of the holder's key: within a line it grows from each holder
//!   to the next, and any client can compare it in a transaction.
//! - Where a plugin admits, it decides instead of the line; see [`admission`].
//! - `NAME!delay` holds the time before which nobody is granted the lock, in unix milliseconds. It
//!   is written with the expiry of a holder that asked for it. Plain etcd clients do not know it.

mod acquire;
pub mod admission;
mod change;
mod describe;
mod expiry;
mod leave;
mod line;
mod record;
mod refusal;

pub use admission::place_of;
pub use describe::describe;
pub(super) use expiry::{delay_after, held_by};
pub use line::{key as place_key, line as line_of};
pub use record::decode as record;
pub use refusal::LockRefusal;

use portunus_proto::portunus::v1::{LockAsk, LockSaid, lock_ask::Ask};

use super::Refusal;
use super::writer::Writer;
use crate::types::LeaseId;
use bytes::Bytes;

/// Decides about locks. `now_ms` is the leader's clock.
pub(super) fn decide(
    writer: &mut Writer<'_>,
    ask: &LockAsk,
    now_ms: u64,
) -> Result<LockSaid, Refusal> {
    match &ask.ask {
        Some(Ask::Enlist(request)) => {
            acquire::enlist(writer, request, &ask.admissions, &ask.user, now_ms)
        }
        Some(Ask::AwaitTurn(wait)) => acquire::await_turn(writer, wait, &ask.admissions, now_ms),
        Some(Ask::Leave(leave)) => Ok(leave::leave(writer, leave)),
        Some(Ask::Release(release)) => Ok(leave::release(writer, release)),
        Some(Ask::Revoke(request)) => Ok(leave::request_revocation(writer, request)),
        None => Err(Refusal::Lock(LockRefusal::Unnamed)),
    }
}

/// The names that an ask is about.
pub fn names(ask: &LockAsk) -> Vec<Bytes> {
    let of = |places: &[portunus_proto::portunus::v1::LockPlace]| {
        places.iter().map(|place| place.name.clone()).collect()
    };
    match &ask.ask {
        Some(Ask::Enlist(request)) => request.names.clone(),
        Some(Ask::AwaitTurn(wait)) => of(&wait.places),
        Some(Ask::Leave(leave)) => of(&leave.places),
        Some(Ask::Release(release)) => release.names.clone(),
        Some(Ask::Revoke(request)) => vec![request.name.clone()],
        None => Vec::new(),
    }
}

/// The lease that an ask puts keys under, none for most.
pub(super) fn lease(ask: &LockAsk) -> LeaseId {
    match &ask.ask {
        Some(Ask::Enlist(request)) => LeaseId(request.lease),
        _ => LeaseId::NONE,
    }
}

/// Bytes that an ask may add to the store.
pub(super) fn growth(ask: &LockAsk) -> usize {
    match &ask.ask {
        Some(Ask::Enlist(request)) => {
            let names: usize = request.names.iter().map(Bytes::len).sum();
            names + request.names.len() * (PLACE_BYTES + request.metadata.len())
        }
        _ => 0,
    }
}

/// What a place in line is charged beside its name and metadata.
const PLACE_BYTES: usize = 256;

#[cfg(test)]
mod change_test;
#[cfg(test)]
mod lock_test;
#[cfg(test)]
mod model_test;
