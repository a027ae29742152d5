//! The arithmetic of a report, and what its reader sees.

use clap::Parser;
use serde_json::Value;

use super::*;
use crate::bench::recorder::Recorder;
use crate::bench::time::now;

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    load: Load,
}

fn usage(pid: u32, cpu_millis: u64) -> Usage {
    let cpu = Duration::from_millis(cpu_millis);
    Usage { pid, cpu, rss_bytes: 3 << 20, rss_anon_bytes: 2 << 20 }
}

/// 1000 operations of 1 to 1000 µs in two seconds, 5 failures.
fn outcome() -> Outcome {
    let recorder = Recorder::default();
    let start = now();
    for micros in 1..=1000 {
        recorder.answered(Duration::from_micros(micros), start);
    }
    for _ in 0..5 {
        recorder.failed("Unavailable: gone".to_owned(), start);
    }
    Outcome {
        records: recorder.take(),
        elapsed: Duration::from_secs(2),
        unfinished: 3,
        start,
        usage: vec![usage(41, 50), usage(42, 20)],
    }
}

fn report(arguments: &[&str]) -> Report {
    let load = Line::parse_from(["bench"].iter().chain(arguments)).load;
    Report::new("put", &load, outcome())
}

fn close(figure: &Value, expected: f64) -> bool {
    let figure = figure.as_f64().expect("a number");
    (figure - expected).abs() <= expected * 0.002
}

#[test]
fn rates_quantiles_and_cpu_per_operation() {
    let json = report(&["--rate=500", "--conns=4"]).json().expect("serializable");
    assert_eq!(json.lines().count(), 1);
    let json: Value = serde_json::from_str(&json).expect("valid");
    assert_eq!(json["operations"], 1000);
    assert_eq!(json["ops_per_second"], 500.0);
    assert_eq!(json["rate"], 500);
    assert_eq!(json["unfinished"], 3);
    assert_eq!(json["failures"]["Unavailable: gone"], 5);
    for (name, expected) in [
        ("mean", 500.5),
        ("p50", 500.0),
        ("p90", 900.0),
        ("p99", 990.0),
        ("p99_9", 999.0),
        ("max", 1000.0),
    ] {
        assert!(close(&json["latency_us"][name], expected), "{name}: {}", json["latency_us"][name]);
    }
    assert_eq!(json["servers"].as_array().map(Vec::len), Some(1), "the last usage is our own");
    assert_eq!(json["servers"][0]["pid"], 41);
    assert_eq!(json["servers"][0]["cpu_us_per_op"], 50.0);
    assert_eq!(json["client_cpu_us_per_op"], 20.0);
}

#[test]
fn text_shows_the_same_figures() {
    let text = report(&[]).text();
    for expected in [
        "put: 256 clients on 8 connections\n",
        "operations  1000 in 2.00 s, 500/s",
        "server 41  50.0 us CPU/op, RSS 3.0 MiB, anonymous 2.0 MiB",
        "failed 5 times: Unavailable: gone",
        "unfinished 3",
    ] {
        assert!(text.contains(expected), "{expected} is not in {text}");
    }
}

#[test]
fn nothing_answered_divides_by_nothing() {
    let nothing = Outcome { records: Records::default(), elapsed: Duration::ZERO, ..outcome() };
    let report = Report::new("put", &Line::parse_from(["bench"]).load, nothing);
    let figures = [report.ops_per_second, report.client_cpu_us_per_op, report.latency_us.mean];
    assert_eq!(figures, [0.0; 3]);
}

#[test]
fn events_take_the_place_of_writes() {
    let recorder = Recorder::default();
    for _ in 0..2000 {
        recorder.answered(Duration::from_millis(7), now());
    }
    let report = report(&[]).with_events(recorder.take(), 4, Duration::from_secs(4));
    assert_eq!((report.operations, report.ops_per_second), (2000, 500.0));
    let writes = report.writes.as_ref().expect("the writer's figures");
    assert_eq!((writes.operations, writes.ops_per_second), (1000, 500.0));
    assert_eq!(report.servers[0].cpu_us_per_op, 25.0, "50 ms for 2000 events");
    assert_eq!(report.failures["event did not arrive"], 4);
    assert!(report.text().contains("events  2000 in 4.00 s"), "{}", report.text());
}
