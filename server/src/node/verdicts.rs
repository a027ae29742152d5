//! What becomes of the lane's findings. A batch is taken in one go: while everything before a job
//! came out as it was foreseen, it stands as it is. Else it stands if nothing it read has changed
//! and all it saw of the jobs before it came true. What does not stand is judged again, first in
//! line; overtaken too often by others, its keys are reserved, and then it is a conflict by name.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::answer::{Call, Decided};
use super::ask::{Ask, Said};
use super::batch::Batch;
use super::error::Failure;
use super::parked::Pending;
use super::plugin::{Finding, Handled, Job, Judged, Verdicts};
use super::sequencer::Sequencer;
use crate::decide::{Draft, Refusal, Reply};
use crate::effect::Point;
use crate::view::ReadSet;
use crate::wasm::Diary;

/// Findings that may be overtaken before keys are reserved.
const TRIES: u32 = 3;
/// Findings that may be overtaken in all, the reserved one included.
const TRIES_MAX: u32 = 5;
/// A waiting job is not run again sooner, however near its time.
const WAIT_MIN: Duration = Duration::from_millis(1);

/// How far a batch has come true.
struct Course {
    /// The head is exactly as the next job saw it.
    exact: bool,
    /// Revisions at which a job of this batch came out as foreseen.
    came_true: HashSet<i64>,
}

impl Sequencer {
    pub(super) fn take_verdicts(&mut self, verdicts: Verdicts, batch: &mut Batch) {
        let Verdicts { binding, reign, base, judged } = verdicts;
        match self.reign.leading() {
            None => judged.into_iter().for_each(|it| it.job.call.bounce(Failure::NotLeader)),
            Some(current) if current != reign => {
                judged.into_iter().for_each(|it| self.back_to_lane(&binding, it.job));
            }
            Some(_) => self.follow(&binding, base, judged, batch),
        }
        self.acknowledged.push(binding);
    }

    fn follow(&mut self, binding: &str, base: i64, judged: Vec<Judged>, batch: &mut Batch) {
        let exact = self.head.revision == base;
        let mut course = Course { exact, came_true: HashSet::new() };
        for judged in judged {
            let (before, after, was) = (judged.before, judged.after, self.head.revision);
            self.take_verdict(binding, judged, &course, batch);
            if after != before {
                let came_true = self.head.revision != was && self.head.revision == after;
                course.exact &= came_true;
                course.came_true.extend(came_true.then_some(after));
            }
            if batch.is_full() {
                self.propose(std::mem::take(batch));
            }
        }
    }

    fn take_verdict(&mut self, binding: &str, judged: Judged, course: &Course, batch: &mut Batch) {
        let Judged { job, finding, reads, under, wrote, .. } = judged;
        if job.call.is_abandoned() {
            self.leave_line(&job.call);
            return self.end_reservation(&job);
        }
        let foreseen = under.iter().all(|revision| course.came_true.contains(revision));
        let stands = match course.exact {
            true => reads.conditions_still_valid(&self.head),
            false => foreseen && reads.still_valid(&self.head, &self.recent, &course.came_true),
        };
        match finding {
            // The head it saw lies within the call, so the word is as good as one given now,
            // unless it rests on something that was never sequenced.
            Finding::Refuse(refusal) if stands || under.is_empty() => {
                self.end_reservation(&job);
                self.refuse(job.call, refusal, batch);
            }
            Finding::Failed(why) if stands || under.is_empty() => {
                job.call.answer(Ok(Said::Handled(Handled::Failed(why))), 0);
            }
            Finding::Commit { .. } if stands && self.job_must_stand_back(&job, &wrote) => {
                self.standing_back.push(Pending::Job { binding: binding.to_owned(), job });
            }
            Finding::Commit { added, payload, request } if stands => {
                self.end_reservation(&job);
                let mut call = job.call;
                if let Some(request) = request {
                    call.ask = Ask::Decide(*request);
                }
                self.evaluate(call, &added, payload, batch);
            }
            Finding::Wait(until) if stands => self.park_job(binding, job, reads, until),
            Finding::Wait(_) => self.rerun(binding, job),
            _ if !foreseen => self.rerun(binding, job),
            _ => self.overtaken(binding, job, &reads, batch),
        }
    }

