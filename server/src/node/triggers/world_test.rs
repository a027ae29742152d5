//! A world for runners: real decisions on a real state, a history to read, and a plugin that
//! copies each event once. Its futures take their time, and answers get lost.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use parking_lot::Mutex;
use portunus_proto::etcdserverpb as pb;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::backlog::Stretch;
use super::host::Host;
use super::roster::Roster;
use crate::clock::Tick;
use crate::decide::{
    Advance, Cx, Draft, Refusal, Reply, Request, SetTrigger, TriggerChange, Write, decide,
};
use crate::effect::{Author, Effect, Point, TriggerState, TriggerStatus};
use crate::machine::{Change, State};
use crate::node::past;
use crate::node::plugin::{Handled, TriggerBatch};
use crate::types::LeaseId;

pub const BINDING: &str = "copy/trigger/in/";
const PREFIX: &[u8] = b"in/";
/// Revisions that one read returns.
const READ_REVISIONS: usize = 3;

/// How the plugin and the way to it behave.
#[derive(Clone, Copy, Debug, Default)]
pub struct Manners {
    /// In how many of a hundred calls the plugin fails.
    pub fails: u32,
    /// In how many the batch is executed or not, and nobody learns which.
    pub loses: u32,
    /// It fails at the key `in/bad`.
    pub hates_bad: bool,
    /// It copies to its own prefix.
    pub echoes: bool,
}

pub struct World {
    inner: Mutex<Inner>,
    pub roster: Mutex<Arc<Roster>>,
}

struct Inner {
    state: State,
    log: BTreeMap<i64, Vec<Change>>,
    rng: StdRng,
    manners: Manners,
    /// Batches that reached the plugin.
    calls: usize,
}

impl World {
    pub fn new(seed: u64) -> Arc<Self> {
        let mut state = State::default();
        let running = TriggerState {
            binding: BINDING.into(),
            cursor: state.revision,
            status: TriggerStatus::Running,
        };
        state.apply(&Effect::TriggerSet(running), &mut Vec::new(), &mut Vec::new());
        let roster = Mutex::new(Arc::new(Roster::starting_at(state.revision)));
        let (log, rng) = (BTreeMap::new(), StdRng::seed_from_u64(seed));
        let inner = Inner { state, log, rng, manners: Manners::default(), calls: 0 };
        Arc::new(Self { inner: Mutex::new(inner), roster })
    }

    pub fn behave(&self, manners: Manners) {
        self.inner.lock().manners = manners;
    }

    pub fn chance(&self, percent: u32) -> bool {
        self.inner.lock().rng.random_range(0..100) < percent
    }

    pub fn up_to(&self, max: usize) -> usize {
        self.inner.lock().rng.random_range(0..=max)
    }

    /// Lets others run, some times.
    pub async fn dawdle(&self) {
        for _ in 0..self.up_to(4) {
            tokio::task::yield_now().await;
        }
    }

    /// A new leader begins to tell of events somewhere behind what is there.
    pub fn new_reign(&self) {
        let (revision, cursor) = (self.revision(), self.trigger().cursor);
        let back = self.up_to((revision - cursor + 2).max(0) as usize) as i64;
        let roster = Arc::new(Roster::starting_at((revision - back).max(1)));
        *self.roster.lock() = roster;
        self.tell();
    }

    pub fn decide(&self, request: &Request, added: &[Write]) -> Result<Reply, Refusal> {
        let reply = self.inner.lock().decide(request, added);
        self.tell();
        reply
    }

    fn tell(&self) {
        let roster = self.roster.lock().clone();
        let inner = self.inner.lock();
        let position = roster.position();
        let changes: Vec<Change> =
            inner.log.range(position + 1..).flat_map(|(_, all)| all.clone()).collect();
        roster.tell(&past::committed(changes), inner.state.revision);
    }

    pub fn put(&self, key: &str) {
        let put = pb::PutRequest { key: key.to_owned().into(), ..Default::default() };
        self.decide(&Request::Put(put), &[]).expect("a plain put");
    }

    pub fn delete(&self, key: &str) {
        let key = key.to_owned().into();
        let delete = pb::DeleteRangeRequest { key, ..Default::default() };
        self.decide(&Request::DeleteRange(delete), &[]).expect("a plain delete");
    }

    pub fn set(&self, change: TriggerChange) {
        let (binding, caller) = (BINDING.into(), String::new());
        let request = Request::SetTrigger(SetTrigger { binding, change, caller });
        self.decide(&request, &[]).expect("the trigger exists");
    }

    pub fn compact(&self, revision: i64) {
        let request = pb::CompactionRequest { revision, physical: false };
        self.decide(&Request::Compact(request), &[]).expect("a revision that exists");
        let mut inner = self.inner.lock();
        inner.log = inner.log.split_off(&revision);
    }

    pub fn revision(&self) -> i64 {
        self.inner.lock().state.revision
    }

    pub fn calls(&self) -> usize {
        self.inner.lock().calls
    }

    pub fn trigger(&self) -> TriggerState {
        self.inner.lock().state.trigger(BINDING).cloned().expect("it is never dropped")
    }

    /// The events of the prefix by clients, as the plugin is to copy them.
    pub fn events(&self) -> Vec<String> {
        let inner = self.inner.lock();
        let by_clients = inner.log.values().flatten().filter(|change| change.author.is_none());
        by_clients.filter(|change| change.key().starts_with(PREFIX)).map(copy_of).collect()
    }

