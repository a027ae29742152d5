//! What one call of a plugin may use, and what the engine keeps: the defaults, and the hard caps
//! beyond which no binding can ask.

use std::time::Duration;

use crate::effect::PluginLimits;
use crate::limits::{PLUGIN_CALL_TIME, PLUGIN_MEMORY_BYTES, REQUEST_BYTES_DEFAULT};

/// Entries of all of a plugin's tables together. A table holds functions that are called
/// indirectly; real plugins have some hundreds.
pub(super) const TABLE_ENTRIES_MAX: usize = 10_000;
/// Native stack of guest code. Deep enough for a recursive-descent parser, shallow enough for a
/// thread of two megabytes with room for the host functions.
pub(super) const STACK_BYTES_MAX: usize = 512 * 1024;
/// Calls before an instance is replaced: bounds what a plugin can leak into its own memory.
pub(super) const CALLS_PER_INSTANCE: u32 = 100_000;
/// An instance whose memory has grown beyond this is not kept: one large call must not pin
/// memory for good.
pub(super) const INSTANCE_KEPT_BYTES_MAX: usize = 2 * 1024 * 1024;
/// Warm instances kept over all bindings; the longest unused one goes first.
pub(super) const INSTANCES_IDLE_DEFAULT: usize = 256;
/// Calls at one time, which is the number of threads that make them.
pub(super) const CALLS_AT_ONCE_MAX: usize = 64;
/// How often running guest code looks at its time.
pub(super) const TICK: Duration = Duration::from_millis(5);
/// A call's time is the CPU time of its thread, so that a busy machine does not refuse writes;
/// beyond this many times the limit on the wall clock it ends all the same.
pub(super) const WALL_CLOCK_FACTOR: u32 = 20;
/// Frames in a backtrace: enough for the author, little enough for a log line.
pub(super) const BACKTRACE_FRAMES_MAX: usize = 20;
/// Text of a panic or a trap that is kept.
pub(super) const ERROR_TEXT_BYTES_MAX: usize = 1024;
/// Random bytes handed out at once, as the contract says.
pub(super) const RANDOM_BYTES_MAX: usize = 1024;
/// What a value that crosses the border costs besides its content: lists count their elements'
/// records.
pub(super) const HAND_OVER_OVERHEAD_BYTES: usize = 64 * 1024;
/// Functions that one recipe may offer, and bytes of a function's name.
pub(super) const FUNCTIONS_MAX: usize = 128;
pub(super) const FUNCTION_NAME_BYTES_MAX: usize = 64;

/// Lines that a plugin's diary keeps; the oldest goes first.
pub(super) const DIARY_LINES_MAX: usize = 1000;
/// Text that a plugin's diary keeps, all lines together.
pub(super) const DIARY_BYTES_MAX: usize = 256 * 1024;
/// Lines that a plugin may add to the server's own log at once, and per second from then on. Its
/// diary gets them all.
pub(super) const SERVER_LOG_LINES_BURST: u32 = 100;
pub(super) const SERVER_LOG_LINES_PER_SECOND: u32 = 10;
/// Counters and histograms of a plugin's own: each is some series in every scrape.
pub(super) const USER_METRICS_MAX: usize = 32;
pub(super) const METRIC_NAME_BYTES_MAX: usize = 64;

/// What one call may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// CPU time of the call.
    pub call_time: Duration,
    /// Linear memory, code's static data included.
    pub memory_bytes: usize,
    /// Keys looked at: one for each read, and one for each item that a range returns.
    pub reads: usize,
    /// Keys and values handed to the plugin by its reads.
    pub read_bytes: usize,
    /// Keys put or deleted.
    pub writes: usize,
    /// Keys and values of its writes.
    pub write_bytes: usize,
    /// The reply or the reason that it answers.
    pub result_bytes: usize,
    /// Log text of the call.
    pub log_bytes: usize,
}

/// A limit that no binding may have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("limit {name} cannot be {asked}: ask for {least} to {most}")]
pub struct BadLimit {
    pub name: &'static str,
    pub asked: u64,
    pub least: u64,
    pub most: u64,
}

impl Limits {
    /// What a binding gets that asks for nothing.
    pub const DEFAULT: Limits = Limits {
        call_time: PLUGIN_CALL_TIME,
        memory_bytes: PLUGIN_MEMORY_BYTES,
        reads: 4096,
        read_bytes: 4 * 1024 * 1024,
        // A batch of events is 256: four writes for each.
        writes: 1024,
        write_bytes: REQUEST_BYTES_DEFAULT,
        result_bytes: 1024 * 1024,
        log_bytes: 4 * 1024,
    };

