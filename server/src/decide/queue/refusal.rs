//! Why a queue says no.

use super::keys::PARTS;

/// The answer is no; nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QueueRefusal {
    #[error("a queue needs a name without the parts {}", PARTS.join(", "))]
    Unnamed,
    /// A condition or setting with a mistake, at a byte of its text.
    #[error("{key}: at byte {at}: {what}")]
    Text { key: String, at: usize, what: String },
    #[error("{items} items in one call, {max} are allowed")]
    BatchTooLarge { items: usize, max: usize },
    #[error("priority {priority} is above {max}")]
    Priority { priority: u32, max: u32 },
    #[error("queue {queue} is full: {max} items wait")]
    Full { queue: String, max: u64 },
    #[error("item {id} is not claimed so any more: its claim ended, or it was removed")]
    ClaimLost { id: u64 },
    /// The condition names a plugin that is not there, or not for this queue.
    #[error(
        "queue {queue} waits for plugin {plugin}, which has no queue-condition for it: deploy one"
    )]
    NoCondition { queue: String, plugin: String },
}

impl QueueRefusal {
    /// Between members: a number for ever, two numbers and two texts.
    pub fn to_parts(&self) -> (u8, [u64; 2], [String; 2]) {
        let none = || [String::new(), String::new()];
        match self {
            Self::Unnamed => (1, [0; 2], none()),
            Self::Text { key, at, what } => (2, [*at as u64, 0], [key.clone(), what.clone()]),
            Self::BatchTooLarge { items, max } => (3, [*items as u64, *max as u64], none()),
            Self::Priority { priority, max } => (4, [(*priority).into(), (*max).into()], none()),
            Self::Full { queue, max } => (5, [*max, 0], [queue.clone(), String::new()]),
            Self::ClaimLost { id } => (6, [*id, 0], none()),
            Self::NoCondition { queue, plugin } => (7, [0; 2], [queue.clone(), plugin.clone()]),
        }
    }

    pub fn from_parts(kind: u8, numbers: [u64; 2], texts: [String; 2]) -> Option<Self> {
        let ([a, b], [first, second]) = (numbers, texts);
        Some(match kind {
            1 => Self::Unnamed,
            2 => Self::Text { key: first, at: a as usize, what: second },
            3 => Self::BatchTooLarge { items: a as usize, max: b as usize },
            4 => Self::Priority { priority: a as u32, max: b as u32 },
            5 => Self::Full { queue: first, max: a },
            6 => Self::ClaimLost { id: a },
            7 => Self::NoCondition { queue: first, plugin: second },
            _ => return None,
        })
    }
}
