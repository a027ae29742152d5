//! The leader's duty: while this member leads, every trigger that is bound and not disabled has a
//! runner. It follows the set of bindings, tells the runners of events, and now and then nudges
//! the idle ones.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};

use super::host;
use super::roster::{Bell, Roster};
use super::runner::{Course, Runner};
use super::standing::Standings;
use crate::clock::Tick;
use crate::effect::{Binding, BindingId, Mode, Point};
use crate::machine::State;
use crate::node::Node;
use crate::node::shared::Shared;

/// Revisions told of between two chances for others to run.
const TELL_REVISIONS: usize = 512;
/// How far idle triggers' cursors may stay behind: what a new leader reads before it knows that
/// there was nothing for them.
const NUDGE_REVISIONS: i64 = 10_000;
/// How often they are brought along at most: each costs an entry's effect.
const NUDGE_INTERVAL: Duration = Duration::from_secs(60);

/// What the node knows of the triggers that run here.
#[derive(Debug, Default)]
pub struct Triggers {
    pub(super) standings: Arc<Standings>,
}

/// Follows the reign of this member for as long as it is there.
pub async fn follow(node: Node) {
    let mut reigns = node.shared.reigns.subscribe();
    loop {
        let reign = *reigns.borrow_and_update();
        let changed = reigns.wait_for(|now| *now != reign);
        if reign.is_none() {
            if changed.await.is_err() {
                return;
            }
            continue;
        }
        // Dropping the rule ends every runner, wherever it is.
        tokio::select! {
            biased;
            changed = changed => if changed.is_err() { return },
            () = rule(&node) => {}
        }
    }
}

async fn rule(node: &Node) {
    let shared = &node.shared;
    let mut crew = Crew::new(node.clone());
    let (mut applied, mut published) = (shared.applied.watch(), shared.hub.follow());
    let mut known = None;
    loop {
        let version = shared.applied.load();
        if known != Some(version.state.bindings_revision) {
            known = Some(version.state.bindings_revision);
            crew.follow(&version.state);
        }
        drop(version);
        crew.tell().await;
        crew.nudge_if_due();
        tokio::select! {
            changed = applied.changed() => if changed.is_err() { return },
            changed = published.changed() => if changed.is_err() { return },
        }
    }
}

struct Man {
    binding: Binding,
    bell: Arc<Bell>,
    task: AbortHandle,
}

/// The runners of one reign.
struct Crew {
    node: Node,
    /// Ends them all when it goes.
    tasks: JoinSet<()>,
    men: HashMap<BindingId, Man>,
    /// None while there are no triggers: then no event is looked at.
    roster: Option<Roster>,
    nudge: watch::Sender<i64>,
    nudged: (Tick, i64),
}

impl Crew {
    fn new(node: Node) -> Self {
        let compacted = node.shared.applied.with(|version| version.state.compacted);
        let nudged = (node.shared.clock.now(), compacted);
        let (tasks, men) = (JoinSet::new(), HashMap::new());
        Self { node, tasks, men, roster: None, nudge: watch::Sender::new(0), nudged }
    }

    /// Starts runners for new triggers and those bound anew, and ends those of the others.
    fn follow(&mut self, state: &State) {
        let on_duty =
            |binding: &&Binding| binding.point == Point::Trigger && binding.mode != Mode::Disabled;
        let bindings = state.registry().bindings().filter(on_duty);
        let mut wanted: HashMap<BindingId, &Binding> =
            bindings.map(|binding| (binding.id(), binding)).collect();
        self.men.retain(|id, man| {
            let stays = wanted.get(id).is_some_and(|binding| **binding == man.binding);
            if stays {
                wanted.remove(id);
            } else {
                man.task.abort();
                if let Some(roster) = &self.roster {
                    roster.leave(&man.binding.prefix, &man.bell);
                }
            }
            stays
        });
        if self.men.is_empty() && wanted.is_empty() {
            self.roster = None;
            return;
        }
        let cursors: HashMap<BindingId, i64> =
            wanted.keys().filter_map(|id| Some((id.clone(), state.trigger(id)?.cursor))).collect();
        if self.roster.is_none() {
            let position = first_position(&self.node.shared, cursors.values().copied());
            self.nudge.send_replace(position);
            self.roster = Some(Roster::starting_at(position));
        }
        for (id, binding) in wanted {
            if let Some(cursor) = cursors.get(&id) {
                self.start(id, binding.clone(), *cursor);
            }
        }
        while self.tasks.try_join_next().is_some() {}
    }

    fn start(&mut self, id: BindingId, binding: Binding, cursor: i64) {
        let Some(roster) = &self.roster else { return };
        let (bell, heard) = roster.enter(&binding.prefix, cursor);
        let runner = Runner {
            host: host::of(&self.node, id.clone(), binding.prefix.clone()),
            binding: id.clone(),
            bell: bell.clone(),
            nudge: self.nudge.subscribe(),
            place: self.node.shared.triggers.standings.open(&id),
            course: Course::at(cursor, heard),
        };
        tracing::debug!(binding = id, cursor, "a trigger runs");
        let task = self.tasks.spawn(runner.run());
        self.men.insert(id, Man { binding, bell, task });
    }

    /// Rings the bells for everything that can be read by now.
    async fn tell(&self) {
        let Some(roster) = &self.roster else { return };
        let hub = &self.node.shared.hub;
        loop {
            let (position, applied) = (roster.position(), hub.applied());
            if position >= applied {
                return;
            }
            match hub.recent(position + 1, TELL_REVISIONS) {
                Some((revisions, up_to)) => roster.tell(&revisions, up_to),
                None => roster.tell_all(applied),
            }
            tokio::task::yield_now().await;
        }
    }

    /// Has idle triggers move their cursors when these are far back, or compaction has come by.
    fn nudge_if_due(&mut self) {
        let Some(roster) = &self.roster else { return };
        let shared = &self.node.shared;
        let (last, seen) = self.nudged;
        let compacted = shared.applied.with(|version| version.state.compacted);
        let position = roster.position();
        let (now, behind) = (shared.clock.now(), position - *self.nudge.borrow());
        let late = behind >= NUDGE_REVISIONS && now.since(last) >= NUDGE_INTERVAL;
        if (late || compacted > seen) && behind > 0 {
            self.nudged = (now, compacted);
            self.nudge.send_replace(position);
        }
    }
}

/// Where to begin to tell of events: as far back as memory reaches for any of the cursors.
fn first_position(shared: &Shared, cursors: impl Iterator<Item = i64>) -> i64 {
    let remembered = |cursor: &i64| shared.hub.recent(*cursor + 1, 0).is_some();
    cursors.filter(remembered).min().unwrap_or_else(|| shared.hub.applied())
}
