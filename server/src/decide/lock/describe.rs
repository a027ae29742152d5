//! Reading a line.

use bytes::Bytes;
use portunus_proto::portunus::v1::{LockDescribeResponse, LockStanding};

use super::admission::{admitting, holder_key};
use super::line::{before, delay_key, delayed_until, holds, terms};
use crate::effect::Mode;
use crate::machine::State;
use crate::types::Item;

/// Who holds and who waits, in order.
pub fn describe(state: &State, name: &[u8]) -> LockDescribeResponse {
    let line = before(state, name, None);
    let line = line.into_iter().enumerate();
    let line = line.map(|(n, item)| standing(state, name, item, n == 0)).collect();
    let mut line: Vec<LockStanding> = line;
    // A plugin may admit out of turn.
    line.sort_by_key(|standing| !standing.holds_it);
    let delayed_until_ms = delayed_until(state.get(&delay_key(name))).unwrap_or(0);
    let deciding = admitting(state, &Bytes::copy_from_slice(name));
    let deciding = deciding.filter(|binding| binding.mode == Mode::Enforce);
    let admitted_by = deciding.map(|binding| binding.plugin.clone()).collect();
    LockDescribeResponse { header: None, line, delayed_until_ms, admitted_by }
}

/// One place; `is_first` decides whether an etcd client's key holds.
pub fn standing(state: &State, name: &[u8], item: &Item, is_first: bool) -> LockStanding {
    let record = terms(item);
    // Where a plugin admits, the holder's key has the token.
    let holder = state.get(&holder_key(name, item.lease()));
    LockStanding {
        key: Bytes::copy_from_slice(item.key()),
        lease: item.lease().0,
        token: holder.unwrap_or(item).create_revision(),
        holds_it: holds(item, is_first) || holder.is_some(),
        mode: record.mode,
        permits: record.permits,
        weight: record.weight.max(1),
        holds: record.holds.max(1),
        metadata: record.metadata,
        revocation: record.revocation,
    }
}
