//! Reading a line.

use bytes::Bytes;
use portunus_proto::portunus::v1::{LockDescribeResponse, LockStanding};

use super::line::{before, delay_key, delayed_until, holds, terms};
use crate::machine::State;
use crate::types::Item;

/// Who holds and who waits, in order.
pub fn describe(state: &State, name: &[u8]) -> LockDescribeResponse {
    let line = before(state, name, None);
    let line = line.into_iter().enumerate().map(|(n, item)| standing(item, n == 0)).collect();
    let delayed_until_ms = delayed_until(state.get(&delay_key(name))).unwrap_or(0);
    LockDescribeResponse { header: None, line, delayed_until_ms }
}

/// One place; `is_first` decides whether an etcd client's key holds.
pub fn standing(item: &Item, is_first: bool) -> LockStanding {
    let record = terms(item);
    LockStanding {
        key: Bytes::copy_from_slice(item.key()),
        lease: item.lease().0,
        token: item.create_revision(),
        holds_it: holds(item, is_first),
        mode: record.mode,
        permits: record.permits,
        weight: record.weight.max(1),
        holds: record.holds.max(1),
        metadata: record.metadata,
        revocation: record.revocation,
    }
}