    /// The copies, and how often each was made.
    pub fn copies(&self) -> Vec<(String, i64)> {
        let inner = self.inner.lock();
        let items = inner.state.items().iter();
        let copies = items.filter(|item| item.key().starts_with(b"out/"));
        copies.map(|item| (String::from_utf8_lossy(item.key()).into(), item.version())).collect()
    }
}

/// Where the plugin writes down an event.
fn copy_of(change: &Change) -> String {
    let what = if change.is_delete() { "delete" } else { "put" };
    let key = String::from_utf8_lossy(change.key()).replace('/', "-");
    let before = change.prev.as_ref().map_or(0, |item| item.mod_revision());
    format!("out/{:06}.{what}.{key}.{before}", change.at.main)
}

impl Inner {
    fn decide(&mut self, request: &Request, added: &[Write]) -> Result<Reply, Refusal> {
        let cx = Cx {
            max_txn_ops: 128,
            quota_bytes: None,
            db_size_bytes: 0,
            disk_is_short: false,
            lease_ttl_min: 2,
            now_ms: 0,
            past: None,
        };
        let mut draft = Draft::default();
        let reply = decide(&mut self.state, request, added, &cx, &mut draft)?;
        for change in draft.changes {
            self.log.entry(change.at.main).or_default().push(change);
        }
        Ok(reply)
    }

    fn handle(&mut self, batch: &TriggerBatch) -> Handled {
        let TriggerBatch { from, to, events, depth, via, .. } = batch;
        self.calls += 1;
        assert!(events.is_sorted_by_key(|event| event.at), "events come in order");
        let outside = |event: &&Change| !(*from + 1..=*to).contains(&event.at.main);
        assert_eq!(events.iter().find(outside), None, "every event is between the cursors");
        let bad = |event: &Change| event.key() == b"in/bad";
        if self.rng.random_range(0..100) < self.manners.fails
            || (self.manners.hates_bad && events.iter().any(bad))
        {
            return Handled::Failed("it does not like it".into());
        }
        let (plugin, point, depth, via) = ("copy".into(), Point::Trigger, *depth, via.clone());
        let author = Author { plugin, point, depth, via, ..Author::default() };
        let mut added = vec![Write::By(author)];
        added.extend(events.iter().map(|event| {
            let key = if self.manners.echoes { "in/echo".into() } else { copy_of(event) };
            Write::Put { key: key.into(), value: "x".into(), lease: LeaseId::NONE }
        }));
        let advance = Advance { binding: BINDING.into(), from: *from, to: *to };
        match self.decide(&Request::Advance(advance), &added) {
            Ok(_) => Handled::Done { revision: self.state.revision },
            Err(_) => Handled::Stale,
        }
    }
}

/// The world as a host. Needs the world behind a counter, as calls outlive the runner.
pub struct Here(pub Arc<World>);

impl Host for Here {
    fn state(&self) -> Option<TriggerState> {
        Some(self.0.trigger())
    }

    fn changed(&self) -> BoxFuture<'_, ()> {
        Box::pin(async { tokio::task::yield_now().await })
    }

    fn read(&self, from: i64) -> BoxFuture<'_, Result<Stretch, String>> {
        Box::pin(async move {
            self.0.dawdle().await;
            let inner = self.0.inner.lock();
            let compacted = inner.state.compacted;
            let missed = (from < compacted).then(|| from..=compacted - 1);
            let from = from.max(compacted);
            let read = inner.log.range(from..).take(READ_REVISIONS);
            let read: Vec<_> = read.map(|(at, all)| (*at, all.clone())).collect();
            let whole = read.len() < READ_REVISIONS;
            let last = read.last().map_or(from - 1, |(at, _)| *at);
            let up_to = if whole { inner.state.revision } else { last };
            let own = |(at, mut events): (i64, Vec<Change>)| {
                events.retain(|event| event.key().starts_with(PREFIX));
                (!events.is_empty()).then_some((at, events))
            };
            let revisions = read.into_iter().filter_map(own).collect();
            Ok(Stretch { revisions, up_to, missed, whole })
        })
    }

    fn handle(&self, batch: TriggerBatch) -> BoxFuture<'static, Handled> {
        let world = self.0.clone();
        Box::pin(async move {
            world.dawdle().await;
            let lost = world.inner.lock().manners.loses;
            if world.chance(lost) {
                if world.chance(50) {
                    world.inner.lock().handle(&batch);
                    world.tell();
                }
                return if world.chance(50) { Handled::Unknown } else { Handled::NotExecuted };
            }
            let handled = world.inner.lock().handle(&batch);
            world.tell();
            world.dawdle().await;
            handled
        })
    }

    fn advance(&self, advance: Advance) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            self.0.dawdle().await;
            // It may be refused: the cursor has moved.
            let _ = self.0.decide(&Request::Advance(advance), &[]);
        })
    }

    fn pause(&self, pause: SetTrigger) -> BoxFuture<'_, bool> {
        Box::pin(async move {
            self.0.dawdle().await;
            self.0.decide(&Request::SetTrigger(pause), &[]).is_ok()
        })
    }

    fn now(&self) -> Tick {
        Tick::ZERO
    }

    fn sleep(&self, _: Duration) -> BoxFuture<'_, ()> {
        Box::pin(self.0.dawdle())
    }
}
