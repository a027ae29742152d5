//! Telling triggers what has happened: batches, cursors, failures.

use super::cluster::State;
use super::draft::Draft;
use super::failure::Failure;
use super::judge::CASCADE_DEPTH_MAX;
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
    /// How many events it is told at most; fewer after a failure.
    appetite: usize,
    /// Why it is paused.
    paused: Option<String>,
}

/// The next events of a trigger.
struct Next {
    batch: Batch,
    /// The first revision of the batch, or the last one missed.
    first: i64,
    /// The last revision of the batch.
    to: i64,
    /// The triggers that led to it, the first one first.
    chain: Vec<String>,
}

impl Cursor {
    pub(crate) fn new(done: i64) -> Self {
        Self { done, attempts: 0, rests_until: 0, appetite: usize::MAX, paused: None }
    }

    fn is_paused(&self) -> bool {
        self.paused.is_some()
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

    fn fail(&mut self, now: u64, told: usize, error: String) -> Delivery {
        self.attempts += 1;
        if self.attempts >= ATTEMPTS_MAX {
            return self.pause(error);
        }
        let rest = REST_FIRST_MS << (self.attempts - 1);
        self.rests_until = now + rest.min(REST_MAX_MS);
        self.appetite = (told / 2).max(1);
        Delivery::Failed(error)
    }

    fn pause(&mut self, error: String) -> Delivery {
        self.paused = Some(error.clone());
        Delivery::Paused(error)
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
            !rests && self.next_batch(name, cursor).is_some()
        };
        self.cursors.iter().find(due).map(|(name, _)| name.clone())
    }

    pub(crate) fn skip(&mut self, plugin: &str) {
        let next = self.cursors.get(plugin).and_then(|cursor| self.next_batch(plugin, cursor));
        let cursor = self.cursor_of(plugin);
        *cursor = Cursor::new(next.map_or(cursor.done, |next| next.first));
    }

    /// Tells a trigger its next events.
    pub(crate) fn deliver(&mut self, name: &str) -> Delivery {
        if let Some(error) = &self.cursor_of(name).paused {
            return Delivery::Paused(error.clone());
        }
        let next = self.cursors.get(name).and_then(|cursor| self.next_batch(name, cursor));
        let Some(next) = next else { return Delivery::Nothing };
        if next.chain.len() >= CASCADE_DEPTH_MAX {
            let chain = [&next.chain[..], &[name.to_owned()]].concat().join(" -> ");
            let why = format!("trigger cascade deeper than {CASCADE_DEPTH_MAX}: {chain}");
            return self.cursor_of(name).pause(why);
        }
        let (to, told) = (next.to, next.batch.events().len());
        match self.tell(name, next) {
            Ok(()) => {
                *self.cursor_of(name) = Cursor::new(to);
                Delivery::Done(told)
            }
            Err(Failure::LeaderChanged) => Delivery::LeaderChanged,
            Err(failure) => {
                let now = self.now;
                let text = match failure {
                    Failure::Refused { by, reason } if by == name => reason,
                    failure => failure.to_string(),
                };
                self.cursor_of(name).fail(now, told, text)
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
        let (draft, handled) = self.run(draft, &plugin, &prefix, || handle(context, &next.batch));
        handled.map_err(refused)?.map_err(refused)?;
        let judged = self.judge(draft, None, Some(name))?;
        self.commit(judged, [next.chain, vec![name.to_owned()]].concat()).map(|_| ())
    }

    /// Whole revisions behind the cursor, up to the bound on events, at least one.
    fn next_batch(&self, name: &str, cursor: &Cursor) -> Option<Next> {
        let (prefix, _) = self.plugins.get(name)?.trigger.as_ref()?;
        let span: Span = under(prefix);
        let (done, compacted) = (cursor.done, self.store.compacted);
        let missed = (compacted > done).then_some(Missed { first: done + 1, last: compacted });
        let most = self.batch_events.min(cursor.appetite);
        let mut events: Vec<Event> = Vec::new();
        let mut to = missed.map_or(done, |missed| missed.last);
        let mut chain: &[String] = &[];
        for revision in self.store.history.iter().filter(|past| past.number > done) {
            let within = revision.events.iter().filter(|event| is_within(event.key(), &span));
            let within: Vec<_> = within.cloned().collect();
            let is_too_deep = revision.chain.len() >= CASCADE_DEPTH_MAX;
            let has_more = !events.is_empty() || missed.is_some();
            let is_full = !events.is_empty() && events.len() + within.len() > most;
            if !within.is_empty() && (is_full || (is_too_deep && has_more)) {
                break;
            }
            if !within.is_empty() && revision.chain.len() > chain.len() {
                chain = &revision.chain;
            }
            events.extend(within);
            to = revision.number;
            if is_too_deep && !events.is_empty() {
                break;
            }
        }
        if missed.is_none() && events.is_empty() {
            return None;
        }
        let first = events.first().map_or(to, Event::revision);
        Some(Next { batch: Batch::of(missed, events), first, to, chain: chain.to_vec() })
    }
}
