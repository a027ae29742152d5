//! The counters of each method, looked up once for a call. Names and labels are those of Go's
//! gRPC middleware, which etcd's dashboard reads.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use http::HeaderMap;
use prometheus::{Histogram, HistogramVec, IntCounter, IntCounterVec};
use prost_reflect::MethodDescriptor;
use tonic::Code;

use super::versions::{STREAM, UNARY, Versions};
use crate::api::descriptors::{POOL, grpc_path};
use crate::clock::{Clock, Tick};
use crate::metrics;
use crate::traces::{Span, Traces};

const LABELS: [&str; 3] = ["grpc_service", "grpc_method", "grpc_type"];
const LABELS_WITH_CODE: [&str; 4] = ["grpc_service", "grpc_method", "grpc_type", "grpc_code"];
/// Go's names of the codes, in their order.
const CODES: [&str; 17] = [
    "OK",
    "Canceled",
    "Unknown",
    "InvalidArgument",
    "DeadlineExceeded",
    "NotFound",
    "AlreadyExists",
    "PermissionDenied",
    "ResourceExhausted",
    "FailedPrecondition",
    "Aborted",
    "OutOfRange",
    "Unimplemented",
    "Internal",
    "Unavailable",
    "DataLoss",
    "Unauthenticated",
];

/// With these the server is at fault; with the others the caller, which no trace of a server
/// counts as an error.
const FAULTS: [Code; 6] = [
    Code::Unknown,
    Code::DeadlineExceeded,
    Code::Unimplemented,
    Code::Internal,
    Code::Unavailable,
    Code::DataLoss,
];

macro_rules! per_method {
    ($($name:ident: $metric:literal, $help:literal;)*) => {$(
        static $name: LazyLock<IntCounterVec> =
            LazyLock::new(|| metrics::counter_vec($metric, $help, &LABELS));
    )*};
}

per_method! {
    STARTED: "grpc_server_started_total", "Total number of RPCs started on the server.";
    RECEIVED: "grpc_server_msg_received_total",
        "Total number of messages received on the server.";
    SENT: "grpc_server_msg_sent_total", "Total number of messages sent by the server.";
}

static HANDLED: LazyLock<IntCounterVec> = LazyLock::new(|| {
    let help = "Total number of RPCs completed on the server, regardless of success or failure.";
    metrics::counter_vec("grpc_server_handled_total", help, &LABELS_WITH_CODE)
});

static HANDLING_SECONDS: LazyLock<HistogramVec> = LazyLock::new(|| {
    let help = "How long RPCs took on the server, in seconds (with --metrics=extensive).";
    let buckets = prometheus::DEFAULT_BUCKETS.to_vec();
    metrics::histogram_vec("grpc_server_handling_seconds", help, &LABELS, buckets)
});

pub(super) static RECEIVED_BYTES: LazyLock<IntCounter> = LazyLock::new(|| {
    let help = "The total number of bytes received from grpc clients.";
    metrics::counter("etcd_network_client_grpc_received_bytes_total", help)
});

pub(super) static SENT_BYTES: LazyLock<IntCounter> = LazyLock::new(|| {
    let help = "The total number of bytes sent to grpc clients.";
    metrics::counter("etcd_network_client_grpc_sent_bytes_total", help)
});

/// What is measured of how long calls take.
#[derive(Clone, Debug)]
pub struct Timing {
    pub clock: Clock,
    /// Put it into histograms (`--metrics=extensive`).
    pub histograms: bool,
    /// Log a call of etcd's services that takes longer. Locks, elections and what is our own may
    /// wait as long as they please.
    pub slow: Duration,
    /// Trace calls (`--enable-distributed-tracing`).
    pub traces: Option<Traces>,
}

/// Whose unary calls are to be quick.
const QUICK: &str = "etcdserverpb";

/// The counters of one method.
pub struct Method {
    started: IntCounter,
    versions: &'static Versions,
    handled: Vec<IntCounter>,
    pub(super) received: IntCounter,
    pub(super) sent: IntCounter,
    path: String,
    seconds: Option<Histogram>,
    slow: Option<Duration>,
    /// None where the time is nobody's concern.
    clock: Option<Clock>,
    traces: Option<Traces>,
}

impl Method {
    fn new(method: &MethodDescriptor, timing: &Timing) -> Self {
        let kind = match (method.is_client_streaming(), method.is_server_streaming()) {
            (false, false) => "unary",
            (true, false) => "client_stream",
            (false, true) => "server_stream",
            (true, true) => "bidi_stream",
        };
        let service = method.parent_service().full_name().to_owned();
        let labels = [service.as_str(), method.name(), kind];
        let [service, name, kind] = labels;
        let seconds = timing.histograms.then(|| HANDLING_SECONDS.with_label_values(&labels));
        let is_quick = kind == "unary" && method.parent_service().package_name() == QUICK;
        let slow = is_quick.then_some(timing.slow);
        let handled = |code: &&str| HANDLED.with_label_values(&[service, name, kind, *code]);
        Self {
            versions: if kind == "unary" { &UNARY } else { &STREAM },
            started: STARTED.with_label_values(&labels),
            handled: CODES.iter().map(handled).collect(),
            received: RECEIVED.with_label_values(&labels),
            sent: SENT.with_label_values(&labels),
            path: grpc_path(method),
            clock: (seconds.is_some() || slow.is_some()).then(|| timing.clock.clone()),
            seconds,
            slow,
            traces: timing.traces.clone(),
        }
    }
}

