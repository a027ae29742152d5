//! Dequeues of queues whose condition names a plugin, judged in the lane: the plugin is asked when
//! everything else in the condition lets something go.

use std::sync::Arc;

use bytes::Bytes;
use portunus_proto::portunus::v1::{
    QueueAsk, QueueDequeueRequest, QueueReadiness, queue_ask::Ask as Kind, queue_said::Said,
};

use super::bindings::{Bindings, Named};
use super::evaluation::{Came, Evaluation, failed};
use super::hearing::author;
use super::job::Finding;
use super::line_view::QueueView;
use super::overlay::{Overlay, Writes};
use super::view::Guest;
use crate::decide::queue::{Queue, condition_binding, plugin_of};
use crate::decide::{self, Draft, Refusal, Reply, Request};
use crate::effect::{FailurePolicy, Mode};
use crate::machine::State;
use crate::node::policies::Readiness;
use crate::node::shared::Shared;
use crate::view::ReadSet;
use crate::wasm::{CallError, Caller, QueueAsked, QueueReadiness as Word};

impl Evaluation<'_> {
    /// Judges what is asked of a queue.
    pub(super) fn queue(&self, ask: &QueueAsk) -> Came {
        let reads = ReadSet::on(&self.state);
        let Some(Kind::Dequeue(dequeue)) = &ask.ask else {
            return self.decide_on(Request::Queue(ask.clone()), Vec::new(), reads);
        };
        let Some(plugin) = plugin_of(&self.state, &dequeue.queue) else {
            return self.decide_on(Request::Queue(ask.clone()), Vec::new(), reads);
        };
        let with = |ready: bool, ids: Vec<u64>| {
            let readiness =
                Some(QueueReadiness { plugin: plugin.clone(), ready, ids, note: String::new() });
            Request::Queue(QueueAsk { ask: ask.ask.clone(), readiness })
        };
        let (open, shut) = (with(true, Vec::new()), with(false, Vec::new()));
        // The rest of the condition may settle it either way.
        if !self.delivers(&open) {
            return self.decide_on(open, Vec::new(), reads);
        }
        if self.delivers(&shut) {
            return self.decide_on(shut, Vec::new(), reads);
        }
        self.ask_condition(dequeue, &plugin, reads, with)
    }

    fn delivers(&self, request: &Request) -> bool {
        let cx = self.shared.decision_limits();
        let mut after = self.state.clone();
        let reply = decide::decide(&mut after, request, &[], &cx, &mut Draft::default());
        match reply {
            Ok(Reply::Queue(said)) => {
                matches!(said.said, Some(Said::Dequeued(said)) if !said.deliveries.is_empty())
            }
            _ => false,
        }
    }

    fn ask_condition(
        &self,
        dequeue: &QueueDequeueRequest,
        plugin: &str,
        mut reads: ReadSet,
        with: impl Fn(bool, Vec<u64>) -> Request,
    ) -> Came {
        let name = &dequeue.queue;
        let refuse = |refusal, reads| Came::To(Finding::Refuse(refusal), reads, None);
        let binding = condition_binding(&self.state, name, plugin).map(|binding| binding.id());
        let Some(named) = binding.and_then(|id| self.head.bindings.named(&id)) else {
            return self.decide_on(with(false, Vec::new()), Vec::new(), reads);
        };
        // Disabled and monitored ones hold nothing up.
        if named.binding.mode == Mode::Disabled {
            return self.decide_on(with(true, Vec::new()), Vec::new(), reads);
        }
        let heard = hear(
            self.shared,
            (named, self.user.as_deref()),
            &self.state,
            dequeue,
            &mut reads,
            self.now_ms,
        );
        let Heard { word: answer, writes } = match heard {
            Ok(heard) => heard,
            Err(NotHeard::Compiling) => return Came::NotReady,
            Err(NotHeard::Broken(why)) => return refuse(failed(named, &why), reads),
        };
        if named.binding.mode == Mode::Monitor {
            return self.decide_on(with(true, Vec::new()), Vec::new(), reads);
        }
        match answer {
            Ok(Word::Ready) => self.decide_on(with(true, Vec::new()), writes.to_decide(), reads),
            Ok(Word::Items(ids)) if ids.is_empty() => {
                refuse(failed(named, "it picked no item: let it wait instead"), reads)
            }
            Ok(Word::Items(ids)) => self.decide_on(with(true, ids), writes.to_decide(), reads),
            Ok(Word::Wait(Some(until))) if until <= self.now_ms => {
                refuse(failed(named, "it waits until a time that is over"), reads)
            }
            // What the rest of the condition waits for may come first.
            Ok(Word::Wait(until)) if dequeue.wait => {
                match self.decide_on(with(false, Vec::new()), Vec::new(), reads) {
                    Came::To(Finding::Wait(other), reads, next) => {
                        let until = until.into_iter().chain(other).min();
                        Came::To(Finding::Wait(until), reads, next)
                    }
                    other => other,
                }
            }
            Ok(Word::Wait(_)) => self.decide_on(with(false, Vec::new()), Vec::new(), reads),
            Ok(Word::Refuse(reason)) => {
                let binding = named.binding.plugin.clone();
                refuse(Refusal::PolicyRefused { binding, reason }, reads)
            }
            Err(_) if named.binding.on_failure == FailurePolicy::Open => {
                self.note_failure();
                self.decide_on(with(true, Vec::new()), Vec::new(), reads)
            }
            Err(error) => {
                tracing::debug!(binding = named.id, %error, "a queue condition failed");
                self.note_failure();
                refuse(failed(named, &error.to_string()), reads)
            }
        }
    }
}

