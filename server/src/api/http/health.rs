//! `/health`, and its successors `/livez` and `/readyz` with their sub-checks: bodies, codes and
//! reasons are etcd's. Answered without authentication, as probes have none.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::LazyLock;

use http::{Response, StatusCode};
use portunus_proto::etcdserverpb::RangeRequest;
use prometheus::{GaugeVec, IntCounter, IntCounterVec, Opts};
use tonic::body::Body;

use super::reply;
use super::surface::Query;
use crate::api::status;
use crate::effect::AlarmKind;
use crate::metrics;
use crate::node::Node;

static SUCCESS: LazyLock<IntCounter> = LazyLock::new(|| {
    metrics::counter("etcd_server_health_success", "The total number of successful health checks")
});
static FAILURES: LazyLock<IntCounter> = LazyLock::new(|| {
    metrics::counter("etcd_server_health_failures", "The total number of failed health checks")
});
static CHECKS: LazyLock<IntCounterVec> = LazyLock::new(|| {
    let help = "The total number of each kind of healthcheck, by how it ended.";
    metrics::counter_vec("etcd_server_healthchecks_total", help, &["type", "name", "status"])
});
static CHECK: LazyLock<GaugeVec> = LazyLock::new(|| {
    let help = "The result of each kind of healthcheck.";
    metrics::gauge_vec(Opts::new("etcd_server_healthcheck", help), &["type", "name"])
});

/// Makes the counters known before the first probe.
pub fn register() {
    LazyLock::force(&SUCCESS);
    LazyLock::force(&FAILURES);
    LazyLock::force(&CHECKS);
    LazyLock::force(&CHECK);
}

/// `/health?serializable=true&exclude=NOSPACE`.
pub async fn health(node: &Node, query: &Query<'_>) -> Response<Body> {
    let excluded: BTreeSet<_> = query.all("exclude").collect();
    let serializable = query.all("serializable").next().is_some_and(|value| value == "true");
    let reason = unhealthy(node, &excluded, serializable).await;
    let health = if reason.is_none() { "true" } else { "false" };
    let body = serde_json::json!({ "health": health, "reason": reason.as_deref().unwrap_or("") });
    let body = body.to_string();
    match reason {
        None => {
            SUCCESS.inc();
            reply::text(StatusCode::OK, body)
        }
        Some(reason) => {
            FAILURES.inc();
            tracing::warn!(reason, "/health error");
            reply::error(StatusCode::SERVICE_UNAVAILABLE, &body)
        }
    }
}

async fn unhealthy(
    node: &Node,
    excluded: &BTreeSet<std::borrow::Cow<'_, str>>,
    serializable: bool,
) -> Option<String> {
    for alarm in node.alarms() {
        let kind = alarm_name(alarm.kind);
        if !excluded.contains(kind) {
            return Some(format!("ALARM {kind}"));
        }
    }
    if !serializable && node.leadership().borrow().leader.is_none() {
        return Some("RAFT NO LEADER".to_owned());
    }
    read(node, serializable).await.err().map(|error| format!("RANGE ERROR:{error}"))
}

fn alarm_name(kind: AlarmKind) -> &'static str {
    match kind {
        AlarmKind::NoSpace => "NOSPACE",
        AlarmKind::Corrupt => "CORRUPT",
    }
}

/// Reads as a client would, one key at most.
async fn read(node: &Node, serializable: bool) -> Result<(), String> {
    let from_first: bytes::Bytes = bytes::Bytes::from_static(&[0]);
    let request = RangeRequest {
        key: from_first.clone(),
        range_end: from_first,
        limit: 1,
        keys_only: true,
        serializable,
        ..RangeRequest::default()
    };
    match node.range(request).await {
        Ok(_) => Ok(()),
        Err(error) => Err(status::of(error).message().to_owned()),
    }
}

/// One question about the member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Check {
    DataCorruption,
    SerializableRead,
    LinearizableRead,
    NonLearner,
}

impl Check {
    fn name(self) -> &'static str {
        match self {
            Check::DataCorruption => "data_corruption",
            Check::SerializableRead => "serializable_read",
            Check::LinearizableRead => "linearizable_read",
            Check::NonLearner => "non_learner",
        }
    }

    async fn ask(self, node: &Node) -> Result<(), String> {
        match self {
            Check::DataCorruption => {
                let corrupt = node.alarms().iter().any(|alarm| alarm.kind == AlarmKind::Corrupt);
                if corrupt { Err("alarm activated: CORRUPT".to_owned()) } else { Ok(()) }
            }
            Check::SerializableRead => read(node, true).await,
            Check::LinearizableRead => read(node, false).await,
            Check::NonLearner => match node.status().is_learner {
                true => Err("not supported for learner".to_owned()),
                false => Ok(()),
            },
        }
    }
}

/// A group of checks under one path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Probe {
    /// The process is worth keeping.
    Live,
    /// It is worth sending clients to.
    Ready,
}

impl Probe {
    fn name(self) -> &'static str {
        match self {
            Probe::Live => "livez",
            Probe::Ready => "readyz",
        }
    }

    fn checks(self) -> &'static [Check] {
        use Check::{DataCorruption, LinearizableRead, NonLearner, SerializableRead};
        match self {
            Probe::Live => &[SerializableRead],
            Probe::Ready => &[DataCorruption, SerializableRead, LinearizableRead, NonLearner],
        }
    }

    /// The checks asked for by the rest of the path: all, or the one it names.
    fn select(self, rest: &str, query: &Query<'_>) -> Option<Vec<Check>> {
        let mut checks = self.checks().to_vec();
        if rest.is_empty() {
            let excluded: BTreeSet<_> = query.all("exclude").collect();
            checks.retain(|check| !excluded.contains(check.name()));
            return Some(checks);
        }
        checks.retain(|check| check.name() == rest);
        (!checks.is_empty()).then_some(checks)
    }
}

/// `/livez`, `/readyz` and their sub-checks; `rest` is the path behind them.
pub async fn probe(node: &Node, probe: Probe, rest: &str, query: &Query<'_>) -> Response<Body> {
    let Some(checks) = probe.select(rest, query) else { return reply::not_found() };
    let (mut report, mut healthy) = (String::new(), true);
    for check in checks {
        let (kind, name) = (probe.name(), check.name());
        let result = check.ask(node).await;
        let (line, status) = match &result {
            Ok(()) => (format!("[+]{name} ok"), "success"),
            Err(error) => (format!("[-]{name} failed: {error}"), "error"),
        };
        // Writing to a string cannot fail.
        let _ = writeln!(report, "{line}");
        healthy &= result.is_ok();
        CHECKS.with_label_values(&[kind, name, status]).inc();
        CHECK.with_label_values(&[kind, name]).set(f64::from(u8::from(result.is_ok())));
    }
    if !healthy {
        tracing::warn!(probe = probe.name(), reason = report, "health check error");
        return reply::error(StatusCode::SERVICE_UNAVAILABLE, &report);
    }
    let details = if query.has("verbose") { report } else { String::new() };
    reply::plain(StatusCode::OK, format!("{details}ok\n"))
}
