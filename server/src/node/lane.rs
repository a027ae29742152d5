//! The lane: where plugins judge writes. A fixed pool of threads at low priority takes requests
//! binding by binding in turn, and no binding may hold all of them, so a slow plugin delays its
//! own callers and nobody else. A verdict rests on the head it was given; the sequencer checks
//! that nothing it read has changed since.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use parking_lot::{Condvar, Mutex};
use tokio::sync::mpsc;

use super::answer::Call;
use super::ask::Ask;
use super::error::Failure;
use super::judge;
use super::reign::Leading;
use super::sequencer::Submission;
use super::shared::Shared;
use crate::decide::{Refusal, Request, Write};
use crate::effect::{Binding, Mode, Point};
use crate::limits::REQUESTS_QUEUED_MAX;
use crate::machine::State;
use crate::view::ReadSet;

/// Threads that run plugins. One binding holds at most all but one.
const THREADS: usize = 2;
/// Behind whoever serves clients without plugins.
const NICE: i32 = 5;

/// A request with its plugins' word.
pub struct Judged {
    pub call: Call,
    /// The writes that policies add, or the refusal of the first that said no.
    pub verdict: Result<Vec<Write>, Refusal>,
    /// What the verdict rests on.
    pub reads: ReadSet,
    /// How often the request was judged before and the head had moved on.
    pub tries: u32,
    /// The binding it waited for.
    pub binding: String,
    /// The reign whose head it was: with another, the head may hold what never came to be.
    pub reign: Leading,
}

struct Job {
    call: Call,
    head: State,
    reign: Leading,
    tries: u32,
}

/// The way into the lane.
#[derive(Default)]
pub struct Lane {
    desk: Arc<Desk>,
}

/// Jobs by the first binding that must judge them.
#[derive(Default)]
struct Desk {
    state: Mutex<Waiting>,
    arrived: Condvar,
}

#[derive(Default)]
struct Waiting {
    jobs: HashMap<String, VecDeque<Job>>,
    turns: VecDeque<String>,
    running: HashMap<String, usize>,
    count: usize,
    closed: bool,
}

impl Lane {
    /// The binding in whose queue `request` must wait, if any policy may have a say in it.
    pub fn binding_for(&self, head: &State, request: &Request) -> Option<String> {
        if !head.has_bindings() {
            return None;
        }
        let writes = judge::possible_writes(request);
        let mut concerned = head.registry().bindings_over(Point::WritePolicy, &writes);
        concerned.find(|binding| binding.mode == Mode::Enforce).map(Binding::id)
    }

    /// Has the plugins judge `call` on `head`; the sequencer hears of it through its queue.
    pub fn judge(&self, call: Call, on: (State, Leading), binding: String, tries: u32) {
        let (head, reign) = on;
        let mut waiting = self.desk.state.lock();
        if waiting.count >= REQUESTS_QUEUED_MAX || waiting.closed {
            return call.bounce(Failure::TooManyRequests);
        }
        waiting.count += 1;
        if !waiting.jobs.contains_key(&binding) {
            waiting.turns.push_back(binding.clone());
        }
        waiting.jobs.entry(binding).or_default().push_back(Job { call, head, reign, tries });
        drop(waiting);
        self.desk.arrived.notify_one();
    }

    /// Starts the threads; they end when the lane is closed.
    pub fn start(&self, shared: &Arc<Shared>, queue: &mpsc::Sender<Submission>) {
        for n in 0..THREADS {
            let (desk, shared, queue) = (self.desk.clone(), shared.clone(), queue.clone());
            let thread = std::thread::Builder::new().name(format!("lane-{n}"));
            thread.spawn(move || run(&desk, &shared, &queue)).expect("a thread can be started");
        }
    }

    pub fn close(&self) {
        self.desk.state.lock().closed = true;
        self.desk.arrived.notify_all();
    }
}

fn run(desk: &Desk, shared: &Shared, queue: &mpsc::Sender<Submission>) {
    if let Err(error) = rustix::process::setpriority_process(None, NICE) {
        tracing::debug!(%error, "priority of a plugin thread not lowered");
    }
    while let Some((binding, job)) = desk.next() {
        let judged = judge_one(shared, job, binding.clone());
        desk.done(&binding);
        if let Some(judged) = judged
            && queue.blocking_send(Submission::Judged(Box::new(judged))).is_err()
        {
            return;
        }
    }
}

fn judge_one(shared: &Shared, job: Job, binding: String) -> Option<Judged> {
    let Job { call, head, reign, tries } = job;
    if call.is_abandoned() {
        return None;
    }
    let Ask::Decide(request) = &call.ask else { return None };
    let (verdict, reads) = judge::judge(shared, &head, request);
    Some(Judged { call, verdict, reads, tries, binding, reign })
}

impl Desk {
    /// The next job, in turn; `None` when the lane is closed.
    fn next(&self) -> Option<(String, Job)> {
        let mut waiting = self.state.lock();
        loop {
            if waiting.closed {
                return None;
            }
            if let Some(found) = waiting.take() {
                return Some(found);
            }
            self.arrived.wait(&mut waiting);
        }
    }

    fn done(&self, binding: &str) {
        let mut waiting = self.state.lock();
        if let Some(running) = waiting.running.get_mut(binding) {
            *running -= 1;
            if *running == 0 {
                waiting.running.remove(binding);
            }
        }
        let more = waiting.count > 0;
        drop(waiting);
        if more {
            self.arrived.notify_one();
        }
    }
}

impl Waiting {
    fn take(&mut self) -> Option<(String, Job)> {
        let free = |binding: &String| self.running.get(binding).copied().unwrap_or(0) + 1 < THREADS;
        let at = self.turns.iter().position(free)?;
        let binding = self.turns.remove(at)?;
        let jobs = self.jobs.get_mut(&binding)?;
        let job = jobs.pop_front()?;
        if jobs.is_empty() {
            self.jobs.remove(&binding);
        } else {
            self.turns.push_back(binding.clone());
        }
        self.count -= 1;
        *self.running.entry(binding.clone()).or_default() += 1;
        Some((binding, job))
    }
}
