//! What a plugin's function is given first: who asks, under which binding, and the store.

use std::ops::RangeBounds;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::bindings::host::portunus::plugin::types;
use crate::config::Config;
use crate::host::{env, store};
use crate::range::{self, Scan};
use crate::{Error, Item, Result, Time};

/// The call that a function serves: who asks, the binding's settings, and the store.
///
/// Reads see the newest state, the writes of the transaction and the plugin's own. What a call
/// reads belongs to its decision: if it changes before the decision is final, the function runs
/// again. So read little, and only what the answer depends on.
/// Writes happen when the function ends well, all in one transaction, or not at all.
///
/// A binding may read and write under its own prefix, and elsewhere what it was granted. A read
/// or a write beyond that ends the call at once, as does a bound on their number or size.
#[derive(Debug)]
pub struct Context {
    call: types::Context,
    config: Config,
}

impl Context {
    #[doc(hidden)]
    pub fn of(call: types::Context) -> Self {
        let config = Config::of(&call.binding, &call.configuration);
        Self { call, config }
    }

    /// The name that the plugin is deployed under.
    pub fn name(&self) -> &str {
        &self.call.binding
    }

    /// The binding's prefix.
    pub fn binding_prefix(&self) -> &[u8] {
        &self.call.prefix
    }

    /// The binding's prefix followed by `rest`: a key that the plugin may read and write.
    pub fn key(&self, rest: impl AsRef<[u8]>) -> Vec<u8> {
        [&self.call.prefix, rest.as_ref()].concat()
    }

    /// The authenticated user who asks; none while authentication is off, and in a trigger.
    pub fn caller(&self) -> Option<&str> {
        self.call.caller.as_deref()
    }

    /// One setting of the binding's configuration, if it is there.
    ///
    /// The configuration is either lines `name = value`, where empty lines and lines that begin
    /// with `#` do not count and the last line of a name does, or one JSON object.
    ///
    /// # Panics
    /// When the value is not a `T`, so that a mistyped setting is told and not taken for an
    /// absent one. Likewise when the configuration is neither of the two.
    pub fn config<T: std::str::FromStr>(&self, name: &str) -> Option<T> {
        self.config.setting(name)
    }

    /// The whole configuration, byte for byte as it was given.
    pub fn configuration(&self) -> &[u8] {
        &self.call.configuration
    }

    /// The whole configuration as a `T`, from lines or from JSON as for [`Context::config`].
    ///
    /// # Errors
    /// Refuses with what is wrong with the configuration.
    pub fn config_as<T: DeserializeOwned>(&self) -> Result<T> {
        self.config.whole()
    }

    /// The key's current revision, if the key exists.
    pub fn get(&self, key: impl AsRef<[u8]>) -> Option<Item> {
        store::get(key.as_ref())
    }

    /// The key's value, from JSON; none if the key does not exist.
    ///
    /// # Errors
    /// Refuses when the value is not a `T` in JSON.
    pub fn get_json<T: DeserializeOwned>(&self, key: impl AsRef<[u8]>) -> Result<Option<T>> {
        self.get(key).map(|item| item.json()).transpose()
    }

    /// The items of a range of keys, in key order: `"a".."b"`, `"a".."=b"`, `"a"..` and so on.
    pub fn range<K: AsRef<[u8]>>(&self, keys: impl RangeBounds<K>) -> Scan {
        Scan::new(range::bounds(&keys))
    }

    /// The items whose keys begin with `prefix`, in key order.
    pub fn prefix(&self, prefix: impl AsRef<[u8]>) -> Scan {
        Scan::new(range::under(prefix.as_ref()))
    }

    /// How many keys there are in a range.
    pub fn count<K: AsRef<[u8]>>(&self, keys: impl RangeBounds<K>) -> u64 {
        let (start, end) = range::bounds(&keys);
        store::count(&start, end.as_deref())
    }

    /// How many keys begin with `prefix`.
    pub fn count_prefix(&self, prefix: impl AsRef<[u8]>) -> u64 {
        let (start, end) = range::under(prefix.as_ref());
        store::count(&start, end.as_deref())
    }

    /// Writes the key.
    pub fn put(&self, key: impl AsRef<[u8]>, value: impl AsRef<[u8]>) {
        self.put_with_lease(key, value, 0);
    }

    /// Writes the key on a lease, whose end deletes it. 0 is no lease.
    pub fn put_with_lease(&self, key: impl AsRef<[u8]>, value: impl AsRef<[u8]>, lease: i64) {
        store::put(key.as_ref(), value.as_ref(), lease);
    }

    /// Writes the key with `value` as JSON.
    ///
    /// # Errors
    /// Refuses when the value has no JSON, as a map with keys that are not text.
    pub fn put_json(&self, key: impl AsRef<[u8]>, value: &impl Serialize) -> Result {
        self.put(key, serde_json::to_vec(value)?);
        Ok(())
    }

    /// Deletes the key, and tells whether it existed.
    pub fn delete(&self, key: impl AsRef<[u8]>) -> bool {
        store::delete(key.as_ref())
    }

    /// Deletes every key in a range, and tells how many.
    pub fn delete_range<K: AsRef<[u8]>>(&self, keys: impl RangeBounds<K>) -> u64 {
        let (start, end) = range::bounds(&keys);
        store::delete_range(&start, end.as_deref())
    }

    /// Deletes every key that begins with `prefix`, and tells how many.
    pub fn delete_prefix(&self, prefix: impl AsRef<[u8]>) -> u64 {
        let (start, end) = range::under(prefix.as_ref());
        store::delete_range(&start, end.as_deref())
    }

    /// The leader's clock. It stands still during a call.
    pub fn now(&self) -> Time {
        Time::from_millis(env::now())
    }

    /// `len` bytes that nobody can foretell; at most 1024.
    pub fn random(&self, len: u32) -> Vec<u8> {
        env::random(len)
    }

    /// A number that nobody can foretell.
    pub fn random_u64(&self) -> u64 {
        self.random(8).iter().fold(0, |number, byte| number << 8 | u64::from(*byte))
    }
}

impl Item {
    /// The value, from JSON.
    ///
    /// # Errors
    /// Refuses with the key and what is wrong.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T> {
        crate::tape::from_json(&self.value).map_err(|error| {
            let reason = format!("the value of {} does not parse: {error}", self.key_text());
            Error(crate::error::Stop::Refuse(reason))
        })
    }
}
