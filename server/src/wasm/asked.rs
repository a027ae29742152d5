//! What a plugin is asked and what it answers, in the server's own terms, and their translation
//! into those of the contract and back.

use super::bounds::Limits;
use super::contract::exports::portunus::plugin::{recipe, write_policy};
use super::contract::portunus::plugin::types;
use super::error::CallError;
use crate::types::{Item, LeaseId};

/// For whom a plugin is called.
#[derive(Clone, Copy, Debug, Default)]
pub struct Caller<'a> {
    /// The authenticated user; none while authentication is off.
    pub user: Option<&'a str>,
}

/// One write of a resolved transaction.
#[derive(Clone, Debug)]
pub enum Write<'a> {
    Put { key: &'a [u8], value: &'a [u8], lease: LeaseId, previous: Option<&'a Item> },
    Delete { key: &'a [u8], previous: &'a Item },
}

/// One change of a committed revision.
#[derive(Clone, Debug)]
pub enum Event<'a> {
    Put {
        item: &'a Item,
        previous: Option<&'a Item>,
    },
    Delete {
        key: &'a [u8],
        /// The revision of the delete.
        at: i64,
        previous: Option<&'a Item>,
    },
}

/// What a policy answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// What it wrote happens in the same transaction.
    Allow,
    /// Refuse the transaction, with a reason for its caller.
    Refuse(String),
}

/// What a trigger answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Handled {
    /// What it wrote happens, and these events are done.
    Done,
    /// The same events are to be told again later; the text says why.
    Failed(String),
}

/// What a recipe answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// What it wrote happens; the reply for the caller.
    Done(Vec<u8>),
    /// Nothing happens; the reason for the caller.
    Refuse(String),
    /// The payload is not what the function takes; the text says why.
    Invalid(String),
    /// No function has this name.
    UnknownFunction,
    /// Nothing can be decided yet; at the latest at this time, in milliseconds since 1970, it
    /// can be asked again.
    Wait(Option<u64>),
}

/// An answer, as far as the plugin's figures know it.
pub(super) trait Answer {
    fn is_refusal(&self) -> bool;

    /// What it carries, for the limit on results.
    fn size_bytes(&self) -> usize;

    /// Itself, unless it is too large.
    fn within(self, limits: &Limits) -> Result<Self, CallError>
    where
        Self: Sized,
    {
        let limit_bytes = limits.result_bytes;
        if self.size_bytes() > limit_bytes {
            return Err(CallError::ResultTooLarge { limit_bytes });
        }
        Ok(self)
    }
}

impl Answer for Verdict {
    fn is_refusal(&self) -> bool {
        matches!(self, Self::Refuse(_))
    }

    fn size_bytes(&self) -> usize {
        match self {
            Self::Allow => 0,
            Self::Refuse(reason) => reason.len(),
        }
    }
}

impl Answer for Handled {
    fn is_refusal(&self) -> bool {
        matches!(self, Self::Failed(_))
    }

    fn size_bytes(&self) -> usize {
        match self {
            Self::Done => 0,
            Self::Failed(reason) => reason.len(),
        }
    }
}

impl Answer for Outcome {
    fn is_refusal(&self) -> bool {
        matches!(self, Self::Refuse(_) | Self::Invalid(_) | Self::UnknownFunction)
    }

    fn size_bytes(&self) -> usize {
        match self {
            Self::Done(reply) => reply.len(),
            Self::Refuse(reason) | Self::Invalid(reason) => reason.len(),
            Self::UnknownFunction | Self::Wait(_) => 0,
        }
    }
}

impl From<write_policy::Verdict> for Verdict {
    fn from(verdict: write_policy::Verdict) -> Self {
        match verdict {
            write_policy::Verdict::Allow => Self::Allow,
            write_policy::Verdict::Refuse(reason) => Self::Refuse(reason),
        }
    }
}

impl From<Result<(), String>> for Handled {
    fn from(result: Result<(), String>) -> Self {
        result.map_or_else(Self::Failed, |()| Self::Done)
    }
}

impl From<recipe::Outcome> for Outcome {
    fn from(outcome: recipe::Outcome) -> Self {
        match outcome {
            recipe::Outcome::Done(reply) => Self::Done(reply),
            recipe::Outcome::Refuse(reason) => Self::Refuse(reason),
            recipe::Outcome::Invalid(reason) => Self::Invalid(reason),
            recipe::Outcome::UnknownFunction => Self::UnknownFunction,
            recipe::Outcome::Wait(until) => Self::Wait(until),
        }
    }
}

pub(super) fn lower_write<'a>(write: &Write<'a>) -> types::Write<'a> {
    match *write {
        Write::Put { key, value, lease, previous } => types::Write::Put(types::Put {
            key,
            value,
            lease: lease.0,
            previous: previous.map(lower_item),
        }),
        Write::Delete { key, previous } => {
            types::Write::Delete(types::Delete { key, previous: lower_item(previous) })
        }
    }
}

pub(super) fn lower_event<'a>(event: &Event<'a>) -> types::Event<'a> {
    match *event {
        Event::Put { item, previous } => types::Event::Put(types::PutEvent {
            item: lower_item(item),
            previous: previous.map(lower_item),
        }),
        Event::Delete { key, at, previous } => types::Event::Delete(types::DeleteEvent {
            key,
            mod_revision: at,
            previous: previous.map(lower_item),
        }),
    }
}

fn lower_item(item: &Item) -> types::ItemParam<'_> {
    types::ItemParam {
        key: item.key(),
        value: item.value(),
        create_revision: item.create_revision(),
        mod_revision: item.mod_revision(),
        version: item.version(),
        lease: item.lease().0,
    }
}
