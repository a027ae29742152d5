//! What raft measures of the way to its peers. Labels are member ids in hexadecimal, as etcd's.

use std::sync::LazyLock;

use prometheus::{Histogram, HistogramVec, IntCounter, IntCounterVec};

use crate::metrics;
use crate::types::MemberId;

macro_rules! per_peer {
    ($($name:ident: $metric:literal, $label:literal, $help:literal;)*) => {$(
        pub static $name: LazyLock<IntCounterVec> =
            LazyLock::new(|| metrics::counter_vec($metric, $help, &[$label]));
    )*};
}

per_peer! {
    SENT_BYTES: "etcd_network_peer_sent_bytes_total", "To",
        "Total number of bytes of the log and of snapshots sent to peers.";
    RECEIVED_BYTES: "etcd_network_peer_received_bytes_total", "From",
        "Total number of bytes of the log and of snapshots received from peers.";
    SENT_FAILURES: "etcd_network_peer_sent_failures_total", "To",
        "Total number of calls to peers that failed or had no answer in time.";
    DISCONNECTED: "etcd_network_disconnected_peers_total", "Remote",
        "Total number of times that a peer stopped answering.";
    SNAPSHOTS_SENT: "etcd_network_snapshot_send_success", "To",
        "Total number of snapshots sent to peers.";
    SNAPSHOTS_NOT_SENT: "etcd_network_snapshot_send_failures", "To",
        "Total number of snapshots that could not be sent.";
    SNAPSHOTS_RECEIVED: "etcd_network_snapshot_receive_success", "From",
        "Total number of snapshots received from peers.";
    SNAPSHOTS_NOT_RECEIVED: "etcd_network_snapshot_receive_failures", "From",
        "Total number of snapshots that could not be received.";
}

pub static ROUND_TRIP_SECONDS: LazyLock<HistogramVec> = LazyLock::new(|| {
    metrics::histogram_vec(
        "etcd_network_peer_round_trip_time_seconds",
        "Round-trip time of heartbeats to peers.",
        &["To"],
        metrics::growing(0.0001, 2.0, 16),
    )
});

/// Receiving a snapshot from a peer and writing it to disk.
pub static SNAPSHOT_SAVE_SECONDS: LazyLock<Histogram> = LazyLock::new(|| {
    metrics::histogram(
        "etcd_snap_db_save_total_duration_seconds",
        "How long receiving a snapshot and writing it to disk took.",
        metrics::growing(0.1, 2.0, 10),
    )
});

pub static HEARTBEAT_FAILURES: LazyLock<IntCounter> = LazyLock::new(|| {
    metrics::counter(
        "etcd_server_heartbeat_send_failures_total",
        "Total number of the leader's heartbeats that had no answer in time.",
    )
});

/// A member as label.
pub fn label(member: MemberId) -> String {
    format!("{:x}", member.0)
}

/// Makes them known before the first use; those per peer appear with the peer.
pub fn register() {
    LazyLock::force(&ROUND_TRIP_SECONDS);
    LazyLock::force(&HEARTBEAT_FAILURES);
    LazyLock::force(&SNAPSHOT_SAVE_SECONDS);
}
