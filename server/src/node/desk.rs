//! Who may use the lane's threads next. Each binding has a queue of its own; those that answer
//! quickly have threads that no slow one can hold, and within their kind bindings take turns by
//! the CPU time they have used. A binding has one batch under way at a time: the next begins on
//! the head that the sequencer has made of the last. One whose calls fail all the time rests in
//! between.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use super::budget::Budget;
use super::plugin::{Bindings, Job};
use super::reign::Leading;
use crate::clock::{Clock, Tick};
use crate::effect::BindingId;
use crate::limits::LANE_QUEUED_MAX;
use crate::machine::State;

/// A binding whose calls take more CPU time than this is slow. A policy that looks at a few keys
/// takes some microseconds.
const SLOW_CALL: Duration = Duration::from_millis(2);
/// How many calls back the mean of a binding's calls reaches, about.
const MEMORY: u32 = 4;

/// The head as plugins see it.
pub struct Head {
    pub state: State,
    pub reign: Leading,
    pub bindings: Arc<Bindings>,
}

/// Which threads a binding may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    Brisk,
    /// It takes its time, or is not known yet.
    Slow,
}

/// What became of a binding's turn.
pub enum Turn {
    /// A batch went to the sequencer, which will acknowledge it.
    Sent,
    /// Nothing came of it.
    Nothing,
    /// A plugin is not compiled yet.
    NotReady,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stage {
    #[default]
    Idle,
    /// It has jobs and waits for a thread.
    Ready,
    Running,
    /// Its batch is with the sequencer.
    Sent,
    /// It has jobs and waits for the compiler.
    NotReady,
    /// Its calls fail and have used up their budget.
    Resting,
}

#[derive(Default)]
struct Entry {
    jobs: BTreeMap<u64, Job>,
    stage: Stage,
    /// CPU time used, as far as it counts for its turns.
    used: Duration,
    /// [`Waiting::compiled`] when its turn began.
    compiled: u64,
    /// Mean CPU time of its last calls; none is known before the first.
    mean: Option<Duration>,
    budget: Budget,
}

impl Entry {
    fn pace(&self) -> Pace {
        match self.mean {
            Some(mean) if mean <= SLOW_CALL => Pace::Brisk,
            _ => Pace::Slow,
        }
    }
}

/// Shared by the sequencer, which brings jobs, and the lane's threads.
pub struct Desk {
    clock: Clock,
    waiting: Mutex<Waiting>,
    brisk: Condvar,
    slow: Condvar,
}

#[derive(Default)]
struct Waiting {
    entries: HashMap<BindingId, Entry>,
    brisk: Turns,
    slow: Turns,
    /// When bindings that rest may go on.
    resting: BTreeSet<(Tick, BindingId)>,
    /// `None` while this member does not decide.
    head: Option<Arc<Head>>,
    /// Counts compilations, so that none is missed that ends during a turn.
    compiled: u64,
    closed: bool,
}

/// Bindings that wait for a thread, the one that has used least first.
#[derive(Default)]
struct Turns {
    ready: BTreeSet<(Duration, BindingId)>,
    /// What the last one had used: who comes anew begins there, so that a long rest is no credit.
    floor: Duration,
}

/// What a turn took.
#[derive(Clone, Copy, Debug, Default)]
pub struct Spent {
    pub calls: u32,
    /// Of them, those that failed.
    pub failures: u32,
    pub cpu: Duration,
}

impl Desk {
    pub fn new(clock: Clock) -> Self {
        let waiting = Mutex::default();
        Self { clock, waiting, brisk: Condvar::default(), slow: Condvar::default() }
    }

