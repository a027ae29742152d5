//! What a run says at its end: figures for people, or one JSON object.

use std::collections::BTreeMap;
use std::fmt::Write;

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::bench::driver::Outcome;
use crate::bench::options::Load;
use crate::bench::recorder::Records;
use crate::bench::server_usage::Usage;
use crate::bench::time::Duration;

const MIB: f64 = 1024.0 * 1024.0;

/// A run's figures. Field names are the JSON's.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    pub operation: String,
    pub endpoints: Vec<String>,
    pub conns: u32,
    pub clients: u32,
    /// Operations asked for per second; absent in a closed loop.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate: Option<u64>,
    /// From the first operation's beginning to the last one's end.
    pub seconds: f64,
    /// Answered ones.
    pub operations: u64,
    pub ops_per_second: f64,
    pub latency_us: Latency,
    pub failures: BTreeMap<String, u64>,
    /// Without an answer when the run was cut off.
    pub unfinished: u64,
    pub servers: Vec<ServerUsage>,
    /// This program's own CPU time.
    pub client_cpu_us_per_op: f64,
    /// The writer beside watchers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub writes: Option<Writes>,
    /// From the release of a lock to its next grant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub handover_us: Option<Latency>,
}

/// Microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Latency {
    pub mean: f64,
    pub p50: f64,
    pub p90: f64,
    pub p99: f64,
    pub p99_9: f64,
    pub max: f64,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ServerUsage {
    pub pid: u32,
    pub cpu_seconds: f64,
    pub cpu_us_per_op: f64,
    pub rss_bytes: u64,
    pub rss_anon_bytes: u64,
}

#[derive(Clone, Debug, Serialize)]
pub struct Writes {
    pub operations: u64,
    pub ops_per_second: f64,
    pub latency_us: Latency,
}

impl Report {
    /// The figures of a run of `operation`.
    pub fn new(operation: &str, load: &Load, outcome: Outcome) -> Self {
        let Outcome { records, elapsed, unfinished, usage, start: _ } = outcome;
        let operations = records.latencies.len();
        let (own, servers) =
            usage.split_last().map_or((None, &[][..]), |(own, rest)| (Some(own), rest));
        Self {
            operation: operation.to_owned(),
            endpoints: load.endpoints.iter().map(|one| load.security.url(one)).collect(),
            conns: load.conns.min(load.clients),
            clients: load.clients,
            rate: load.rate,
            seconds: elapsed.as_secs_f64(),
            operations,
            ops_per_second: per_second(operations, elapsed),
            latency_us: Latency::of(&records.latencies),
            failures: records.failures,
            unfinished,
            servers: servers.iter().map(|usage| ServerUsage::of(usage, operations)).collect(),
            client_cpu_us_per_op: own.map_or(0.0, |own| micros_per(own.cpu, operations)),
            writes: None,
            handover_us: None,
        }
    }

    /// Makes a report of writes one of events: those are the operations now, and CPU is per event.
    pub fn with_events(mut self, events: Records, missing: u64, start_to_last: Duration) -> Self {
        self.writes = Some(Writes {
            operations: self.operations,
            ops_per_second: self.ops_per_second,
            latency_us: self.latency_us,
        });
        let written = self.operations as f64;
        self.operations = events.latencies.len();
        self.seconds = start_to_last.as_secs_f64();
        self.ops_per_second = per_second(self.operations, start_to_last);
        self.latency_us = Latency::of(&events.latencies);
        let per_event = |per_write: f64| match self.operations {
            0 => 0.0,
            events => per_write * written / events as f64,
        };
        for server in &mut self.servers {
            server.cpu_us_per_op = per_event(server.cpu_us_per_op);
        }
        self.client_cpu_us_per_op = per_event(self.client_cpu_us_per_op);
        for (why, times) in events.failures {
            *self.failures.entry(why).or_default() += times;
        }
        if missing > 0 {
            self.failures.insert("event did not arrive".to_owned(), missing);
        }
        self
    }

