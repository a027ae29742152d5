//! Jobs of one binding, judged one after the other on a copy of the head that moves on as each of
//! them foresees it: a job sees what the one before it wrote, although nothing is sequenced yet.
//! The sequencer compares what came of it with what was foreseen.

use std::cell::Cell;
use std::sync::Arc;

use bytes::Bytes;

use super::bindings::Named;
use super::events::TriggerBatch;
use super::hearing::{Ended, Hearing, Matter, author};
use super::job::{Finding, Job, Judged};
use super::overlay::{Overlay, Writes};
use super::view::Guest;
use crate::auth;
use crate::decide::{self, Advance, Draft, RecipeCall, Refusal, Request, Write};
use crate::effect::{Mode, TriggerState};
use crate::machine::{Change, State, What};
use crate::node::ask::Ask;
use crate::node::desk::Head;
use crate::node::policies::Readiness;
use crate::node::shared::Shared;
use crate::view::{Chain, ReadSet};
use crate::wasm::{Caller, Event, Handled, Outcome};

/// The head as the jobs judged so far would leave it.
pub struct Evaluation<'a> {
    pub(super) shared: &'a Shared,
    pub(super) head: &'a Head,
    pub(super) state: State,
    chain: Chain,
    /// When the present job is judged.
    pub(super) now_ms: u64,
    /// Whose job is being judged, while there is authentication.
    pub(super) user: Option<String>,
    /// Calls of plugins that trapped, broke a limit or ran out of time.
    failures: Cell<u32>,
}

/// What a job asks for, once its own plugin has spoken.
pub(super) struct Asked<'r> {
    pub(super) request: &'r Request,
    pub(super) added: Vec<Write>,
    pub(super) payload: Bytes,
    pub(super) reads: ReadSet,
    pub(super) caller: Option<&'r str>,
    pub(super) depth: u8,
    pub(super) via: &'r [String],
}

/// A job that ends without a transaction, and what it read.
type Ends = (Finding, ReadSet);

/// What a job comes to.
#[allow(clippy::large_enum_variant, reason = "one at a time, and the large one is the usual one")]
pub(super) enum Came {
    To(Finding, ReadSet, Option<Next>),
    NotReady,
}

/// The state after a job, and the keys it wrote.
pub(super) struct Next {
    pub(super) state: State,
    pub(super) wrote: Vec<Bytes>,
}

impl<'a> Evaluation<'a> {
    pub fn new(shared: &'a Shared, head: &'a Head) -> Self {
        let (chain, failures) = (Chain::default(), Cell::new(0));
        Self { shared, head, state: head.state.clone(), chain, now_ms: 0, user: None, failures }
    }

    /// How many calls have failed so far.
    pub fn failures(&self) -> u32 {
        self.failures.get()
    }

    pub(super) fn note_failure(&self) {
        self.failures.set(self.failures.get().saturating_add(1));
    }

    /// Judges the next job; gives it back when a plugin is not compiled yet.
    pub fn judge(&mut self, job: Job) -> Result<Judged, Job> {
        let before = self.state.revision;
        self.now_ms = self.shared.clock.unix_ms();
        self.user = self.state.auth().user_of(&job.call.who).map(str::to_owned);
        let (finding, reads, next) = match self.come_to(&job.call.ask, &job.call.who) {
            Came::To(finding, reads, next) => (finding, reads, next),
            Came::NotReady => return Err(job),
        };
        let under = self.chain.under(&reads);
        let mut wrote = Vec::new();
        if let Some(next) = next {
            wrote = next.wrote;
            self.state = next.state;
            wrote.iter().for_each(|key| self.chain.wrote(key.clone(), self.state.revision));
        }
        let after = self.state.revision;
        let reads = reads.begun_at(self.head.state.revision);
        Ok(Judged { job, finding, reads, under, before, after, wrote })
    }