    /// Queues a job; gives it back when the binding has too many or the lane is closed. A job
    /// that was there before is always taken.
    pub fn push(&self, binding: &str, job: Job, is_new: bool) -> Result<(), Job> {
        let mut waiting = self.waiting.lock();
        if waiting.closed {
            return Err(job);
        }
        if !waiting.entries.contains_key(binding) {
            waiting.entries.insert(binding.to_owned(), Entry::default());
        }
        let Some(entry) = waiting.entries.get_mut(binding) else { return Err(job) };
        if is_new && entry.jobs.len() >= LANE_QUEUED_MAX {
            return Err(job);
        }
        entry.jobs.insert(job.order, job);
        if entry.stage == Stage::Idle {
            self.make_ready(&mut waiting, binding);
        }
        Ok(())
    }

    /// Puts a newer head before the threads, or none: then they stop taking jobs.
    pub fn publish(&self, head: Option<Arc<Head>>) {
        let mut waiting = self.waiting.lock();
        let opens = waiting.head.is_none() && head.is_some();
        let old = std::mem::replace(&mut waiting.head, head);
        drop(waiting);
        if opens {
            self.brisk.notify_all();
            self.slow.notify_all();
        }
        drop(old);
    }

    pub fn is_open(&self) -> bool {
        self.waiting.lock().head.is_some()
    }

    #[cfg(test)]
    pub fn has_ready(&self, pace: Pace) -> bool {
        let mut waiting = self.waiting.lock();
        self.wake_rested(&mut waiting);
        waiting.head.is_some() && !waiting.turns(pace).ready.is_empty()
    }

    /// The sequencer is through with the binding's batch.
    pub fn acknowledge(&self, binding: &str) {
        let mut waiting = self.waiting.lock();
        if waiting.entries.get(binding).is_some_and(|entry| entry.stage == Stage::Sent) {
            self.rest(&mut waiting, binding);
        }
    }

    /// Something was compiled: whoever waited for it tries again.
    pub fn compiled(&self) {
        let mut waiting = self.waiting.lock();
        waiting.compiled += 1;
        let asleep = |(id, entry): (&BindingId, &Entry)| {
            (entry.stage == Stage::NotReady).then(|| id.clone())
        };
        let asleep: Vec<BindingId> = waiting.entries.iter().filter_map(asleep).collect();
        asleep.iter().for_each(|id| self.rest(&mut waiting, id));
    }

    /// Takes out every job that no thread has; what threads have goes to the sequencer.
    pub fn drain(&self) -> Vec<Job> {
        let mut waiting = self.waiting.lock();
        let mut jobs = Vec::new();
        for entry in waiting.entries.values_mut() {
            jobs.extend(std::mem::take(&mut entry.jobs).into_values());
            if entry.stage == Stage::NotReady {
                entry.stage = Stage::Idle;
            }
        }
        jobs
    }

    /// Forgets idle bindings that are gone.
    pub fn retain(&self, bindings: &Bindings) {
        let mut waiting = self.waiting.lock();
        waiting.entries.retain(|id, entry| {
            entry.stage != Stage::Idle || !entry.jobs.is_empty() || bindings.named(id).is_some()
        });
    }

    /// Ends the threads and hands back what waits.
    pub fn close(&self) -> Vec<Job> {
        self.waiting.lock().closed = true;
        self.brisk.notify_all();
        self.slow.notify_all();
        self.drain()
    }

    /// The binding whose turn it is among those of `pace`, and the head to judge on; `None` when
    /// the lane is closed.
    pub fn next(&self, pace: Pace) -> Option<(BindingId, Arc<Head>)> {
        let mut waiting = self.waiting.lock();
        loop {
            if waiting.closed {
                return None;
            }
            self.wake_rested(&mut waiting);
            if let Some(head) = waiting.head.clone()
                && let Some((used, binding)) = waiting.turns(pace).ready.pop_first()
            {
                waiting.turns(pace).floor = used;
                let compiled = waiting.compiled;
                if let Some(entry) = waiting.entries.get_mut(&binding) {
                    entry.stage = Stage::Running;
                    entry.compiled = compiled;
                }
                return Some((binding, head));
            }
            let rest = waiting.resting.first().map(|(until, _)| until.since(self.clock.now()));
            match rest {
                Some(rest) => drop(self.arrived(pace).wait_for(&mut waiting, rest)),
                None => self.arrived(pace).wait(&mut waiting),
            }
        }
    }

