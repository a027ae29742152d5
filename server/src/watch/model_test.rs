//! Random watchers, commits, paces, compactions and snapshots against the naive model: every
//! watcher gets exactly its events, once, in order, revision by revision.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use proptest::prelude::*;

use super::fixture_test::{Client, Expect, Store, Wish};
use super::history::{Scan, Scanned};
use super::session::{Session, Work};
use super::{Create, Hub, Options};
use crate::types::KeyRange;

const SESSIONS: usize = 3;

#[derive(Clone, Debug)]
enum Step {
    Commit { revisions: Vec<Vec<Wish>> },
    Watch { session: usize, create: Create, start: Start },
    Cancel { session: usize, which: usize },
    Poll { session: usize, times: usize },
    Compact { back: i64 },
    Install { revisions: Vec<Vec<Wish>>, compact_back: Option<i64> },
    Progress { session: usize },
    Tick { session: usize },
    Reopen { session: usize },
}

#[derive(Clone, Copy, Debug)]
enum Start {
    Now,
    Past(i64),
    Future(i64),
}

fn key() -> impl Strategy<Value = Bytes> {
    prop::sample::select(vec!["a", "ab", "abc", "b", "ba", "c"]).prop_map(Bytes::from)
}

fn revision() -> impl Strategy<Value = Vec<Wish>> {
    let value =
        prop::option::weighted(0.7, (0u8..60).prop_map(|len| vec![b'v'; len.into()].into()));
    prop::collection::vec((key(), value), 1..4)
}

fn create() -> impl Strategy<Value = Create> {
    let end = prop_oneof![
        3 => Just(Bytes::new()),
        2 => Just(Bytes::from_static(&[0])),
        3 => key().prop_map(|key| [&key[..], b"z"].concat().into()),
        2 => key(),
    ];
    let flags = (any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>());
    (key(), end, flags, 0u8..8).prop_map(|(key, range_end, flags, filter)| Create {
        key,
        range_end,
        progress_notify: flags.0,
        prev_kv: flags.1,
        fragment: flags.2,
        no_put: filter == 0,
        no_delete: filter == 1,
        ..Create::default()
    })
}

fn step() -> impl Strategy<Value = Step> {
    let session = 0..SESSIONS;
    let start = prop_oneof![
        Just(Start::Now),
        (0i64..30).prop_map(Start::Past),
        (1i64..6).prop_map(Start::Future),
    ];
    let revisions = || prop::collection::vec(revision(), 1..5);
    prop_oneof![
        8 => revisions().prop_map(|revisions| Step::Commit { revisions }),
        5 => (session.clone(), create(), start)
            .prop_map(|(session, create, start)| Step::Watch { session, create, start }),
        1 => (session.clone(), 0usize..8).prop_map(|(session, which)| Step::Cancel { session, which }),
        8 => (session.clone(), 1usize..8).prop_map(|(session, times)| Step::Poll { session, times }),
        1 => (0i64..20).prop_map(|back| Step::Compact { back }),
        1 => (revisions(), prop::option::of(0i64..6))
            .prop_map(|(revisions, compact_back)| Step::Install { revisions, compact_back }),
        2 => session.clone().prop_map(|session| Step::Progress { session }),
        2 => session.clone().prop_map(|session| Step::Tick { session }),
        1 => session.prop_map(|session| Step::Reopen { session }),
    ]
}

/// A read of the history that takes its time: the world moves on before and after it.
enum Reading {
    Asked(Scan),
    Done(Scanned),
}

struct World {
    store: Arc<Store>,
    hub: Hub,
    sessions: Vec<(Session, Option<Reading>, Client)>,
}

impl World {
    fn new(ring_bytes_max: usize) -> Self {
        let store = Store::new(2);
        let options = Options {
            progress_interval: Duration::from_secs(600),
            response_bytes_max: 160,
            ring_bytes_max,
            queue_events_max: 4,
            queue_bytes_max: 400,
        };
        let history: Arc<Store> = Arc::clone(&store);
        let hub = Hub::new(store.revision(), 0, history, options);
        let sessions = (0..SESSIONS).map(|_| (hub.session(), None, Client::default())).collect();
        Self { store, hub, sessions }
    }

    fn run(&mut self, step: Step) {
        match step {
            Step::Commit { revisions } => {
                let batch: Vec<_> =
                    revisions.iter().filter_map(|one| self.store.commit(one)).collect();
                self.hub.publish(batch);
            }
            Step::Watch { session, create, start } => self.watch(session, create, start),
            Step::Cancel { session, which } => {
                let (session, _, client) = &mut self.sessions[session];
                if let Some(id) = client.watching.keys().nth(which).copied() {
                    session.cancel(id);
                    let expect = client.watching.remove(&id).expect("just found");
                    client.leaving.insert(id, expect);
                }
            }
            Step::Poll { session, times } => {
                for _ in 0..times {
                    self.poll(session);
                }
            }
            Step::Compact { back } => self.compact(back),
            Step::Install { revisions, compact_back } => {
                for one in &revisions {
                    self.store.commit(one);
                }
                if let Some(back) = compact_back {
                    let to = (self.store.revision() - back).max(self.store.compacted());
                    self.store.compact(to);
                }
                self.hub.reset(self.store.revision(), self.store.compacted());
            }
            Step::Progress { session } => self.sessions[session].0.request_progress(),
            Step::Tick { session } => self.sessions[session].0.tick(),
            Step::Reopen { session } => {
                self.sessions[session] = (self.hub.session(), None, Client::default());
            }
        }
    }

