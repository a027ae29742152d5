//! The counters and histograms that a plugin keeps of its own. All plugins share two families,
//! with the metric's name as a label, so that no plugin can take a name from another or change
//! its kind.

use parking_lot::Mutex;
use prometheus::core::Collector;
use prometheus::proto::MetricFamily;
use prometheus::{Histogram, HistogramOpts, IntCounter, Opts};

use super::bounds::{METRIC_NAME_BYTES_MAX, USER_METRICS_MAX};
use super::diary_meters::opts;
use super::error::{CallError, cut};
use crate::effect::Point;

/// Upper bounds for values of any meaning: counts, bytes, seconds.
const VALUES: [f64; 16] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 50.0, 100.0, 1e3, 1e4, 1e6];

/// At most [`USER_METRICS_MAX`] over all points of a plugin.
#[derive(Debug, Default)]
pub(super) struct UserMetrics(Mutex<Vec<Metric>>);

#[derive(Debug)]
struct Metric {
    point: Point,
    name: String,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Counter(IntCounter),
    Histogram(Histogram),
}

const VALID: &str = "the name of a metric is checked before";

impl UserMetrics {
    pub(super) fn count(
        &self,
        plugin: &str,
        point: Point,
        name: &str,
        by: u64,
    ) -> Result<(), CallError> {
        let find = |metric: &Metric| match &metric.kind {
            Kind::Counter(counter) => Some(counter.clone()),
            Kind::Histogram(_) => None,
        };
        let make = || {
            let help = "Counters that plugins keep of their own.";
            let opts = named("portunus_plugin_user_total", help, plugin, point, name);
            let counter = IntCounter::with_opts(opts).expect(VALID);
            (counter.clone(), Kind::Counter(counter))
        };
        self.find_or_make(point, name, find, make)?.inc_by(by);
        Ok(())
    }

    pub(super) fn observe(
        &self,
        plugin: &str,
        point: Point,
        name: &str,
        value: f64,
    ) -> Result<(), CallError> {
        let find = |metric: &Metric| match &metric.kind {
            Kind::Histogram(histogram) => Some(histogram.clone()),
            Kind::Counter(_) => None,
        };
        let make = || {
            let help = "Histograms that plugins keep of their own.";
            let opts = named("portunus_plugin_user_observed", help, plugin, point, name);
            let opts = HistogramOpts::from(opts).buckets(VALUES.to_vec());
            let histogram = Histogram::with_opts(opts).expect(VALID);
            (histogram.clone(), Kind::Histogram(histogram))
        };
        let histogram = self.find_or_make(point, name, find, make)?;
        // One value that is not a number would spoil the sum for good.
        if value.is_finite() {
            histogram.observe(value);
        }
        Ok(())
    }

    fn find_or_make<T>(
        &self,
        point: Point,
        name: &str,
        find: impl Fn(&Metric) -> Option<T>,
        make: impl FnOnce() -> (T, Kind),
    ) -> Result<T, CallError> {
        let mut metrics = self.0.lock();
        let mut own = metrics.iter().filter(|metric| metric.point == point && metric.name == name);
        if let Some(found) = own.find_map(find) {
            return Ok(found);
        }
        if !is_valid(name) {
            return Err(CallError::BadMetricName { name: cut(name).to_owned() });
        }
        if metrics.len() == USER_METRICS_MAX {
            return Err(CallError::TooManyMetrics { limit: USER_METRICS_MAX });
        }
        let (made, kind) = make();
        metrics.push(Metric { point, name: name.to_owned(), kind });
        Ok(made)
    }

    pub(super) fn collect(&self) -> Vec<MetricFamily> {
        let collect = |metric: &Metric| match &metric.kind {
            Kind::Counter(counter) => counter.collect(),
            Kind::Histogram(histogram) => histogram.collect(),
        };
        self.0.lock().iter().flat_map(collect).collect()
    }
}

fn named(family: &str, help: &str, plugin: &str, point: Point, name: &str) -> Opts {
    opts(family, help, plugin, point).const_label("name", name)
}

/// As prometheus names metrics, though it is a label here: other systems take it for the name.
fn is_valid(name: &str) -> bool {
    let head = name.bytes().next().is_some_and(|first| !first.is_ascii_digit());
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    head && name.len() <= METRIC_NAME_BYTES_MAX && name.bytes().all(plain)
}

#[cfg(test)]
mod tests {
    use super::{METRIC_NAME_BYTES_MAX, USER_METRICS_MAX, UserMetrics, is_valid};
    use crate::effect::Point;
    use crate::wasm::error::CallError;

    #[test]
    fn names_are_those_of_prometheus() {
        let longest = "x".repeat(METRIC_NAME_BYTES_MAX);
        for good in ["a", "_a", "hits_total", "Hits2", &longest] {
            assert!(is_valid(good), "{good}");
        }
        let too_long = format!("{longest}x");
        for bad in ["", "2a", "a-b", "a b", "a\n", "ä", "a{b=\"c\"}", &too_long] {
            assert!(!is_valid(bad), "{bad}");
        }
    }

    #[test]
    fn a_plugin_has_so_many_and_then_those_it_has_still_count() {
        let user = UserMetrics::default();
        for n in 0..USER_METRICS_MAX - 1 {
            assert_eq!(user.count("p", Point::Trigger, &format!("n{n}"), 2), Ok(()));
        }
        assert_eq!(user.observe("p", Point::Trigger, "n0", 0.5), Ok(()), "another kind");
        let full = Err(CallError::TooManyMetrics { limit: USER_METRICS_MAX });
        assert_eq!(user.count("p", Point::Recipe, "n0", 1), full, "another point");
        assert_eq!(user.count("p", Point::Trigger, "n0", 1), Ok(()));
        assert_eq!(user.observe("p", Point::Trigger, "n0", f64::NAN), Ok(()));
        let families = user.collect();
        assert_eq!(families.len(), USER_METRICS_MAX);
        assert_eq!(families[0].get_metric()[0].get_counter().get_value(), 3.0);
        let observed = families[USER_METRICS_MAX - 1].get_metric()[0].get_histogram();
        assert_eq!((observed.get_sample_count(), observed.get_sample_sum()), (1, 0.5));
    }
}
