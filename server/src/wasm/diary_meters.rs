//! The figures that the server keeps of a plugin at one extension point.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use prometheus::core::Collector;
use prometheus::proto::MetricFamily;
use prometheus::{Histogram, HistogramOpts, IntCounter, IntGauge, Opts};

use crate::effect::Point;

/// Upper bounds of the time histogram, in seconds: from a warm call that does little to the
/// limit of a call, and the wall clock's beyond.
const CALL_SECONDS: [f64; 11] =
    [1e-6, 2.5e-6, 5e-6, 1e-5, 5e-5, 2.5e-4, 1e-3, 5e-3, 2e-2, 5e-2, 1.0];

/// Counters of one plugin at one point.
#[derive(Debug)]
pub(super) struct Meters {
    plugin: String,
    point: Point,
    time: Histogram,
    refusals: IntCounter,
    reruns: IntCounter,
    conflicts: IntCounter,
    parked: IntGauge,
    memory_max: IntGauge,
    memory_bytes_max: AtomicU64,
    failures: Mutex<BTreeMap<&'static str, IntCounter>>,
}

/// The same as numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Calls that were begun and have ended, however they did.
    pub calls: u64,
    /// Wall-clock time of those calls together.
    pub time: Duration,
    /// Calls that said no.
    pub refusals: u64,
    /// Calls that ended without an answer, by kind.
    pub failures: Vec<(&'static str, u64)>,
    /// Calls made again, because what they rested on had changed.
    pub reruns: u64,
    /// Calls given up for the same reason.
    pub conflicts: u64,
    /// Calls that wait now.
    pub parked: u64,
    /// The most linear memory that an instance has had.
    pub memory_bytes_max: u64,
}

pub(super) fn opts(name: &str, help: &str, plugin: &str, point: Point) -> Opts {
    Opts::new(name, help).const_label("plugin", plugin).const_label("point", point.name())
}

const VALID: &str = "names and labels are fixed and well formed";

impl Meters {
    pub(super) fn new(plugin: &str, point: Point) -> Self {
        let counter =
            |name, help| IntCounter::with_opts(opts(name, help, plugin, point)).expect(VALID);
        let gauge = |name, help| IntGauge::with_opts(opts(name, help, plugin, point)).expect(VALID);
        let time = opts(
            "portunus_plugin_call_duration_seconds",
            "Time of the plugin's calls, on the wall clock.",
            plugin,
            point,
        );
        let time = HistogramOpts::from(time).buckets(CALL_SECONDS.to_vec());
        Self {
            plugin: plugin.to_owned(),
            point,
            time: Histogram::with_opts(time).expect(VALID),
            refusals: counter("portunus_plugin_refusals_total", "Calls that said no."),
            reruns: counter(
                "portunus_plugin_reruns_total",
                "Calls made again because what they rested on had changed.",
            ),
            conflicts: counter(
                "portunus_plugin_conflicts_total",
                "Calls given up because what they rested on changed each time.",
            ),
            parked: gauge("portunus_plugin_parked_calls", "Calls that wait."),
            memory_max: gauge(
                "portunus_plugin_memory_max_bytes",
                "The most linear memory that an instance of the plugin has had.",
            ),
            memory_bytes_max: AtomicU64::new(0),
            failures: Mutex::default(),
        }
    }

    /// A call has ended.
    pub(super) fn called(&self, time: Duration, memory_bytes: usize) {
        self.time.observe(time.as_secs_f64());
        let bytes = memory_bytes as u64;
        // Rarely more than before, so that the common case does not write.
        if bytes > self.memory_bytes_max.load(Ordering::Relaxed) {
            self.memory_bytes_max.fetch_max(bytes, Ordering::Relaxed);
        }
    }

    pub(super) fn refused(&self) {
        self.refusals.inc();
    }

    pub(super) fn reran(&self) {
        self.reruns.inc();
    }

    pub(super) fn conflicted(&self) {
        self.conflicts.inc();
    }

    pub(super) fn parked(&self, by: i64) {
        self.parked.add(by);
    }

    pub(super) fn failed(&self, kind: &'static str) {
        let counter = || {
            let help = "Calls that ended without an answer, by kind.";
            let opts = opts("portunus_plugin_failures_total", help, &self.plugin, self.point);
            IntCounter::with_opts(opts.const_label("kind", kind)).expect(VALID)
        };
        self.failures.lock().entry(kind).or_insert_with(counter).inc();
    }

    pub(super) fn figures(&self) -> Figures {
        let failures = self.failures.lock();
        Figures {
            calls: self.time.get_sample_count(),
            time: Duration::try_from_secs_f64(self.time.get_sample_sum()).unwrap_or_default(),
            refusals: self.refusals.get(),
            failures: failures.iter().map(|(kind, counter)| (*kind, counter.get())).collect(),
            reruns: self.reruns.get(),
            conflicts: self.conflicts.get(),
            parked: self.parked.get().unsigned_abs(),
            memory_bytes_max: self.memory_bytes_max.load(Ordering::Relaxed),
        }
    }

    pub(super) fn collect(&self) -> Vec<MetricFamily> {
        let memory_bytes = self.memory_bytes_max.load(Ordering::Relaxed);
        self.memory_max.set(i64::try_from(memory_bytes).unwrap_or(i64::MAX));
        let mut families = self.time.collect();
        for counter in [&self.refusals, &self.reruns, &self.conflicts] {
            families.extend(counter.collect());
        }
        for gauge in [&self.parked, &self.memory_max] {
            families.extend(gauge.collect());
        }
        for counter in self.failures.lock().values() {
            families.extend(counter.collect());
        }
        families
    }
}
