//! Keys kept free for a job that was overtaken again and again: once, and for a short time. Who
//! would write there stands back meanwhile.

use std::time::Duration;

use super::answer::Call;
use super::ask::Ask;
use super::batch::Batch;
use super::parked::Pending;
use super::plugin::Job;
use super::route::possible_writes;
use super::sequencer::Sequencer;
use crate::clock::Tick;
use crate::types::KeyRange;
use crate::view::ReadSet;

/// Longer than two plugin calls may take.
const RESERVED_FOR: Duration = Duration::from_millis(150);

/// Keys that only one job may write for now.
pub struct Reservation {
    ranges: Vec<KeyRange>,
    until: Tick,
    /// [`Job::order`] of the one they are kept for.
    holder: u64,
}

impl Sequencer {
    /// Keeps what the job has read free for it, unless another has a reservation.
    pub(super) fn reserve(&mut self, job: &Job, reads: &ReadSet) {
        if self.reservation.is_none() {
            let until = self.shared.clock.now().after(RESERVED_FOR);
            let ranges = reads.covers().collect();
            self.reservation = Some(Reservation { ranges, until, holder: job.order });
        }
    }

    /// True when the call would write what is reserved.
    pub(super) fn must_stand_back(&self, call: &Call) -> bool {
        let (Some(reserved), Ask::Decide(request)) = (&self.reservation, &call.ask) else {
            return false;
        };
        let writes = possible_writes(&self.head, request);
        writes.iter().any(|write| reserved.ranges.iter().any(|range| range.overlaps(write)))
    }

    /// True when a job that was judged would write what is reserved for another.
    pub(super) fn job_must_stand_back(&self, job: &Job, wrote: &[bytes::Bytes]) -> bool {
        let Some(reserved) = &self.reservation else { return false };
        let is_reserved = |key: &bytes::Bytes| reserved.ranges.iter().any(|r| r.contains(key));
        reserved.holder != job.order && wrote.iter().any(is_reserved)
    }

    /// A reservation whose job does not come back in time is given up.
    pub(super) fn look_after_reservation(&mut self) {
        let now = self.shared.clock.now();
        if self.reservation.as_ref().is_some_and(|reserved| now >= reserved.until) {
            self.release();
        }
    }

    /// The job is through, whatever came of it.
    pub(super) fn end_reservation(&mut self, job: &Job) {
        if self.reservation.as_ref().is_some_and(|reserved| reserved.holder == job.order) {
            self.release();
        }
    }

    /// Lets go of the keys. Who stood back is decided after the batch in the making: its effects
    /// are in the head already, so nothing may be proposed before it.
    fn release(&mut self) {
        self.reservation = None;
        self.released.append(&mut self.standing_back);
    }

    /// Decides what may go on: who stood back, and who has woken. Each may release or wake others.
    pub(super) fn decide_released(&mut self) {
        let mut batch = Batch::default();
        self.release_into(&mut batch);
        self.propose(batch);
    }

    /// The same, into the entry that is being gathered.
    pub(super) fn release_into(&mut self, batch: &mut Batch) {
        loop {
            let mut ready = std::mem::take(&mut self.released);
            ready.append(&mut self.parked.take_woken());
            if ready.is_empty() {
                return;
            }
            let mut calls = Vec::new();
            for pending in ready {
                match pending {
                    Pending::Call(call) => calls.push(call),
                    Pending::Job { binding, job } => self.back_to_lane(&binding, job),
                }
            }
            self.decide_into(calls, batch);
        }
    }
}
