//! Measures what a write policy adds to a write: one call from the server's types to the plugin
//! and back, on one thread, with a warm instance. Run it with `--release`.

use std::time::{Duration, Instant};

use portunus::effect::{Isolation, PluginLimits, Point};
use portunus::types::{Item, KeyRange, LeaseId, Revision};
use portunus::wasm::{
    Bound, BoundOptions, Caller, Diary, Engine, EngineOptions, Plugin, Refused, Verdict, View,
    Write,
};

const CALLS: usize = 50_000;
const ROUNDS: usize = 5;

/// Holds one item.
struct One(Item);

impl View for One {
    fn get(&mut self, key: &[u8]) -> Result<Option<Item>, Refused> {
        Ok((self.0.key() == key).then(|| self.0.clone()))
    }

    fn range(&mut self, range: &KeyRange, _limit: usize) -> Result<Vec<Item>, Refused> {
        Ok(range.contains(self.0.key()).then(|| self.0.clone()).into_iter().collect())
    }

    fn count(&mut self, range: &KeyRange) -> Result<u64, Refused> {
        Ok(u64::from(range.contains(self.0.key())))
    }

    fn put(&mut self, key: &[u8], _value: &[u8], _lease: LeaseId) -> Result<(), Refused> {
        Err(Refused(format!("{} is not to be written", key.escape_ascii())))
    }

    fn delete(&mut self, range: &KeyRange) -> Result<u64, Refused> {
        self.count(range)
    }

    fn now_ms(&mut self) -> u64 {
        0
    }

    fn random(&mut self, out: &mut [u8]) {
        out.fill(0);
    }
}

fn main() -> anyhow::Result<()> {
    let engine = Engine::new(EngineOptions::default())?;
    let item = Item::new(b"app/key", &[b'x'; 256], 2, Revision::new(2, 0), 1, LeaseId::NONE);
    let put = |previous| Write::Put {
        key: b"app/key",
        value: &[b'x'; 256],
        lease: LeaseId::NONE,
        previous,
    };
    let one = [put(None)];
    let one_previous = [put(Some(&item))];
    let three = [put(Some(&item)), put(Some(&item)), put(Some(&item))];
    let hundred = vec![put(Some(&item)); 100];

    let allow = bind(&engine, &compile(&engine, env!("PLUGIN_ALLOW_ALL"))?, "")?;
    let guard = compile(&engine, env!("PLUGIN_VALUE_GUARD"))?;
    let sizes = bind(&engine, &guard, "max-value-bytes = 1024\nmax-key-bytes = 128")?;
    let count = bind(&engine, &guard, "max-keys = 1000")?;
    let mut view = One(item.clone());
    measure("allow-all, 1 put of 256 B", &allow, &mut view, &one)?;
    measure("allow-all, 1 put, previous", &allow, &mut view, &one_previous)?;
    measure("allow-all, 3 puts, previous", &allow, &mut view, &three)?;
    measure("allow-all, 100 puts, previous", &allow, &mut view, &hundred)?;
    measure("value-guard, sizes, 1 put", &sizes, &mut view, &one)?;
    measure("value-guard, count, 1 put", &count, &mut view, &one)?;

    let cold = Engine::new(EngineOptions { instances_idle_max: 0 })?;
    let fresh = bind(&cold, &compile(&cold, env!("PLUGIN_ALLOW_ALL"))?, "")?;
    measure("allow-all, 1 put, fresh instance", &fresh, &mut view, &one)
}

fn compile(engine: &Engine, file: &str) -> anyhow::Result<Plugin> {
    let component = std::fs::read(file)?;
    let start = Instant::now();
    let plugin = engine.compile(&component)?;
    println!("compiled {} bytes in {:?}", component.len(), start.elapsed());
    Ok(plugin)
}

fn bind(engine: &Engine, plugin: &Plugin, configuration: &str) -> anyhow::Result<Bound> {
    let options = BoundOptions {
        plugin: "measured".to_owned(),
        point: Point::WritePolicy,
        prefix: b"app/".to_vec(),
        configuration: configuration.into(),
        limits: PluginLimits::default(),
        isolation: Isolation::Warm,
        diary: Diary::new("measured"),
    };
    Ok(Bound::new(engine, plugin, options)?)
}

/// Prints the best round's mean, and the median and 99th percentile of its calls.
fn measure(name: &str, policy: &Bound, view: &mut One, writes: &[Write<'_>]) -> anyhow::Result<()> {
    let alice = Caller { user: Some("alice") };
    let mut best: Option<(Duration, Vec<Duration>)> = None;
    for _ in 0..ROUNDS {
        let mut calls = Vec::with_capacity(CALLS);
        let start = Instant::now();
        for _ in 0..CALLS {
            let call = Instant::now();
            anyhow::ensure!(policy.check(view, alice, writes)? == Verdict::Allow);
            calls.push(call.elapsed());
        }
        let total = start.elapsed();
        if best.as_ref().is_none_or(|(least, _)| total < *least) {
            best = Some((total, calls));
        }
    }
    let (total, mut calls) = best.expect("at least one round");
    calls.sort_unstable();
    println!(
        "{name:36} mean {:>9.3?}  p50 {:>9.3?}  p99 {:>9.3?}",
        total / CALLS as u32,
        calls[CALLS / 2],
        calls[CALLS * 99 / 100],
    );
    Ok(())
}
