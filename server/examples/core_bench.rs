//! Measures the core alone, on one thread: the tree against the standard library's map, puts
//! decided on a large head, and loading a store. `cargo run --release --example core_bench [keys]`.

#![allow(clippy::disallowed_methods, reason = "a benchmark reads the real clock")]

use std::collections::BTreeMap;
use std::hint::black_box;
use std::time::{Duration, Instant};

use bytes::Bytes;
use portunus::decide::{Cx, Draft, Request, decide};
use portunus::machine::{State, What, load, position_rows};
use portunus::mvcc::Tree;
use portunus::types::{Item, KeyRange, LeaseId, Revision};
use portunus_proto::etcdserverpb::PutRequest;

const VALUE: [u8; 256] = [7; 256];
const PROBES: usize = 200_000;

fn main() {
    let keys = std::env::args().nth(1).and_then(|n| n.parse().ok()).unwrap_or(1_000_000);
    let items = items(keys);
    tree(&items);
    standard(&items);
    decisions(&items);
    loading(&items);
}

fn scattered(n: usize) -> usize {
    n.wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// Keys of 30 to 50 bytes below one prefix, in no order; values of 256.
fn items(count: usize) -> Vec<Item> {
    let item = |n: usize| {
        let id = scattered(n);
        let pad = "x".repeat(id % 20);
        let key = format!("/registry/pods/{id:016x}{pad}");
        Item::new(key.as_bytes(), &VALUE, 2, Revision::new(n as i64 + 2, 0), 1, LeaseId::NONE)
    };
    (0..count).map(item).collect()
}

fn again(item: &Item, main: i64) -> Item {
    let (version, lease) = (item.version() + 1, item.lease());
    let at = Revision::new(main, 0);
    Item::new(item.key(), &VALUE, item.create_revision(), at, version, lease)
}

fn timed<T>(what: &str, per: usize, run: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let result = run();
    report(what, start.elapsed(), per);
    result
}

fn report(what: &str, took: Duration, per: usize) {
    let each = took.as_nanos() as f64 / per as f64;
    println!("{what:<52} {each:>10.0} ns each, {:>8.1} ms in all", took.as_secs_f64() * 1e3);
}

fn probes(items: &[Item]) -> impl Iterator<Item = &Item> {
    (0..PROBES).map(|n| &items[scattered(n + 7) % items.len()])
}

fn tree(items: &[Item]) {
    let mut tree = timed("tree: insert in no order", items.len(), || {
        let mut tree = Tree::new();
        items.iter().for_each(|item| drop(tree.insert(item.clone())));
        tree
    });
    timed("tree: get", PROBES, || {
        black_box(probes(items).filter(|item| tree.contains(item.key())).count());
    });
    let all = KeyRange::all();
    timed("tree: scan of everything", items.len(), || {
        black_box(tree.range(&all).map(Item::mod_revision).sum::<i64>());
    });
    let half = KeyRange::from_wire("/registry/pods/4".into(), "/registry/pods/c".into());
    timed("tree: count of half of it", 1000, || {
        black_box((0..1000).map(|_| tree.count(black_box(&half))).sum::<usize>());
    });
    let news: Vec<_> = probes(items).map(|item| again(item, 1 << 40)).collect();
    timed("tree: update, nobody shares", PROBES, || {
        news.iter().for_each(|item| drop(tree.insert(item.clone())));
    });
    for batch in [1, 100] {
        let mut kept = std::collections::VecDeque::new();
        timed(&format!("tree: update, 8 versions kept, batches of {batch}"), PROBES, || {
            for chunk in news.chunks(batch) {
                chunk.iter().for_each(|item| drop(tree.insert(item.clone())));
                kept.push_back(tree.clone());
                if kept.len() > 8 {
                    kept.pop_front();
                }
            }
        });
    }
    timed("tree: remove and insert again", PROBES, || {
        for item in &news {
            tree.remove(item.key());
            tree.insert(item.clone());
        }
    });
    let sorted: Vec<_> = tree.iter().cloned().collect();
    timed("tree: build from sorted items", items.len(), || drop(Tree::from_sorted(sorted)));
}

fn standard(items: &[Item]) {
    let key = |item: &Item| Bytes::copy_from_slice(item.key());
    let mut map = timed("standard map: insert in no order", items.len(), || {
        let mut map = BTreeMap::new();
        items.iter().for_each(|item| drop(map.insert(key(item), item.clone())));
        map
    });
    timed("standard map: get", PROBES, || {
        black_box(probes(items).filter(|item| map.contains_key(item.key())).count());
    });
    timed("standard map: scan of everything", items.len(), || {
        black_box(map.values().map(Item::mod_revision).sum::<i64>());
    });
    let news: Vec<_> = probes(items).map(|item| again(item, 1 << 40)).collect();
    timed("standard map: update", PROBES, || {
        for item in &news {
            if let Some(old) = map.get_mut(item.key()) {
                *old = item.clone();
            }
        }
    });
}

fn decisions(items: &[Item]) {
    let cx = Cx {
        max_txn_ops: 128,
        quota_bytes: None,
        db_size_bytes: 0,
        disk_is_short: false,
        lease_ttl_min: 2,
        past: None,
        now_ms: 0,
    };
    let put = |item: &Item| {
        let (key, value) = (Bytes::copy_from_slice(item.key()), Bytes::from_static(&VALUE));
        Request::Put(PutRequest { key, value, ..Default::default() })
    };
    let mut head = State::default();
    let requests: Vec<_> = items.iter().map(put).collect();
    let decide_all = |head: &mut State, requests: &[Request]| {
        for request in requests {
            let mut draft = Draft::default();
            drop(black_box(decide(head, request, &[], &cx, &mut draft)));
        }
    };
    timed("decide: put of a new key", items.len(), || decide_all(&mut head, &requests));
    let requests: Vec<_> = probes(items).map(put).collect();
    timed("decide: put of a known key", PROBES, || decide_all(&mut head, &requests));
    let mut versions = std::collections::VecDeque::new();
    timed("decide: the same, 4 heads kept, batches of 100", PROBES, || {
        for chunk in requests.chunks(100) {
            decide_all(&mut head, chunk);
            versions.push_back(head.clone());
            if versions.len() > 4 {
                versions.pop_front();
            }
        }
    });
    timed("state: clone", PROBES, || (0..PROBES).for_each(|_| drop(black_box(head.clone()))));
}

fn loading(items: &[Item]) {
    let mut state = State::default();
    let (mut changes, mut rows) = (Vec::new(), Vec::new());
    for item in items {
        let effect = portunus::effect::Effect::Put(item.clone());
        state.apply(&effect, &mut changes, &mut rows);
    }
    let rows: Vec<_> = position_rows(&state)
        .into_iter()
        .filter_map(|(key, value)| value.map(|value| (key, value)))
        .collect();
    let records: Vec<_> =
        items.iter().map(|item| (item.modified(), What::Put(item.clone()))).collect();
    timed("load: records into a state", items.len(), || load(rows, records).map(drop))
        .expect("the rows are those of the records");
}
