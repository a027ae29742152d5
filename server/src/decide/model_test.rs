//! Random requests decided on a head, replicated as encoded entries to a second state, stored and
//! loaded again, all compared with the naive model.

use std::collections::{BTreeMap, HashSet};

use bytes::Bytes;
use portunus_proto::etcdserverpb as pb;
use proptest::prelude::*;

use super::model::Model;
use super::{Cx, Draft, PastView, Refusal, Request, check, decide, kv, requests, resolve};
use crate::effect::{ChainId, Entry, decode, encode, encode_effect};
use crate::machine::{self, Applied, Change, Rows, State, What};
use crate::mvcc::{History, RecordError, Records};
use crate::types::{Item, Revision};
use crate::view::{ReadSet, Recent};

/// A store in memory.
#[derive(Default)]
struct Disk {
    records: BTreeMap<Revision, What>,
    rows: BTreeMap<Bytes, Bytes>,
}

impl Records for Disk {
    fn record(&self, at: Revision) -> Result<Option<Item>, RecordError> {
        Ok(match self.records.get(&at) {
            Some(What::Put(item)) => Some(item.clone()),
            _ => None,
        })
    }
}

impl Disk {
    fn write(&mut self, changes: &[Change], rows: Rows) {
        self.records.extend(changes.iter().map(|change| (change.at, change.what.clone())));
        for (key, value) in rows {
            match value {
                Some(value) => drop(self.rows.insert(key, value)),
                None => drop(self.rows.remove(&key)),
            }
        }
    }

    fn load(&self) -> (State, History) {
        let records = self.records.iter().map(|(at, what)| (*at, what.clone()));
        machine::load(self.rows.clone(), records).expect("a store written by the machine")
    }
}

/// A leader with its head and a follower with its store.
struct World {
    model: Model,
    head: State,
    recent: Recent,
    pending: Vec<crate::effect::Effect>,
    changes: Vec<Change>,
    follower: State,
    history: History,
    disk: Disk,
}

fn cx<'a>(past: &'a PastView<'a>) -> Cx<'a> {
    Cx {
        max_txn_ops: 12,
        quota_bytes: None,
        db_size_bytes: 0,
        disk_is_short: false,
        lease_ttl_min: 2,
        now_ms: 0,
        past: Some(past),
    }
}

fn facts(state: &State) -> (i64, i64, u64, u64, ChainId, Vec<Item>, Vec<crate::lease::Lease>) {
    (
        state.revision,
        state.compacted,
        state.digest,
        state.logical_bytes,
        state.chain,
        state.items().iter().cloned().collect(),
        state.leases().iter().copied().collect(),
    )
}

fn attachments(state: &State) -> Vec<(i64, Vec<Bytes>)> {
    state.leases().iter().map(|lease| (lease.id.0, state.lease_keys(lease.id))).collect()
}

impl World {
    fn new() -> Self {
        Self {
            model: Model::new(),
            head: State::default(),
            recent: Recent::default(),
            pending: Vec::new(),
            changes: Vec::new(),
            follower: State::default(),
            history: History::default(),
            disk: Disk::default(),
        }
    }

    fn past(&self) -> PastView<'_> {
        PastView { applied: &self.follower, history: &self.history, records: &self.disk }
    }

    fn decide(&mut self, request: &Request) {
        let mut draft = Draft::default();
        let before = facts(&self.head);
        let mut head = self.head.clone();
        let past = self.past();
        let reply = decide(&mut head, request, &[], &cx(&past), &mut draft);
        self.head = head;
        if reply.is_err() {
            assert_eq!(facts(&self.head), before, "a refusal must change nothing");
            assert!(draft.effects.is_empty() && draft.changes.is_empty() && draft.rows.is_empty());
        }
        if check(request, 12).is_err() {
            return assert_eq!(reply, check(request, 12).map(|()| unreachable!()));
        }
        if matches!(reply, Err(Refusal::NotApplied(_))) {
            return;
        }
        assert_eq!(reply, self.model.decide(request), "{request:?}");
        assert_eq!(self.head.revision, self.model.revision);
        draft.changes.iter().for_each(|change| self.recent.push(change));
        self.pending.append(&mut draft.effects);
        self.changes.append(&mut draft.changes);
    }

    /// Replicates what was decided since the last time, through bytes.
    fn replicate(&mut self) {
        let prev = self.follower.chain;
        let mut effects = Vec::new();
        self.pending.iter().for_each(|effect| encode_effect(effect, &mut effects));
        let id = prev.next(1, 1, &effects);
        self.head.chain = id;
        let entry = Entry {
            id,
            prev,
            digest: self.head.digest,
            effects: std::mem::take(&mut self.pending),
        };
        let entry = decode(&encode(&entry)).expect("just encoded");
        let applied = machine::apply(&mut self.follower, &entry).expect("the same digest");
        let Applied::Done { changes, rows } = applied else { panic!("void: {id}") };
        assert_eq!(changes, std::mem::take(&mut self.changes));
        assert_eq!(facts(&self.follower), facts(&self.head));
        assert_eq!(attachments(&self.follower), attachments(&self.head));
        self.history.extend(&changes);
        self.disk.write(&changes, rows);
        self.disk.write(&[], machine::position_rows(&self.follower));
        let again = machine::apply(&mut self.follower, &entry).expect("void is no divergence");
        assert!(matches!(again, Applied::Void), "applied twice");
        assert_eq!(facts(&self.follower), facts(&self.head));
    }

    fn prune(&mut self, max: usize) {
        for forgotten in self.history.prune(self.follower.compacted, max) {
            assert!(self.disk.records.remove(&forgotten).is_some(), "{forgotten} forgotten twice");
        }
    }

    /// Loads the store again and goes on with what it gave.
    fn restart(&mut self) {
        let (state, history) = self.disk.load();
        assert_eq!(facts(&state), facts(&self.follower));
        assert_eq!(attachments(&state), attachments(&self.follower));
        assert_eq!(state.registry(), self.follower.registry());
        (self.follower, self.history) = (state, history);
    }

    fn compare_range(&self, request: &pb::RangeRequest) {
        let past = self.past();
        let answer = kv::range(&self.follower, Some(&past), request);
        assert_eq!(answer, self.model.range(request), "{request:?}");
    }

    /// Everything at every revision that is not compacted.
    fn compare_all_revisions(&self) {
        for revision in self.model.compacted.max(1)..=self.model.revision {
            for count_only in [false, true] {
                self.compare_range(&pb::RangeRequest {
                    key: Bytes::from_static(b"\0"),
                    range_end: Bytes::from_static(b"\0"),
                    revision,
                    count_only,
                    ..Default::default()
                });
            }
        }
    }
}

