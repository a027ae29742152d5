//! What a decision may know beside the head and the request.

use crate::machine::State;
use crate::mvcc::{History, Records};

/// Limits and readers of one decision.
pub struct Cx<'a> {
    /// Operations in one level of a txn.
    pub max_txn_ops: usize,
    /// Backend quota; none when switched off.
    pub quota_bytes: Option<i64>,
    /// What the store reports as its size.
    pub db_size_bytes: i64,
    /// The disk itself is nearly full: refuse what would grow the store.
    pub disk_is_short: bool,
    /// A shorter lease is granted this many seconds.
    pub lease_ttl_min: i64,
    /// The leader's clock, in unix milliseconds.
    pub now_ms: u64,
    /// For ranges at an older revision; without it they are refused as compacted.
    pub past: Option<&'a dyn Past>,
}

/// Lends what reading an older revision takes: any state that holds that revision or newer ones,
/// the history up to that state and the records behind it. The head will not do, as the history
/// does not know what is sequenced but not applied.
pub trait Past {
    fn lend(&self, read: &mut dyn FnMut(&State, &History, &dyn Records));
}

/// The plain way to be a [`Past`].
#[derive(Clone, Copy)]
pub struct PastView<'a> {
    pub applied: &'a State,
    pub history: &'a History,
    pub records: &'a dyn Records,
}

impl Past for PastView<'_> {
    fn lend(&self, read: &mut dyn FnMut(&State, &History, &dyn Records)) {
        read(self.applied, self.history, self.records);
    }
}
