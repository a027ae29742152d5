//! The whole machine state as a persistent value: cloning takes a few counters, and going back to
//! an older version is keeping its clone.

use std::time::Duration;

use bytes::Bytes;
use triomphe::Arc;
use xxhash_rust::xxh3::xxh3_64;

use super::{Change, Registry, Rows, What, rows};
use crate::auth::Auth;
use crate::effect::{Author, ChainId, Effect, TriggerState};
use crate::lease::{Lease, Leases};
use crate::mvcc::{Keyed, Tree};
use crate::types::{Item, LeaseId, Revision};

/// Everything that entries have made so far.
#[derive(Clone)]
pub struct State {
    /// Of the last write; a fresh store has 1, as etcd's.
    pub revision: i64,
    /// Revisions below this one may be forgotten; -1 before the first compaction, as etcd's.
    pub compacted: i64,
    /// Sum of the hashes of all live items: equal on two members exactly when their keys are.
    pub digest: u64,
    /// The last entry applied.
    pub chain: ChainId,
    /// All members know the effects up to this level.
    pub feature_level: u32,
    /// Counts changes of the bindings.
    pub bindings_revision: u64,
    /// What the live items take, in bytes.
    pub logical_bytes: u64,
    items: Tree<Item>,
    leases: Leases,
    registry: Arc<Registry>,
    /// Users, roles and tokens.
    auth: Arc<Auth>,
    /// Beside the registry, as they move with every batch of events.
    triggers: Tree<TriggerState>,
    /// Whose the writes of one main revision are, from the last [`Effect::By`] on.
    by: Option<(i64, Arc<Author>)>,
}

impl Keyed for TriggerState {
    fn key(&self) -> &[u8] {
        self.binding.as_bytes()
    }
}

impl Default for State {
    /// An empty store.
    fn default() -> Self {
        Self {
            revision: 1,
            compacted: -1,
            digest: 0,
            chain: ChainId::default(),
            feature_level: 0,
            bindings_revision: 0,
            logical_bytes: 0,
            items: Tree::new(),
            leases: Leases::default(),
            registry: Arc::new(Registry::default()),
            auth: Arc::new(Auth::default()),
            by: None,
            triggers: Tree::new(),
        }
    }
}

impl State {
    /// The live items.
    pub fn items(&self) -> &Tree<Item> {
        &self.items
    }

    pub fn get(&self, key: &[u8]) -> Option<&Item> {
        self.items.get(key)
    }

    pub fn leases(&self) -> &Leases {
        &self.leases
    }

    pub fn lease(&self, id: LeaseId) -> Option<&Lease> {
        self.leases.get(id)
    }

    /// The keys attached to a lease, in order.
    pub fn lease_keys(&self, id: LeaseId) -> Vec<Bytes> {
        self.leases.keys(id).map(Bytes::copy_from_slice).collect()
    }

    /// Each lease with the time it was granted and the time a new leader gives it.
    pub fn lease_terms(&self) -> impl Iterator<Item = (LeaseId, Duration, Duration)> {
        let seconds = |seconds| Duration::from_secs(u64::try_from(seconds).unwrap_or(0));
        self.leases.iter().map(move |lease| (lease.id, seconds(lease.ttl), seconds(lease.left())))
    }

    /// Alarms, plugins and components.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Users, roles and tokens.
    pub fn auth(&self) -> &Auth {
        &self.auth
    }

    pub fn has_bindings(&self) -> bool {
        !self.registry.plugins.is_empty()
    }

    /// How far each trigger has come, by binding.
    pub fn triggers(&self) -> &Tree<TriggerState> {
        &self.triggers
    }

    pub fn trigger(&self, binding: &str) -> Option<&TriggerState> {
        self.triggers.get(binding.as_bytes())
    }

    /// The place of the next write in a new transaction.
    pub fn next_revision(&self) -> Revision {
        Revision::new(self.revision + 1, 0)
    }

