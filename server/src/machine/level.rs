//! Feature levels: which effects a member of an older version would not know. An effect that a
//! member does not know stops it, so the leader emits those of a level only once all members have
//! said that they know it; until then a decision that needs one is refused.

use crate::effect::Effect;

/// The highest level this program knows. A member publishes it when it starts.
pub const FEATURE_LEVEL: u32 = 1;

/// The level that brought this effect. What a version adds belongs to a level above the last one
/// that was released, and [`FEATURE_LEVEL`] follows.
pub fn level(effect: &Effect) -> u32 {
    match effect {
        Effect::Request { .. } => 1,
        // What the first version could read.
        Effect::Put(_)
        | Effect::Delete { .. }
        | Effect::LeaseGrant { .. }
        | Effect::LeaseRevoke { .. }
        | Effect::LeaseCheckpoint { .. }
        | Effect::Compact { .. }
        | Effect::AlarmRaise(_)
        | Effect::AlarmClear(_)
        | Effect::ComponentStore(_)
        | Effect::ComponentDrop { .. }
        | Effect::PluginPut(_)
        | Effect::PluginRemove { .. }
        | Effect::TriggerSet(_)
        | Effect::TriggerDrop { .. }
        | Effect::Publish(_)
        | Effect::By { .. }
        | Effect::AuthSet { .. }
        | Effect::AuthUserPut(_)
        | Effect::AuthUserDrop { .. }
        | Effect::AuthRolePut(_)
        | Effect::AuthRoleDrop { .. }
        | Effect::TokenPut { .. }
        | Effect::TokenDrop { .. }
        | Effect::FeatureLevel(_) => 0,
    }
}

/// What a member cannot go on with: it was made by a newer version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the cluster is at feature level {level} and this program knows {FEATURE_LEVEL}: upgrade the \
     member"
)]
pub struct TooNew {
    pub level: u32,
}

/// Refuses a level that this program does not know.
pub fn check_level(level: u32) -> Result<(), TooNew> {
    if level > FEATURE_LEVEL { Err(TooNew { level }) } else { Ok(()) }
}
