//! The fake cluster: one store, the plugins deployed on it, the clock, and what woke.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use super::call::Slot;
use super::client::Client;
use super::delivery::{Cursor, Delivery};
use super::draft::Draft;
use super::failure::Failure;
use super::leases::{Leases, keys_on};
use super::limits::Account;
use super::plugin::Plugin;
use super::records;
use super::running::{self, Running, Subject, Told};
use super::store::Store;
use crate::log::Level;
use crate::range::Span;
use crate::{Event, Time};

/// What [`Cluster::settle`] takes for a cluster that never comes to rest.
const STEPS_MAX: usize = 10_000;
/// When a new cluster's clock stands: a day in November 2023.
const EPOCH_MS: u64 = 1_700_000_000_000;
const BATCH_EVENTS: usize = 256;

/// A line that a plugin logged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// The plugin's name.
    pub plugin: String,
    /// How urgent it is.
    pub level: Level,
    /// The text.
    pub text: String,
}

/// A fake cluster. Clones are handles of the same one.
#[derive(Debug, Clone)]
pub struct Cluster(pub(crate) Rc<RefCell<State>>);

#[derive(Debug)]
pub(crate) struct State {
    pub(crate) store: Store,
    pub(crate) plugins: BTreeMap<String, Rc<Plugin>>,
    pub(crate) cursors: BTreeMap<String, Cursor>,
    pub(crate) calls: Vec<Slot>,
    pub(crate) leases: Leases,
    pub(crate) now: u64,
    pub(crate) batch_events: usize,
    random: u64,
    interrupt: bool,
    log: Vec<Line>,
    counters: BTreeMap<(String, String), u64>,
    observed: BTreeMap<(String, String), Vec<f64>>,
    pub(crate) would_refuse: Vec<Failure>,
}

#[allow(clippy::new_without_default, reason = "a cluster is a thing, not a value")]
impl Cluster {
    /// An empty cluster without plugins.
    pub fn new() -> Self {
        Self::with_seed(0)
    }

    /// The same, with other randomness.
    pub fn with_seed(seed: u64) -> Self {
        Self(Rc::new(RefCell::new(State {
            store: Store::new(),
            plugins: BTreeMap::new(),
            cursors: BTreeMap::new(),
            calls: Vec::new(),
            leases: Leases::default(),
            now: EPOCH_MS,
            batch_events: BATCH_EVENTS,
            random: seed,
            interrupt: false,
            log: Vec::new(),
            counters: BTreeMap::new(),
            observed: BTreeMap::new(),
            would_refuse: Vec::new(),
        })))
    }

    /// Deploys a plugin, or the next generation of one. Its trigger keeps its place.
    pub fn deploy(&self, plugin: Plugin) {
        let mut state = self.0.borrow_mut();
        let (name, at) = (plugin.name.clone(), state.store.revision);
        if plugin.trigger.is_some() {
            state.cursors.entry(name.clone()).or_insert_with(|| Cursor::new(at));
        } else {
            state.cursors.remove(&name);
        }
        state.plugins.insert(name, Rc::new(plugin));
    }

    /// Takes a plugin away, and the place of its trigger.
    pub fn remove(&self, name: &str) {
        let mut state = self.0.borrow_mut();
        state.plugins.remove(name);
        state.cursors.remove(name);
    }

    /// A client that is authenticated as `user`.
    pub fn client(&self, user: &str) -> Client {
        Client::new(self.clone(), Some(user.to_owned()))
    }

    /// A client while authentication is off.
    pub fn anonymous(&self) -> Client {
        Client::new(self.clone(), None)
    }

    /// The newest revision. A new cluster is at 1.
    pub fn revision(&self) -> i64 {
        self.0.borrow().store.revision
    }

    /// What the clock shows. It moves only by [`Cluster::advance`].
    pub fn now(&self) -> Time {
        Time::from_millis(self.0.borrow().now)
    }

    /// Moves the clock: ends the leases whose time has come, and wakes the calls that wait for a
    /// time up to then. Nothing runs yet.
    pub fn advance(&self, by: Duration) {
        let state = &mut *self.0.borrow_mut();
        state.now = (Time::from_millis(state.now) + by).as_millis();
        for lease in state.leases.due(state.now) {
            state.end_lease(lease);
        }
        let now = state.now;
        state.calls.iter_mut().for_each(|call| call.wake_at(now));
    }

    /// Grants a lease that ends after `ttl`, and returns its id.
    pub fn grant_lease(&self, ttl: Duration) -> i64 {
        let state = &mut *self.0.borrow_mut();
        let ends = Time::from_millis(state.now) + ttl;
        state.leases.grant(ends.as_millis())
    }

    /// Ends a lease now: deletes its keys in one revision. No policy is asked.
    pub fn revoke_lease(&self, lease: i64) {
        self.0.borrow_mut().end_lease(lease);
    }

    /// Drops the events of all revisions up to `revision`.
    pub fn compact(&self, revision: i64) {
        self.0.borrow_mut().store.compact(revision);
    }

    /// Another member leads from now on: parked calls of recipes end with
    /// [`Failure::LeaderChanged`], requests for locks and dequeues are decided again, and triggers
    /// go on from their places.
    pub fn change_leader(&self) {
        self.0.borrow_mut().change_leader();
    }

    /// The leader changes in the middle of the next request, call or delivery that would commit:
    /// its functions run, and nothing of it happens.
    pub fn change_leader_before_commit(&self) {
        self.0.borrow_mut().interrupt = true;
    }

    /// How many events a trigger is told at a time at most, whole revisions always; 256 otherwise.
    /// After a failure it is half as many as there were, so that the event to blame comes alone.
    pub fn batch_events(&self, most: usize) {
        self.0.borrow_mut().batch_events = most;
    }

