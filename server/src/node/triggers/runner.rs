//! One trigger at work: reads on from where it is, keeps two batches under way, and when one does
//! not end well, waits for the other, looks again where the cursor stands, and begins anew there.
//!
//! It may be dropped at any point and begun again anywhere: the cursor in the applied state is all
//! it needs to know.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesOrdered;
use prometheus::IntCounterVec;
use tokio::sync::watch;

use super::backlog::{Batch, Cut, Stretch};
use super::host::Host;
use super::roster::Bell;
use super::standing::Place;
use crate::decide::{Advance, SetTrigger, TriggerChange};
use crate::effect::{BindingId, TriggerState, TriggerStatus};
use crate::limits::{CASCADE_DEPTH_MAX, TRIGGER_BATCH_EVENTS, TRIGGER_FAILURES_MAX};
use crate::metrics;
use crate::node::plugin::{Handled, TriggerBatch};

/// Batches under way: the next one is evaluated while the last one is on its way to the log.
const WINDOW: usize = 2;
/// The first wait after a failure; each further one is twice as long.
const BACKOFF_MIN: Duration = Duration::from_millis(100);
const BACKOFF_MAX: Duration = Duration::from_secs(30);
/// What a batch that was not executed waits before it is tried again.
const PATIENCE: Duration = Duration::from_millis(50);

static EVENTS: LazyLock<IntCounterVec> = LazyLock::new(|| {
    let help = "Events that a plugin's triggers have handled while this member led.";
    metrics::counter_vec("portunus_trigger_events_total", help, &["plugin"])
});
static FAILURES: LazyLock<IntCounterVec> = LazyLock::new(|| {
    let help = "Batches of events that a plugin's triggers have failed at on this member.";
    metrics::counter_vec("portunus_trigger_failures_total", help, &["plugin"])
});

/// Runs one trigger for as long as it is polled.
pub struct Runner<H> {
    pub host: Arc<H>,
    pub binding: BindingId,
    pub bell: Arc<Bell>,
    /// Revisions up to which a trigger whose bell is silent may move its cursor.
    pub nudge: watch::Receiver<i64>,
    pub place: Place,
    pub course: Course,
}

/// Where a runner is.
#[derive(Debug)]
pub struct Course {
    /// As it is applied.
    cursor: i64,
    /// Where it is once everything under way is done.
    sent: i64,
    /// Every event up to here is in the backlog, under way or done.
    read: i64,
    backlog: Stretch,
    /// Nothing more is to be read before the bell rings.
    idle: bool,
    /// Events to take at once: fewer while batches fail, so that one bad event is found.
    appetite: usize,
    failures: u32,
}

/// How a stretch of good work ended.
enum Trouble {
    /// The plugin failed, or its events cannot be read.
    Failed {
        why: String,
        batch: Option<Batch>,
    },
    TooDeep {
        at: i64,
        chain: Vec<String>,
    },
    /// The cursor may be elsewhere.
    Stale,
    NotExecuted,
}

impl Course {
    /// Begins at the cursor. `heard` says that the bell will ring for everything behind it.
    pub fn at(cursor: i64, heard: bool) -> Self {
        Self {
            cursor,
            sent: cursor,
            read: cursor,
            backlog: Stretch::default(),
            idle: heard,
            appetite: TRIGGER_BATCH_EVENTS,
            failures: 0,
        }
    }

    /// Begins anew, with what was learnt from failures.
    fn begin(&mut self, cursor: i64) {
        if cursor != self.cursor {
            self.failures = 0;
        }
        let (appetite, failures) = (self.appetite, self.failures);
        *self = Self { appetite, failures, ..Self::at(cursor, false) };
    }
}

impl<H: Host> Runner<H> {
    /// Ends when the trigger is gone.
    pub async fn run(mut self) {
        // What the caller has found out about the bell holds for the first stretch only.
        let mut anew = false;
        while let Some(state) = self.host.state() {
            if state.status != TriggerStatus::Running {
                self.wait_for_change(&state, None).await;
                anew = true;
                continue;
            }
            if anew || state.cursor != self.course.cursor {
                self.course.begin(state.cursor);
            }
            anew = true;
            let trouble = self.work().await;
            self.settle(trouble).await;
        }
    }

