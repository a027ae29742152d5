//! The leader's part in feature levels: once all members have published that they know a level, it
//! is raised, and effects of it may be emitted. It is never lowered.

use super::batch::Batch;
use super::sequencer::Sequencer;
use crate::decide::Request;
use crate::machine::FEATURE_LEVEL;
use crate::types::MemberId;

impl Sequencer {
    pub(super) fn raise_feature_level(&mut self, batch: &mut Batch) {
        if self.head.feature_level >= FEATURE_LEVEL {
            return;
        }
        let known = self.level_all_know();
        if known > self.head.feature_level {
            tracing::info!("feature-level" = known, "all members know a higher feature level");
            self.evaluate_own(Request::RaiseFeatureLevel(known), batch);
        }
    }

    /// Voters and learners count, also those of a membership that is not committed yet. One that
    /// has published nothing knows nothing.
    fn level_all_know(&self) -> u32 {
        let published = &self.head.registry().members;
        let known = |id: &u64| published.get(&MemberId(*id)).map_or(0, |own| own.feature_level);
        self.shared.group().membership().peers.keys().map(known).min().unwrap_or(0)
    }
}
