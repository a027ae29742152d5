//! Locks of the fake cluster: requests, which the lock admissions over their names decide about.
//! A name that no plugin covers follows the native rules.

use std::rc::Rc;
use std::time::Duration;

use super::call::{Ask, Progress, Reply, Waiting};
use super::client::Client;
use super::cluster::State;
use super::draft::Draft;
use super::failure::Failure;
use super::plugin::Plugin;
use super::records::{self, PlaceRecord};
use super::running::Subject;
use crate::bindings::lock_admission::exports::portunus::plugin::lock_admission as wire;
use crate::range::Span;
use crate::{LockMode, Place, Time};

/// The time of a lease that a request without one is given.
const LEASE: Duration = Duration::from_secs(60);

/// A request for a lock, to be put together.
#[derive(Debug)]
pub struct LockRequest {
    client: Client,
    name: Vec<u8>,
    lease: i64,
    mode: u8,
    permits: u32,
    weight: u32,
    metadata: Vec<u8>,
}

/// What the cluster keeps of a request.
#[derive(Debug)]
pub(crate) struct LockAsk {
    name: Vec<u8>,
    lease: i64,
    record: PlaceRecord,
    is_try: bool,
}

/// A request for a lock that was made: it waits, holds, or was refused.
#[derive(Debug)]
pub struct LockCall {
    waiting: Waiting,
    ask: Rc<LockAsk>,
}

/// What the plugins said.
enum Said {
    Admit(Draft),
    Wait {
        reads: Vec<Span>,
        until: Option<u64>,
    },
    Refuse(Failure),
    /// Nobody whose answer counts was asked.
    Native(Draft),
}

impl Client {
    /// A request for a lock: exclusive, of weight 1, on a new lease of a minute.
    pub fn lock(&self, name: impl AsRef<[u8]>) -> LockRequest {
        LockRequest {
            client: self.clone(),
            name: name.as_ref().to_vec(),
            lease: 0,
            mode: 0,
            permits: 0,
            weight: 1,
            metadata: Vec::new(),
        }
    }
}

impl LockRequest {
    /// Shares the lock with others that do.
    #[must_use]
    pub fn shared(self) -> Self {
        Self { mode: 1, ..self }
    }

    /// Takes permits of a lock that has so many.
    #[must_use]
    pub fn permits(self, permits: u32) -> Self {
        Self { mode: 2, permits, ..self }
    }

    /// How many permits it takes.
    #[must_use]
    pub fn weight(self, weight: u32) -> Self {
        Self { weight, ..self }
    }

    /// What it gives along, for the plugin.
    #[must_use]
    pub fn metadata(self, metadata: impl AsRef<[u8]>) -> Self {
        Self { metadata: metadata.as_ref().to_vec(), ..self }
    }

    /// Goes with this lease instead of one of its own.
    #[must_use]
    pub fn lease(self, lease: i64) -> Self {
        Self { lease, ..self }
    }

    /// Asks for it, at once. It may end up waiting in line.
    pub fn acquire(self) -> LockCall {
        self.ask(false)
    }

    /// Asks for it and does not wait: instead of a place in line it gets [`Failure::Held`].
    pub fn try_acquire(self) -> LockCall {
        self.ask(true)
    }

    fn ask(self, is_try: bool) -> LockCall {
        let cluster = &self.client.cluster;
        let lease = if self.lease == 0 { cluster.grant_lease(LEASE) } else { self.lease };
        let record = PlaceRecord {
            mode: self.mode,
            permits: self.permits,
            weight: self.weight.max(1),
            metadata: self.metadata,
            user: self.client.user.clone(),
            granted: false,
        };
        let ask = Rc::new(LockAsk { name: self.name, lease, record, is_try });
        LockCall { waiting: self.client.ask(Ask::Lock(Rc::clone(&ask))), ask }
    }
}

impl LockCall {
    /// Whether it waits in line, woken or not.
    pub fn is_waiting(&self) -> bool {
        self.waiting.is_parked()
    }

    /// Whether something that was read for it has changed, or its time has come, so that it is to
    /// be decided again.
    pub fn is_woken(&self) -> bool {
        self.waiting.is_woken()
    }

    /// The time at which it will be woken in any case; none when it waits for no time.
    pub fn waits_until(&self) -> Option<Time> {
        self.waiting.waits_until()
    }

    /// How often it was decided about.
    pub fn runs(&self) -> usize {
        self.waiting.runs()
    }

    /// Decides about it again.
    ///
    /// # Panics
    /// When it is not woken: then the server would not ask either.
    pub fn run(&self) {
        self.waiting.run();
    }

