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

impl Sequencer {
    /// Decides what may wait.
    pub(in crate::node) fn decide_or_park(&mut self, mut call: Call, batch: &mut Batch) {
        if call.order == 0 {
            self.order += 1;
            call.order = self.order;
        }
        let line = line_of(&call);
        if let Some(line) = &line
            && self.lines.must_wait(line, call.order)
        {
            return match self.lines.len() < PARKED_MAX {
                true => self.lines.stand(line, call),
                false => call.bounce(Failure::TooManyRequests),
            };
        }
        loop {
            let Ask::Decide(request) = &call.ask else {
                return call.bounce(Failure::NotLeader);
            };
            let mut draft = Draft::recording(&self.head);
            let cx = self.shared.decision_limits();
            let result = decide::decide(&mut self.head, request, &[], &cx, &mut draft);
            match result {
                Err(Refusal::Untidy { queue }) => self.tidy(queue, batch),
                Err(Refusal::Wait { until_ms }) => {
                    return self.park_call(call, line, draft.reads.unwrap_or_default(), until_ms);
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

    fn park_call(
        &mut self,
        call: Call,
        line: Option<Bytes>,
        reads: ReadSet,
        until_ms: Option<u64>,
    ) {
        let clock = &self.shared.clock;
        let due = until_ms.map(|until| {
            let left = Duration::from_millis(until.saturating_sub(clock.unix_ms()));
            clock.now().after(left.max(WAIT_MIN))
        });
        let order = call.order;
        match self.parked.park(Pending::Call(call), order, reads, due, None) {
            Ok(()) => drop(line.map(|line| self.lines.lead(line, order))),
            Err(pending) => {
                let call = pending.into_call();
                self.leave_line(&call);
                call.bounce(Failure::TooManyRequests);
            }
        }
    }

    /// The call waits no more: whoever stood behind it is looked at.
    pub(in crate::node) fn leave_line(&mut self, call: &Call) {
        let next = line_of(call).and_then(|line| self.lines.leave(&line, call.order));
        self.released.extend(next.map(Pending::Call));
    }
}
