//! What may wait: a client's call of a recipe, and what it shares with requests for locks and
//! with dequeues.

use std::rc::Rc;

use serde::de::DeserializeOwned;

use super::cluster::{Cluster, State};
use super::draft::Draft;
use super::failure::Failure;
use super::locks::LockAsk;
use super::plugin::Plugin;
use super::queues::DequeueAsk;
use super::store::is_within;
use crate::range::Span;
use crate::{Event, Outcome, QueueItem, Time};

/// A handle of one call.
#[derive(Debug)]
pub struct Call(pub(crate) Waiting);

/// A handle of anything that may wait.
#[derive(Debug, Clone)]
pub(crate) struct Waiting {
    pub(crate) cluster: Cluster,
    pub(crate) id: usize,
}

/// What the cluster keeps of a call.
#[derive(Debug)]
pub(crate) struct Slot {
    pub(crate) ask: Ask,
    pub(crate) user: Option<String>,
    pub(crate) runs: usize,
    pub(crate) state: Progress,
}

/// What is asked for.
#[derive(Debug, Clone)]
pub(crate) enum Ask {
    Recipe { plugin: String, function: String, payload: Vec<u8> },
    Lock(Rc<LockAsk>),
    Dequeue(Rc<DequeueAsk>),
}

#[derive(Debug)]
pub(crate) enum Progress {
    Parked { reads: Vec<Span>, until: Option<u64>, woken: bool },
    Ended(Result<Reply, Failure>),
}

/// How it ended well.
#[derive(Debug, Clone)]
pub(crate) enum Reply {
    Bytes(Vec<u8>),
    /// A lock's fencing token, and the key that has it.
    Token(i64, Vec<u8>),
    Items(Vec<QueueItem>),
}

impl Waiting {
    pub(crate) fn with<T>(&self, look: impl FnOnce(&Slot) -> T) -> T {
        look(&self.cluster.0.borrow().calls[self.id])
    }

    pub(crate) fn is_parked(&self) -> bool {
        self.with(|slot| matches!(slot.state, Progress::Parked { .. }))
    }

    pub(crate) fn is_woken(&self) -> bool {
        self.with(Slot::is_woken)
    }

    pub(crate) fn waits_until(&self) -> Option<Time> {
        self.with(|slot| match slot.state {
            Progress::Parked { until, .. } => until.map(Time::from_millis),
            Progress::Ended(_) => None,
        })
    }

    pub(crate) fn runs(&self) -> usize {
        self.with(|slot| slot.runs)
    }

    /// Runs it again, if it is woken.
    pub(crate) fn run(&self) {
        assert!(self.is_woken(), "the call is not woken: {:?}", self.with(|s| format!("{s:?}")));
        self.cluster.0.borrow_mut().run_call(self.id);
    }

    pub(crate) fn reply(&self) -> Result<Reply, Failure> {
        self.with(|slot| match &slot.state {
            Progress::Ended(result) => result.clone(),
            Progress::Parked { .. } => panic!("the call is parked and has no reply: {slot:?}"),
        })
    }
}

impl Call {
    /// Whether it waits, woken or not.
    pub fn is_parked(&self) -> bool {
        self.0.is_parked()
    }

    /// Whether it waits no longer: what it read has changed, or its time has come.
    pub fn is_woken(&self) -> bool {
        self.0.is_woken()
    }

    /// The time at which it will be woken in any case; none when it waits for no time.
    pub fn waits_until(&self) -> Option<Time> {
        self.0.waits_until()
    }

    /// How often its function has run.
    pub fn runs(&self) -> usize {
        self.0.runs()
    }

    /// Runs it again.
    ///
    /// # Panics
    /// When it is not woken: then the server would not run it either.
    pub fn run(&self) {
        self.0.run();
    }

    /// Takes it back, as a client does at its deadline. Nothing happens when it has ended.
    pub fn cancel(&self) {
        self.0.cluster.0.borrow_mut().calls[self.0.id].end_parked(&Failure::Cancelled);
    }

    /// The reply as it is on the wire.
    ///
    /// # Errors
    /// Why the call failed.
    ///
    /// # Panics
    /// While it is parked.
    pub fn reply_bytes(&self) -> Result<Vec<u8>, Failure> {
        match self.0.reply()? {
            Reply::Bytes(bytes) => Ok(bytes),
            other => unreachable!("a recipe's reply is bytes, not {other:?}"),
        }
    }