    /// Whether it holds the lock now.
    pub fn is_held(&self) -> bool {
        if self.is_waiting() {
            return false;
        }
        let Ok((token, key)) = self.grant() else { return false };
        let state = self.waiting.cluster.0.borrow();
        state.store.items.get(&key).is_some_and(|item| item.create_revision == token)
    }

    /// Its fencing token, which grows with each grant of the lock.
    ///
    /// # Errors
    /// Why it was not granted.
    ///
    /// # Panics
    /// While it waits.
    pub fn token(&self) -> Result<i64, Failure> {
        self.grant().map(|(token, _)| token)
    }

    /// The key whose create revision is the token, for comparisons.
    ///
    /// # Errors
    /// Why it was not granted.
    ///
    /// # Panics
    /// While it waits.
    pub fn key(&self) -> Result<Vec<u8>, Failure> {
        self.grant().map(|(_, key)| key)
    }

    fn grant(&self) -> Result<(i64, Vec<u8>), Failure> {
        match self.waiting.reply()? {
            Reply::Token(token, key) => Ok((token, key)),
            other => unreachable!("a lock's answer is a token, not {other:?}"),
        }
    }

    /// The lease that it goes with.
    pub fn lease(&self) -> i64 {
        self.ask.lease
    }

    /// Gives the lock back, or its place in line up.
    pub fn release(&self) {
        let state = &mut *self.waiting.cluster.0.borrow_mut();
        state.calls[self.waiting.id].end_parked(&Failure::Cancelled);
        state.leave(&self.ask);
    }

    /// Ends its lease, as when its client is gone.
    pub fn expire(&self) {
        self.waiting.cluster.revoke_lease(self.ask.lease);
    }
}

impl State {
    /// The plugins that admit locks of this name, in the order in which they are asked.
    fn admitters(&self, name: &[u8]) -> Vec<Rc<Plugin>> {
        let covers =
            |plugin: &&Rc<Plugin>| matches!(&plugin.admission, Some((p, _)) if name.starts_with(p));
        self.plugins.values().filter(covers).cloned().collect()
    }

    /// Refuses writes to the keys of locks that a plugin admits, unless they are its own.
    pub(crate) fn check_lock_keys(&self, draft: &Draft, by: Option<&str>) -> Result<(), Failure> {
        for event in draft.events() {
            let admitters = self.admitters(event.key());
            let other = admitters.iter().find(|p| !p.is_monitored && by != Some(&p.name));
            if let Some((plugin, (prefix, _))) =
                other.and_then(|p| Some((p, p.admission.as_ref()?)))
            {
                let prefix = String::from_utf8_lossy(prefix).into_owned();
                return Err(Failure::LockKeys { prefix, plugin: plugin.name.clone() });
            }
        }
        Ok(())
    }

    /// Takes the place and what it holds out of the store.
    fn leave(&mut self, ask: &LockAsk) {
        let mut draft = Draft::on(&self.store);
        draft.delete(&records::single(&records::place_key(&ask.name, ask.lease)));
        draft.delete(&records::single(&records::holder_key(&ask.name, ask.lease)));
        let events = self.store.commit(draft, Vec::new());
        self.wake(&events);
    }

    /// Decides about a request on the newest state.
    pub(crate) fn try_lock(&mut self, ask: &LockAsk, user: Option<&str>) -> Progress {
        let place = records::place_key(&ask.name, ask.lease);
        let waits_already = self.store.items.contains_key(&place);
        let name = || String::from_utf8_lossy(&ask.name).into_owned();
        if !self.leases.exists(ask.lease) {
            return Progress::Ended(Err(Failure::PlaceLost(name())));
        }
        let mut entered = Draft::on(&self.store);
        if !waits_already {
            entered.put(&place, &records::encode(&ask.record), ask.lease);
        }
        match self.ask_admitters(ask, entered.clone(), user) {
            Said::Admit(draft) => self.grant(ask, draft, true),
            Said::Native(draft) if is_granted_natively(&draft, ask) => {
                self.grant(ask, draft, false)
            }
            Said::Native(_) if ask.is_try => Progress::Ended(Err(Failure::Held(name()))),
            Said::Wait { .. } if ask.is_try => Progress::Ended(Err(Failure::Held(name()))),
            Said::Native(mut draft) => {
                let _line = records::waiters(&mut draft, &ask.name);
                self.park(entered, draft.reads, None)
            }
            Said::Wait { reads, until } => self.park(entered, reads, until),
            Said::Refuse(failure) => {
                self.leave(ask);
                Progress::Ended(Err(failure))
            }
        }
    }

    fn park(&mut self, entered: Draft, reads: Vec<Span>, until: Option<u64>) -> Progress {
        match self.commit(entered, Vec::new()) {
            Ok(_) => Progress::Parked { reads, until, woken: false },
            Err(failure) => Progress::Ended(Err(failure)),
        }
    }

