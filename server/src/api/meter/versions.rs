//! Calls by the API version that their clients name.

use std::collections::HashMap;
use std::sync::LazyLock;

use http::{HeaderMap, HeaderName};
use parking_lot::RwLock;
use prometheus::{IntCounter, IntCounterVec};

use crate::metrics;

static CLIENT_API_VERSION: HeaderName = HeaderName::from_static("client-api-version");
/// What a client that names none is counted under, as in etcd.
const UNKNOWN: &str = "unknown";
/// Versions that have a line of their own: clients choose the name, and each costs memory for good.
const VERSIONS_MAX: usize = 100;
/// What the others are counted under.
const OTHERS: &str = "others";

static REQUESTS: LazyLock<IntCounterVec> = LazyLock::new(|| {
    let help = "Total number of calls by the API version that the client names.";
    let labels = ["type", "client_api_version"];
    metrics::counter_vec("etcd_server_client_requests_total", help, &labels)
});

/// The counters of one kind of call, unary or stream.
pub struct Versions {
    kind: &'static str,
    counters: RwLock<HashMap<String, IntCounter>>,
}

pub static UNARY: LazyLock<Versions> = LazyLock::new(|| Versions::new("unary"));
pub static STREAM: LazyLock<Versions> = LazyLock::new(|| Versions::new("stream"));

impl Versions {
    fn new(kind: &'static str) -> Self {
        Self { kind, counters: RwLock::default() }
    }

    /// Counts a call. One whose version is no text is refused elsewhere and not counted.
    pub fn count(&self, headers: &HeaderMap) {
        let named = headers.get(&CLIENT_API_VERSION).map(|value| str::from_utf8(value.as_bytes()));
        let Ok(version) = named.unwrap_or(Ok(UNKNOWN)) else { return };
        if let Some(counter) = self.counters.read().get(version) {
            return counter.inc();
        }
        let mut counters = self.counters.write();
        let version = if counters.len() < VERSIONS_MAX { version } else { OTHERS };
        let new = || REQUESTS.with_label_values(&[self.kind, version]);
        counters.entry(version.to_owned()).or_insert_with(new).inc();
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderValue};

    use super::{CLIENT_API_VERSION, OTHERS, REQUESTS, UNKNOWN, VERSIONS_MAX, Versions};

    fn named(version: &[u8]) -> HeaderMap {
        let value = HeaderValue::from_bytes(version).expect("a header");
        HeaderMap::from_iter([(CLIENT_API_VERSION.clone(), value)])
    }

    #[test]
    fn calls_are_counted_by_version_and_versions_are_bounded() {
        let versions = Versions::new("of this test");
        let of = |version: &str| REQUESTS.with_label_values(&["of this test", version]).get();
        versions.count(&HeaderMap::new());
        versions.count(&named(b"3.7.1"));
        versions.count(&named(b"3.7.1"));
        versions.count(&named(b"\xff"));
        assert_eq!((of(UNKNOWN), of("3.7.1")), (1, 2));
        for number in 0..VERSIONS_MAX {
            versions.count(&named(format!("made up {number}").as_bytes()));
        }
        assert_eq!(of(OTHERS), 2);
        versions.count(&named(b"3.7.1"));
        versions.count(&named(b"and another"));
        assert_eq!((of("3.7.1"), of(OTHERS)), (3, 3));
    }
}
