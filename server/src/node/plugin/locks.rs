//! Locks that plugins admit, judged in the lane: who is asked, what it sees of the line, and how its
//! word goes into the decision.

use bytes::Bytes;
use portunus_proto::portunus::v1::{
    LockAcquireRequest, LockAdmission, LockAsk, LockAwait, LockMode, LockRecord, LockWord,
    lock_ask::Ask as Kind,
};

use super::bindings::Named;
use super::evaluation::{Asked, Came, Evaluation, failed};
use super::hearing::author;
use super::job::Finding;
use super::line_view::LineView;
use super::overlay::{Overlay, Writes};
use super::view::Guest;
use crate::decide::lock::admission::{self, Stander};
use crate::decide::{self, Draft, Refusal, Reply, Request, Write};
use crate::effect::{FailurePolicy, Mode};
use crate::node::policies::Readiness;
use crate::types::LeaseId;
use crate::view::ReadSet;
use crate::wasm::{self, Admission, Caller, LockPlace, LockRequest};

/// A lock that somebody wants.
struct Wanted<'a> {
    name: &'a Bytes,
    place: LockPlace,
}

/// What was said of all names of a request.
#[derive(Default)]
struct Said {
    words: Vec<LockAdmission>,
    /// The earliest time at which a plugin wants to be asked again.
    until: Option<u64>,
    waits: bool,
}

/// How the asking ends when there is nothing to decide on.
enum Ended {
    Refused(Refusal),
    NotReady,
}