    fn compact(&mut self, back: i64) {
        let to = self.store.revision() - back;
        if to > self.store.compacted() {
            self.hub.compact(to);
            self.store.compact(to);
        }
    }

    fn watch(&mut self, session: usize, create: Create, start: Start) {
        let applied = self.store.revision();
        let start_revision = match start {
            Start::Now => 0,
            Start::Past(back) => (applied - back).max(1),
            Start::Future(ahead) => applied + ahead,
        };
        let range = KeyRange::from_wire(create.key.clone(), create.range_end.clone());
        let (session, _, client) = &mut self.sessions[session];
        // The answers before `created` first, so that it can be looked at here.
        while let Some(response) = session.pop() {
            client.receive(&response, &self.store);
        }
        session.create(Create { start_revision, ..create.clone() });
        let created = session.pop().expect("created is the first answer");
        assert!(created.created && created.revision == applied, "{created:?}");
        assert_eq!(created.canceled, range.is_empty(), "{created:?}");
        if created.canceled {
            return;
        }
        let expect = Expect {
            range,
            start: if start_revision == 0 { applied + 1 } else { start_revision },
            no_put: create.no_put,
            no_delete: create.no_delete,
            prev_kv: create.prev_kv,
            fragment: create.fragment,
            seen: 0,
            last: 0,
        };
        assert!(client.watching.insert(created.watch_id, expect).is_none(), "an id given twice");
    }

    /// One step of a slow stream; true when it had something to do.
    fn poll(&mut self, session: usize) -> bool {
        let (session, reading, client) = &mut self.sessions[session];
        if let Some(response) = session.pop() {
            client.receive(&response, &self.store);
            return true;
        }
        if session.work() == Work::More || session.has_ready() {
            return true;
        }
        *reading = match reading.take() {
            None => match session.scan() {
                None => return false,
                Some(scan) => Some(Reading::Asked(scan)),
            },
            Some(Reading::Asked(scan)) => Some(Reading::Done(scan.run(&*self.store))),
            Some(Reading::Done(scanned)) => {
                session.scanned(scanned);
                None
            }
        };
        true
    }

    /// Lets all streams read to the end; then nobody may wait for anything.
    fn settle(&mut self) {
        for session in 0..SESSIONS {
            while self.poll(session) {}
            let watching = &mut self.sessions[session].2.watching;
            self.store.show(|records, _| {
                for (id, expect) in watching {
                    let next = expect.peek(records);
                    assert!(next.is_none(), "{id} misses {next:?}");
                }
            });
            assert!(self.sessions[session].2.leaving.is_empty(), "a cancel was not answered");
        }
        let stats = self.hub.stats();
        let watchers: usize =
            self.sessions.iter().map(|(_, _, client)| client.watching.len()).sum();
        assert_eq!((stats.watchers, stats.slow_watchers), (watchers, 0));
        assert_eq!(stats.streams, SESSIONS);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_watcher_gets_exactly_its_events(
        ring_bytes_max in 0usize..6000,
        steps in prop::collection::vec(step(), 1..60),
    ) {
        let mut world = World::new(ring_bytes_max);
        for step in steps {
            world.run(step);
        }
        world.settle();
    }
}

/// The model is worth nothing if its runs never reach what it is there for.
#[test]
fn runs_reach_overflow_history_compaction_and_progress() {
    use proptest::strategy::ValueTree;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let steps = prop::collection::vec(step(), 60);
    let (mut scans, mut slow, mut lost, mut progress) = (0, 0, 0, 0);
    for _ in 0..60 {
        let mut world = World::new(1500);
        for step in steps.new_tree(&mut runner).expect("a run").current() {
            world.run(step);
            slow += world.hub.stats().slow_watchers;
            scans += world.sessions.iter().filter(|(_, reading, _)| reading.is_some()).count();
        }
        world.settle();
        lost += world.sessions.iter().map(|(_, _, c)| c.lost_to_compaction).sum::<usize>();
        progress += world.sessions.iter().map(|(_, _, c)| c.progress_answers).sum::<usize>();
    }
    assert!(
        scans > 20 && slow > 20 && lost > 5 && progress > 20,
        "{scans} {slow} {lost} {progress}"
    );
}
