//! Identifiers of cluster, member and lease, kept apart by type so that none is passed for another.

use std::fmt;

/// Identifies a cluster; derived from its first members and token, as in etcd.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClusterId(pub u64);

/// Identifies a member; derived from its peer URLs and the cluster token, as in etcd.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MemberId(pub u64);

/// Identifies a lease. Zero means "no lease" on the wire and is never granted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LeaseId(pub i64);

impl LeaseId {
    /// What an item without a lease carries.
    pub const NONE: LeaseId = LeaseId(0);

    pub fn is_none(self) -> bool {
        self == Self::NONE
    }
}

macro_rules! hex_display {
    ($($id:ty),*) => {$(
        impl fmt::Display for $id {
            /// Lower-case hexadecimal, as etcd prints ids.
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:x}", self.0)
            }
        }
    )*};
}
hex_display!(ClusterId, MemberId, LeaseId);