    /// Ends the rests that are over.
    fn wake_rested(&self, waiting: &mut Waiting) {
        if waiting.resting.is_empty() {
            return;
        }
        let now = self.clock.now();
        while waiting.resting.first().is_some_and(|(until, _)| *until <= now) {
            let Some((_, binding)) = waiting.resting.pop_first() else { return };
            self.rest(waiting, &binding);
        }
    }

    /// The next job of a binding whose turn it is.
    pub fn take(&self, binding: &str) -> Option<Job> {
        let mut waiting = self.waiting.lock();
        let (_, job) = waiting.entries.get_mut(binding)?.jobs.pop_first()?;
        Some(job)
    }

    /// Puts back a job that could not be judged yet.
    pub fn put_back(&self, binding: &str, job: Job) {
        if let Some(entry) = self.waiting.lock().entries.get_mut(binding) {
            entry.jobs.insert(job.order, job);
        }
    }

    /// Ends a turn.
    pub fn end_turn(&self, binding: &str, spent: Spent, turn: &Turn) {
        let Spent { calls, failures, cpu } = spent;
        let mut waiting = self.waiting.lock();
        let compiled = waiting.compiled;
        let Some(entry) = waiting.entries.get_mut(binding) else { return };
        entry.used = entry.used.saturating_add(cpu);
        if calls > 0 {
            let each = cpu / calls;
            let weight = calls.min(MEMORY);
            let mean =
                entry.mean.map_or(each, |mean| (mean * (MEMORY - weight) + each * weight) / MEMORY);
            entry.mean = Some(mean);
            if failures > 0 {
                entry.budget.charge(each * failures.min(calls), self.clock.now());
            }
        }
        match turn {
            Turn::Sent => entry.stage = Stage::Sent,
            Turn::NotReady if entry.compiled == compiled => entry.stage = Stage::NotReady,
            Turn::NotReady | Turn::Nothing => self.rest(&mut waiting, binding),
        }
    }

    /// Ready for another turn when there is work, else idle.
    fn rest(&self, waiting: &mut Waiting, binding: &str) {
        let Some(entry) = waiting.entries.get_mut(binding) else { return };
        match entry.jobs.is_empty() {
            true => entry.stage = Stage::Idle,
            false => self.make_ready(waiting, binding),
        }
    }

    fn make_ready(&self, waiting: &mut Waiting, binding: &str) {
        let Some(entry) = waiting.entries.get_mut(binding) else { return };
        if let Some(until) = entry.budget.rests_until(self.clock.now()) {
            entry.stage = Stage::Resting;
            waiting.resting.insert((until, binding.to_owned()));
            // Some thread has to look again by then.
            self.arrived(Pace::Slow).notify_one();
            return;
        }
        let (pace, used) = (entry.pace(), entry.used);
        let used = used.max(waiting.turns(pace).floor);
        if let Some(entry) = waiting.entries.get_mut(binding) {
            entry.used = used;
            entry.stage = Stage::Ready;
        }
        waiting.turns(pace).ready.insert((used, binding.to_owned()));
        self.arrived(pace).notify_one();
    }

    fn arrived(&self, pace: Pace) -> &Condvar {
        match pace {
            Pace::Brisk => &self.brisk,
            Pace::Slow => &self.slow,
        }
    }
}

impl Waiting {
    fn turns(&mut self, pace: Pace) -> &mut Turns {
        match pace {
            Pace::Brisk => &mut self.brisk,
            Pace::Slow => &mut self.slow,
        }
    }
}

#[cfg(test)]
#[path = "desk_test.rs"]
mod tests;
