//! The driver against an echo server: everything begun is accounted for, once.

use clap::Parser;

use super::*;
use crate::bench::client::Payload;
use crate::bench::echo;
use crate::bench::workload::{Failure, Get, Put, Txn};

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    load: Load,
}

fn load(endpoint: &str, arguments: &[&str]) -> Load {
    let endpoint = format!("--endpoints={endpoint}");
    let words = ["bench", &endpoint];
    Line::parse_from(words.iter().chain(arguments)).load
}

/// An echo server on a runtime that lives as long as the test holds it.
fn echo_server() -> (tokio::runtime::Runtime, String) {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let endpoint = runtime.block_on(echo::start_here(16, 64)).expect("a free port");
    (runtime, endpoint)
}

#[test]
fn a_total_is_done_exactly_over_threads_connections_and_clients() {
    let (_server, endpoint) = echo_server();
    let load = load(&endpoint, &["--total=1001", "--clients=10", "--conns=3", "--threads=2"]);
    let workload = Put::new(Payload::new(&load).expect("fits"));
    let outcome = drive(&load, workload, None).expect("a run");
    assert_eq!(outcome.records.latencies.len(), 1001);
    assert_eq!((outcome.records.failures.len(), outcome.unfinished), (0, 0));
    assert!(outcome.elapsed > Duration::ZERO);
    assert_eq!(outcome.usage.len(), 1, "our own");
}

#[test]
fn a_rate_is_kept() {
    let (_server, endpoint) = echo_server();
    let load = load(&endpoint, &["--rate=1000", "--duration=200ms", "--clients=4"]);
    let payload = Payload::new(&load).expect("fits");
    let workload = Get { payload, serializable: true, fill: false };
    let outcome = drive(&load, workload, None).expect("a run");
    assert_eq!(outcome.records.latencies.len(), 200, "{:?}", outcome.records.failures);
    assert!(outcome.elapsed >= Duration::from_millis(199), "the last one is due at 199 ms");
}

#[test]
fn failures_are_counted_by_their_text() {
    let (_server, endpoint) = echo_server();
    let load = load(&endpoint, &["--total=20", "--clients=2"]);
    let workload = Txn { payload: Payload::new(&load).expect("fits") };
    let outcome = drive(&load, workload, None).expect("a run");
    let failures: Vec<_> = outcome.records.failures.into_iter().collect();
    let text = "Unimplemented: the echo server only knows put and range".to_owned();
    assert_eq!(failures, [(text, 20)]);
    assert_eq!(outcome.records.latencies.len(), 0);
}

/// Answers its first operation and then never again.
struct Stuck;

struct StuckClient(bool);

impl Workload for Stuck {
    type Client = StuckClient;

    async fn client(&self, _: crate::dial::Channel, _: ClientId) -> anyhow::Result<StuckClient> {
        Ok(StuckClient(false))
    }
}

impl Operate for StuckClient {
    async fn operate(&mut self) -> Result<(), Failure> {
        if std::mem::replace(&mut self.0, true) {
            std::future::pending::<()>().await;
        }
        Ok(())
    }
}

#[test]
fn what_came_due_behind_a_stuck_server_is_unfinished_not_forgotten() {
    let (_server, endpoint) = echo_server();
    let load = load(&endpoint, &["--rate=1000", "--duration=50ms", "--clients=3"]);
    let outcome = drive(&load, Stuck, None).expect("a run");
    assert_eq!((outcome.records.latencies.len(), outcome.unfinished), (3, 47));
}

#[test]
fn no_server_is_said_with_what_to_do() {
    let load = load("127.0.0.1:1", &[]);
    let workload = Put::new(Payload::new(&load).expect("fits"));
    let error = drive(&load, workload, None).expect_err("nothing listens there").to_string();
    assert_eq!(
        error,
        "cannot connect to http://127.0.0.1:1; start the server or name it with --endpoints"
    );
}

#[test]
fn shares_add_up_to_the_load() {
    let load =
        load("a:1", &["--total=1000", "--rate=500", "--clients=7", "--conns=5", "--threads=3"]);
    let shares = shares(&load);
    let sum = |part: &dyn Fn(&Share) -> f64| shares.iter().map(part).sum::<f64>();
    assert_eq!(shares.len(), 3);
    assert_eq!(sum(&|share| share.total.unwrap_or_default() as f64), 1000.0);
    assert!((sum(&|share| share.rate.unwrap_or_default()) - 500.0).abs() < 1e-6);
    assert_eq!(sum(&|share| share.conns.len() as f64), 5.0);
    let clients = |share: &Share| {
        clients_on(&share.conns, share.conns_in_all, share.clients_in_all).count() as f64
    };
    assert_eq!(sum(&clients), 7.0);
}