    fn come_to(&self, ask: &Ask, who: &auth::Caller) -> Came {
        match ask {
            Ask::Decide(request @ Request::Call(call)) => match self.recipe(call, who) {
                Ok(Some((payload, added, reads))) => {
                    let caller = self.user.as_deref();
                    self.settle(Asked {
                        request,
                        added,
                        payload,
                        reads,
                        caller,
                        depth: 1,
                        via: std::slice::from_ref(&call.plugin),
                    })
                }
                Ok(None) => Came::NotReady,
                Err((finding, reads)) => Came::To(finding, reads, None),
            },
            Ask::Decide(Request::Lock(ask)) if self.head.bindings.admits() => self.lock(ask),
            Ask::Decide(Request::Queue(ask)) if self.head.bindings.has_conditions() => {
                self.queue(ask)
            }
            Ask::Decide(request) => {
                let (added, payload) = (Vec::new(), Bytes::new());
                let reads = ReadSet::on(&self.state);
                self.settle(Asked {
                    request,
                    added,
                    payload,
                    reads,
                    caller: self.user.as_deref(),
                    depth: 0,
                    via: &[],
                })
            }
            Ask::Handle(batch) => match self.trigger(batch) {
                Ok(Some((added, reads))) => {
                    let TriggerBatch { binding, from, to, depth, via, .. } = &**batch;
                    let advance = Advance { binding: binding.clone(), from: *from, to: *to };
                    let request = &Request::Advance(advance);
                    let payload = Bytes::new();
                    let depth = *depth;
                    // What policies add comes after the trigger.
                    let own = binding.split('/').next().unwrap_or_default();
                    let via: Vec<String> = via.iter().cloned().chain([own.to_owned()]).collect();
                    let via = &via[..];
                    self.settle(Asked { request, added, payload, reads, caller: None, depth, via })
                }
                Ok(None) => Came::NotReady,
                Err((finding, reads)) => Came::To(finding, reads, None),
            },
            // The sequencer answers the rest itself.
            other => {
                tracing::error!(?other, "a question that no plugin is asked about");
                let reads = ReadSet::on(&self.state);
                let (added, payload) = (Vec::new(), Bytes::new());
                Came::To(Finding::Commit { added, payload, request: None }, reads, None)
            }
        }
    }

    /// Runs a recipe: its reply, its writes and its reads. `None` while it is not compiled.
    fn recipe(
        &self,
        call: &RecipeCall,
        who: &auth::Caller,
    ) -> Result<Option<(Bytes, Vec<Write>, ReadSet)>, Ends> {
        let mut reads = ReadSet::on(&self.state);
        let refuse = |refusal, reads| (Finding::Refuse(refusal), reads);
        let Some(named) = self.head.bindings.recipe(&call.plugin) else {
            return Err(refuse(Refusal::NoRecipe(call.plugin.clone()), reads));
        };
        if named.binding.mode == Mode::Disabled {
            return Err(refuse(Refusal::PluginDisabled(call.plugin.clone()), reads));
        }
        let bound = match self.shared.policies.of(named) {
            Readiness::Ready(bound) => bound,
            Readiness::Compiling => return Ok(None),
            Readiness::Broken(why) => return Err(refuse(failed(named, &why), reads)),
        };
        let mut writes = Writes::default();
        let caller = self.user.as_deref();
        writes.begin(author(named, caller, 1, &[]));
        let outcome = {
            let mut view = self.guest(named, &mut writes, &mut reads);
            bound.call(&mut view, Caller { user: caller }, &call.function, &call.payload)
        };
        // Whatever it says rests on what it read.
        if let Err(refusal) =
            decide::permit_recipe(&self.state, who, reads.covers(), &writes.to_decide())
        {
            return Err(refuse(refusal, reads));
        }
        let plugin = call.plugin.clone();
        let finding = match outcome {
            Ok(Outcome::Done(payload)) => {
                // What a monitored recipe would write is dropped.
                let enforced = named.binding.mode == Mode::Enforce;
                let writes = if enforced { writes.to_decide() } else { Vec::new() };
                return Ok(Some((payload.into(), writes, reads)));
            }
            Ok(Outcome::Wait(None)) if reads.is_empty() => Finding::Refuse(failed(
                named,
                "it waits without having read anything: read a key first, or give a time",
            )),
            Ok(Outcome::Wait(Some(until))) if until <= self.now_ms => {
                Finding::Refuse(failed(named, "it waits until a time that is over"))
            }
            Ok(Outcome::Wait(until)) => Finding::Wait(until),
            Ok(Outcome::Refuse(reason)) => {
                Finding::Refuse(Refusal::PolicyRefused { binding: plugin, reason })
            }
            Ok(Outcome::Invalid(reason)) => {
                Finding::Refuse(Refusal::InvalidPayload { plugin, reason })
            }
            Ok(Outcome::UnknownFunction) => {
                let function = call.function.clone();
                let known = bound.functions().join(", ");
                Finding::Refuse(Refusal::UnknownFunction { plugin, function, known })
            }
            Err(error) => {
                // The plugin's own log has it all, and bounds how much is said of it.
                tracing::debug!(binding = named.id, %error, "a recipe failed");
                self.note_failure();
                Finding::Refuse(failed(named, &error.to_string()))
            }
        };
        Err((finding, reads))
    }

