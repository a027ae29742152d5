//! Leases as replicated state: which exist, for how long they were granted, and which keys hang on
//! each. When a lease ends is the leader's business and not known here.

mod table;

pub use table::{Lease, Leases};
