//! A plugin's last log lines, and how many of them the server's own log can bear.

use std::collections::VecDeque;

use super::bounds::{
    DIARY_BYTES_MAX, DIARY_LINES_MAX, SERVER_LOG_LINES_BURST, SERVER_LOG_LINES_PER_SECOND,
};
use crate::effect::Point;

/// How much a line matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    Debug,
    Info,
    Warn,
    Error,
}

impl Level {
    pub fn name(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
        }
    }
}

/// One thing a plugin said, or that was said about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Counts from 1 over the plugin's life on this member; a gap means that lines are lost.
    pub number: u64,
    /// Milliseconds since 1970 in UTC.
    pub unix_ms: u64,
    pub point: Point,
    pub level: Level,
    /// May hold line breaks, as a backtrace does.
    pub text: String,
}

/// The newest lines, bounded in number and bytes.
#[derive(Debug, Default)]
pub(super) struct Lines {
    kept: VecDeque<Line>,
    bytes: usize,
    newest: u64,
}

impl Lines {
    /// Returns the line's number.
    pub(super) fn push(&mut self, point: Point, level: Level, unix_ms: u64, text: String) -> u64 {
        self.newest += 1;
        self.bytes += text.len();
        self.kept.push_back(Line { number: self.newest, unix_ms, point, level, text });
        while self.kept.len() > DIARY_LINES_MAX || self.bytes > DIARY_BYTES_MAX {
            let Some(oldest) = self.kept.pop_front() else { break };
            self.bytes -= oldest.text.len();
        }
        self.newest
    }

    pub(super) fn after(&self, number: u64, max: usize) -> Vec<Line> {
        let from = self.kept.partition_point(|line| line.number <= number);
        self.kept.range(from..).take(max).cloned().collect()
    }
}

/// A bucket of lines that fills with time.
#[derive(Debug)]
pub(super) struct Rate {
    /// Thousandths of a line.
    left: u64,
    filled_ms: u64,
    skipped: u64,
}

impl Default for Rate {
    fn default() -> Self {
        Self { left: FULL, filled_ms: 0, skipped: 0 }
    }
}

const FULL: u64 = SERVER_LOG_LINES_BURST as u64 * 1000;

impl Rate {
    /// Whether one more line may pass, and then how many could not since the last that did.
    pub(super) fn take(&mut self, unix_ms: u64) -> Option<u64> {
        let passed_ms = unix_ms.saturating_sub(self.filled_ms);
        let earned = passed_ms.saturating_mul(SERVER_LOG_LINES_PER_SECOND.into());
        self.left = self.left.saturating_add(earned).min(FULL);
        self.filled_ms = self.filled_ms.max(unix_ms);
        if self.left < 1000 {
            self.skipped += 1;
            return None;
        }
        self.left -= 1000;
        Some(std::mem::take(&mut self.skipped))
    }
}

#[cfg(test)]
mod tests {
    use super::{Level, Lines, Rate};
    use crate::effect::Point;
    use crate::wasm::bounds::{
        DIARY_BYTES_MAX, DIARY_LINES_MAX, SERVER_LOG_LINES_BURST, SERVER_LOG_LINES_PER_SECOND,
    };

    fn push(lines: &mut Lines, text: &str) -> u64 {
        lines.push(Point::Recipe, Level::Info, 7, text.to_owned())
    }

    #[test]
    fn the_newest_lines_are_kept_and_a_reader_goes_on_where_it_was() {
        let mut lines = Lines::default();
        for n in 1..=DIARY_LINES_MAX + 5 {
            assert_eq!(push(&mut lines, &n.to_string()), n as u64);
        }
        let first = lines.after(0, 2);
        assert_eq!(first.iter().map(|line| line.number).collect::<Vec<_>>(), [6, 7]);
        assert_eq!(first[0].text, "6");
        let rest = lines.after(7, usize::MAX);
        assert_eq!(rest.len(), DIARY_LINES_MAX - 2);
        assert!(lines.after(DIARY_LINES_MAX as u64 + 5, 1).is_empty());
    }

    #[test]
    fn long_lines_push_the_old_ones_out_by_their_bytes() {
        let mut lines = Lines::default();
        let text = "x".repeat(DIARY_BYTES_MAX / 4);
        for _ in 0..10 {
            push(&mut lines, &text);
        }
        assert_eq!(lines.after(0, usize::MAX).len(), 4);
        push(&mut lines, "y");
        assert_eq!(lines.after(0, usize::MAX).len(), 4, "three long ones and the short one");
    }

    #[test]
    fn a_flood_passes_at_the_rate_and_tells_how_much_did_not() {
        let mut rate = Rate::default();
        let passed = |rate: &mut Rate, now| (0..1000).filter(|_| rate.take(now).is_some()).count();
        assert_eq!(passed(&mut rate, 5_000), SERVER_LOG_LINES_BURST as usize);
        let skipped = 1000 - u64::from(SERVER_LOG_LINES_BURST);
        assert_eq!(rate.take(6_000), Some(skipped));
        assert_eq!(passed(&mut rate, 6_000), SERVER_LOG_LINES_PER_SECOND as usize - 1);
        assert_eq!(rate.take(0), None, "a clock that goes back earns nothing");
    }
}