    /// Has a trigger handle its events: its writes and its reads. `None` while it is not compiled.
    fn trigger(&self, batch: &TriggerBatch) -> Result<Option<(Vec<Write>, ReadSet)>, Ends> {
        let mut reads = ReadSet::on(&self.state);
        let moved = |reads| (Finding::Refuse(Refusal::CursorMoved(batch.binding.clone())), reads);
        let named = match self.head.bindings.trigger(&batch.binding) {
            Some(named) if named.binding.mode != Mode::Disabled => named,
            _ => return Err(moved(reads)),
        };
        // The batch before it failed: the plugin need not be asked.
        let stands_at = |state: &TriggerState| state.cursor == batch.from;
        if !self.state.trigger(&batch.binding).is_some_and(stands_at) {
            return Err(moved(reads));
        }
        let bound = match self.shared.policies.of(named) {
            Readiness::Ready(bound) => bound,
            Readiness::Compiling => return Ok(None),
            Readiness::Broken(why) => return Err((Finding::Failed(why.to_string()), reads)),
        };
        let mut writes = Writes::default();
        writes.begin(author(named, None, batch.depth, &batch.via));
        let events: Vec<Event<'_>> = batch.events.iter().map(event).collect();
        let handled = {
            let mut view = self.guest(named, &mut writes, &mut reads);
            bound.handle(&mut view, batch.missed.clone(), &events)
        };
        match handled {
            // A monitored trigger is asked like any other; what it would write is dropped.
            Ok(Handled::Done) if named.binding.mode == Mode::Monitor => {
                Ok(Some((Vec::new(), reads)))
            }
            Ok(Handled::Done) => Ok(Some((writes.to_decide(), reads))),
            Ok(Handled::Failed(why)) => Err((Finding::Failed(why), reads)),
            Err(error) => {
                self.note_failure();
                Err((Finding::Failed(error.to_string()), reads))
            }
        }
    }

    fn guest<'g>(
        &'g self,
        named: &'g Arc<Named>,
        writes: &'g mut Writes,
        reads: &'g mut ReadSet,
    ) -> Guest<'g> {
        let at = self.state.next_revision().main;
        Guest {
            binding: &named.binding,
            overlay: Overlay { state: &self.state, writes, at },
            reads,
            taken: &|_| false,
            now_ms: self.now_ms,
        }
    }

    /// Decides the request with its writes, and has the policies speak about them.
    pub(super) fn settle(&self, asked: Asked<'_>) -> Came {
        let Asked { request, mut added, payload, reads, caller, depth, via } = asked;
        let cx = self.shared.decision_limits();
        let mut after = self.state.clone();
        let (decided, reads) = decide::resolve(&mut after, request, &added, reads, &cx);
        let changes = match decided {
            Ok(changes) => changes,
            Err(Refusal::Wait { until_ms }) => {
                return Came::To(Finding::Wait(until_ms), reads, None);
            }
            Err(refusal) => return Came::To(Finding::Refuse(refusal), reads, None),
        };
        if changes.is_empty() || !self.head.bindings.has_policies() {
            let next = Next { state: after, wrote: changes.iter().map(key_of).collect() };
            return Came::To(Finding::Commit { added, payload, request: None }, reads, Some(next));
        }
        let mut wrote = changes.iter().map(key_of).collect();
        let at = self.state.next_revision().main;
        let now_ms = self.now_ms;
        let failures = Some(&self.failures);
        let matter = Matter { after: &after, at, caller, depth, via, now_ms, failures };
        let (policies, bindings) = (&self.shared.policies, &*self.head.bindings);
        let (heard, reads) = Hearing::new(policies, bindings, matter, changes, reads).hear();
        match heard {
            Err(Ended::NotReady) => return Came::NotReady,
            Err(Ended::Refused(refusal)) => {
                return Came::To(Finding::Refuse(refusal), reads, None);
            }
            Ok(more) if more.is_empty() => {}
            Ok(more) => {
                added.extend(more);
                after = self.state.clone();
                let mut draft = Draft::default();
                if let Err(refusal) = decide::decide(&mut after, request, &added, &cx, &mut draft) {
                    return Came::To(Finding::Refuse(refusal), reads, None);
                }
                wrote = draft.changes.iter().map(key_of).collect();
            }
        }
        let next = Next { state: after, wrote };
        Came::To(Finding::Commit { added, payload, request: None }, reads, Some(next))
    }
}

pub(super) fn failed(named: &Named, why: &str) -> Refusal {
    let binding = named.binding.plugin.clone();
    Refusal::PolicyRefused { binding, reason: format!("the {} failed: {why}", named.binding.point) }
}

fn key_of(change: &Change) -> Bytes {
    Bytes::copy_from_slice(change.key())
}

fn event(change: &Change) -> Event<'_> {
    let previous = change.prev.as_ref();
    match &change.what {
        What::Put(item) => Event::Put { item, previous },
        What::Delete { key } => Event::Delete { key, at: change.at.main, previous },
    }
}