    /// Others have changed what the job read.
    fn overtaken(&mut self, binding: &str, job: Job, reads: &ReadSet, batch: &mut Batch) {
        if job.tries >= TRIES_MAX {
            self.end_reservation(&job);
            if let Some((diary, point)) = self.diary(binding) {
                diary.conflicted(point);
            }
            let conflict = Refusal::Conflict { binding: binding.to_owned() };
            return self.refuse(job.call, conflict, batch);
        }
        if job.tries >= TRIES {
            self.reserve(&job, reads);
        }
        self.rerun(binding, Job { tries: job.tries + 1, ..job });
    }

    /// Parks a job whose reads stand; nothing can change them unseen from here on.
    fn park_job(&mut self, binding: &str, job: Job, reads: ReadSet, until: Option<u64>) {
        self.end_reservation(&job);
        let Some(call) = self.lead_or_stand(job.call) else { return };
        let clock = &self.shared.clock;
        let due = until.map(|until| {
            let left = Duration::from_millis(until.saturating_sub(clock.unix_ms()));
            clock.now().after(left.max(WAIT_MIN))
        });
        let meter = self.diary(binding).map(|(diary, point)| diary.park(point));
        let (order, binding) = (job.order, binding.to_owned());
        let pending = Pending::Job { binding, job: Job { call, tries: 0, order } };
        if let Err(pending) = self.parked.park(pending, order, reads, due, meter) {
            let call = pending.into_call();
            self.leave_line(&call);
            call.bounce(Failure::TooManyRequests);
        }
    }

    /// Sends a call that plugins have a say in to the lane.
    pub(super) fn hand_to_lane(&mut self, binding: &str, call: Call) {
        self.order += 1;
        self.shared.lane.push(binding, Job { call, order: self.order, tries: 0 });
    }

    /// Where the figures of a binding's plugin are kept.
    fn diary(&self, binding: &str) -> Option<(Arc<Diary>, Point)> {
        let named = self.bindings.named(binding)?;
        let diary = self.shared.policies.diaries.of(&named.binding.plugin);
        Some((diary, named.binding.point))
    }

    /// What the job saw is not so: it is judged again.
    fn rerun(&self, binding: &str, job: Job) {
        if let Some((diary, point)) = self.diary(binding) {
            diary.reran(point);
        }
        self.back_to_lane(binding, job);
    }

    /// Has a job judged, before all that came later.
    pub(super) fn back_to_lane(&self, binding: &str, job: Job) {
        if let Err(job) = self.shared.lane.desk.push(binding, job, false) {
            job.call.bounce(Failure::Stopped);
        }
    }

    pub(super) fn refuse(&mut self, call: Call, refusal: Refusal, batch: &mut Batch) {
        match refusal {
            Refusal::NotApplied(_) => return self.later.push(call),
            Refusal::Untidy { queue } => {
                self.tidy(queue, batch);
                return self.decide(call, batch);
            }
            _ => {}
        }
        self.leave_line(&call);
        let result = said(&call.ask, Err(refusal), Bytes::new());
        batch.add(&mut Draft::default(), Decided { call, result, confirm: true });
    }

    /// After each look at the queues: what the lane may see and do now.
    pub(super) fn hand_on(&mut self) {
        for binding in self.acknowledged.drain(..) {
            self.shared.lane.desk.acknowledge(&binding);
        }
    }
}

/// A decision's word in the terms of who asked for it.
pub(super) fn said(
    ask: &Ask,
    result: Result<Reply, Refusal>,
    payload: Bytes,
) -> Result<Said, Refusal> {
    match (ask, result) {
        (Ask::Handle(_), Ok(Reply::Done { revision })) => {
            Ok(Said::Handled(Handled::Done { revision }))
        }
        (Ask::Handle(_), Err(Refusal::CursorMoved(_))) => Ok(Said::Handled(Handled::Stale)),
        (Ask::Handle(_), Err(refusal)) => Ok(Said::Handled(Handled::Failed(refusal.to_string()))),
        (_, Ok(Reply::Called { revision, .. })) => {
            Ok(Said::Reply(Reply::Called { revision, payload }))
        }
        (_, result) => result.map(Said::Reply),
    }
}
