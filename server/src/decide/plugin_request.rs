//! What can be asked about plugins.

use bytes::Bytes;

use crate::effect::{BindingId, Component, Mode, Plugin};

/// Puts plugins in place, all or none. A name that exists gets a new generation; the content it
/// has already is no change.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Deploy {
    /// Generations count for nothing here.
    pub plugins: Vec<Plugin>,
    /// Those named above, under digests that the asking member has computed; what is stored
    /// already may be left out.
    pub components: Vec<Component>,
    /// New triggers get the events from this revision on, instead of those after the deploy.
    pub from_revision: Option<i64>,
    /// Who asks; empty without auth.
    pub caller: String,
}

/// Takes a plugin away, with all its generations and its triggers' cursors.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Undeploy {
    pub name: String,
    pub caller: String,
}

/// Makes a new generation of an earlier one's content.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rollback {
    pub name: String,
    /// `None` is the one before; before a generation that was itself brought back, it is the one
    /// before its original.
    pub to: Option<u64>,
    pub caller: String,
}

/// Switches bindings of the current generation. No generation is made: going back to an earlier
/// one afterwards does not merely undo the switch.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SetMode {
    pub name: String,
    /// `None` is all of the plugin's.
    pub binding: Option<BindingId>,
    pub mode: Mode,
    pub caller: String,
}

/// Runs a recipe.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RecipeCall {
    pub plugin: String,
    pub function: String,
    pub payload: Bytes,
    pub caller: String,
}

/// A trigger has dealt with the events of the revisions above `from` up to `to`. Refused unless it
/// runs and stands at `from`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Advance {
    pub binding: BindingId,
    pub from: i64,
    pub to: i64,
}

/// Stops a trigger, or lets it go on.
#[derive(Clone, Debug, PartialEq)]
pub struct SetTrigger {
    pub binding: BindingId,
    pub change: TriggerChange,
    pub caller: String,
}

#[derive(Clone, Debug, PartialEq)]
pub enum TriggerChange {
    /// It keeps failing. Refused unless it runs and stands at `at`.
    Pause { at: i64, error: String, attempts: u32, last: i64 },
    /// It tries its events again; no change while it runs.
    Resume,
    /// It runs on without the events up to `to`; `None` is the batch it is paused at.
    Skip { to: Option<i64> },
}
