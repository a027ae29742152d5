//! A client's call of a recipe, which may be parked and woken.

use std::rc::Rc;

use serde::de::DeserializeOwned;

use super::cluster::{Cluster, State};
use super::draft::Draft;
use super::failure::Failure;
use super::plugin::Plugin;
use super::store::is_within;
use crate::range::Span;
use crate::{Event, Outcome, Time};

/// A handle of one call.
#[derive(Debug)]
pub struct Call {
    cluster: Cluster,
    id: usize,
}

/// What the cluster keeps of a call.
#[derive(Debug)]
pub(crate) struct Slot {
    plugin: String,
    function: String,
    payload: Vec<u8>,
    user: Option<String>,
    runs: usize,
    state: Progress,
}

#[derive(Debug)]
enum Progress {
    Parked { reads: Vec<Span>, until: Option<u64>, woken: bool },
    Ended(Result<Vec<u8>, Failure>),
}

impl Call {
    pub(crate) fn new(cluster: Cluster, id: usize) -> Self {
        Self { cluster, id }
    }

    fn with<T>(&self, look: impl FnOnce(&Slot) -> T) -> T {
        look(&self.cluster.0.borrow().calls[self.id])
    }

    /// Whether it waits, woken or not.
    pub fn is_parked(&self) -> bool {
        self.with(|slot| matches!(slot.state, Progress::Parked { .. }))
    }

    /// Whether it waits no longer: what it read has changed, or its time has come.
    pub fn is_woken(&self) -> bool {
        self.with(Slot::is_woken)
    }

    /// The time at which it will be woken in any case; none when it waits for no time.
    pub fn waits_until(&self) -> Option<Time> {
        self.with(|slot| match slot.state {
            Progress::Parked { until, .. } => until.map(Time::from_millis),
            Progress::Ended(_) => None,
        })
    }

    /// How often its function has run.
    pub fn runs(&self) -> usize {
        self.with(|slot| slot.runs)
    }

    /// Runs it again.
    ///
    /// # Panics
    /// When it is not woken: then the server would not run it either.
    pub fn run(&self) {
        assert!(self.is_woken(), "the call is not woken: {:?}", self.with(|s| format!("{s:?}")));
        self.cluster.0.borrow_mut().run_call(self.id);
    }

    /// Takes it back, as a client does at its deadline. Nothing happens when it has ended.
    pub fn cancel(&self) {
        self.cluster.0.borrow_mut().calls[self.id].end_parked(&Failure::Cancelled);
    }

    /// The reply as it is on the wire.
    ///
    /// # Errors
    /// Why the call failed.
    ///
    /// # Panics
    /// While it is parked.
    pub fn reply_bytes(&self) -> Result<Vec<u8>, Failure> {
        self.with(|slot| match &slot.state {
            Progress::Ended(result) => result.clone(),
            Progress::Parked { .. } => panic!("the call is parked and has no reply: {slot:?}"),
        })
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
    pub(crate) fn new(plugin: &str, function: &str, payload: &[u8], user: Option<String>) -> Self {
        Self {
            plugin: plugin.to_owned(),
            function: function.to_owned(),
            payload: payload.to_vec(),
            user,
            runs: 0,
            state: Progress::Ended(Err(Failure::Cancelled)),
        }
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
        let (name, function) = (slot.plugin.clone(), slot.function.clone());
        let (payload, user) = (slot.payload.clone(), slot.user.clone());
        let progress = match self.plugins.get(&name).cloned() {
            Some(plugin) => self.try_call(&plugin, &function, &payload, user.as_deref()),
            None => Progress::Ended(Err(Failure::UnknownPlugin(name))),
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
            Ok(Outcome::Done(reply)) => self.decide(draft, user, Some(&plugin.name)).map(|_| reply),
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
