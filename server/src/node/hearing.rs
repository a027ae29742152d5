//! When the sequencer hears of what it proposed. Callers have their answers from the applier, so
//! while nobody here waits for an entry to come home, it is noted at the next call: to be woken
//! for each would be one wake-up of a thread more for every entry.

use futures::{FutureExt, StreamExt};

use super::sequencer::Sequencer;

impl Sequencer {
    /// Takes note of what has come home.
    pub(super) fn hear(&mut self) {
        while let Some(Some(resolved)) = self.outstanding.next().now_or_never() {
            self.on_resolved(resolved);
        }
    }

    /// True when what comes home is waited for. An entry that is lost otherwise, while this member
    /// goes on leading, is heard of with the next call or lease tick.
    pub(super) fn listens(&self) -> bool {
        let is_at_rest = self.later.is_empty()
            && self.patience.is_empty()
            && self.released.is_empty()
            && self.standing_back.is_empty()
            && !self.parked.has_woken();
        !self.is_open() || self.reign.leading().is_none() || !is_at_rest
    }
}