/// The methods of the services that are served.
pub struct Table(HashMap<String, Arc<Method>>);

impl Table {
    /// Every method of `services` appears in the metrics at once, with zeros.
    pub fn new(services: &[&str], timing: &Timing) -> Self {
        LazyLock::force(&RECEIVED_BYTES);
        LazyLock::force(&SENT_BYTES);
        let services = services.iter().filter_map(|name| POOL.get_service_by_name(name));
        let methods = services.flat_map(|service| service.methods().collect::<Vec<_>>());
        Self(methods.map(|m| (grpc_path(&m), Arc::new(Method::new(&m, timing)))).collect())
    }

    /// Begins to count a call; `None` for a path that is no method's.
    pub(super) fn begin(&self, path: &str, headers: &HeaderMap) -> Option<Running> {
        let method = self.0.get(path)?.clone();
        method.started.inc();
        method.versions.count(headers);
        let began = method.clock.as_ref().map_or(Tick::ZERO, Clock::now);
        let span = method.traces.as_ref().map(|traces| traces.begin(path, headers));
        Some(Running { method, began, span, ended: false })
    }
}

/// A call that is under way. One that is dropped before it has ended was given up by its client.
pub(super) struct Running {
    pub method: Arc<Method>,
    began: Tick,
    span: Option<Span>,
    ended: bool,
}

impl Running {
    /// Counts how the call ended; the first end counts.
    pub fn end(&mut self, code: Code) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        if let Some(counter) = self.method.handled.get(code as usize) {
            counter.inc();
        }
        if let Some(span) = self.span.take() {
            let number = code as i32;
            let is_fault = FAULTS.contains(&code);
            span.end(number, is_fault.then_some(CODES[number as usize]));
        }
        let Method { path, seconds, slow, clock, .. } = &*self.method;
        let Some(took) = clock.as_ref().map(|clock| clock.now().since(self.began)) else { return };
        if let Some(histogram) = seconds {
            histogram.observe(took.as_secs_f64());
        }
        if slow.is_some_and(|slow| took > slow) {
            tracing::warn!("time spent" = ?took, "response type" = path, "request stats");
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.end(Code::Cancelled);
    }
}

#[cfg(test)]
mod tests {
    use tonic::Code;

    use std::time::Duration;

    use super::{CODES, Table, Timing};
    use crate::clock::Clock;

    #[test]
    fn the_names_of_the_codes_stand_at_their_numbers() {
        assert_eq!(CODES[Code::Cancelled as usize], "Canceled");
        assert_eq!(CODES[Code::Unavailable as usize], "Unavailable");
        assert_eq!(CODES[Code::Unauthenticated as usize], "Unauthenticated");
    }

    #[test]
    fn what_may_wait_by_its_nature_is_never_slow() {
        let slow = Duration::from_millis(300);
        let timing = Timing { clock: Clock::manual(), histograms: false, slow, traces: None };
        let services = ["etcdserverpb.KV", "etcdserverpb.Watch", "v3lockpb.Lock"];
        let table = Table::new(&services, &timing);
        let none = http::HeaderMap::new();
        let slow = |path: &str| table.begin(path, &none).expect("a method").method.slow;
        assert_eq!(slow("/etcdserverpb.KV/Put"), Some(Duration::from_millis(300)));
        assert_eq!(slow("/etcdserverpb.KV/RangeStream"), None);
        assert_eq!(slow("/etcdserverpb.Watch/Watch"), None);
        assert_eq!(slow("/v3lockpb.Lock/Lock"), None);
    }

    #[test]
    fn a_call_counts_once_and_one_that_is_dropped_was_cancelled() {
        let slow = Duration::from_millis(300);
        let timing = Timing { clock: Clock::manual(), histograms: false, slow, traces: None };
        let table = Table::new(&["v3lockpb.Lock"], &timing);
        let none = http::HeaderMap::new();
        let of = |code: Code| {
            let running = table.begin("/v3lockpb.Lock/Unlock", &none).expect("a method");
            running.method.handled[code as usize].get()
        };
        assert!(table.begin("/v3lockpb.Lock/Nothing", &none).is_none());
        let mut running = table.begin("/v3lockpb.Lock/Lock", &none).expect("a method");
        running.end(Code::NotFound);
        running.end(Code::Ok);
        let method = running.method.clone();
        drop(running);
        drop(table.begin("/v3lockpb.Lock/Lock", &none));
        let counts: Vec<_> = method.handled.iter().map(|counter| counter.get()).collect();
        assert_eq!(counts.iter().sum::<u64>(), 2);
        assert_eq!((counts[Code::NotFound as usize], counts[Code::Cancelled as usize]), (1, 1));
        assert_eq!(of(Code::Ok), 0);
    }
}