    /// The reply, from JSON.
    ///
    /// # Errors
    /// Why the call failed.
    ///
    /// # Panics
    /// While it is parked, and when the reply is not a `T`.
    pub fn reply<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        let reply = self.reply_bytes()?;
        Ok(serde_json::from_slice(&reply).unwrap_or_else(|error| {
            panic!("the reply {} does not parse: {error}", String::from_utf8_lossy(&reply))
        }))
    }
}

impl Slot {
    pub(crate) fn new(ask: Ask, user: Option<String>) -> Self {
        Self { ask, user, runs: 0, state: Progress::Ended(Err(Failure::Cancelled)) }
    }

    pub(crate) fn is_woken(&self) -> bool {
        matches!(self.state, Progress::Parked { woken: true, .. })
    }

    /// Wakes it when one of `events` touches what it read.
    pub(crate) fn wake_on(&mut self, events: &[Event]) {
        if let Progress::Parked { reads, woken, .. } = &mut self.state {
            let touched = |event: &Event| reads.iter().any(|span| is_within(event.key(), span));
            *woken |= events.iter().any(touched);
        }
    }

    pub(crate) fn wake_at(&mut self, now: u64) {
        if let Progress::Parked { until: Some(until), woken, .. } = &mut self.state {
            *woken |= *until <= now;
        }
    }

    /// The serving member asks the new leader about what survives in keys; a recipe's call ends.
    pub(crate) fn meet_new_leader(&mut self) {
        match (&self.ask, &mut self.state) {
            (Ask::Recipe { .. }, _) => self.end_parked(&Failure::LeaderChanged),
            (_, Progress::Parked { woken, .. }) => *woken = true,
            _ => {}
        }
    }

    pub(crate) fn end_parked(&mut self, failure: &Failure) {
        if matches!(self.state, Progress::Parked { .. }) {
            self.state = Progress::Ended(Err(failure.clone()));
        }
    }
}

impl State {
    /// Runs a call's function on the newest state, and commits, parks or ends it.
    pub(crate) fn run_call(&mut self, id: usize) {
        let slot = &mut self.calls[id];
        slot.runs += 1;
        let (ask, user) = (slot.ask.clone(), slot.user.clone());
        let progress = match ask {
            Ask::Recipe { plugin: name, function, payload } => {
                match self.plugins.get(&name).cloned() {
                    Some(plugin) => self.try_call(&plugin, &function, &payload, user.as_deref()),
                    None => Progress::Ended(Err(Failure::UnknownPlugin(name))),
                }
            }
            Ask::Lock(ask) => self.try_lock(&ask, user.as_deref()),
            Ask::Dequeue(ask) => self.try_dequeue(&ask, user.as_deref()),
        };
        self.calls[id].state = progress;
    }

    fn try_call(
        &mut self,
        plugin: &Rc<Plugin>,
        function: &str,
        payload: &[u8],
        user: Option<&str>,
    ) -> Progress {
        let by = || plugin.name.clone();
        let failed =
            |why: &str| Failure::Refused { by: by(), reason: format!("the recipe failed: {why}") };
        let Some((prefix, recipes)) = plugin.recipes.clone() else {
            return Progress::Ended(Err(Failure::UnknownPlugin(by())));
        };
        let context = plugin.context(&prefix, user);
        let draft = Draft::on(&self.store);
        let call = || recipes.call(context, function, payload);
        let (draft, outcome) = self.run(draft, plugin, &prefix, call);
        Progress::Ended(match outcome {
            Ok(Outcome::Done(reply)) => {
                let done = self.decide(draft, user, Some(&plugin.name));
                done.map(|_| Reply::Bytes(reply))
            }
            Ok(Outcome::Wait(None)) if draft.reads.is_empty() => Err(failed(
                "it waits without having read anything: read a key first, or give a time",
            )),
            Ok(Outcome::Wait(Some(until))) if until <= self.now => {
                Err(failed("it waits until a time that is over"))
            }
            Ok(Outcome::Wait(until)) => {
                return Progress::Parked { reads: draft.reads, until, woken: false };
            }
            Ok(Outcome::Refuse(reason)) => Err(Failure::Refused { by: by(), reason }),
            Ok(Outcome::Invalid(reason)) => Err(Failure::Invalid { by: by(), reason }),
            Ok(Outcome::UnknownFunction) => Err(Failure::UnknownFunction {
                plugin: by(),
                function: function.to_owned(),
                known: recipes.names().collect::<Vec<_>>().join(", "),
            }),
            Err(why) => Err(failed(&why)),
        })
    }
}
