//! What a run has seen so far: how long operations took and why others failed. One recorder per
//! thread, merged at the end, so that recording is never contended.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use hdrhistogram::Histogram;
use parking_lot::Mutex;

use crate::bench::time::{Duration, Instant};

/// Below a microsecond nothing crosses a network stack.
const NANOS_MIN: u64 = 1_000;
/// An hour; what takes longer is recorded as that.
const NANOS_MAX: u64 = 3_600_000_000_000;
/// Three digits: p99 = 1.23 ms.
const DIGITS: u8 = 3;

/// One thread's records.
#[derive(Debug, Default)]
pub struct Recorder {
    records: Mutex<Records>,
    /// Operations answered, for progress; read while others write.
    answered: AtomicU64,
    failed: AtomicU64,
}

/// Latencies of answered operations, and how often each failure was seen.
#[derive(Clone, Debug)]
pub struct Records {
    pub latencies: Histogram<u64>,
    pub failures: BTreeMap<String, u64>,
    /// When the last operation ended.
    pub last: Option<Instant>,
}

impl Default for Records {
    fn default() -> Self {
        let latencies = Histogram::new_with_bounds(NANOS_MIN, NANOS_MAX, DIGITS)
            .expect("constant bounds are valid");
        Self { latencies, failures: BTreeMap::new(), last: None }
    }
}

impl Recorder {
    pub fn answered(&self, latency: Duration, at: Instant) {
        self.records.lock().answered(latency, at);
        self.answered.fetch_add(1, Ordering::Relaxed);
    }

    pub fn failed(&self, why: String, at: Instant) {
        let mut records = self.records.lock();
        records.last = records.last.max(Some(at));
        *records.failures.entry(why).or_default() += 1;
        self.failed.fetch_add(1, Ordering::Relaxed);
    }

    /// Operations answered and failed so far.
    pub fn counts(&self) -> (u64, u64) {
        (self.answered.load(Ordering::Relaxed), self.failed.load(Ordering::Relaxed))
    }

    /// Takes what was recorded; counts go on.
    pub fn take(&self) -> Records {
        std::mem::take(&mut self.records.lock())
    }
}

impl Records {
    fn answered(&mut self, latency: Duration, at: Instant) {
        let nanos = u64::try_from(latency.as_nanos()).unwrap_or(NANOS_MAX);
        self.latencies.saturating_record(nanos.clamp(NANOS_MIN, NANOS_MAX));
        self.last = self.last.max(Some(at));
    }

    /// Adds another thread's records.
    pub fn merge(&mut self, other: Records) {
        self.latencies.add(&other.latencies).expect("all histograms have the same bounds");
        for (why, times) in other.failures {
            *self.failures.entry(why).or_default() += times;
        }
        self.last = self.last.max(other.last);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::time::now;

    #[test]
    fn threads_add_up() {
        let (one, other) = (Recorder::default(), Recorder::default());
        let at = now();
        for millis in 1..=99 {
            one.answered(Duration::from_millis(millis), at);
        }
        other.answered(Duration::from_millis(100), at + Duration::from_secs(1));
        other.failed("gone".to_owned(), at);
        one.failed("gone".to_owned(), at);
        assert_eq!((one.counts(), other.counts()), ((99, 1), (1, 1)));

        let mut records = one.take();
        records.merge(other.take());
        assert_eq!(records.latencies.len(), 100);
        assert_eq!(records.latencies.value_at_quantile(0.5) / 1_000_000, 50);
        assert_eq!(records.latencies.max() / 1_000_000, 100);
        assert_eq!(records.failures, BTreeMap::from([("gone".to_owned(), 2)]));
        assert_eq!(records.last, Some(at + Duration::from_secs(1)));
    }

    #[test]
    fn latencies_out_of_bounds_are_kept_at_the_bound() {
        let recorder = Recorder::default();
        recorder.answered(Duration::ZERO, now());
        recorder.answered(Duration::from_secs(86_400), now());
        let records = recorder.take();
        assert_eq!(records.latencies.len(), 2);
        assert!(records.latencies.max() >= NANOS_MAX);
        assert!(records.latencies.min() <= NANOS_MIN);
    }
}
