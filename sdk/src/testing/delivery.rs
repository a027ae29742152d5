//! Telling triggers what has happened: batches, cursors, failures.

use super::cluster::State;
use super::draft::Draft;
use super::failure::Failure;
use super::judge::CASCADE_MAX;
use super::store::is_within;
use crate::range::{Span, under};
use crate::{Batch, Event, Missed};

/// After so many failures on the same events a trigger is paused.
const ATTEMPTS_MAX: u32 = 10;
const REST_FIRST_MS: u64 = 100;
const REST_MAX_MS: u64 = 30_000;

/// How telling a trigger its next events went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Delivery {
    /// There was nothing to tell.
    Nothing,
    /// It was told this many events, and what it wrote is committed.
    Done(usize),
    /// It failed, or a policy refused what it wrote; the same events will be told again.
    Failed(String),
    /// It is paused after too many failures, the last of which is this one.
    Paused(String),
    /// The leader changed before the commit; the same events will be told again.
    LeaderChanged,
}

/// How far a trigger has come.
#[derive(Debug)]
pub(crate) struct Cursor {
    /// Every event of a revision up to this one is done.
    pub(crate) done: i64,
    attempts: u32,
    rests_until: u64,
    last_error: String,
}

/// The next events of a trigger.
struct Next {
    batch: Batch,
    /// The last revision of the batch.
    to: i64,
    chain: Vec<String>,
}

impl Cursor {
    pub(crate) fn new(done: i64) -> Self {
        Self { done, attempts: 0, rests_until: 0, last_error: String::new() }
    }

    fn is_paused(&self) -> bool {
        self.attempts >= ATTEMPTS_MAX
    }

    pub(crate) fn resume(&mut self) {
        *self = Self::new(self.done);
    }

    /// A new leader tries at once; what is paused stays so.
    pub(crate) fn forget_failures(&mut self) {
        if !self.is_paused() {
            self.resume();
        }
    }

    fn fail(&mut self, now: u64, error: String) -> Delivery {
        self.attempts += 1;
        let rest = REST_FIRST_MS << (self.attempts - 1).min(16);
        self.rests_until = now + rest.min(REST_MAX_MS);
        self.last_error.clone_from(&error);
        if self.is_paused() { Delivery::Paused(error) } else { Delivery::Failed(error) }
    }
}

impl State {
    pub(crate) fn cursor_of(&mut self, plugin: &str) -> &mut Cursor {
        self.cursors
            .get_mut(plugin)
            .unwrap_or_else(|| panic!("no trigger is deployed under the name {plugin}"))
    }

    /// A trigger that has events and does not rest.
    pub(crate) fn due_trigger(&self) -> Option<String> {
        let due = |(name, cursor): &(&String, &Cursor)| {
            let rests = cursor.is_paused() || cursor.rests_until > self.now;
            !rests && self.next_batch(name, cursor.done).is_some()
        };
        self.cursors.iter().find(due).map(|(name, _)| name.clone())
    }

    pub(crate) fn skip(&mut self, plugin: &str) {
        let done = self.cursor_of(plugin).done;
        let to = self.next_batch(plugin, done).map_or(done, |next| next.to);
        *self.cursor_of(plugin) = Cursor::new(to);
    }

    /// Tells a trigger its next events.
    pub(crate) fn deliver(&mut self, name: &str) -> Delivery {
        let cursor = self.cursor_of(name);
        if cursor.is_paused() {
            return Delivery::Paused(cursor.last_error.clone());
        }
        let done = cursor.done;
        let Some(next) = self.next_batch(name, done) else { return Delivery::Nothing };
        let to = next.to;
        let events = next.batch.events().len();
        match self.tell(name, next) {
            Ok(()) => {
                *self.cursor_of(name) = Cursor::new(to);
                Delivery::Done(events)
            }
            Err(Failure::LeaderChanged) => Delivery::LeaderChanged,
            Err(failure) => {
                let now = self.now;
                let text = match failure {
                    Failure::Refused { by, reason } if by == name => reason,
                    failure => failure.to_string(),
                };
                self.cursor_of(name).fail(now, text)
            }
        }
    }

    /// What the trigger writes commits together with its cursor, or not at all.
    fn tell(&mut self, name: &str, next: Next) -> Result<(), Failure> {
        let plugin = self.plugins[name].clone();
        let refused = |reason| Failure::Refused { by: name.to_owned(), reason };
        let Some((prefix, handle)) = plugin.trigger.clone() else { return Ok(()) };
        let context = plugin.context(&prefix, None);
        let draft = Draft::on(&self.store);
        let (draft, handled) =
            self.run(draft, &plugin, &prefix, || handle(context, &next.batch));
        handled.map_err(|why| refused(format!("the trigger failed: {why}")))?.map_err(refused)?;
        let chain = [next.chain, vec![name.to_owned()]].concat();
        if draft.has_written() && chain.len() > CASCADE_MAX {
            let chain = chain.join(" > ");
            return Err(refused(format!("triggers cascade deeper than {CASCADE_MAX}: {chain}")));
        }
        let judged = self.judge(draft, None)?;
        self.commit(judged, chain).map(|_| ())
    }

    /// Whole revisions behind `done`, up to the bound on events, at least one.
    fn next_batch(&self, name: &str, done: i64) -> Option<Next> {
        let (prefix, _) = self.plugins.get(name)?.trigger.as_ref()?;
        let span: Span = under(prefix);
        let compacted = self.store.compacted;
        let missed = (compacted > done).then_some(Missed { first: done + 1, last: compacted });
        let mut events: Vec<Event> = Vec::new();
        let mut to = missed.map_or(done, |missed| missed.last);
        let mut chain: &[String] = &[];
        for revision in self.store.history.iter().filter(|past| past.number > done) {
            let within: Vec<_> =
                revision.events.iter().filter(|event| is_within(event.key(), &span)).collect();
            if !events.is_empty() && events.len() + within.len() > self.batch_events {
                break;
            }
            if !within.is_empty() && revision.chain.len() > chain.len() {
                chain = &revision.chain;
            }
            events.extend(within.into_iter().cloned());
            to = revision.number;
        }
        let anything = missed.is_some() || !events.is_empty();
        anything.then(|| Next { batch: Batch::of(missed, events), to, chain: chain.to_vec() })
    }
}