impl Evaluation<'_> {
    /// Judges what is asked about locks: plugins say who may hold, then it is decided like any
    /// other request.
    pub(super) fn lock(&self, ask: &LockAsk) -> Came {
        let mut reads = ReadSet::on(&self.state);
        let (mut writes, mut said) = (Writes::default(), Said::default());
        for wanted in self.wanted(ask, &mut reads) {
            match self.ask_about(&wanted, &mut writes, &mut reads, &mut said) {
                Ok(()) => {}
                Err(Ended::NotReady) => return Came::NotReady,
                Err(Ended::Refused(refusal)) => {
                    return Came::To(Finding::Refuse(refusal), reads, None);
                }
            }
        }
        if said.waits && matches!(ask.ask, Some(Kind::AwaitTurn(_))) {
            return Came::To(Finding::Wait(said.until), reads, None);
        }
        let request = Request::Lock(LockAsk { admissions: said.words, ..ask.clone() });
        let mut added = writes.to_decide();
        if !added.is_empty() && (said.waits || !self.is_granted(&request)) {
            added.clear();
        }
        self.decide_on(request, added, reads)
    }

    /// Decides on a request that plugins have spoken about.
    pub(super) fn decide_on(&self, request: Request, added: Vec<Write>, reads: ReadSet) -> Came {
        let came = self.settle(Asked {
            request: &request,
            added,
            payload: Bytes::new(),
            reads,
            caller: self.user.as_deref(),
            depth: 1,
            via: &[],
        });
        match came {
            Came::To(Finding::Commit { added, payload, .. }, reads, next) => {
                let request = Some(Box::new(request));
                Came::To(Finding::Commit { added, payload, request }, reads, next)
            }
            other => other,
        }
    }

    /// Whether the decision would grant all names, the line's own rules and delays included.
    fn is_granted(&self, request: &Request) -> bool {
        let cx = self.shared.decision_limits();
        let mut after = self.state.clone();
        let reply = decide::decide(&mut after, request, &[], &cx, &mut Draft::default());
        matches!(reply, Ok(Reply::Lock(said)) if said.granted)
    }

    /// The names that plugins have a say in and that are not held already.
    fn wanted<'a>(&self, ask: &'a LockAsk, reads: &mut ReadSet) -> Vec<Wanted<'a>> {
        let mut all = Vec::new();
        match &ask.ask {
            Some(Kind::Enlist(request)) => {
                for name in &request.names {
                    all.extend(self.wanted_by(name, LeaseId(request.lease), Some(request), reads));
                }
            }
            Some(Kind::AwaitTurn(LockAwait { places })) => {
                for place in places {
                    let item = self.state.get(&place.key);
                    reads.note_key(&place.key, item);
                    let lease = item.map_or(LeaseId::NONE, |item| item.lease());
                    all.extend(self.wanted_by(&place.name, lease, None, reads));
                }
            }
            _ => {}
        }
        all
    }

    fn wanted_by<'a>(
        &self,
        name: &'a Bytes,
        lease: LeaseId,
        request: Option<&LockAcquireRequest>,
        reads: &mut ReadSet,
    ) -> Option<Wanted<'a>> {
        admission::admitting(&self.state, name).next()?;
        let key = decide::lock::place_key(name, lease);
        let item = self.state.get(&key);
        reads.note_key(&key, item);
        let record = item.map(|item| decide::lock::record(item.value()).unwrap_or_default());
        let entered = item.map_or(0, |item| item.create_revision());
        match (record, request) {
            (Some(record), _) if record.granted => None,
            (Some(record), _) => Some(Wanted { name, place: place(lease, &record, entered, 0) }),
            (None, Some(request)) => {
                let record = LockRecord {
                    mode: request.mode,
                    permits: request.permits,
                    weight: request.weight.max(1),
                    metadata: request.metadata.clone(),
                    user: self.user.clone().unwrap_or_default(),
                    ..LockRecord::default()
                };
                Some(Wanted { name, place: place(lease, &record, 0, 0) })
            }
            (None, None) => None,
        }
    }

    /// Asks every plugin about one lock; the first that does not admit decides.
    fn ask_about(
        &self,
        wanted: &Wanted<'_>,
        writes: &mut Writes,
        reads: &mut ReadSet,
        said: &mut Said,
    ) -> Result<(), Ended> {
        let mut word = LockWord::Native;
        let held = admission::held(&self.state, wanted.name);
        // They may let go without a word of any plugin.
        for key in admission::native_holders(&self.state, wanted.name, &held) {
            reads.note_key(&key, self.state.get(&key));
        }
        let holders: Vec<LockPlace> = held.iter().map(stander).collect();
        let bindings: Vec<_> =
            admission::admitting(&self.state, wanted.name).map(|binding| binding.id()).collect();
        for id in bindings {
            let Some(named) = self.head.bindings.named(&id) else { continue };
            let before = writes.clone();
            let answer = self.ask_one(named, wanted, &holders, writes, reads);
            let enforced = named.binding.mode == Mode::Enforce;
            if !enforced || !matches!(answer, Ok(Admission::Admit)) {
                *writes = before;
            }
            match answer {
                Err(Ended::NotReady) => return Err(Ended::NotReady),
                // Monitored, or a failure that lets pass: as if it were not there.
                _ if !enforced => {}
                Err(Ended::Refused(_)) if named.binding.on_failure == FailurePolicy::Open => {}
                Err(refused) => return Err(refused),
                Ok(Admission::Refuse(reason)) => {
                    let binding = named.binding.plugin.clone();
                    return Err(Ended::Refused(Refusal::PolicyRefused { binding, reason }));
                }
                Ok(Admission::Admit) => word = LockWord::Admit,
                Ok(Admission::Wait(until)) => {
                    said.waits = true;
                    said.until = said.until.into_iter().chain(until).min();
                    word = LockWord::Wait;
                    break;
                }
            }
        }
        said.words.push(LockAdmission { name: wanted.name.clone(), word: word.into() });
        Ok(())
    }

    /// Asks one plugin. A refusal here is a failure of the plugin's.
    fn ask_one(
        &self,
        named: &std::sync::Arc<Named>,
        wanted: &Wanted<'_>,
        holders: &[LockPlace],
        writes: &mut Writes,
        reads: &mut ReadSet,
    ) -> Result<Admission, Ended> {
        let bound = match self.shared.policies.of(named) {
            Readiness::Ready(bound) => bound,
            Readiness::Compiling => return Err(Ended::NotReady),
            Readiness::Broken(why) => return Err(Ended::Refused(failed(named, &why))),
        };
        writes.begin(author(named, wanted.place.user.as_deref(), 1, &[]));
        let own = [
            decide::lock::place_key(wanted.name, wanted.place.lease),
            admission::holder_key(wanted.name, wanted.place.lease),
        ];
        let at = self.state.next_revision().main;
        let guest = Guest {
            binding: &named.binding,
            overlay: Overlay { state: &self.state, writes, at },
            reads,
            taken: &|key| own.iter().any(|own| own == key),
            now_ms: self.now_ms,
        };
        let (name, place) = (wanted.name, &wanted.place);
        let mut view = LineView { guest, name, place, is_behind: false };
        let request = LockRequest { name: wanted.name, place: &wanted.place };
        let caller = Caller { user: wanted.place.user.as_deref() };
        let answer = bound.admit(&mut view, caller, &request, holders);
        // Who waits because others are before it need not look at who holds.
        if !(view.is_behind && matches!(answer, Ok(Admission::Wait(_)))) {
            view.guest.reads.note_range(&admission::holders(wanted.name));
        }
        match answer {
            Ok(Admission::Wait(Some(until))) if until <= self.now_ms => {
                Err(Ended::Refused(failed(named, "it waits until a time that is over")))
            }
            Ok(answer) => Ok(answer),
            Err(error) => {
                tracing::debug!(binding = named.id, %error, "a lock admission failed");
                self.note_failure();
                Err(Ended::Refused(failed(named, &error.to_string())))
            }
        }
    }
}

pub(super) fn stander(stander: &Stander) -> LockPlace {
    place(stander.lease, &stander.record, stander.entered, stander.token)
}

fn place(lease: LeaseId, record: &LockRecord, entered: i64, token: i64) -> LockPlace {
    let mode = match record.mode() {
        LockMode::Exclusive => wasm::LockMode::Exclusive,
        LockMode::Shared => wasm::LockMode::Shared,
        LockMode::Permits => wasm::LockMode::Permits,
    };
    LockPlace {
        lease,
        mode,
        permits: if mode == wasm::LockMode::Permits { record.permits } else { 0 },
        weight: record.weight.max(1),
        metadata: record.metadata.clone(),
        user: Some(record.user.clone()).filter(|user| !user.is_empty()),
        entered,
        token,
    }
}
