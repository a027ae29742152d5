//! What one call of a plugin may use, and what the engine keeps. A binding may ask for less than
//! the defaults here, never for more.

use std::time::Duration;

use crate::limits::{PLUGIN_CALL_TIME, PLUGIN_MEMORY_BYTES, TXN_OPS_DEFAULT};

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
    /// Writes that a verdict may add.
    pub changes: usize,
    /// Keys, values and texts of a verdict, together.
    pub result_bytes: usize,
    /// Log text of the call.
    pub log_bytes: usize,
}

impl Limits {
    /// The hard cap of each, and what a binding gets that asks for nothing.
    pub const MAX: Limits = Limits {
        call_time: PLUGIN_CALL_TIME,
        memory_bytes: PLUGIN_MEMORY_BYTES,
        reads: 1024,
        read_bytes: PLUGIN_MEMORY_BYTES,
        changes: TXN_OPS_DEFAULT,
        result_bytes: 1024 * 1024,
        log_bytes: 4 * 1024,
    };

    /// The same, with nothing above [`Limits::MAX`].
    #[must_use]
    pub fn capped(self) -> Self {
        Self {
            call_time: self.call_time.min(Self::MAX.call_time),
            memory_bytes: self.memory_bytes.min(Self::MAX.memory_bytes),
            reads: self.reads.min(Self::MAX.reads),
            read_bytes: self.read_bytes.min(Self::MAX.read_bytes),
            changes: self.changes.min(Self::MAX.changes),
            result_bytes: self.result_bytes.min(Self::MAX.result_bytes),
            log_bytes: self.log_bytes.min(Self::MAX.log_bytes),
        }
    }

    /// What the guest may pass to the host at one time, in the host's terms: each change costs
    /// its record besides its bytes.
    pub(super) fn hand_over_bytes(&self) -> usize {
        self.result_bytes + self.changes * 256
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self::MAX
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Limits;

    #[test]
    fn a_binding_may_ask_for_less_and_never_for_more() {
        let asked = Limits { reads: 1, call_time: Duration::MAX, ..Limits::MAX };
        assert_eq!(asked.capped(), Limits { reads: 1, ..Limits::MAX });
    }
}
