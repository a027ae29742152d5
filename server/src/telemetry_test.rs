//! What a log line looks like to whatever parses it.

use std::io;
use std::sync::{Arc, Mutex};

use serde_json::Value;

use super::*;

#[derive(Clone, Default)]
struct Captured(Arc<Mutex<Vec<u8>>>);

impl io::Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("no test panics while writing").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn lines_of(log: impl FnOnce()) -> Vec<Value> {
    let captured = Captured::default();
    let writer = captured.clone();
    let subscriber = tracing_subscriber::registry().with(
        tracing_subscriber::fmt::layer()
            .with_writer(move || writer.clone())
            .fmt_fields(JsonFields::new())
            .event_format(JsonLine),
    );
    tracing::subscriber::with_default(subscriber, log);
    let bytes = captured.0.lock().expect("no test panics while writing").clone();
    let text = String::from_utf8(bytes).expect("log lines are text");
    text.lines().map(|line| serde_json::from_str(line).expect(line)).collect()
}

#[test]
fn a_line_has_etcds_members_and_its_fields() {
    let lines = lines_of(|| {
        let span = tracing::info_span!("peer", member = 7_u64, empty = tracing::field::Empty);
        let _entered = span.enter();
        tracing::warn!(term = 3_u64, slow = true, why = %"a \"quote\"\n", "took too long");
    });
    let [line] = lines.as_slice() else { panic!("one line, not {lines:?}") };
    assert_eq!(line["level"], "warn");
    assert_eq!(line["msg"], "took too long");
    assert_eq!(line["term"], 3);
    assert_eq!(line["slow"], true);
    assert_eq!(line["why"], "a \"quote\"\n");
    assert_eq!(line["member"], 7);
    let caller = line["caller"].as_str().expect("a caller");
    assert!(caller.starts_with("src/telemetry_test.rs:"), "{caller}");
    let ts = line["ts"].as_str().expect("a time");
    assert!(ts.len() == "2026-01-02T15:04:05.000123Z".len() && ts.ends_with('Z'), "{ts}");
}

#[test]
fn a_line_without_spans_is_valid_too() {
    let lines = lines_of(|| tracing::info!("ready"));
    assert_eq!((lines.len(), &lines[0]["msg"]), (1, &Value::from("ready")));
}

#[test]
fn timestamps_know_the_calendar() {
    let cases = [
        (0, "1970-01-01T00:00:00.000000Z"),
        (951_782_399, "2000-02-28T23:59:59.000000Z"),
        (951_782_400, "2000-02-29T00:00:00.000000Z"),
        (951_868_800, "2000-03-01T00:00:00.000000Z"),
        (1_767_366_245, "2026-01-02T15:04:05.000000Z"),
        (4_107_542_400, "2100-03-01T00:00:00.000000Z"),
    ];
    for (seconds, expected) in cases {
        assert_eq!(timestamp(Duration::from_secs(seconds)), expected);
    }
    assert_eq!(timestamp(Duration::from_micros(123)), "1970-01-01T00:00:00.000123Z");
}

#[test]
fn a_bare_level_quietens_dependencies_and_a_filter_is_kept() {
    assert!(filter("info").starts_with("info,") && filter("info").contains(",h2=warn"));
    assert!(filter("info").ends_with(",openraft=error"), "a member that is down is said once");
    assert!(filter("debug").contains(",h2=info"));
    assert_eq!(filter("error"), "error");
    assert_eq!(filter("info,portunus::raft=debug"), "info,portunus::raft=debug");
}