    /// Adds the times from release to grant.
    pub fn with_handovers(mut self, handovers: &Records) -> Self {
        self.handover_us = Some(Latency::of(&handovers.latencies));
        self
    }

    /// One JSON object on one line.
    pub fn json(&self) -> anyhow::Result<String> {
        Ok(serde_json::to_string(self)? + "\n")
    }

    /// For people.
    pub fn text(&self) -> String {
        let mut text = String::new();
        let noun = if self.writes.is_some() { "events" } else { "operations" };
        let _ = writeln!(
            text,
            "{}: {} clients on {} connections{}",
            self.operation,
            self.clients,
            self.conns,
            self.rate.map_or(String::new(), |rate| format!(", {rate}/s due"))
        );
        line(&mut text, noun, self.operations, self.seconds, self.ops_per_second);
        latency(&mut text, "latency", &self.latency_us);
        if let Some(writes) = &self.writes {
            line(&mut text, "writes", writes.operations, self.seconds, writes.ops_per_second);
            latency(&mut text, "latency", &writes.latency_us);
        }
        if let Some(handover) = &self.handover_us {
            latency(&mut text, "hand-over", handover);
        }
        for server in &self.servers {
            let _ = writeln!(
                text,
                "  server {}  {:.1} us CPU/op, RSS {:.1} MiB, anonymous {:.1} MiB",
                server.pid,
                server.cpu_us_per_op,
                server.rss_bytes as f64 / MIB,
                server.rss_anon_bytes as f64 / MIB
            );
        }
        let _ = writeln!(text, "  this client  {:.1} us CPU/op", self.client_cpu_us_per_op);
        for (why, times) in &self.failures {
            let _ = writeln!(text, "  failed {times} times: {why}");
        }
        if self.unfinished > 0 {
            let _ = writeln!(text, "  unfinished {}", self.unfinished);
        }
        text
    }
}

fn line(text: &mut String, noun: &str, operations: u64, seconds: f64, rate: f64) {
    let _ = writeln!(text, "  {noun}  {operations} in {seconds:.2} s, {rate:.0}/s");
}

fn latency(text: &mut String, noun: &str, latency: &Latency) {
    let Latency { mean: _, p50, p90, p99, p99_9, max } = latency;
    let [p50, p90, p99, p99_9, max] = [p50, p90, p99, p99_9, max].map(|us| us / 1000.0);
    let _ = writeln!(
        text,
        "  {noun}  p50 {p50:.3} ms, p90 {p90:.3}, p99 {p99:.3}, p99.9 {p99_9:.3}, max {max:.3}"
    );
}

impl Latency {
    fn of(nanos: &Histogram<u64>) -> Self {
        let at = |quantile| nanos.value_at_quantile(quantile) as f64 / 1000.0;
        Self {
            mean: nanos.mean() / 1000.0,
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            p99_9: at(0.999),
            max: nanos.max() as f64 / 1000.0,
        }
    }
}

impl ServerUsage {
    fn of(usage: &Usage, operations: u64) -> Self {
        Self {
            pid: usage.pid,
            cpu_seconds: usage.cpu.as_secs_f64(),
            cpu_us_per_op: micros_per(usage.cpu, operations),
            rss_bytes: usage.rss_bytes,
            rss_anon_bytes: usage.rss_anon_bytes,
        }
    }
}

fn per_second(operations: u64, elapsed: Duration) -> f64 {
    match elapsed.is_zero() {
        true => 0.0,
        false => operations as f64 / elapsed.as_secs_f64(),
    }
}

fn micros_per(cpu: Duration, operations: u64) -> f64 {
    match operations {
        0 => 0.0,
        _ => cpu.as_secs_f64() * 1e6 / operations as f64,
    }
}

#[cfg(test)]
#[path = "report_test.rs"]
mod tests;