    /// The hard cap of each.
    pub const MAX: Limits = Limits {
        call_time: PLUGIN_CALL_TIME,
        memory_bytes: PLUGIN_MEMORY_BYTES,
        reads: 64 * 1024,
        read_bytes: PLUGIN_MEMORY_BYTES,
        writes: 8 * 1024,
        // Together they travel in one log entry, as a client's largest request does.
        write_bytes: REQUEST_BYTES_DEFAULT,
        result_bytes: REQUEST_BYTES_DEFAULT,
        log_bytes: 64 * 1024,
    };

    /// What a binding gets: what it asks for, with nothing above [`Limits::MAX`].
    pub fn of(asked: &PluginLimits) -> Self {
        let most = Self::MAX;
        let pick = |asked: Option<u64>, default: usize, most: usize| {
            asked.map_or(default, |asked| usize::try_from(asked).unwrap_or(most).min(most))
        };
        let time = asked.call_time_ms.map(|ms| Duration::from_millis(ms.into()));
        Self {
            call_time: time.unwrap_or(Self::DEFAULT.call_time).min(most.call_time),
            memory_bytes: pick(asked.memory_bytes, Self::DEFAULT.memory_bytes, most.memory_bytes),
            reads: pick(asked.reads, Self::DEFAULT.reads, most.reads),
            read_bytes: pick(asked.read_bytes, Self::DEFAULT.read_bytes, most.read_bytes),
            writes: pick(asked.writes, Self::DEFAULT.writes, most.writes),
            write_bytes: Self::DEFAULT.write_bytes,
            result_bytes: pick(asked.result_bytes, Self::DEFAULT.result_bytes, most.result_bytes),
            log_bytes: pick(asked.log_bytes, Self::DEFAULT.log_bytes, most.log_bytes),
        }
    }

    /// Refuses what [`Limits::of`] would cut, for whoever deploys a binding to hear of it.
    pub fn check(asked: &PluginLimits) -> Result<(), BadLimit> {
        let most = Self::MAX;
        let within = |name, asked: Option<u64>, least: u64, most: usize| match asked {
            Some(asked) if asked < least || asked > most as u64 => {
                Err(BadLimit { name, asked, least, most: most as u64 })
            }
            _ => Ok(()),
        };
        let time_max = most.call_time.as_millis() as usize;
        within("call_time_ms", asked.call_time_ms.map(u64::from), 1, time_max)?;
        // Less than one page of memory starts no plugin.
        within("memory_bytes", asked.memory_bytes, 64 * 1024, most.memory_bytes)?;
        within("reads", asked.reads, 0, most.reads)?;
        within("read_bytes", asked.read_bytes, 0, most.read_bytes)?;
        within("writes", asked.writes, 0, most.writes)?;
        within("result_bytes", asked.result_bytes, 0, most.result_bytes)?;
        within("log_bytes", asked.log_bytes, 0, most.log_bytes)
    }

    /// What the guest may pass to the host at one time, in the host's terms.
    pub(super) fn hand_over_bytes(&self) -> usize {
        let content = self.result_bytes.max(self.write_bytes).max(self.log_bytes);
        content + HAND_OVER_OVERHEAD_BYTES
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self::DEFAULT
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{BadLimit, Limits};
    use crate::effect::PluginLimits;

    #[test]
    fn a_binding_may_ask_for_more_than_the_default_and_never_for_more_than_the_cap() {
        let asked = PluginLimits {
            reads: Some(5000),
            writes: Some(u64::MAX),
            call_time_ms: Some(7),
            ..PluginLimits::default()
        };
        let expected = Limits {
            reads: 5000,
            writes: Limits::MAX.writes,
            call_time: Duration::from_millis(7),
            ..Limits::DEFAULT
        };
        assert_eq!(Limits::of(&asked), expected);
        assert_eq!(Limits::of(&PluginLimits::default()), Limits::DEFAULT);
    }

    #[test]
    fn a_limit_out_of_its_range_is_refused_by_name() {
        let check = |asked| Limits::check(&asked);
        assert_eq!(check(PluginLimits::default()), Ok(()));
        let most = Limits::MAX.memory_bytes as u64;
        let full = PluginLimits { memory_bytes: Some(most), ..PluginLimits::default() };
        assert_eq!(check(full), Ok(()));
        for asked in [most + 1, 0] {
            let refused = check(PluginLimits { memory_bytes: Some(asked), ..full });
            let least = 64 * 1024;
            assert_eq!(refused, Err(BadLimit { name: "memory_bytes", asked, least, most }));
        }
        let refused = check(PluginLimits { call_time_ms: Some(51), ..PluginLimits::default() });
        let text = refused.expect_err("above 50 ms").to_string();
        assert_eq!(text, "limit call_time_ms cannot be 51: ask for 1 to 50");
    }
}
