//! A store to read and write, an engine, and the plugins that the build made.

use std::collections::BTreeMap;
use std::ops::Bound as End;

use portunus::effect::{Isolation, PluginLimits, Point};
use portunus::types::{Item, KeyRange, LeaseId, RangeEnd, Revision};
use portunus::wasm::{
    Admission, Bound, BoundOptions, CallError, Caller, Diary, Engine, EngineOptions, Event,
    Handled, LockPlace, LockRequest, Outcome, Plugin, QueueAsked, QueueReadiness, Refused, Verdict,
    View, Write,
};

pub const ALLOW_ALL: &str = env!("PLUGIN_ALLOW_ALL");
pub const VALUE_GUARD: &str = env!("PLUGIN_VALUE_GUARD");
pub const HOSTILE: &str = env!("PLUGIN_HOSTILE");
pub const PROBE: &str = env!("PLUGIN_PROBE");

pub const ALICE: Caller<'static> = Caller { user: Some("alice") };
/// The time of every call.
pub const NOW_MS: u64 = 1_790_000_000_000;

/// Keys in memory; those under `secret/` may not be touched.
#[derive(Default)]
pub struct Keys {
    items: BTreeMap<Vec<u8>, Item>,
    pub reads: usize,
    pub writes: usize,
}

impl Keys {
    pub fn with(keys: impl IntoIterator<Item = (String, Vec<u8>)>) -> Self {
        let mut store = Self::default();
        for (main, (key, value)) in (2..).zip(keys) {
            store.items.insert(key.clone().into_bytes(), item(&key, &value, main, LeaseId(7)));
        }
        store
    }

    /// The key's value as text.
    pub fn text(&self, key: &str) -> Option<String> {
        let item = self.items.get(key.as_bytes())?;
        Some(String::from_utf8_lossy(item.value()).into_owned())
    }

    fn of(&self, range: &KeyRange) -> impl Iterator<Item = &Item> {
        let end = match &range.end {
            RangeEnd::Single => End::Included(&range.start[..]),
            RangeEnd::Before(end) => End::Excluded(&end[..]),
            RangeEnd::Unbounded => End::Unbounded,
        };
        let bounds = (End::Included(&range.start[..]), end);
        self.items.range::<[u8], _>(bounds).map(|(_, item)| item)
    }
}

/// The first revision of a key, at `main`.
pub fn item(key: &str, value: &[u8], main: i64, lease: LeaseId) -> Item {
    Item::new(key.as_bytes(), value, main, Revision::new(main, 0), 1, lease)
}

fn granted(key: &[u8]) -> Result<(), Refused> {
    match key.starts_with(b"secret/") {
        true => Err(Refused("secret/ is not granted".to_owned())),
        false => Ok(()),
    }
}

impl View for Keys {
    fn get(&mut self, key: &[u8]) -> Result<Option<Item>, Refused> {
        self.reads += 1;
        granted(key)?;
        Ok(self.items.get(key).cloned())
    }

    fn range(&mut self, range: &KeyRange, limit: usize) -> Result<Vec<Item>, Refused> {
        self.reads += 1;
        Ok(self.of(range).take(limit).cloned().collect())
    }

    fn count(&mut self, range: &KeyRange) -> Result<u64, Refused> {
        self.reads += 1;
        Ok(self.of(range).count() as u64)
    }

    fn put(&mut self, key: &[u8], value: &[u8], lease: LeaseId) -> Result<(), Refused> {
        self.writes += 1;
        granted(key)?;
        let item = Item::new(key, value, 9, Revision::new(9, 0), 1, lease);
        self.items.insert(key.to_vec(), item);
        Ok(())
    }

    fn delete(&mut self, range: &KeyRange) -> Result<u64, Refused> {
        self.writes += 1;
        let keys: Vec<_> = self.of(range).map(|item| item.key().to_vec()).collect();
        for key in &keys {
            self.items.remove(key);
        }
        Ok(keys.len() as u64)
    }

    fn now_ms(&mut self) -> u64 {
        NOW_MS
    }

    fn random(&mut self, out: &mut [u8]) {
        out.fill(4);
    }
}

pub fn engine() -> Engine {
    Engine::new(EngineOptions::default()).expect("an engine")
}

pub fn plugin(engine: &Engine, file: &str) -> Plugin {
    let component = std::fs::read(file).expect("the build made the plugin");
    engine.compile(&component).expect("a plugin of ours compiles")
}

/// Limits as a binding asks for them.
pub fn no_limits() -> PluginLimits {
    PluginLimits::default()
}

pub fn options(point: Point, configuration: &str) -> BoundOptions {
    BoundOptions {
        plugin: "guard".to_owned(),
        point,
        prefix: b"app/".to_vec(),
        configuration: configuration.into(),
        limits: no_limits(),
        isolation: Isolation::Warm,
        diary: Diary::new("guard"),
    }
}

pub fn bind_to(engine: &Engine, plugin: &Plugin, options: BoundOptions) -> Bound {
    Bound::new(engine, plugin, options).expect("the plugin exports the extension point")
}

/// A write policy.
pub fn bind(engine: &Engine, plugin: &Plugin, configuration: &str) -> Bound {
    bind_to(engine, plugin, options(Point::WritePolicy, configuration))
}

/// Asks about one put of `value` under a key that does not exist.
pub fn put(policy: &Bound, keys: &mut Keys, key: &str, value: &[u8]) -> Answer<Verdict> {
    let key = key.as_bytes();
    let write = Write::Put { key, value, lease: LeaseId::NONE, previous: None };
    policy.check(keys, ALICE, &[write])
}

/// Tells of the creation of `key`.
pub fn tell(trigger: &Bound, keys: &mut Keys, key: &str) -> Answer<Handled> {
    let item = item(key, b"v", 5, LeaseId::NONE);
    trigger.handle(keys, None, &[Event::Put { item: &item, previous: None }])
}

pub fn call(recipe: &Bound, keys: &mut Keys, function: &str, payload: &str) -> Answer<Outcome> {
    recipe.call(keys, ALICE, function, payload.as_bytes())
}

pub type Answer<T> = Result<T, CallError>;

/// Asks a lock admission about a lock of this name.
pub fn admit(bound: &Bound, keys: &mut Keys, name: &str) -> Answer<Admission> {
    let place = LockPlace::default();
    bound.admit(keys, ALICE, &LockRequest { name: name.as_bytes(), place: &place }, &[])
}

/// Asks a queue condition about a queue of this name.
pub fn ready(bound: &Bound, keys: &mut Keys, name: &str) -> Answer<QueueReadiness> {
    let asked = QueueAsked { name: name.as_bytes(), ready: 1, in_flight: 0, wanted: 1 };
    bound.ready(keys, ALICE, &asked)
}
