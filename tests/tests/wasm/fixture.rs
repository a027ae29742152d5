//! A store to read, an engine, and the plugins that the build made.

use std::collections::BTreeMap;
use std::ops::Bound;

use portunus::types::{Item, KeyRange, LeaseId, RangeEnd, Revision};
use portunus::wasm::{
    Binding, CallError, Engine, EngineOptions, Limits, Plugin, ReadRefused, StoreView, Verdict,
    Write, WritePolicy,
};

pub const ALLOW_ALL: &str = env!("PLUGIN_ALLOW_ALL");
pub const VALUE_GUARD: &str = env!("PLUGIN_VALUE_GUARD");
pub const HOSTILE: &str = env!("PLUGIN_HOSTILE");

/// Keys in memory; those under `secret/` may not be read.
#[derive(Default)]
pub struct Keys {
    items: BTreeMap<Vec<u8>, Item>,
    pub reads: usize,
}

impl Keys {
    pub fn with(keys: impl IntoIterator<Item = (String, Vec<u8>)>) -> Self {
        let mut store = Self::default();
        for (main, (key, value)) in (2..).zip(keys) {
            let item =
                Item::new(key.as_bytes(), &value, main, Revision::new(main, 0), 1, LeaseId(7));
            store.items.insert(key.into_bytes(), item);
        }
        store
    }

    fn of(&self, range: &KeyRange) -> impl Iterator<Item = &Item> {
        let end = match &range.end {
            RangeEnd::Single => Bound::Included(&range.start[..]),
            RangeEnd::Before(end) => Bound::Excluded(&end[..]),
            RangeEnd::Unbounded => Bound::Unbounded,
        };
        let bounds = (Bound::Included(&range.start[..]), end);
        self.items.range::<[u8], _>(bounds).map(|(_, item)| item)
    }
}

impl StoreView for Keys {
    fn get(&mut self, key: &[u8]) -> Result<Option<Item>, ReadRefused> {
        self.reads += 1;
        if key.starts_with(b"secret/") {
            return Err(ReadRefused("secret/ is not granted".to_owned()));
        }
        Ok(self.items.get(key).cloned())
    }

    fn range(&mut self, range: &KeyRange, limit: usize) -> Result<Vec<Item>, ReadRefused> {
        self.reads += 1;
        Ok(self.of(range).take(limit).cloned().collect())
    }

    fn count(&mut self, range: &KeyRange) -> Result<u64, ReadRefused> {
        self.reads += 1;
        Ok(self.of(range).count() as u64)
    }
}

pub fn engine() -> Engine {
    Engine::new(EngineOptions::default()).expect("an engine")
}

pub fn plugin(engine: &Engine, file: &str) -> Plugin {
    let component = std::fs::read(file).expect("the build made the plugin");
    engine.compile(&component).expect("a plugin of ours compiles")
}

pub fn bind(engine: &Engine, plugin: &Plugin, configuration: &str, limits: Limits) -> WritePolicy {
    let binding = Binding {
        name: "guard".to_owned(),
        prefix: b"app/".to_vec(),
        configuration: configuration.into(),
        limits,
    };
    WritePolicy::new(engine, plugin, binding).expect("the plugin exports a write policy")
}

/// Asks about one put of `value` under a key that does not exist.
pub fn put(policy: &WritePolicy, keys: &mut Keys, key: &str, value: &[u8]) -> Answer {
    let key = key.as_bytes();
    let write = Write::Put { key, value, lease: LeaseId::NONE, previous: None };
    policy.check(keys, Some("alice"), &[write])
}

pub type Answer = Result<Verdict, CallError>;
