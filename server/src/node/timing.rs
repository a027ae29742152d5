//! How long requests take on the member that was asked, under the names by which etcd counts them.
//! What waits by its nature (locks, dequeues, calls) has no place here.

use std::sync::LazyLock;

use prometheus::{Histogram, HistogramVec};

use crate::clock::{Clock, Tick};
use crate::decide::{AuthAsk, Request};
use crate::metrics::{self, disk_buckets, growing};

macro_rules! kinds {
    ($($kind:ident)*) => {
        /// What a request asks for.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Kind { $($kind),* }

        const KINDS: &[&str] = &[$(stringify!($kind)),*];
    };
}

kinds! {
    Range ReadonlyTxn Put DeleteRange Txn Compaction
    LeaseGrant LeaseRevoke LeaseCheckpoint Alarm ClusterMemberAttrSet
    Authenticate AuthEnable AuthDisable AuthUserAdd AuthUserDelete AuthUserChangePassword
    AuthUserGrantRole AuthUserRevokeRole AuthRoleAdd AuthRoleDelete AuthRoleGrantPermission
    AuthRoleRevokePermission
}

impl Kind {
    /// `None` for what etcd has no name for, or what may wait.
    pub fn of(request: &Request) -> Option<Self> {
        Some(match request {
            Request::Put(_) => Self::Put,
            Request::DeleteRange(_) => Self::DeleteRange,
            Request::Txn(_) => Self::Txn,
            Request::Compact(_) => Self::Compaction,
            Request::LeaseGrant(_) => Self::LeaseGrant,
            Request::LeaseRevoke(_) | Request::LeaseExpire(_) => Self::LeaseRevoke,
            Request::LeaseCheckpoint { .. } => Self::LeaseCheckpoint,
            Request::Alarm(_) => Self::Alarm,
            Request::Publish(_) => Self::ClusterMemberAttrSet,
            Request::Auth(ask) => Self::of_auth(ask),
            _ => return None,
        })
    }

    fn of_auth(ask: &AuthAsk) -> Self {
        match ask {
            AuthAsk::Enable => Self::AuthEnable,
            AuthAsk::Disable => Self::AuthDisable,
            AuthAsk::UserAdd(_) => Self::AuthUserAdd,
            AuthAsk::UserDelete(_) => Self::AuthUserDelete,
            AuthAsk::UserChangePassword(_) => Self::AuthUserChangePassword,
            AuthAsk::UserGrantRole(_) => Self::AuthUserGrantRole,
            AuthAsk::UserRevokeRole(_) => Self::AuthUserRevokeRole,
            AuthAsk::RoleAdd(_) => Self::AuthRoleAdd,
            AuthAsk::RoleDelete(_) => Self::AuthRoleDelete,
            AuthAsk::RoleGrantPermission(_) => Self::AuthRoleGrantPermission,
            AuthAsk::RoleRevokePermission(_) => Self::AuthRoleRevokePermission,
            AuthAsk::Assign { .. } | AuthAsk::Renew { .. } => Self::Authenticate,
        }
    }
}

/// Failed and succeeded requests of each kind, looked up once: every request is counted.
static REQUESTS: LazyLock<Vec<[Histogram; 2]>> = LazyLock::new(|| {
    let all = metrics::histogram_vec(
        "etcd_server_request_duration_seconds",
        "The latency distribution of requests on the member that was asked, by their type.",
        &["type", "success"],
        disk_buckets(),
    );
    KINDS.iter().map(|kind| by_success(&all, &[kind])).collect()
});

static RANGES: LazyLock<[Histogram; 2]> = LazyLock::new(|| {
    let all = metrics::histogram_vec(
        "etcd_server_range_duration_seconds",
        "The latency distribution of reading a range, without what is waited for before.",
        &["success"],
        growing(0.0001, 2.0, 20),
    );
    by_success(&all, &[])
});

fn by_success(all: &HistogramVec, labels: &[&str]) -> [Histogram; 2] {
    ["false", "true"].map(|success| all.with_label_values(&[labels, &[success]].concat()))
}

/// Makes them known before the first request.
pub fn register() {
    LazyLock::force(&REQUESTS);
    LazyLock::force(&RANGES);
}

/// Something that is being timed. Dropped before its end it counts as nothing: its client is gone.
pub struct Timing<'a> {
    clock: &'a Clock,
    began: Tick,
}

impl<'a> Timing<'a> {
    pub fn begin(clock: &'a Clock) -> Self {
        Self { clock, began: clock.now() }
    }

    pub fn request(self, kind: Kind, success: bool) {
        self.end(&REQUESTS[kind as usize], success);
    }

    pub fn range(self, success: bool) {
        self.end(&RANGES, success);
    }

    fn end(self, histograms: &[Histogram; 2], success: bool) {
        let took = self.clock.now().since(self.began);
        histograms[usize::from(success)].observe(took.as_secs_f64());
    }
}

#[cfg(test)]
mod tests {
    use super::{KINDS, Kind, REQUESTS, Timing};
    use crate::clock::Clock;
    use crate::decide::{AuthAsk, Request};

    #[test]
    fn a_request_is_counted_under_etcds_name_and_by_its_success() {
        assert_eq!(KINDS[Kind::Compaction as usize], "Compaction");
        let of = |kind: Kind, success: usize| REQUESTS[kind as usize][success].get_sample_count();
        // Nothing else in these tests disables auth through a handle.
        let kind = Kind::of(&Request::Auth(AuthAsk::Disable)).expect("it is etcd's");
        assert_eq!(KINDS[kind as usize], "AuthDisable");
        let before = (of(kind, 0), of(kind, 1));
        Timing::begin(&Clock::manual()).request(kind, false);
        assert_eq!((of(kind, 0), of(kind, 1)), (before.0 + 1, before.1));
        Timing::begin(&Clock::manual()).request(kind, true);
        assert_eq!((of(kind, 0), of(kind, 1)), (before.0 + 1, before.1 + 1));
    }
}
