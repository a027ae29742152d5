//! How metrics are made: the components own theirs, each beside its code, in the process's one
//! registry. Names, labels and buckets are etcd's wherever etcd has the figure, since dashboards
//! and alerts ask for them by name. Nothing deterministic may count here.

use prometheus::core::Collector;
use prometheus::{
    Gauge, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge,
    Opts, Registry,
};

/// Buckets that begin at `start` and grow by `factor`, as Prometheus' own helper makes them.
pub fn growing(start: f64, factor: f64, count: usize) -> Vec<f64> {
    prometheus::exponential_buckets(start, factor, count)
        .expect("start and count are positive and the factor is above one")
}

/// 1 ms to 8 s: the buckets of etcd's histograms of the disk.
pub fn disk_buckets() -> Vec<f64> {
    growing(0.001, 2.0, 14)
}

pub fn counter(name: &str, help: &str) -> IntCounter {
    registered(IntCounter::new(name, help))
}

pub fn counter_vec(name: &str, help: &str, labels: &[&str]) -> IntCounterVec {
    registered(IntCounterVec::new(Opts::new(name, help), labels))
}

pub fn gauge(name: &str, help: &str) -> IntGauge {
    registered(IntGauge::new(name, help))
}

pub fn gauge_vec(opts: Opts, labels: &[&str]) -> GaugeVec {
    registered(GaugeVec::new(opts, labels))
}

pub fn histogram(name: &str, help: &str, buckets: Vec<f64>) -> Histogram {
    registered(Histogram::with_opts(HistogramOpts::new(name, help).buckets(buckets)))
}

pub fn histogram_vec(name: &str, help: &str, labels: &[&str], buckets: Vec<f64>) -> HistogramVec {
    registered(HistogramVec::new(HistogramOpts::new(name, help).buckets(buckets), labels))
}

fn registered<C: Collector + Clone + 'static>(made: prometheus::Result<C>) -> C {
    let metric = made.expect("names and labels of metrics are literals that Prometheus accepts");
    prometheus::register(Box::new(metric.clone())).expect("a metric is made once");
    metric
}

/// Figures read when somebody asks, in a registry of their own: what a component knows anyway is
/// not counted a second time while it works.
#[derive(Default)]
pub struct Readings(Registry);

impl Readings {
    pub fn gauge(&self, name: &str, help: &str, value: f64) {
        self.labelled_gauge(name, help, &[], value);
    }

    pub fn labelled_gauge(&self, name: &str, help: &str, labels: &[(&str, &str)], value: f64) {
        let gauge = Gauge::with_opts(opts(name, help, labels));
        let gauge = gauge.expect("names and labels of metrics are literals");
        gauge.set(value);
        self.add(gauge);
    }

    pub fn counter(&self, name: &str, help: &str, value: u64) {
        let counter = IntCounter::new(name, help).expect("names of metrics are literals");
        counter.inc_by(value);
        self.add(counter);
    }

    pub fn float_counter(&self, name: &str, help: &str, value: f64) {
        let counter = prometheus::Counter::new(name, help);
        let counter = counter.expect("names of metrics are literals");
        counter.inc_by(value);
        self.add(counter);
    }

    fn add<C: Collector + 'static>(&self, metric: C) {
        self.0.register(Box::new(metric)).expect("a figure is read once for each set of labels");
    }

    /// The families, in order of name.
    pub fn families(&self) -> Vec<prometheus::proto::MetricFamily> {
        self.0.gather()
    }
}

fn opts(name: &str, help: &str, labels: &[(&str, &str)]) -> Opts {
    labels
        .iter()
        .fold(Opts::new(name, help), |opts, (label, value)| opts.const_label(*label, *value))
}

#[cfg(test)]
mod tests {
    use super::{Readings, disk_buckets};

    #[test]
    fn the_disk_buckets_are_etcds() {
        let buckets = disk_buckets();
        assert_eq!((buckets[0], buckets[1], buckets[13]), (0.001, 0.002, 8.192));
    }

    #[test]
    fn readings_of_one_name_differ_by_label_and_are_one_family() {
        let readings = Readings::default();
        readings.labelled_gauge("peers", "Peers.", &[("To", "a")], 1.0);
        readings.labelled_gauge("peers", "Peers.", &[("To", "b")], 0.0);
        readings.counter("events", "Events.", 7);
        let families = readings.families();
        let names: Vec<_> = families.iter().map(|family| family.name().to_owned()).collect();
        assert_eq!(names, ["events", "peers"]);
        assert_eq!(families[1].get_metric().len(), 2);
    }
}
