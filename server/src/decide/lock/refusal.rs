//! Why a lock is not had.

/// The answer is no; nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LockRefusal {
    #[error("a lock needs names, each once and none empty")]
    Unnamed,
    #[error("no lock can be named {name}: keys that begin so are those of holders")]
    Reserved { name: String },
    #[error("{names} names in one call, {max} are allowed")]
    TooMany { names: usize, max: usize },
    #[error("weight {weight} is more than all {permits} permits")]
    TooHeavy { weight: u32, permits: u32 },
    #[error("lock {name} is held or waited for by this lease in another mode: release it first")]
    Differs { name: String },
    #[error("lock {name} is held")]
    Held { name: String },
    /// Its key is gone: the lease ended, or somebody deleted it.
    #[error("lock {name} is lost: its lease ended or its key was deleted")]
    Lost { name: String },
    /// Somebody writes to keys that are the Lock service's where a plugin admits.
    #[error("locks under {prefix:?} are admitted by plugin {plugin}; use the Lock service")]
    Admitted { prefix: String, plugin: String },
}

impl LockRefusal {
    /// Between members: a number for ever, two numbers and a text.
    pub fn to_parts(&self) -> (u8, [u64; 2], String) {
        match self {
            Self::Unnamed => (1, [0; 2], String::new()),
            Self::TooMany { names, max } => (2, [*names as u64, *max as u64], String::new()),
            Self::TooHeavy { weight, permits } => {
                (3, [(*weight).into(), (*permits).into()], String::new())
            }
            Self::Differs { name } => (4, [0; 2], name.clone()),
            Self::Held { name } => (5, [0; 2], name.clone()),
            Self::Lost { name } => (6, [0; 2], name.clone()),
            Self::Reserved { name } => (8, [0; 2], name.clone()),
            // A plugin's name has no space.
            Self::Admitted { prefix, plugin } => (7, [0; 2], format!("{plugin} {prefix}")),
        }
    }

    pub fn from_parts(kind: u8, numbers: [u64; 2], name: String) -> Option<Self> {
        let [a, b] = numbers;
        Some(match kind {
            1 => Self::Unnamed,
            2 => Self::TooMany { names: a as usize, max: b as usize },
            3 => Self::TooHeavy { weight: a as u32, permits: b as u32 },
            4 => Self::Differs { name },
            5 => Self::Held { name },
            6 => Self::Lost { name },
            7 => {
                let (plugin, prefix) = name.split_once(' ')?;
                Self::Admitted { prefix: prefix.to_owned(), plugin: plugin.to_owned() }
            }
            8 => Self::Reserved { name },
            _ => return None,
        })
    }
}
