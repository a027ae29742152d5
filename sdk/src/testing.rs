//! Runs a plugin natively: a fake store that [`crate::store`] reads, writes as the server would
//! present them, and what the plugin logged. All of it belongs to the current thread.
//!
//! ```
//! use portunus_sdk::{store, testing};
//!
//! let mut fake = testing::Store::new();
//! fake.set("app/a", "1");
//! let write = fake.put("app/a", "2");
//! assert_eq!(write.previous().map(|item| &item.value[..]), Some(&b"1"[..]));
//! assert_eq!(store::count_prefix("app/"), 1);
//! ```

use std::cell::RefCell;
use std::collections::BTreeMap;

use crate::log::Level;
use crate::{Context, Delete, Item, Put, Write};

#[derive(Default)]
struct State {
    items: BTreeMap<Vec<u8>, Item>,
    revision: i64,
    log: Vec<(Level, String)>,
}

thread_local! {
    static STATE: RefCell<State> = RefCell::default();
}

/// A context for calls: no caller, no configuration.
pub fn context(binding: &str, prefix: &str) -> Context {
    Context {
        binding: binding.to_owned(),
        prefix: prefix.as_bytes().to_vec(),
        caller: None,
        configuration: Vec::new(),
    }
}

/// What was logged on this thread since the last [`Store::new`].
pub fn logged() -> Vec<(Level, String)> {
    STATE.with_borrow(|state| state.log.clone())
}

pub(crate) fn record(level: Level, text: &str) {
    STATE.with_borrow_mut(|state| state.log.push((level, text.to_owned())));
}

/// The current thread's store. It is emptied when a new one is made.
#[derive(Debug)]
pub struct Store(());

impl Store {
    /// An empty store, and an empty log.
    #[allow(clippy::new_without_default, reason = "it changes the thread's state")]
    pub fn new() -> Self {
        STATE.with_borrow_mut(|state| *state = State::default());
        Self(())
    }

    /// Writes `key`, as an earlier transaction would have.
    pub fn set(&mut self, key: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) -> Item {
        let (key, value) = (key.into(), value.into());
        STATE.with_borrow_mut(|state| {
            state.revision += 1;
            let (create_revision, version) = match state.items.get(&key) {
                Some(item) => (item.create_revision, item.version + 1),
                None => (state.revision, 1),
            };
            let mod_revision = state.revision;
            let item =
                Item { key: key.clone(), value, create_revision, mod_revision, version, lease: 0 };
            state.items.insert(key, item.clone());
            item
        })
    }

    /// A put to ask a policy about, with what the store holds now. It is not carried out.
    pub fn put(&mut self, key: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) -> Write {
        let key = key.into();
        let previous = reads::get(&key);
        Write::Put(Put { key, value: value.into(), lease: 0, previous })
    }

    /// A delete to ask a policy about. It is not carried out.
    ///
    /// # Panics
    /// When the store does not hold `key`: the server asks only about deletes of what exists.
    pub fn delete(&mut self, key: impl Into<Vec<u8>>) -> Write {
        let key = key.into();
        let previous = reads::get(&key)
            .unwrap_or_else(|| panic!("{} is not in the store", String::from_utf8_lossy(&key)));
        Write::Delete(Delete { key, previous })
    }
}

/// The host's side of [`crate::store`].
pub(crate) mod reads {
    use std::ops::Bound;

    use super::STATE;
    use crate::Item;

    pub(crate) fn get(key: &[u8]) -> Option<Item> {
        STATE.with_borrow(|state| state.items.get(key).cloned())
    }

    pub(crate) fn range(start: &[u8], end: Option<&[u8]>, limit: u32) -> Vec<Item> {
        if end.is_some_and(|end| end <= start) {
            return Vec::new();
        }
        let end = end.map_or(Bound::Unbounded, Bound::Excluded);
        STATE.with_borrow(|state| {
            let range = state.items.range::<[u8], _>((Bound::Included(start), end));
            range.take(limit as usize).map(|(_, item)| item.clone()).collect()
        })
    }

    pub(crate) fn count(start: &[u8], end: Option<&[u8]>) -> u64 {
        range(start, end, u32::MAX).len() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::{Store, logged};
    use crate::log::{self, Level};
    use crate::store;

    #[test]
    fn the_fake_store_reads_like_the_real_one() {
        let mut fake = Store::new();
        for key in ["a", "b/1", "b/2", "c"] {
            fake.set(key, "x");
        }
        let again = fake.set("b/1", "y");
        assert_eq!((again.create_revision, again.mod_revision, again.version), (2, 5, 2));
        assert_eq!(store::get("b/1"), Some(again));
        assert_eq!(store::get("b"), None);
        let keys = |items: Vec<crate::Item>| items.into_iter().map(|i| i.key).collect::<Vec<_>>();
        assert_eq!(keys(store::prefix("b/", 9)), [b"b/1", b"b/2"]);
        assert_eq!(keys(store::range("a", "c", 2)), [&b"a"[..], b"b/1"]);
        assert_eq!(store::range("c", "a", 9), []);
        assert_eq!((store::count_prefix("b/"), store::count("a", "c")), (2, 3));
        assert_eq!((store::count_prefix(""), store::count_prefix([0xff])), (4, 0));
        Store::new();
        assert_eq!(store::count_prefix(""), 0);
    }

    #[test]
    fn what_a_plugin_logs_can_be_asked_for() {
        Store::new();
        log::warn("careful");
        assert_eq!(logged(), [(Level::Warn, "careful".to_owned())]);
    }
}