    /// Runs woken calls, in the order in which they were made, and tells triggers their events,
    /// until there is neither. A trigger that failed rests until its time has come.
    ///
    /// # Panics
    /// When it does not come to rest, as with two triggers that answer each other forever.
    pub fn settle(&self) {
        for _ in 0..STEPS_MAX {
            let state = &mut *self.0.borrow_mut();
            let woken = state.calls.iter().position(Slot::is_woken);
            let due = state.due_trigger();
            match (woken, due) {
                (Some(call), _) => state.run_call(call),
                (None, Some(name)) => drop(state.deliver(&name)),
                (None, None) => return,
            }
        }
        panic!("the cluster does not come to rest within {STEPS_MAX} steps");
    }

    /// Tells a plugin's trigger its next events, even if it rests after a failure.
    ///
    /// # Panics
    /// When no trigger is deployed under `plugin`.
    pub fn deliver(&self, plugin: &str) -> Delivery {
        self.0.borrow_mut().deliver(plugin)
    }

    /// The revision up to which a plugin's trigger is done.
    ///
    /// # Panics
    /// When no trigger is deployed under `plugin`.
    pub fn cursor(&self, plugin: &str) -> i64 {
        self.0.borrow_mut().cursor_of(plugin).done
    }

    /// Goes on with a paused trigger, as `portunus plugin resume`.
    ///
    /// # Panics
    /// When no trigger is deployed under `plugin`.
    pub fn resume(&self, plugin: &str) {
        self.0.borrow_mut().cursor_of(plugin).resume();
    }

    /// Goes on with a paused trigger behind the revision that it fails on, as
    /// `portunus plugin skip`.
    ///
    /// # Panics
    /// When no trigger is deployed under `plugin`.
    pub fn skip(&self, plugin: &str) {
        self.0.borrow_mut().skip(plugin);
    }

    /// What plugins have logged, in order.
    pub fn logged(&self) -> Vec<Line> {
        self.0.borrow().log.clone()
    }

    /// What plugins in monitor mode would have refused or, as lock admissions, made wait, in order.
    pub fn would_refuse(&self) -> Vec<Failure> {
        self.0.borrow().would_refuse.clone()
    }

    /// What a counter of a plugin's stands at.
    pub fn counter(&self, plugin: &str, name: &str) -> u64 {
        let key = (plugin.to_owned(), name.to_owned());
        self.0.borrow().counters.get(&key).copied().unwrap_or(0)
    }

    /// What a histogram of a plugin's was given, in order.
    pub fn observed(&self, plugin: &str, name: &str) -> Vec<f64> {
        let key = (plugin.to_owned(), name.to_owned());
        self.0.borrow().observed.get(&key).cloned().unwrap_or_default()
    }
}

impl State {
    /// Runs one function of a plugin's over `draft`.
    pub(crate) fn run<T>(
        &mut self,
        draft: Draft,
        plugin: &Plugin,
        prefix: &[u8],
        function: impl FnOnce() -> T,
    ) -> (Draft, Result<T, String>) {
        self.run_about(draft, plugin, prefix, Subject::Keys, function)
    }

    /// The same, for a call that may look at a lock's line or a queue's items.
    pub(crate) fn run_about<T>(
        &mut self,
        draft: Draft,
        plugin: &Plugin,
        prefix: &[u8],
        subject: Subject,
        function: impl FnOnce() -> T,
    ) -> (Draft, Result<T, String>) {
        let (ended, result) = running::run(
            Running {
                draft,
                grants: plugin.grants(prefix),
                leases: self.leases.ids(),
                now: self.now,
                random: self.random,
                told: Told::default(),
                subject,
                account: Account::new(plugin.limits),
            },
            function,
        );
        self.random = ended.random;
        let named = |name| (plugin.name.clone(), name);
        for (level, text) in ended.told.lines {
            self.log.push(Line { plugin: plugin.name.clone(), level, text });
        }
        for (name, by) in ended.told.counted {
            *self.counters.entry(named(name)).or_default() += by;
        }
        for (name, value) in ended.told.observed {
            self.observed.entry(named(name)).or_default().push(value);
        }
        (ended.draft, result)
    }

    /// Commits a judged transaction and wakes who had read what it changes. Returns the revision.
    pub(crate) fn commit(&mut self, draft: Draft, chain: Vec<String>) -> Result<i64, Failure> {
        if std::mem::take(&mut self.interrupt) {
            self.change_leader();
            return Err(Failure::LeaderChanged);
        }
        let events = self.store.commit(draft, chain);
        self.wake(&events);
        Ok(self.store.revision)
    }

    /// Asks the policies and commits.
    pub(crate) fn decide(
        &mut self,
        draft: Draft,
        caller: Option<&str>,
        by: Option<&str>,
    ) -> Result<i64, Failure> {
        self.check_lock_keys(&draft, by)?;
        let judged = self.judge(draft, caller, by)?;
        self.commit(judged, Vec::new())
    }

    pub(crate) fn wake(&mut self, events: &[Event]) {
        for call in &mut self.calls {
            call.wake_on(events);
        }
    }

    fn end_lease(&mut self, lease: i64) {
        if !self.leases.revoke(lease) {
            return;
        }
        let mut draft = Draft::on(&self.store);
        for key in keys_on(&self.store.items, lease) {
            let single: Span = (key.clone(), Some([&key[..], &[0]].concat()));
            draft.delete(&single);
        }
        records::bring_back(&mut draft);
        let events = self.store.commit(draft, Vec::new());
        self.wake(&events);
    }

    fn change_leader(&mut self) {
        self.calls.iter_mut().for_each(Slot::meet_new_leader);
        self.cursors.values_mut().for_each(Cursor::forget_failures);
    }
}