    /// The admission and its record commit together.
    fn grant(&mut self, ask: &LockAsk, mut draft: Draft, is_admitted: bool) -> Progress {
        let value = records::encode(&PlaceRecord { granted: true, ..ask.record.clone() });
        let place = records::place_key(&ask.name, ask.lease);
        let key = match is_admitted {
            true => records::holder_key(&ask.name, ask.lease),
            false => place.clone(),
        };
        draft.put(&place, &value, ask.lease);
        if is_admitted {
            draft.put(&key, &value, ask.lease);
        }
        let granted = self.commit(draft, Vec::new()).map(|_| {
            let token = self.store.items.get(&key).map_or(0, |item| item.create_revision);
            Reply::Token(token, key)
        });
        Progress::Ended(granted)
    }

    fn ask_admitters(&mut self, ask: &LockAsk, mut draft: Draft, user: Option<&str>) -> Said {
        let mut last: Option<String> = None;
        for plugin in self.admitters(&ask.name) {
            let before = draft.clone();
            let (asked, said) = self.ask_admitter(&plugin, ask, draft, user);
            draft = asked;
            let failed = |reason| Failure::Refused { by: plugin.name.clone(), reason };
            let verdict = match said {
                Ok(wire::Admission::Admit) => None,
                Ok(wire::Admission::Wait(until)) => match until {
                    Some(until) if until <= self.now => {
                        Some(Said::Refuse(failed("it waits until a time that is over".into())))
                    }
                    _ => Some(Said::Wait { reads: draft.reads.clone(), until }),
                },
                Ok(wire::Admission::Refuse(reason)) => Some(Said::Refuse(failed(reason))),
                Err(_) if plugin.fails_open => {
                    draft = draft.undone_to(before);
                    continue;
                }
                Err(why) => Some(Said::Refuse(failed(format!("the lock admission failed: {why}")))),
            };
            match verdict {
                verdict if plugin.is_monitored => {
                    self.note_unfollowed(&plugin, verdict);
                    draft = before;
                }
                Some(verdict) => return verdict,
                None => last = Some(plugin.name.clone()),
            }
        }
        if last.is_none() {
            return Said::Native(draft);
        }
        match self.judge(draft, user, last.as_deref()) {
            Ok(judged) => Said::Admit(judged),
            Err(failure) => Said::Refuse(failure),
        }
    }

    fn note_unfollowed(&mut self, plugin: &Plugin, verdict: Option<Said>) {
        let reason = match verdict {
            Some(Said::Refuse(failure)) => return self.would_refuse.push(failure),
            Some(Said::Wait { .. }) => "it waits".to_owned(),
            _ => return,
        };
        self.would_refuse.push(Failure::Refused { by: plugin.name.clone(), reason });
    }

    fn ask_admitter(
        &mut self,
        plugin: &Rc<Plugin>,
        ask: &LockAsk,
        mut draft: Draft,
        user: Option<&str>,
    ) -> (Draft, Result<wire::Admission, String>) {
        let (prefix, admit) = plugin.admission.clone().expect("an admitter has an admission");
        let first_read = draft.reads.len();
        draft.is_behind = false;
        let holders: Vec<Place> = records::holders(&mut draft, &ask.name);
        let place = records::own(&mut draft, &ask.name, ask.lease)
            .expect("the place was entered, or found, before");
        let holders = holders.into_iter().filter(|holder| holder.lease != ask.lease).collect();
        let request = wire::Request { name: ask.name.clone(), place };
        let context = plugin.context(&prefix, user);
        let subject = Subject::Lock { name: ask.name.clone(), lease: ask.lease };
        let asked = || admit(context, request, holders);
        let (mut draft, answer) = self.run_about(draft, plugin, &prefix, subject, asked);
        if draft.is_behind && matches!(answer, Ok(wire::Admission::Wait(_))) {
            // It rests on the place before it and not on the holders, which were read first.
            draft.reads.remove(first_read);
        }
        (draft, answer)
    }
}

/// Holders are the first of their line: all before the request have to go with it.
fn is_granted_natively(draft: &Draft, ask: &LockAsk) -> bool {
    let line = records::line(draft, &ask.name);
    let before = line.iter().take_while(|(item, _)| item.lease != ask.lease);
    let before: Vec<&PlaceRecord> = before.map(|(_, record)| record).collect();
    let alike = before.iter().all(|record| record.mode == ask.record.mode);
    match records::mode_of(&ask.record) {
        LockMode::Exclusive => before.is_empty(),
        LockMode::Shared => alike,
        LockMode::Permits => {
            let taken: u32 = before.iter().map(|record| record.weight).sum();
            alike && taken + ask.record.weight <= ask.record.permits
        }
    }
}
