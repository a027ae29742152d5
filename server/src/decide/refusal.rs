//! Why a decision is no. The texts name the reason for logs; what a client is told is the
//! business of whoever speaks its protocol.

use bytes::Bytes;

use super::lock::LockRefusal;
use super::queue::QueueRefusal;
use crate::auth::AuthRefusal;

/// A correct answer that the client dislikes. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("key is not provided")]
    EmptyKey,
    /// `ignore_value` or `ignore_lease` without a key to take them from, or an empty operation.
    #[error("key not found")]
    KeyNotFound,
    #[error("value is provided")]
    ValueProvided,
    #[error("lease is provided")]
    LeaseProvided,
    #[error("too many operations in txn request")]
    TooManyOps,
    #[error("duplicate key given in txn request")]
    DuplicateKey,
    #[error("invalid sort option")]
    InvalidSortOption,
    #[error("required revision has been compacted")]
    Compacted,
    #[error("required revision is a future revision")]
    FutureRevision,
    #[error("range stream does not support custom sort orders")]
    StreamSorted,
    #[error("range stream does not support revision filters")]
    StreamFiltered,
    #[error("requested lease not found")]
    LeaseNotFound,
    #[error("lease already exists")]
    LeaseExists,
    #[error("too large lease TTL")]
    LeaseTtlTooLarge,
    /// The quota is reached, the disk nearly full, or the alarm about it is raised.
    #[error("database space exceeded")]
    NoSpace,
    /// The alarm about it is raised.
    #[error("corrupt cluster")]
    Corrupt,
    /// A member of an older version would stop at what this needs.
    #[error(
        "not all members know what this needs (feature level {needed}, the cluster is at {level}): \
         upgrade the members of older versions"
    )]
    FeatureLevel { needed: u32, level: u32 },
    /// A revision that is sequenced but not applied: decide again once it is. Not for clients.
    #[error("revision {0} is not applied yet")]
    NotApplied(i64),
    /// Nothing can be decided yet: again when something that was read changes, or at this time in
    /// unix milliseconds. Not for clients.
    #[error("nothing can be decided yet")]
    Wait { until_ms: Option<u64> },
    /// Items of the queue must be brought back first. Not for clients.
    #[error("the queue has items to bring back first")]
    Untidy { queue: Bytes },
    #[error(transparent)]
    Lock(LockRefusal),
    #[error(transparent)]
    Queue(QueueRefusal),
    #[error(transparent)]
    Auth(#[from] AuthRefusal),
    /// The record of an older revision could not be read; a failure of this member's disk.
    #[error("{0}")]
    Unreadable(String),
    #[error("refused by {binding}: {reason}")]
    PolicyRefused { binding: String, reason: String },
    /// Its plugins were overtaken by other writes again and again.
    #[error("conflict: other writes kept changing what {binding} reads; try again")]
    Conflict { binding: String },
    #[error("not a plugin: {0}")]
    InvalidComponent(String),
    #[error("component {0} is not stored: deploy it with the plugin")]
    ComponentNotFound(String),
    #[error("component of {bytes} bytes is larger than {max}")]
    ComponentTooLarge { bytes: usize, max: usize },
    #[error("the components of one deploy have {bytes} bytes, {max} are allowed: deploy in parts")]
    DeployTooLarge { bytes: usize, max: usize },
    /// What is asked for a plugin cannot be; `why` names the value and the fix.
    #[error("plugin {plugin}: {why}")]
    InvalidPlugin { plugin: String, why: String },
    #[error("{bindings} bindings are more than {max}: remove plugins that are not used")]
    TooManyBindings { bindings: usize, max: usize },
    #[error("plugin {0} not found: see portunus plugin list")]
    PluginNotFound(String),
    #[error("binding {0} not found: see portunus plugin list")]
    BindingNotFound(String),
    #[error("plugin {plugin} has no generation {generation} to go back to: it has {kept}")]
    GenerationNotKept { plugin: String, generation: u64, kept: String },
    #[error("plugin {plugin} has no generation before {generation}")]
    NoEarlierGeneration { plugin: String, generation: u64 },
    /// A trigger's cursor is not where the batch begins, or it is paused: somebody else moved it.
    #[error("trigger {0} has moved on: read its state again")]
    CursorMoved(String),
    #[error("trigger {binding} cannot skip to revision {to}: it stands at {cursor} of {revision}")]
    InvalidSkip { binding: String, to: i64, cursor: i64, revision: i64 },
    #[error("plugin {0} offers no recipe: deploy it with a recipe binding")]
    NoRecipe(String),
    #[error("plugin {0} is disabled: enable it with portunus plugin enable")]
    PluginDisabled(String),
    #[error("recipe {plugin} has no function {function}: it has {known}")]
    UnknownFunction { plugin: String, function: String, known: String },
    /// The recipe cannot read its payload.
    #[error("recipe {plugin} cannot use the payload: {reason}")]
    InvalidPayload { plugin: String, reason: String },
}
