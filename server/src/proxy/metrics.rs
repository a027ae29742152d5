//! What the proxy counts; etcd's names for what etcd's proxy counts.

use std::sync::LazyLock;

use prometheus::{IntCounter, IntGauge};

use crate::metrics::{counter, gauge};

pub static WATCHERS_COALESCING: LazyLock<IntGauge> = LazyLock::new(|| {
    gauge(
        "etcd_grpc_proxy_watchers_coalescing_total",
        "Total number of current watchers coalescing",
    )
});
pub static EVENTS_COALESCING: LazyLock<IntCounter> = LazyLock::new(|| {
    counter("etcd_grpc_proxy_events_coalescing_total", "Total number of events coalescing")
});
pub static CLIENT_WATCHES: LazyLock<IntGauge> =
    LazyLock::new(|| gauge("portunus_proxy_client_watches", "Watches that clients have open."));
pub static UPSTREAM_WATCHES: LazyLock<IntGauge> = LazyLock::new(|| {
    gauge("portunus_proxy_upstream_watches", "Watches that the proxy has open at members.")
});
pub static LAGGING: LazyLock<IntCounter> = LazyLock::new(|| {
    counter(
        "portunus_proxy_lagging_watches_total",
        "Watches that were taken out of a shared one since their client did not keep up.",
    )
});
pub static RESUMED: LazyLock<IntCounter> = LazyLock::new(|| {
    counter(
        "portunus_proxy_resumed_watches_total",
        "Watches at members that broke and were taken up again.",
    )
});
pub static FAILOVERS: LazyLock<IntCounter> = LazyLock::new(|| {
    counter(
        "portunus_proxy_failovers_total",
        "Requests that were given to another member because one did not answer.",
    )
});
pub static UNANSWERED: LazyLock<IntCounter> = LazyLock::new(|| {
    counter("portunus_proxy_unanswered_total", "Requests for which no member could be reached.")
});

/// Makes them all, so that what has not happened yet is told as nought.
pub fn register() {
    for gauge in [&WATCHERS_COALESCING, &CLIENT_WATCHES, &UPSTREAM_WATCHES] {
        LazyLock::force(gauge);
    }
    for counter in [&EVENTS_COALESCING, &LAGGING, &RESUMED, &FAILOVERS, &UNANSWERED] {
        LazyLock::force(counter);
    }
}