    /// Hands on batches until one does not end well, and then lets all others end.
    async fn work(&mut self) -> Trouble {
        let mut under_way = FuturesOrdered::new();
        loop {
            let mut trouble = None;
            while under_way.len() < WINDOW {
                match self.next_cut().await {
                    Ok(Some(Cut::Batch(batch))) => under_way.push_back(self.hand_on(batch)),
                    Ok(None) => break,
                    Ok(Some(Cut::TooDeep { at, chain })) => {
                        trouble = Some(Trouble::TooDeep { at, chain });
                        break;
                    }
                    Err(why) => {
                        trouble = Some(Trouble::Failed { why, batch: None });
                        break;
                    }
                }
            }
            if let (Some(trouble), true) = (trouble, under_way.is_empty()) {
                return trouble;
            }
            if under_way.is_empty() {
                self.rest().await;
                continue;
            }
            // More to hand on is looked for when the first one is back: it takes a moment.
            if let Some((batch, handled)) = under_way.next().await
                && let Err(trouble) = self.take_back(batch, handled)
            {
                while under_way.next().await.is_some() {}
                return trouble;
            }
        }
    }

    /// The next batch; `None` when there is none before the bell rings.
    async fn next_cut(&mut self) -> Result<Option<Cut>, String> {
        loop {
            let course = &mut self.course;
            if let Some(cut) = course.backlog.cut(course.appetite) {
                if let Cut::TooDeep { .. } = cut {
                    // It stays in front until it is dealt with.
                    course.backlog = Stretch::default();
                    course.read = course.sent;
                    course.idle = false;
                }
                return Ok(Some(cut));
            }
            if course.idle {
                let Some(first) = self.bell.take() else { return Ok(None) };
                course.read = course.read.max(first - 1);
            }
            course.idle = false;
            let stretch = self.host.read(course.read + 1).await?;
            course.read = course.read.max(stretch.up_to);
            course.idle = stretch.whole;
            course.backlog = stretch;
        }
    }

    fn hand_on(&mut self, batch: Batch) -> impl Future<Output = (Batch, Handled)> + Send + use<H> {
        let from = std::mem::replace(&mut self.course.sent, batch.to);
        let Batch { to, missed, events, depth, via, .. } = batch.clone();
        let binding = self.binding.clone();
        let handled =
            self.host.handle(TriggerBatch { binding, from, to, missed, events, depth, via });
        async move { (batch, handled.await) }
    }

    fn take_back(&mut self, batch: Batch, handled: Handled) -> Result<(), Trouble> {
        match handled {
            Handled::Done { .. } => {
                let course = &mut self.course;
                course.cursor = batch.to;
                course.failures = 0;
                course.appetite = (course.appetite * 2).min(TRIGGER_BATCH_EVENTS);
                let events = batch.events.len() as u64;
                EVENTS.with_label_values(&[self.name()]).inc_by(events);
                self.place.note(|standing| {
                    (standing.failures, standing.error, standing.retry_at) = (0, None, None);
                });
                Ok(())
            }
            Handled::Failed(why) => Err(Trouble::Failed { why, batch: Some(batch) }),
            Handled::Stale | Handled::Unknown => Err(Trouble::Stale),
            Handled::NotExecuted => Err(Trouble::NotExecuted),
        }
    }

    /// Waits for the bell. A cursor that lies far back is brought along, so that neither a new
    /// leader nor compaction finds it there.
    async fn rest(&mut self) {
        self.place.note(|standing| standing.idle = true);
        tokio::select! {
            () = self.bell.rung() => {}
            nudged = self.nudge.changed() => {
                if nudged.is_err() {
                    // The duty ends, and this with it.
                    return std::future::pending().await;
                }
                let to = *self.nudge.borrow_and_update();
                // The bell would have rung by now for anything up to there.
                if self.bell.is_silent() && to > self.course.cursor {
                    self.move_idle(to).await;
                }
            }
        }
        self.place.note(|standing| standing.idle = false);
    }