/// What a plugin said of a queue, and what it would write.
struct Heard {
    word: Result<Word, CallError>,
    writes: Writes,
}

enum NotHeard {
    Compiling,
    Broken(String),
}

/// Asks the plugin what may leave the queue.
fn hear(
    shared: &Shared,
    (named, user): (&Arc<Named>, Option<&str>),
    state: &State,
    dequeue: &QueueDequeueRequest,
    reads: &mut ReadSet,
    now_ms: u64,
) -> Result<Heard, NotHeard> {
    let bound = match shared.policies.of(named) {
        Readiness::Ready(bound) => bound,
        Readiness::Compiling => return Err(NotHeard::Compiling),
        Readiness::Broken(why) => return Err(NotHeard::Broken(why.to_string())),
    };
    let queue = Queue::known(&dequeue.queue);
    let mut count = |range| {
        reads.note_range(&range);
        state.items().count(&range) as u64
    };
    let asked = QueueAsked {
        name: queue.name(),
        ready: count(queue.ready()),
        in_flight: count(queue.taken()),
        wanted: dequeue.max.max(1),
    };
    let mut writes = Writes::default();
    writes.begin(author(named, user, 1, &[]));
    let guest = Guest {
        binding: &named.binding,
        overlay: Overlay { state, writes: &mut writes, at: state.next_revision().main },
        reads,
        taken: &|key| is_queues_own(&dequeue.queue, key),
        now_ms,
    };
    let word = bound.ready(&mut QueueView { guest, queue }, Caller { user }, &asked);
    Ok(Heard { word, writes })
}

/// What the plugin that a queue's condition names says of it now, and why, for those who look; no
/// readiness where none is named. `None` while the plugin is being compiled.
pub fn condition_word(
    shared: &Shared,
    state: &State,
    name: &Bytes,
    now_ms: u64,
) -> Option<Option<QueueReadiness>> {
    let Some(plugin) = plugin_of(state, name) else { return Some(None) };
    let binding = condition_binding(state, name, &plugin).map(|binding| binding.id());
    let bindings = Bindings::of(state);
    let Some(named) = binding.and_then(|id| bindings.named(&id)) else { return Some(None) };
    let says = |ready: bool, note: String| QueueReadiness { ready, note, plugin, ids: Vec::new() };
    // Of an empty queue nobody is asked, and what is not enforced holds nothing up.
    let is_empty = state.items().count(&Queue::known(name).ready()) == 0;
    if is_empty || named.binding.mode != Mode::Enforce {
        return Some(Some(says(true, String::new())));
    }
    let dequeue = QueueDequeueRequest { queue: name.clone(), ..QueueDequeueRequest::default() };
    let word = match hear(shared, (named, None), state, &dequeue, &mut ReadSet::on(state), now_ms) {
        Ok(heard) => heard.word.map_err(|error| error.to_string()),
        Err(NotHeard::Compiling) => return None,
        Err(NotHeard::Broken(why)) => Err(why),
    };
    let is_open = named.binding.on_failure == FailurePolicy::Open;
    Some(Some(match word {
        Ok(Word::Items(ids)) if ids.is_empty() => says(false, "which picks no item".to_owned()),
        Ok(Word::Ready | Word::Items(_)) => says(true, String::new()),
        Ok(Word::Wait(None)) => says(false, String::new()),
        Ok(Word::Wait(Some(until))) => {
            says(false, format!("at the latest until unix {}", until / 1000))
        }
        Ok(Word::Refuse(why)) => says(false, format!("which refuses: {why}")),
        Err(_) if is_open => says(true, String::new()),
        Err(why) => says(false, format!("which fails: {why}")),
    }))
}

/// Keys that the dequeue itself writes: not the plugin's.
fn is_queues_own(name: &Bytes, key: &[u8]) -> bool {
    let rest = key.strip_prefix(&name[..]).and_then(|rest| rest.strip_prefix(b"/"));
    let parts: [&[u8]; 5] = [b"items/", b"delayed/", b"taken/", b"claims/", b"dead/"];
    rest.is_some_and(|rest| parts.iter().any(|part| rest.starts_with(part)))
}
