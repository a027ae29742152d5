//! What happens to a verdict when the head has moved on. It is taken if nothing it read has
//! changed; else the plugins are asked again. After a few times the keys they read are kept free
//! for the request, once and for a short time; if that does not help it is a conflict, by name.

use std::time::Duration;

use super::answer::{Call, Decided};
use super::ask::{Ask, Said};
use super::batch::Batch;
use super::judge;
use super::lane::Judged;
use super::sequencer::Sequencer;
use crate::clock::Tick;
use crate::decide::{Draft, Refusal};
use crate::types::KeyRange;

/// Verdicts that may be overtaken before keys are reserved.
const TRIES: u32 = 3;
/// Verdicts that may be overtaken in all, the reserved one included.
const TRIES_MAX: u32 = 5;
/// Longer than two plugin calls may take.
const RESERVED_FOR: Duration = Duration::from_millis(150);

/// Keys that only one request may write for now.
pub struct Reservation {
    ranges: Vec<KeyRange>,
    until: Tick,
}

impl Sequencer {
    /// True when the call would write what is reserved for another.
    pub(super) fn must_stand_back(&self, call: &Call) -> bool {
        let (Some(reserved), Ask::Decide(request)) = (&self.reservation, &call.ask) else {
            return false;
        };
        let writes = judge::possible_writes(request);
        writes.iter().any(|write| reserved.ranges.iter().any(|range| range.overlaps(write)))
    }

    pub(super) fn decide_judged(&mut self, judged: Judged, batch: &mut Batch) {
        let Judged { call, verdict, reads, tries, binding, reign } = judged;
        if call.is_abandoned() {
            return self.end_reservation(tries);
        }
        let Some(current) = self.reign.leading() else {
            return call.bounce(crate::node::Failure::NotLeader);
        };
        if reign != current {
            return self.shared.lane.judge(call, (self.head.clone(), current), binding, tries);
        }
        match verdict {
            // The head it saw lies within the call, so the refusal is as good as one made now.
            Err(refusal) => {
                self.end_reservation(tries);
                self.refuse(call, refusal, batch);
            }
            Ok(added) if reads.still_valid(&self.head, &self.recent) => {
                self.end_reservation(tries);
                self.evaluate(call, &added, batch);
            }
            Ok(_) if tries < TRIES_MAX => {
                if tries >= TRIES && self.reservation.is_none() {
                    let until = self.shared.clock.now().after(RESERVED_FOR);
                    self.reservation =
                        Some(Reservation { ranges: reads.covers().collect(), until });
                }
                self.shared.lane.judge(call, (self.head.clone(), current), binding, tries + 1);
            }
            Ok(_) => {
                self.end_reservation(tries);
                self.refuse(call, Refusal::Conflict { binding }, batch);
            }
        }
    }

    /// A reservation whose request does not come back in time is given up.
    pub(super) fn look_after_reservation(&mut self) {
        let now = self.shared.clock.now();
        if self.reservation.as_ref().is_some_and(|reserved| now >= reserved.until) {
            self.release();
        }
    }

    fn end_reservation(&mut self, tries: u32) {
        if tries > TRIES {
            self.release();
        }
    }

    /// Lets go of the keys. Who stood back is decided after the batch in the making: its effects
    /// are in the head already, so nothing may be proposed before it.
    fn release(&mut self) {
        self.reservation = None;
        self.released.append(&mut self.standing_back);
    }

    pub(super) fn decide_released(&mut self) {
        while !self.released.is_empty() {
            let calls = std::mem::take(&mut self.released);
            self.decide_again(calls);
        }
    }

    fn refuse(&mut self, call: Call, refusal: Refusal, batch: &mut Batch) {
        let result: Result<Said, Refusal> = Err(refusal);
        batch.add(&mut Draft::default(), Decided { call, result, confirm: true });
    }
}
