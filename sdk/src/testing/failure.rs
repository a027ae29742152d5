//! Why a request of a test's client was not carried out.

use std::fmt::{self, Display};

/// Why a request was not carried out. Nothing of it happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// A plugin refused. When it failed instead, the reason says so and why.
    Refused {
        /// The plugin's name.
        by: String,
        /// What it gave as its reason.
        reason: String,
    },
    /// A recipe does not take this payload.
    Invalid {
        /// The plugin's name.
        by: String,
        /// What is wrong with it.
        reason: String,
    },
    /// No plugin with recipes has this name.
    UnknownPlugin(String),
    /// The plugin has no recipe with this name.
    UnknownFunction {
        /// The plugin's name.
        plugin: String,
        /// The name that it does not have.
        function: String,
        /// The names that it has.
        known: String,
    },
    /// The lease does not exist.
    UnknownLease(i64),
    /// Somebody else holds the lock, which was only tried.
    Held(String),
    /// The lease ended while its place in a lock's line waited.
    PlaceLost(String),
    /// A write to keys of locks that a plugin admits, beside the Lock service.
    LockKeys {
        /// The binding's prefix.
        prefix: String,
        /// The plugin's name.
        plugin: String,
    },
    /// Another leader took over while the call was parked, or before the request was committed.
    LeaderChanged,
    /// The test took the call back.
    Cancelled,
}

impl Display for Failure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused { by, reason } => write!(out, "refused by {by}: {reason}"),
            Self::Invalid { by, reason } => {
                write!(out, "recipe {by} cannot use the payload: {reason}")
            }
            Self::UnknownPlugin(name) => {
                write!(out, "plugin {name} offers no recipe: deploy it with a recipe binding")
            }
            Self::UnknownFunction { plugin, function, known } => {
                write!(out, "recipe {plugin} has no function {function}: it has {known}")
            }
            Self::UnknownLease(id) => write!(out, "lease {id} does not exist"),
            Self::Held(name) => write!(out, "lock {name} is held"),
            Self::PlaceLost(name) => {
                write!(out, "the lease of the place in line for {name} has ended")
            }
            Self::LockKeys { prefix, plugin } => write!(
                out,
                "locks under {prefix:?} are admitted by plugin {plugin}; use the Lock service"
            ),
            Self::LeaderChanged => write!(out, "leader changed"),
            Self::Cancelled => write!(out, "cancelled"),
        }
    }
}

impl std::error::Error for Failure {}
