//! A client of the fake cluster: requests as a real one makes them, through all policies.

use std::rc::Rc;

use serde::Serialize;

use super::call::{Ask, Call, Slot, Waiting};
use super::cluster::Cluster;
use super::draft::Draft;
use super::failure::Failure;
use super::store::items_within;
use super::txn::Txn;
use crate::Item;
use crate::range::{Span, under};

/// A client of a [`Cluster`]. Each request is carried out before the next one.
#[derive(Debug, Clone)]
pub struct Client {
    pub(crate) cluster: Cluster,
    pub(crate) user: Option<String>,
}

impl Client {
    pub(crate) fn new(cluster: Cluster, user: Option<String>) -> Self {
        Self { cluster, user }
    }

    /// The key's current revision, if it exists.
    pub fn get(&self, key: impl AsRef<[u8]>) -> Option<Item> {
        self.cluster.0.borrow().store.items.get(key.as_ref()).cloned()
    }

    /// The key's value as text; none if the key does not exist.
    ///
    /// # Panics
    /// When the value is not UTF-8.
    pub fn text(&self, key: impl AsRef<[u8]>) -> Option<String> {
        self.get(key).map(|item| String::from_utf8(item.value).expect("the value is UTF-8 text"))
    }

    /// The items whose keys begin with `prefix`, in key order.
    pub fn prefix(&self, prefix: impl AsRef<[u8]>) -> Vec<Item> {
        let items = Rc::clone(&self.cluster.0.borrow().store.items);
        items_within(&items, &under(prefix.as_ref())).cloned().collect()
    }

    /// Puts a key, and returns the revision.
    ///
    /// # Errors
    /// A policy's refusal.
    pub fn put(&self, key: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Result<i64, Failure> {
        self.put_with_lease(key, value, 0)
    }

    /// Puts a key on a lease, and returns the revision.
    ///
    /// # Errors
    /// A policy's refusal, or a lease that does not exist.
    pub fn put_with_lease(
        &self,
        key: impl AsRef<[u8]>,
        value: impl AsRef<[u8]>,
        lease: i64,
    ) -> Result<i64, Failure> {
        let state = &mut *self.cluster.0.borrow_mut();
        if !state.leases.exists(lease) {
            return Err(Failure::UnknownLease(lease));
        }
        let mut draft = Draft::on(&state.store);
        draft.put(key.as_ref(), value.as_ref(), lease);
        state.decide(draft, self.user.as_deref(), None)
    }

    /// Deletes a key, and returns how many that were: 1 or 0.
    ///
    /// # Errors
    /// A policy's refusal.
    pub fn delete(&self, key: impl AsRef<[u8]>) -> Result<u64, Failure> {
        let key = key.as_ref();
        self.delete_span(&(key.to_vec(), Some([key, &[0]].concat())))
    }

    /// Deletes the keys that begin with `prefix`, and returns how many that were.
    ///
    /// # Errors
    /// A policy's refusal.
    pub fn delete_prefix(&self, prefix: impl AsRef<[u8]>) -> Result<u64, Failure> {
        self.delete_span(&under(prefix.as_ref()))
    }

    fn delete_span(&self, span: &Span) -> Result<u64, Failure> {
        let state = &mut *self.cluster.0.borrow_mut();
        let mut draft = Draft::on(&state.store);
        let deleted = draft.delete(span);
        state.decide(draft, self.user.as_deref(), None)?;
        Ok(deleted)
    }

    /// A transaction to be put together.
    pub fn txn(&self) -> Txn {
        Txn::new(self.clone())
    }

    /// Calls a recipe with arguments as JSON, at once. It may end parked.
    ///
    /// # Panics
    /// When the arguments have no JSON.
    pub fn call(&self, plugin: &str, function: &str, args: &impl Serialize) -> Call {
        let payload = serde_json::to_vec(args).expect("the arguments have JSON");
        self.call_bytes(plugin, function, &payload)
    }

    /// Calls a recipe with a payload as it is on the wire, at once. It may end parked.
    pub fn call_bytes(&self, plugin: &str, function: &str, payload: &[u8]) -> Call {
        let (plugin, function) = (plugin.to_owned(), function.to_owned());
        Call(self.ask(Ask::Recipe { plugin, function, payload: payload.to_vec() }))
    }

    /// Asks for something that may wait, at once.
    pub(crate) fn ask(&self, ask: Ask) -> Waiting {
        let state = &mut *self.cluster.0.borrow_mut();
        let id = state.calls.len();
        state.calls.push(Slot::new(ask, self.user.clone()));
        state.run_call(id);
        Waiting { cluster: self.cluster.clone(), id }
    }
}
