//! The parked decisions themselves.

use std::collections::BTreeSet;

use super::index::{Index, Spot};
use crate::clock::Tick;
use crate::effect::{BindingId, Effect};
use crate::limits::PARKED_MAX;
use crate::machine::Change;
use crate::node::answer::Call;
use crate::node::error::Failure;
use crate::node::plugin::Job;
use crate::view::ReadSet;
use crate::wasm;

/// Something that is to be decided later: by the lane, or by the sequencer itself.
#[derive(Debug)]
pub enum Pending {
    Call(Call),
    Job { binding: BindingId, job: Job },
}

impl Pending {
    pub fn call(&self) -> &Call {
        match self {
            Self::Call(call) | Self::Job { job: Job { call, .. }, .. } => call,
        }
    }

    pub fn into_call(self) -> Call {
        match self {
            Self::Call(call) | Self::Job { job: Job { call, .. }, .. } => call,
        }
    }
}

struct Parked {
    pending: Pending,
    reads: ReadSet,
    due: Option<Tick>,
    /// When it first came, as a number: those that wake together go on in this order.
    order: u64,
    /// Counts it among its plugin's, as long as it is here.
    _meter: Option<wasm::Parked>,
}

/// All that waits here.
#[derive(Default)]
pub struct Lot {
    spots: Vec<Option<Parked>>,
    free: Vec<Spot>,
    index: Index,
    due: BTreeSet<(Tick, Spot)>,
    woken: Vec<(u64, Pending)>,
    /// Where the look for abandoned callers goes on.
    swept: usize,
}

impl Lot {
    pub fn len(&self) -> usize {
        self.spots.len() - self.free.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Parks a decision that read `reads`, all of it still true, until something of it changes or
    /// `due` comes. Gives it back when too many wait.
    pub fn park(
        &mut self,
        pending: Pending,
        order: u64,
        reads: ReadSet,
        due: Option<Tick>,
        meter: Option<wasm::Parked>,
    ) -> Result<(), Box<Pending>> {
        if self.len() >= PARKED_MAX {
            return Err(Box::new(pending));
        }
        let spot = self.free.pop().unwrap_or_else(|| {
            self.spots.push(None);
            (self.spots.len() - 1) as Spot
        });
        self.index.file(spot, &reads);
        self.due.extend(due.map(|due| (due, spot)));
        self.spots[spot as usize] = Some(Parked { pending, reads, due, order, _meter: meter });
        Ok(())
    }

    /// Wakes whoever read what the change is of.
    pub fn on_change(&mut self, change: &Change) {
        if !self.is_empty() {
            self.index.touched(change).into_iter().for_each(|spot| self.wake(spot));
        }
    }

    /// Wakes whoever read the lease that the effect is about.
    pub fn on_effect(&mut self, effect: &Effect) {
        if let Effect::LeaseGrant { id, .. } | Effect::LeaseRevoke { id } = effect
            && !self.is_empty()
        {
            self.index.of_lease(*id).into_iter().for_each(|spot| self.wake(spot));
        }
    }

    /// When the next one is due.
    pub fn next_due(&self) -> Option<Tick> {
        self.due.first().map(|(due, _)| *due)
    }

    pub fn wake_due(&mut self, now: Tick) {
        while let Some((due, spot)) = self.due.first().copied()
            && due <= now
        {
            self.wake(spot);
        }
    }

    /// Wakes those that `is_due` names.
    pub fn wake_where(&mut self, is_due: impl Fn(&Pending) -> bool) {
        for at in 0..self.spots.len() {
            if self.spots[at].as_ref().is_some_and(|parked| is_due(&parked.pending)) {
                self.wake(at as Spot);
            }
        }
    }

    /// Somebody was woken and is not decided yet.
    pub fn has_woken(&self) -> bool {
        !self.woken.is_empty()
    }

    /// The decisions that are due, in the order in which they first came.
    pub fn take_woken(&mut self) -> Vec<Pending> {
        let mut woken = std::mem::take(&mut self.woken);
        woken.sort_unstable_by_key(|(order, _)| *order);
        woken.into_iter().map(|(_, pending)| pending).collect()
    }

    /// Looks at `count` of them, others each time, and wakes those whose callers have gone, so that
    /// they are passed over.
    pub fn sweep(&mut self, count: usize) {
        for _ in 0..count.min(self.spots.len()) {
            self.swept = (self.swept + 1) % self.spots.len();
            let parked = self.spots[self.swept].as_ref();
            if parked.is_some_and(|parked| parked.pending.call().is_abandoned()) {
                self.wake(self.swept as Spot);
            }
        }
    }

    /// Ends all of them: none was executed.
    pub fn end(&mut self, why: Failure) {
        let Self { spots, woken, .. } = std::mem::take(self);
        let parked = spots.into_iter().flatten().map(|parked| parked.pending);
        let woken = woken.into_iter().map(|(_, pending)| pending);
        parked.chain(woken).for_each(|pending| pending.into_call().bounce(why));
    }

    fn wake(&mut self, spot: Spot) {
        if let Some(parked) = self.take(spot) {
            self.woken.push((parked.order, parked.pending));
        }
    }

    fn take(&mut self, spot: Spot) -> Option<Parked> {
        let parked = self.spots.get_mut(spot as usize)?.take()?;
        self.free.push(spot);
        self.index.unfile(spot, &parked.reads);
        if let Some(due) = parked.due {
            self.due.remove(&(due, spot));
        }
        Some(parked)
    }
}

#[cfg(test)]
#[path = "lot_test.rs"]
mod tests;