    /// Applies one effect. It states an outcome, so there is nothing to refuse: an effect on what
    /// does not exist leaves the state as it is, on every member alike.
    pub fn apply(&mut self, effect: &Effect, changes: &mut Vec<Change>, rows: &mut Rows) {
        match effect {
            Effect::Put(item) => changes.push(self.put(item)),
            Effect::Delete { key, at } => changes.extend(self.delete(key, *at)),
            Effect::LeaseGrant { id, ttl } => {
                self.leases.put(Lease { id: *id, ttl: *ttl, remaining: 0 });
                rows.push(rows::lease(self, *id));
            }
            Effect::LeaseRevoke { id } => {
                debug_assert_eq!(self.leases.attached_count(*id), 0, "keys go before their lease");
                self.leases.remove(*id);
                rows.push(rows::lease(self, *id));
            }
            Effect::LeaseCheckpoint { id, remaining } => {
                if let Some(lease) = self.leases.get(*id).copied() {
                    self.leases.put(Lease { remaining: *remaining, ..lease });
                    rows.push(rows::lease(self, *id));
                }
            }
            Effect::Compact { revision } => self.compacted = self.compacted.max(*revision),
            Effect::FeatureLevel(level) => self.feature_level = *level,
            Effect::By { main, author } => self.by = Some((*main, author.clone())),
            Effect::Request { .. } => {}
            Effect::TriggerSet(trigger) => {
                self.triggers.insert(trigger.clone());
                rows.push(rows::registered(effect));
            }
            Effect::TriggerDrop { binding } => {
                self.triggers.remove(binding.as_bytes());
                rows.push(rows::registered(effect));
            }
            Effect::AuthSet { .. }
            | Effect::AuthUserPut(_)
            | Effect::AuthUserDrop { .. }
            | Effect::AuthRolePut(_)
            | Effect::AuthRoleDrop { .. }
            | Effect::TokenPut { .. }
            | Effect::TokenDrop { .. } => {
                Arc::make_mut(&mut self.auth).apply(effect);
                rows.push(rows::registered(effect));
            }
            registered => self.register(registered, rows),
        }
    }

    fn put(&mut self, item: &Item) -> Change {
        let at = item.modified();
        self.revision = self.revision.max(at.main);
        let prev = self.items.insert(item.clone());
        self.count_in(item);
        let lease_before = prev.as_ref().map_or(LeaseId::NONE, Item::lease);
        if let Some(prev) = &prev {
            self.count_out(prev);
        }
        if lease_before != item.lease() {
            if !lease_before.is_none() {
                self.leases.detach(lease_before, item.key());
            }
            if !item.lease().is_none() {
                self.leases.attach(item.lease(), item.key());
            }
        }
        Change { at, what: What::Put(item.clone()), prev, author: self.author_at(at) }
    }

    fn delete(&mut self, key: &Bytes, at: Revision) -> Option<Change> {
        self.revision = self.revision.max(at.main);
        let prev = self.items.remove(key)?;
        self.count_out(&prev);
        if !prev.lease().is_none() {
            self.leases.detach(prev.lease(), key);
        }
        let (what, author) = (What::Delete { key: key.clone() }, self.author_at(at));
        Some(Change { at, what, prev: Some(prev), author })
    }

    fn author_at(&self, at: Revision) -> Option<Arc<Author>> {
        self.by.as_ref().filter(|(main, _)| *main == at.main).map(|(_, author)| author.clone())
    }

    fn count_in(&mut self, item: &Item) {
        self.digest = self.digest.wrapping_add(xxh3_64(item.encoded()));
        self.logical_bytes += item.size_bytes() as u64;
    }

    fn count_out(&mut self, item: &Item) {
        self.digest = self.digest.wrapping_sub(xxh3_64(item.encoded()));
        self.logical_bytes -= item.size_bytes() as u64;
    }

    fn register(&mut self, effect: &Effect, rows: &mut Rows) {
        let registry = Arc::make_mut(&mut self.registry);
        match effect {
            Effect::AlarmRaise(alarm) => drop(registry.alarms.insert(*alarm)),
            Effect::AlarmClear(alarm) => drop(registry.alarms.remove(alarm)),
            Effect::ComponentStore(component) => {
                registry.components.insert(component.digest.clone(), component.bytes.clone());
            }
            Effect::ComponentDrop { digest } => drop(registry.components.remove(digest)),
            Effect::PluginPut(record) => {
                registry.put_plugin(record);
                self.bindings_revision += 1;
            }
            Effect::PluginRemove { name } => {
                registry.remove_plugin(name);
                self.bindings_revision += 1;
            }
            Effect::Publish(own) => drop(registry.members.insert(own.member, own.clone())),
            _ => return,
        }
        rows.push(rows::registered(effect));
    }

    /// For [`super::load`] only: what the position row says beside the records.
    pub(super) fn set_position(&mut self, position: &rows::Position) {
        self.revision = position.revision;
        self.compacted = position.compacted;
        self.chain = position.chain;
        self.feature_level = position.feature_level;
        self.bindings_revision = position.bindings_revision;
    }
}
