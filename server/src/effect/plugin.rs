//! Plugins as replicated state: which component serves which extension points under which
//! prefixes, with what rights, and how far each trigger has come. Content only; what a deploy may
//! ask for is decided elsewhere.

use std::fmt;

use bytes::Bytes;

use crate::types::KeyRange;

/// Where in the server a plugin is asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Point {
    /// Before a transaction's writes are made.
    #[default]
    WritePolicy,
    /// After they are made, with exactly-once effect.
    Trigger,
    /// When a client calls it by name.
    Recipe,
    /// When somebody wants a lock.
    LockAdmission,
    /// When somebody wants what leaves a queue.
    QueueCondition,
}

impl Point {
    pub const ALL: [Self; 5] =
        [Self::WritePolicy, Self::Trigger, Self::Recipe, Self::LockAdmission, Self::QueueCondition];

    /// As it is written in commands, contracts and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::WritePolicy => "write-policy",
            Self::Trigger => "trigger",
            Self::Recipe => "recipe",
            Self::LockAdmission => "lock-admission",
            Self::QueueCondition => "queue-condition",
        }
    }
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A component's digest as it is written everywhere.
pub fn hex(digest: &[u8]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// How much a binding counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Mode {
    #[default]
    Enforce,
    /// It is asked, and its answer counted and logged but never followed.
    Monitor,
    /// It is not asked. A trigger keeps its cursor.
    Disabled,
}

impl Mode {
    pub const ALL: [Self; 3] = [Self::Enforce, Self::Monitor, Self::Disabled];

    pub fn name(self) -> &'static str {
        match self {
            Self::Enforce => "enforce",
            Self::Monitor => "monitor",
            Self::Disabled => "disabled",
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What a trap or a timeout of a plugin means for the write it was asked about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FailurePolicy {
    /// The write is refused.
    #[default]
    Closed,
    /// The write passes.
    Open,
}

/// What instance a call gets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Isolation {
    /// One that has served others before.
    #[default]
    Warm,
    /// A new one each time.
    Fresh,
}

/// Keys beyond its own prefix that a binding may touch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grants {
    pub read: Vec<KeyRange>,
    /// May be read as well.
    pub write: Vec<KeyRange>,
}

/// What a binding asks for; `None` is the default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PluginLimits {
    pub call_time_ms: Option<u32>,
    pub memory_bytes: Option<u64>,
    pub reads: Option<u64>,
    pub read_bytes: Option<u64>,
    pub writes: Option<u64>,
    pub result_bytes: Option<u64>,
    pub log_bytes: Option<u64>,
}

/// Names a binding for ever: `NAME/point/prefix`, the prefix with escapes where it is not plain
/// ASCII. No two bindings of a cluster share one.
pub type BindingId = String;

/// A plugin put on an extension point for a prefix.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Binding {
    pub plugin: String,
    pub point: Point,
    /// Digest of the component it runs.
    pub digest: Bytes,
    /// Keys it is asked about, and may read and write.
    pub prefix: Bytes,
    /// Handed to the plugin as it is.
    pub config: Bytes,
    pub grants: Grants,
    pub limits: PluginLimits,
    pub on_failure: FailurePolicy,
    pub mode: Mode,
    pub isolation: Isolation,
}

impl Binding {
    pub fn id(&self) -> BindingId {
        format!("{}/{}/{}", self.plugin, self.point, self.prefix.escape_ascii())
    }
}

/// One generation of a plugin.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plugin {
    pub name: String,
    /// Counts from 1; each deploy and each rollback makes one.
    pub generation: u64,
    /// SHA-256 of the component.
    pub digest: Bytes,
    /// In order of point and prefix.
    pub bindings: Vec<Binding>,
    /// The generation whose content a rollback brought back; the deployed one, never a copy.
    pub restored: Option<u64>,
}

/// A plugin with the generations it can go back to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PluginRecord {
    pub current: Plugin,
    /// Newest first.
    pub previous: Vec<Plugin>,
}

impl PluginRecord {
    /// Every generation, newest first.
    pub fn generations(&self) -> impl Iterator<Item = &Plugin> {
        std::iter::once(&self.current).chain(&self.previous)
    }
}

/// How far a trigger has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TriggerState {
    pub binding: BindingId,
    /// Every event of this revision and of those before is done.
    pub cursor: i64,
    pub status: TriggerStatus,
}

/// Whether a trigger goes on by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TriggerStatus {
    Running,
    /// It failed again and again; its events wait behind the cursor.
    Paused {
        error: String,
        attempts: u32,
        /// The last revision of the batch that fails.
        last: i64,
    },
}
