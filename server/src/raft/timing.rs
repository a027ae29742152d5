//! openraft's settings for a group: the two flags that users know, mapped to what openraft makes
//! of its own.

use std::sync::Arc;
use std::time::Duration;

use openraft::{Config, ConfigError, SnapshotPolicy};

/// What `--heartbeat-interval` and `--election-timeout` say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    pub heartbeat_interval: Duration,
    pub election_timeout: Duration,
}

impl Timing {
    /// The leader's lease, which openraft adds to every election timeout.
    fn lease(&self) -> Duration {
        self.election_timeout * 7 / 10
    }

    /// How long one round of heartbeats may take before it counts as failed: a quorum that does
    /// not answer within a lease has lost this leader.
    pub fn round(&self) -> Duration {
        self.lease()
    }

    /// A leader that was silent for this long, or heard of no quorum, is none: every member that
    /// could has called an election by then.
    pub fn patience(&self) -> Duration {
        2 * self.election_timeout
    }

    /// openraft starts an election after its lease (the largest timeout) plus a random timeout
    /// without a sign of life; with 0.4 to 0.7 of E that is 1.1 E to 1.4 E, inside etcd's E to 2 E.
    pub fn config(&self) -> Result<Arc<Config>, ConfigError> {
        let millis = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        let lease = millis(self.lease());
        let config = Config {
            cluster_name: "portunus".to_owned(),
            heartbeat_interval: millis(self.heartbeat_interval),
            election_timeout_min: millis(self.election_timeout * 4 / 10),
            election_timeout_max: lease,
            enable_pre_vote: Some(true),
            // A restored leader would go on in its old term without the tail it had proposed.
            enable_leader_restore: Some(false),
            quorum_loss_probe_interval: Some(2 * lease),
            snapshot_policy: SnapshotPolicy::Never,
            // Only [`super::Group::purge`] purges.
            max_in_snapshot_log_to_keep: u64::MAX,
            max_payload_entries: 256,
            max_append_entries: Some(256),
            broadcast_submitted_on_append: Some(true),
            backoff: "20ms 50ms 100ms ...500ms".to_owned(),
            install_snapshot_timeout: 1000,
            ..Config::default()
        };
        config.validate().map(Arc::new)
    }
}