    async fn move_idle(&mut self, to: i64) {
        let from = self.course.cursor;
        let advance = Advance { binding: self.binding.clone(), from, to };
        self.host.advance(advance).await;
        if let Some(TriggerState { cursor, status: TriggerStatus::Running, .. }) = self.host.state()
            && cursor == to
        {
            let course = &mut self.course;
            (course.cursor, course.sent) = (to, to);
            course.read = course.read.max(to);
        }
    }

    /// Deals with what ended a stretch of work, and waits as long as it takes.
    async fn settle(&mut self, trouble: Trouble) {
        match trouble {
            Trouble::Failed { why, batch } => self.failed(why, batch).await,
            Trouble::TooDeep { at, chain } => {
                let names = chain.iter().map(String::as_str).chain([self.name()]);
                let names = names.collect::<Vec<_>>().join(" -> ");
                let why = format!("trigger cascade deeper than {CASCADE_DEPTH_MAX}: {names}");
                self.pause(why, 1, at).await;
            }
            Trouble::Stale => {
                // Where the cursor has moved already there is nothing to wait for.
                let expected = self.expected();
                if self.host.state().as_ref() == Some(&expected) {
                    self.wait_for_change(&expected, Some(PATIENCE)).await;
                }
            }
            Trouble::NotExecuted => self.host.sleep(PATIENCE).await,
        }
    }

    async fn failed(&mut self, why: String, batch: Option<Batch>) {
        let course = &mut self.course;
        course.failures += 1;
        let failures = course.failures;
        if let Some(batch) = &batch {
            course.appetite = (batch.events.len() / 2).max(1);
        }
        FAILURES.with_label_values(&[self.name()]).inc();
        tracing::warn!(binding = self.binding, failures, error = why, "a trigger failed");
        if let (Some(batch), true) = (&batch, failures >= TRIGGER_FAILURES_MAX) {
            return self.pause(why, failures, batch.first).await;
        }
        let wait = BACKOFF_MAX.min(BACKOFF_MIN * 2u32.saturating_pow(failures - 1));
        let retry_at = self.host.now().after(wait);
        self.place.note(|standing| {
            (standing.failures, standing.error) = (failures, Some(why));
            standing.retry_at = Some(retry_at);
        });
        let expected = self.expected();
        self.wait_for_change(&expected, Some(wait)).await;
        self.place.note(|standing| standing.retry_at = None);
    }

    /// Stops the trigger in the replicated state, the events kept.
    async fn pause(&mut self, error: String, attempts: u32, last: i64) {
        tracing::error!(binding = self.binding, attempts, error, "a trigger is paused");
        self.place.note(|standing| {
            (standing.failures, standing.error) = (attempts, Some(error.clone()));
            standing.retry_at = None;
        });
        let change = TriggerChange::Pause { at: self.course.cursor, error, attempts, last };
        let (binding, caller) = (self.binding.clone(), String::new());
        if !self.host.pause(SetTrigger { binding, change, caller }).await {
            self.host.sleep(PATIENCE).await;
        }
        // Resumed, it has all its attempts again.
        (self.course.failures, self.course.appetite) = (0, TRIGGER_BATCH_EVENTS);
    }

    fn name(&self) -> &str {
        self.binding.split('/').next().unwrap_or_default()
    }

    /// The state as the runner believes it to be.
    fn expected(&self) -> TriggerState {
        let (binding, cursor) = (self.binding.clone(), self.course.cursor);
        TriggerState { binding, cursor, status: TriggerStatus::Running }
    }

    /// Waits until the trigger's state is another, or the time is over.
    async fn wait_for_change(&self, state: &TriggerState, time: Option<Duration>) {
        let change = async {
            loop {
                // Listens before it looks, so that no change falls in between.
                let changed = self.host.changed();
                if self.host.state().as_ref() != Some(state) {
                    break;
                }
                changed.await;
            }
        };
        match time {
            None => change.await,
            Some(time) => tokio::select! {
                () = change => {}
                () = self.host.sleep(time) => {}
            },
        }
    }
}
