//! The text of `QUEUE/config`: settings, one word and its value after the other.
//!
//! `max-length 1000 overflow block max-attempts 5 dedup-window 300`
//!
//! - `max-length N`: items that may wait, ready or delayed; without it any number
//! - `overflow refuse|block`: what an enqueue does beyond that; `refuse` by default
//! - `max-attempts N`: deliveries before an item is a dead letter; without it any number
//! - `dedup-window SECONDS`: how long an id is remembered; 300 by default

use super::keys::Queue;
use crate::decide::writer::Writer;

const DEDUP_WINDOW_MS: u64 = 300_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    pub max_length: Option<u64>,
    pub blocks: bool,
    pub max_attempts: Option<u32>,
    pub dedup_window_ms: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            max_length: None,
            blocks: false,
            max_attempts: None,
            dedup_window_ms: DEDUP_WINDOW_MS,
        }
    }
}

/// A mistake in a text: the byte it is at, and what it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    pub at: usize,
    pub what: String,
}

impl Mistake {
    pub fn new(at: usize, what: impl Into<String>) -> Self {
        Self { at, what: what.into() }
    }
}

/// # Errors
/// The first mistake.
pub fn parse(text: &[u8]) -> Result<Config, Mistake> {
    let mut config = Config::default();
    let mut words = words(text);
    while let Some((at, word)) = words.next() {
        let (value_at, value) =
            words.next().ok_or_else(|| Mistake::new(text.len(), format!("{word} has no value")))?;
        let number = || {
            let number = value.parse::<u64>().ok().filter(|number| *number > 0);
            number.ok_or_else(|| Mistake::new(value_at, format!("{word} takes a number above 0")))
        };
        match word {
            "max-length" => config.max_length = Some(number()?),
            "max-attempts" => {
                config.max_attempts = Some(number()?.min(u32::MAX.into()) as u32);
            }
            "dedup-window" => config.dedup_window_ms = number()?.saturating_mul(1000),
            "overflow" if value == "block" => config.blocks = true,
            "overflow" if value == "refuse" => config.blocks = false,
            "overflow" => return Err(Mistake::new(value_at, "overflow is refuse or block")),
            _ => {
                let known = "max-length, overflow, max-attempts, dedup-window";
                return Err(Mistake::new(at, format!("{word} is not a setting ({known})")));
            }
        }
    }
    Ok(config)
}

/// Words and where they begin. Text that is not UTF-8 is one odd word.
fn words(text: &[u8]) -> impl Iterator<Item = (usize, &str)> {
    let text = std::str::from_utf8(text).unwrap_or("\u{fffd}");
    text.split_whitespace().map(move |word| (word.as_ptr() as usize - text.as_ptr() as usize, word))
}

/// The queue's settings. A text that was put before the name was a queue may have mistakes; it
/// counts for nothing.
pub fn read(writer: &mut Writer<'_>, queue: Queue<'_>) -> Config {
    let text = writer.get(&queue.config());
    text.and_then(|item| parse(item.value()).ok()).unwrap_or_default()
}
