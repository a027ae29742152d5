//! Decisions of the server's own that may wait: decided on the head, and parked on what they read
//! when nothing can be decided yet.

use std::time::Duration;

use bytes::Bytes;
use portunus_proto::portunus::v1::{QueueAsk, queue_ask};

use crate::decide::{self, Draft, Refusal, Request};
use crate::limits::PARKED_MAX;
use crate::node::answer::{Call, Decided};
use crate::node::ask::{Ask, Said};
use crate::node::batch::Batch;
use crate::node::error::Failure;
use crate::node::parked::Pending;
use crate::node::sequencer::Sequencer;
use crate::view::ReadSet;

/// A decision is not tried again sooner, however near its time.
const WAIT_MIN: Duration = Duration::from_millis(1);

/// Those who wait for the same thing, if the call is one of them.
fn line_of(call: &Call) -> Option<Bytes> {
    let Ask::Decide(Request::Queue(QueueAsk { ask, .. })) = &call.ask else { return None };
    match ask {
        Some(queue_ask::Ask::Dequeue(request)) if request.wait => {
            Some([&request.queue[..], b"/d"].concat().into())
        }
        Some(queue_ask::Ask::Enqueue(request)) => Some([&request.queue[..], b"/e"].concat().into()),
        _ => None,
    }
}

fn was_asked(call: &Call) -> bool {
    let Ask::Decide(Request::Queue(QueueAsk { ask, .. })) = &call.ask else { return false };
    matches!(ask, Some(queue_ask::Ask::Dequeue(request)) if request.again)
}

impl Sequencer {
    /// Has the call stand behind those that wait for the same. Gives it back if there are none
    /// before it, or if it was asked before: what it has taken then is not to wait for others.
    pub(in crate::node) fn stand_in_line(&mut self, mut call: Call) -> Option<Call> {
        let Some(line) = line_of(&call) else { return Some(call) };
        let is_new = call.order == 0;
        if is_new {
            self.order += 1;
            call.order = self.order;
        }
        let passes = is_new && (was_asked(&call) || self.is_impatient(&call));
        if passes || !self.lines.must_wait(&line, call.order) {
            return Some(call);
        }
        self.stand(&line, call);
        None
    }

    /// A producer that would rather be refused than wait does not stand behind those who do.
    fn is_impatient(&self, call: &Call) -> bool {
        let Ask::Decide(Request::Queue(QueueAsk { ask, .. })) = &call.ask else { return false };
        match ask {
            Some(queue_ask::Ask::Enqueue(request)) => {
                !request.wait && !decide::queue::blocks(&self.head, &request.queue)
            }
            _ => false,
        }
    }

    fn stand(&mut self, line: &Bytes, call: Call) {
        match self.lines.len() < PARKED_MAX {
            true => self.lines.stand(line, call),
            false => call.bounce(Failure::TooManyRequests),
        }
    }

    /// Decides what may wait.
    pub(in crate::node) fn decide_or_park(&mut self, call: Call, batch: &mut Batch) {
        loop {
            let Ask::Decide(request) = &call.ask else {
                return call.bounce(Failure::NotLeader);
            };
            let mut draft = Draft::recording(&self.head);
            let cx = self.shared.decision_limits();
            let result = decide::permit(&self.head, &call.who, request)
                .and_then(|()| decide::decide(&mut self.head, request, &[], &cx, &mut draft));
            match result {
                Err(Refusal::Untidy { queue }) => self.tidy(queue, batch),
                Err(Refusal::Wait { until_ms }) => {
                    return self.park_call(call, draft.reads.unwrap_or_default(), until_ms);
                }
                Err(Refusal::NotApplied(_)) => return self.later.push(call),
                result => {
                    self.leave_line(&call);
                    self.note(&draft);
                    let confirm = draft.effects.is_empty();
                    let full = result == Err(Refusal::NoSpace);
                    let result = result.map(Said::Reply);
                    batch.add(&mut draft, Decided { call, result, confirm });
                    if full {
                        self.raise_no_space(batch);
                    }
                    return;
                }
            }
        }
    }

    /// Brings back what a queue must bring back before a decision on it.
    pub(in crate::node) fn tidy(&mut self, queue: Bytes, batch: &mut Batch) {
        let ask = QueueAsk { ask: Some(queue_ask::Ask::Tidy(queue)), readiness: None };
        self.evaluate_own(Request::Queue(ask), batch);
        if batch.is_full() {
            self.propose(std::mem::take(batch));
        }
    }

    fn park_call(&mut self, mut call: Call, reads: ReadSet, until_ms: Option<u64>) {
        if call.order == 0 {
            self.order += 1;
            call.order = self.order;
        }
        let Some(call) = self.lead_or_stand(call) else { return };
        let clock = &self.shared.clock;
        let due = until_ms.map(|until| {
            let left = Duration::from_millis(until.saturating_sub(clock.unix_ms()));
            clock.now().after(left.max(WAIT_MIN))
        });
        let order = call.order;
        if let Err(pending) = self.parked.park(Pending::Call(call), order, reads, due, None) {
            let call = pending.into_call();
            self.leave_line(&call);
            call.bounce(Failure::TooManyRequests);
        }
    }

    /// The call is about to be parked: at the front of its line, or it stands behind who is.
    pub(in crate::node) fn lead_or_stand(&mut self, mut call: Call) -> Option<Call> {
        let Some(line) = line_of(&call) else { return Some(call) };
        if self.lines.must_wait(&line, call.order) {
            self.stand(&line, call);
            return None;
        }
        self.lines.lead(line, &mut call);
        Some(call)
    }

    /// The call waits no more: whoever stood behind it is looked at.
    pub(in crate::node) fn leave_line(&mut self, call: &Call) {
        let next = line_of(call).and_then(|line| self.lines.leave(&line, call.order));
        self.released.extend(next.map(Pending::Call));
    }
}

#[cfg(test)]
#[path = "waiting_test.rs"]
mod tests;
