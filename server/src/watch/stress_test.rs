//! Threads: one publishes without pause, streams come, read at their own pace and go. Whatever
//! the interleaving, each watcher gets its events without gap and without repetition.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use bytes::Bytes;

use super::fixture_test::{Client, Expect, Store};
use super::{Create, Hub, Options};
use crate::types::KeyRange;

const REVISIONS: i64 = 3000;
const KEYS: [&str; 4] = ["a", "b", "ba", "c"];

/// Watches a key and a range from `start`, which may be past, now or future, until the last
/// revision has come by; goes through switches between ring, history and live on the way.
async fn reader(hub: Hub, store: Arc<Store>, start: i64, key: &'static str, pause: usize) -> usize {
    let mut stream = hub.open();
    let mut client = Client::default();
    let ends = [Bytes::new(), Bytes::from_static(&[0])];
    for (number, range_end) in ends.into_iter().enumerate() {
        let prev_kv = number == 0;
        let range = KeyRange::from_wire(key.into(), range_end.clone());
        let create = Create {
            key: key.into(),
            range_end,
            start_revision: start,
            prev_kv,
            ..Create::default()
        };
        stream.create(create);
        // The first watcher's events may come before the second one is created.
        let created = loop {
            let response = stream.next().await.expect("the stream goes on");
            if response.created {
                break response;
            }
            client.receive(&response, &store);
        };
        let start = if start == 0 { created.revision + 1 } else { start };
        let (no_put, no_delete, fragment) = (false, false, false);
        let expect =
            Expect { range, start, no_put, no_delete, prev_kv, fragment, seen: 0, last: 0 };
        client.watching.insert(created.watch_id, expect);
    }
    let mut answers = 0;
    // The last revision puts all keys and so is for everybody.
    while client.watching.values().any(|expect| expect.last < REVISIONS) {
        let response = stream.next().await.expect("the stream goes on");
        client.receive(&response, &store);
        answers += 1;
        if answers % 7 == 0 {
            stream.request_progress();
        }
        for _ in 0..pause {
            tokio::task::yield_now().await;
        }
    }
    client.progress_answers
}

fn run(options: Options) {
    let store = Store::new(64);
    let history: Arc<Store> = Arc::clone(&store);
    let hub = Hub::new(store.revision(), 0, history, options);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(3)
        .enable_time()
        .build()
        .expect("a runtime");
    let reached = Arc::new(AtomicI64::new(1));
    let failed = Arc::new(AtomicBool::new(false));
    let publisher = std::thread::spawn({
        let (store, hub, reached, failed) =
            (Arc::clone(&store), hub.clone(), Arc::clone(&reached), Arc::clone(&failed));
        move || {
            while store.revision() < REVISIONS && !failed.load(Ordering::Relaxed) {
                let number = store.revision() as usize;
                let value = Bytes::from(number.to_string());
                let all = store.revision() + 1 == REVISIONS;
                let keys = if all { &KEYS[..] } else { &KEYS[number % 4..][..1] };
                let wishes: Vec<_> =
                    keys.iter().map(|key| (Bytes::from(*key), Some(value.clone()))).collect();
                hub.publish(store.commit(&wishes));
                reached.store(store.revision(), Ordering::Release);
                if number.is_multiple_of(64) {
                    std::thread::yield_now();
                }
            }
        }
    });
    let readers = runtime.block_on(async {
        let mut tasks = Vec::new();
        for number in 0..24i64 {
            let threshold = number * REVISIONS / 40;
            while reached.load(Ordering::Acquire) < threshold {
                tokio::task::yield_now().await;
            }
            let start = match number % 3 {
                0 => 0,
                1 => 1 + threshold / 2,
                _ => threshold + 200,
            };
            let key = KEYS[number as usize % 4];
            let pause = if number % 2 == 0 { 0 } else { 20 };
            tasks.push(tokio::spawn(reader(hub.clone(), Arc::clone(&store), start, key, pause)));
        }
        let mut done = Vec::new();
        for task in tasks {
            done.push(task.await);
        }
        done
    });
    failed.store(true, Ordering::Relaxed);
    publisher.join().expect("the publisher does not fail");
    for reader in readers {
        reader.expect("a reader found a gap, a repetition or a progress that lied");
    }
    assert_eq!(hub.stats().streams, 0);
}

#[test]
fn a_large_ring_and_long_queues() {
    run(Options::standard());
}

#[test]
fn a_small_ring_and_short_queues() {
    let options = Options {
        ring_bytes_max: 20_000,
        queue_events_max: 16,
        queue_bytes_max: 2_000,
        response_bytes_max: 1_000,
        ..Options::standard()
    };
    run(options);
}
