//! Dequeues of queues whose condition names a plugin, judged in the lane: the plugin is asked when
//! everything else in the condition lets something go.

use bytes::Bytes;
use portunus_proto::portunus::v1::{
    QueueAsk, QueueDequeueRequest, QueueReadiness, queue_ask::Ask as Kind, queue_said::Said,
};

use super::evaluation::{Came, Evaluation, failed};
use super::hearing::author;
use super::job::Finding;
use super::line_view::QueueView;
use super::overlay::{Overlay, Writes};
use super::view::Guest;
use crate::decide::queue::{Queue, condition_binding, plugin_of};
use crate::decide::{self, Draft, Refusal, Reply, Request};
use crate::effect::{FailurePolicy, Mode};
use crate::node::policies::Readiness;
use crate::view::ReadSet;
use crate::wasm::{Caller, QueueAsked, QueueReadiness as Word};

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
            let readiness = Some(QueueReadiness { plugin: plugin.clone(), ready, ids });
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
        let bound = match self.shared.policies.of(named) {
            Readiness::Ready(bound) => bound,
            Readiness::Compiling => return Came::NotReady,
            Readiness::Broken(why) => return refuse(failed(named, &why), reads),
        };
        let queue = Queue::known(name);
        let asked = self.asked(queue, dequeue, &mut reads);
        let mut writes = Writes::default();
        writes.begin(author(named, None, 1, &[]));
        let answer = {
            let at = self.state.next_revision().main;
            let guest = Guest {
                binding: &named.binding,
                overlay: Overlay { state: &self.state, writes: &mut writes, at },
                reads: &mut reads,
                taken: &|key| is_queues_own(name, key),
                now_ms: self.now_ms,
            };
            bound.ready(&mut QueueView { guest, queue }, Caller::default(), &asked)
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
            Ok(Word::Wait(until)) if dequeue.wait => {
                Came::To(Finding::Wait(until), self.noted(queue, reads), None)
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

    fn asked<'q>(
        &self,
        queue: Queue<'q>,
        dequeue: &QueueDequeueRequest,
        reads: &mut ReadSet,
    ) -> QueueAsked<'q> {
        let mut count = |range| {
            reads.note_range(&range);
            self.state.items().count(&range) as u64
        };
        QueueAsked {
            name: queue.name(),
            ready: count(queue.ready()),
            in_flight: count(queue.taken()),
            wanted: dequeue.max.max(1),
        }
    }

    /// The reads of a dequeue that waits: the queue itself and its condition, too.
    fn noted(&self, queue: Queue<'_>, mut reads: ReadSet) -> ReadSet {
        let condition = queue.condition();
        reads.note_key(&condition, self.state.get(&condition));
        for range in [queue.ready(), queue.delayed(), queue.taken(), queue.claims()] {
            reads.note_range(&range);
        }
        reads
    }
}

/// Keys that the dequeue itself writes: not the plugin's.
fn is_queues_own(name: &Bytes, key: &[u8]) -> bool {
    let rest = key.strip_prefix(&name[..]).and_then(|rest| rest.strip_prefix(b"/"));
    let parts: [&[u8]; 5] = [b"items/", b"delayed/", b"taken/", b"claims/", b"dead/"];
    rest.is_some_and(|rest| parts.iter().any(|part| rest.starts_with(part)))
}