#[derive(Clone, Debug)]
enum Step {
    Decide(Box<Request>),
    Replicate,
    Prune(usize),
    Restart,
    Range(Box<pb::RangeRequest>),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => requests::request().prop_map(|request| Step::Decide(Box::new(request))),
        5 => Just(Step::Replicate),
        2 => (0usize..6).prop_map(Step::Prune),
        1 => Just(Step::Restart),
        3 => requests::range().prop_map(|range| Step::Range(Box::new(range))),
    ]
}

fn config(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, failure_persistence: None, ..Default::default() }
}

proptest! {
    #![proptest_config(config(256))]

    #[test]
    fn decisions_replicas_and_stores_agree_with_the_model(
        steps in prop::collection::vec(step(), 1..80),
    ) {
        let mut world = World::new();
        for step in steps {
            match step {
                Step::Decide(request) => world.decide(&request),
                Step::Replicate => world.replicate(),
                Step::Prune(max) => world.prune(max),
                Step::Restart => {
                    world.replicate();
                    world.restart();
                }
                Step::Range(range) => {
                    world.replicate();
                    world.compare_range(&range);
                }
            }
        }
        world.replicate();
        world.compare_all_revisions();
        world.prune(usize::MAX);
        world.compare_all_revisions();
        world.restart();
        world.compare_all_revisions();
    }

    #[test]
    fn a_valid_read_set_means_the_same_outcome(
        before in prop::collection::vec(requests::request(), 0..25),
        between in prop::collection::vec(requests::request(), 0..3),
        request in requests::request(),
    ) {
        let mut world = World::new();
        before.iter().for_each(|request| world.decide(request));
        world.replicate();
        let then = outcome(&world, &request);
        between.iter().for_each(|request| world.decide(request));
        let compacted_between = between.iter().any(|request| matches!(request, Request::Compact(_)));
        if let (Some((changes, reads)), false) = (then, compacted_between)
            && reads.still_valid(&world.head, &world.recent, &HashSet::new())
        {
            let now = outcome(&world, &request).map(|(changes, _)| changes);
            prop_assert_eq!(now, Some(changes), "{:?}", request);
        }
    }
}

type Write = (Bytes, Option<Bytes>, i64, Option<Item>);

/// Key, value, lease and previous item of each write, without the revision.
fn outcome(world: &World, request: &Request) -> Option<(Vec<Write>, ReadSet)> {
    let past = world.past();
    let reads = ReadSet::on(&world.head);
    let (resolved, reads) = resolve(&mut world.head.clone(), request, &[], reads, &cx(&past));
    let base = world.head.revision;
    let write = |change: &Change| {
        let key = Bytes::copy_from_slice(change.key());
        // What the request itself wrote before has the revision of this very decision.
        let prev = change.prev.clone().filter(|prev| prev.mod_revision() <= base);
        match &change.what {
            What::Put(item) => {
                (key, Some(Bytes::copy_from_slice(item.value())), item.lease().0, prev)
            }
            What::Delete { .. } => (key, None, 0, prev),
        }
    };
    Some((resolved.ok()?.iter().map(write).collect(), reads))
}
