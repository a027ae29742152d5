//! The text of `QUEUE/condition`: what must hold before an item leaves.
//!
//! ```text
//! condition = "all(" condition {"," condition} ")" | "any(" ... ")"
//!           | "size>=" N             at least N ready: they leave together, then it closes again
//!           | "after" NAME {NAME}    each key is there, each queue is done
//!           | "key" NAME             the key is there
//!           | "key" NAME "=" VALUE   and has this value
//!           | "time" HH:MM-HH:MM [DAYS]      UTC; DAYS as mon-fri or sat
//!           | "time" MIN HOUR DAY MONTH WEEKDAY     the minutes of a cron expression, UTC
//!           | "plugin" NAME           what it picks, or whether it lets go; once at most
//! ```
//! Names and values with spaces, commas or parentheses stand in double quotes. An empty text always
//! holds. A queue is done once something was put in and all of it was acknowledged; dead letters
//! are not done.

use super::calendar::When;
use super::config::Mistake;
use super::parser::Parser;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    All(Vec<Condition>),
    Any(Vec<Condition>),
    Size(u64),
    After(Vec<String>),
    Key { key: String, value: Option<String> },
    Time(When),
    Plugin(String),
}

impl Condition {
    /// The plugin that it asks; there is one at most.
    pub fn plugin(&self) -> Option<&str> {
        match self {
            Self::All(parts) | Self::Any(parts) => parts.iter().find_map(Self::plugin),
            Self::Plugin(name) => Some(name),
            _ => None,
        }
    }

    /// The smallest size that some part of it asks for.
    pub fn size(&self) -> Option<u64> {
        match self {
            Self::All(parts) | Self::Any(parts) => parts.iter().filter_map(Self::size).min(),
            Self::Size(size) => Some(*size),
            _ => None,
        }
    }
}

/// # Errors
/// The first mistake and where it is.
pub fn parse(text: &[u8]) -> Result<Condition, Mistake> {
    let text = std::str::from_utf8(text)
        .map_err(|error| Mistake::new(error.valid_up_to(), "it is not UTF-8"))?;
    if text.trim().is_empty() {
        return Ok(Condition::All(Vec::new()));
    }
    let mut parser = Parser::new(text);
    let condition = parser.condition(0)?;
    parser.end()?;
    Ok(condition)
}
