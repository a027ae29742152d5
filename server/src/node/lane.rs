//! The lane: where plugins work. Threads at low priority take a binding's jobs and judge them one
//! after the other on the newest head, each seeing what the one before wrote; the batch goes to
//! the sequencer, which checks that nothing they read has changed since.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::mpsc;

use super::desk::{Desk, Head, Pace, Spent, Turn};
use super::error::Failure;
use super::plugin::{Evaluation, Job, Judged, Verdicts};
use super::shared::Shared;
use crate::clock::Clock;
#[cfg(test)]
use crate::effect::BindingId;
use crate::wasm::thread_cpu_time;

/// Jobs of one batch.
const BATCH_JOBS: usize = 256;
/// A batch that has taken this long is sent off: its jobs wait for the longest of them.
const BATCH_TIME: Duration = Duration::from_millis(1);
/// Behind whoever serves clients without plugins.
const NICE: i32 = 5;
/// Behind the plugins that answer quickly.
const NICE_SLOW: i32 = 10;

/// The way into the lane, and the way of its verdicts to the sequencer.
pub struct Lane {
    pub desk: Arc<Desk>,
    verdicts: mpsc::UnboundedSender<Verdicts>,
    /// Taken by the sequencer.
    receiver: Mutex<Option<mpsc::UnboundedReceiver<Verdicts>>>,
}

impl Lane {
    pub fn new(clock: Clock) -> Self {
        // Bounded by the desk: one batch of each binding is under way.
        let (verdicts, receiver) = mpsc::unbounded_channel();
        let desk = Arc::new(Desk::new(clock));
        Self { desk, verdicts, receiver: Mutex::new(Some(receiver)) }
    }

    /// Where verdicts arrive; for the sequencer, once.
    pub fn verdicts(&self) -> mpsc::UnboundedReceiver<Verdicts> {
        self.receiver.lock().take().expect("one sequencer takes the verdicts")
    }

    /// Queues a job, or answers its caller that there are too many.
    pub fn push(&self, binding: &str, job: Job) {
        if let Err(job) = self.desk.push(binding, job, true) {
            job.call.bounce(Failure::TooManyRequests);
        }
    }

    /// Starts the threads; they end when the lane is closed.
    pub fn start(&self, shared: &Arc<Shared>) {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        for n in 0..(cores / 2).clamp(1, 4) {
            self.spawn(format!("lane-{n}"), shared, Pace::Brisk, NICE);
        }
        self.spawn("lane-slow".into(), shared, Pace::Slow, NICE_SLOW);
    }

    fn spawn(&self, name: String, shared: &Arc<Shared>, pace: Pace, nice: i32) {
        let (desk, shared) = (self.desk.clone(), shared.clone());
        let verdicts = self.verdicts.clone();
        let work = move || {
            if let Err(error) = rustix::process::setpriority_process(None, nice) {
                tracing::debug!(%error, "priority of a plugin thread not lowered");
            }
            while let Some((binding, head)) = desk.next(pace) {
                let turn = take_turn(&desk, &shared, &binding, &head);
                if let Some(batch) = turn
                    && verdicts.send(batch).is_err()
                {
                    return;
                }
            }
        };
        std::thread::Builder::new().name(name).spawn(work).expect("a thread can be started");
    }

    /// Takes up the jobs of whoever is next, if anybody is; for tests, which end the turn when
    /// they please.
    #[cfg(test)]
    pub fn begin_turn(&self) -> Option<(BindingId, Arc<Head>)> {
        let ready = [Pace::Brisk, Pace::Slow].into_iter().find(|pace| self.desk.has_ready(*pace));
        self.desk.next(ready?)
    }

    /// Ends it on the caller's thread: the verdicts are with the sequencer.
    #[cfg(test)]
    pub fn end_turn(&self, shared: &Shared, (binding, head): &(BindingId, Arc<Head>)) {
        if let Some(batch) = take_turn(&self.desk, shared, binding, head) {
            self.verdicts.send(batch).expect("the sequencer is there");
        }
    }

    pub fn close(&self) {
        for job in self.desk.close() {
            job.call.bounce(Failure::Stopped);
        }
    }
}

/// Judges a binding's jobs until the batch is full.
fn take_turn(desk: &Desk, shared: &Shared, binding: &str, head: &Head) -> Option<Verdicts> {
    let (begun, cpu) = (shared.clock.now(), thread_cpu_time());
    let mut evaluation = Evaluation::new(shared, head);
    let mut judged: Vec<Judged> = Vec::new();
    let mut turn = Turn::Nothing;
    while judged.len() < BATCH_JOBS && shared.clock.now().since(begun) < BATCH_TIME {
        let Some(job) = desk.take(binding) else { break };
        if job.call.is_abandoned() {
            continue;
        }
        match evaluation.judge(job) {
            Ok(done) => judged.push(done),
            Err(job) => {
                desk.put_back(binding, job);
                turn = Turn::NotReady;
                break;
            }
        }
    }
    if !judged.is_empty() {
        turn = Turn::Sent;
    }
    let calls = judged.len() as u32;
    let (failures, cpu) = (evaluation.failures(), thread_cpu_time().saturating_sub(cpu));
    desk.end_turn(binding, Spent { calls, failures, cpu }, &turn);
    let (reign, base) = (head.reign, head.state.revision);
    (calls > 0).then(|| Verdicts { binding: binding.to_owned(), reign, base, judged })
}
