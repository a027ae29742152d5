//! The order of the parts.

use super::{kv, lease, members, txn, upkeep, watch};
use crate::call::{Call, Case};

/// The whole script; parts build upon what those before have left.
pub fn script() -> Vec<Case> {
    let calls = [
        upkeep::members(),
        members::changes(),
        kv::ranges(),
        kv::puts(),
        kv::deletes(),
        txn::txns(),
        lease::leases(),
        watch::watches(),
        upkeep::upkeep(),
    ];
    let mut script: Vec<Case> = calls.into_iter().flatten().collect();
    script.extend(upkeep::compaction());
    script
}

pub fn cases(calls: impl IntoIterator<Item = Call>) -> Vec<Case> {
    calls.into_iter().map(Case::from).collect()
}
