//! A runner against a world that dawdles, fails and loses answers, dropped and begun again at any
//! point: every event has its effect exactly once, in order, and what fails is found and told.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use proptest::prelude::*;
use tokio::sync::watch;

use super::runner::{Course, Runner};
use super::standing::Standings;
use super::world_test::{BINDING, Here, Manners, World};
use crate::decide::TriggerChange;
use crate::effect::TriggerStatus;

/// Longer than anything here takes: then something is stuck.
const STUCK: Duration = Duration::from_secs(60);

struct Setting {
    world: Arc<World>,
    standings: Arc<Standings>,
    nudge: watch::Sender<i64>,
}

impl Setting {
    fn new(seed: u64) -> Self {
        let standings = Arc::default();
        Self { world: World::new(seed), standings, nudge: watch::Sender::new(0) }
    }

    /// A runner as the duty begins it.
    async fn run(&self) {
        let cursor = self.world.trigger().cursor;
        let (bell, heard) = self.world.roster.lock().enter(&Bytes::from_static(b"in/"), cursor);
        let runner = Runner {
            host: Arc::new(Here(self.world.clone())),
            binding: BINDING.into(),
            bell,
            nudge: self.nudge.subscribe(),
            place: self.standings.open(&BINDING.into()),
            course: Course::at(cursor, heard),
        };
        runner.run().await;
    }

    /// Runs a runner until the condition holds.
    async fn run_until(&self, what: &str, mut holds: impl FnMut(&World) -> bool) {
        let condition = async {
            while !holds(&self.world) {
                tokio::task::yield_now().await;
            }
        };
        let both = async {
            tokio::select! {
                () = self.run() => panic!("the trigger is gone"),
                () = condition => {}
            }
        };
        let done = tokio::time::timeout(STUCK, both).await;
        assert!(done.is_ok(), "{what}: {:?}", self.world.trigger());
    }

    /// A stretch of traffic in which the runner may end at any point.
    async fn traffic(&self, writes: usize) {
        let world = &self.world;
        let traffic = async {
            for n in 0..writes {
                match world.up_to(5) {
                    0 => world.delete(&format!("in/{}", n % 5)),
                    1 => world.put(&format!("elsewhere/{n}")),
                    2 => world.set(TriggerChange::Resume),
                    3 => drop(self.nudge.send_replace(world.roster.lock().position())),
                    _ => world.put(&format!("in/{}", n % 5)),
                }
                for _ in 0..world.up_to(12) {
                    tokio::task::yield_now().await;
                }
            }
        };
        tokio::select! {
            () = self.run() => panic!("the trigger is gone"),
            () = traffic => {}
        }
    }
}

fn block_on(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    runtime.expect("a runtime of one thread can be made").block_on(test);
}

fn once(events: Vec<String>) -> Vec<(String, i64)> {
    let mut copies: Vec<_> = events.into_iter().map(|event| (event, 1)).collect();
    copies.sort();
    copies
}

proptest! {
    #[test]
    fn every_event_counts_once_whatever_happens_to_the_runner(
        seed in any::<u64>(),
        lives in prop::collection::vec((0usize..12, any::<bool>()), 1..8),
        fails in 0u32..40,
        loses in 0u32..40,
    ) {
        block_on(async {
            let setting = Setting::new(seed);
            let world = &setting.world;
            world.behave(Manners { fails, loses, ..Manners::default() });
            for (writes, same_reign) in lives {
                setting.traffic(writes).await;
                if !same_reign {
                    world.new_reign();
                }
            }
            world.behave(Manners::default());
            world.set(TriggerChange::Resume);
            world.put("in/last");
            let expected = once(world.events());
            setting.run_until("every event is copied", |world| {
                world.copies().len() >= expected.len()
            }).await;
            assert_eq!(world.copies(), expected);
        });
    }
}

#[test]
fn one_bad_event_is_found_paused_at_and_skipped_by_itself() {
    block_on(async {
        let setting = Setting::new(1);
        let world = &setting.world;
        world.behave(Manners { hates_bad: true, ..Manners::default() });
        (0..20).for_each(|n| world.put(&format!("in/{n}")));
        world.put("in/bad");
        let bad = world.revision();
        (20..40).for_each(|n| world.put(&format!("in/{n}")));
        let paused = |world: &World| world.trigger().status != TriggerStatus::Running;
        setting.run_until("the trigger is paused", paused).await;
        let state = world.trigger();
        let TriggerStatus::Paused { error, attempts, last } = state.status else {
            panic!("it is paused")
        };
        assert_eq!((&error[..], attempts, last), ("it does not like it", 10, bad));
        assert_eq!((state.cursor, world.copies().len()), (bad - 1, 20), "the rest is kept");
        world.set(TriggerChange::Skip { to: None });
        setting.run_until("the rest is copied", |world| world.copies().len() == 40).await;
        assert_eq!(world.trigger().status, TriggerStatus::Running);
    });
}

#[test]
fn a_trigger_that_answers_itself_is_stopped_and_named() {
    block_on(async {
        let setting = Setting::new(1);
        let world = &setting.world;
        world.behave(Manners { echoes: true, ..Manners::default() });
        world.put("in/first");
        let paused = |world: &World| world.trigger().status != TriggerStatus::Running;
        setting.run_until("the trigger is paused", paused).await;
        let TriggerStatus::Paused { error, last, .. } = world.trigger().status else {
            panic!("it is paused")
        };
        let names = ["copy"; 9].join(" -> ");
        assert_eq!(error, format!("trigger cascade deeper than 8: {names}"));
        assert_eq!((world.calls(), last), (8, world.revision()));
    });
}

#[test]
fn a_compacted_gap_is_jumped_over_and_what_is_left_is_handled() {
    block_on(async {
        let setting = Setting::new(1);
        let world = &setting.world;
        (0..10).for_each(|n| world.put(&format!("in/{n}")));
        world.compact(6);
        let left = once(world.events());
        world.new_reign();
        setting.run_until("what is left is copied", |world| !world.copies().is_empty()).await;
        setting
            .run_until("what is left is copied", |world| world.copies().len() >= left.len())
            .await;
        assert_eq!(world.copies(), left);
        assert!(left.len() < 10);
    });
}

#[test]
fn an_idle_trigger_costs_no_call_and_its_cursor_comes_along_when_nudged() {
    block_on(async {
        let setting = Setting::new(1);
        let world = &setting.world;
        (0..10).for_each(|n| world.put(&format!("elsewhere/{n}")));
        let revision = world.revision();
        let mut told = false;
        setting
            .run_until("the cursor is brought along", |world| {
                let idle = || setting.standings.get(BINDING).is_some_and(|standing| standing.idle);
                if !told && idle() {
                    told = true;
                    assert_eq!(world.trigger().cursor, 1, "nobody has asked yet");
                    setting.nudge.send_replace(revision);
                }
                world.trigger().cursor == revision
            })
            .await;
        assert_eq!(world.calls(), 0);
    });
}
