//! `/metrics`: what was counted, what is read now, and the process itself, in Prometheus' text
//! format.

use std::sync::LazyLock;

use http::{Response, StatusCode};
use prometheus::{IntCounterVec, TextEncoder};
use tonic::body::Body;

use super::{process, reply};
use crate::api::version;
use crate::metrics::{self, Readings};
use crate::node::Node;

/// Scrapes by the code they were answered with.
static SCRAPES: LazyLock<IntCounterVec> = LazyLock::new(|| {
    let scrapes = metrics::counter_vec(
        "promhttp_metric_handler_requests_total",
        "Total number of scrapes by HTTP status code.",
        &["code"],
    );
    for code in ["200", "500"] {
        scrapes.with_label_values(&[code]);
    }
    scrapes
});

/// Answers a scrape. Reading takes milliseconds and files, so it runs where it holds nobody up.
pub async fn scrape(node: &Node) -> Response<Body> {
    LazyLock::force(&SCRAPES);
    let node = node.clone();
    let text = tokio::task::spawn_blocking(move || expose(&node)).await;
    match text {
        Ok(Ok(text)) => {
            SCRAPES.with_label_values(&["200"]).inc();
            reply::content(
                StatusCode::OK,
                http::HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8"),
                text,
            )
        }
        Ok(Err(error)) => failed(&error.to_string()),
        Err(_) => failed("reading the metrics panicked"),
    }
}

fn failed(why: &str) -> Response<Body> {
    tracing::error!(why, "the metrics cannot be written");
    SCRAPES.with_label_values(&["500"]).inc();
    reply::error(StatusCode::INTERNAL_SERVER_ERROR, why)
}

fn expose(node: &Node) -> prometheus::Result<String> {
    let readings = node.readings();
    read_versions(&readings);
    process::read(&readings);
    let mut families = prometheus::gather();
    families.extend(readings.families());
    families.sort_by(|a, b| a.name().cmp(b.name()));
    TextEncoder::new().encode_to_string(&families)
}

fn read_versions(to: &Readings) {
    let help = "Which version is running. 1 for 'server_version' label with current version.";
    let labels = [("server_version", version::ETCD)];
    to.labelled_gauge("etcd_server_version", help, &labels, 1.0);
    let help =
        "Which version is running. 1 for 'cluster_version' label with current cluster version";
    // Without the patch, as etcd.
    let (cluster, _) =
        version::ETCD_CLUSTER.rsplit_once('.').unwrap_or((version::ETCD_CLUSTER, ""));
    to.labelled_gauge("etcd_cluster_version", help, &[("cluster_version", cluster)], 1.0);
    let help = "The release of Portunus that is running.";
    let labels = [("version", env!("CARGO_PKG_VERSION"))];
    to.labelled_gauge("portunus_build_info", help, &labels, 1.0);
}
