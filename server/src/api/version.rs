//! The etcd release whose API this server speaks. Clients and suites compare it with what they
//! need, so it is etcd's number and not ours.

/// What `/version`, Status and `--version` report.
pub const ETCD: &str = "3.7.1";
/// The storage schema that goes with it, as Status and Snapshot report it.
pub const ETCD_STORAGE: &str = "3.7.0";
/// The cluster version that goes with it, as `/version` shows it.
pub const ETCD_CLUSTER: &str = "3.7.0";
