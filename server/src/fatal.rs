//! How a node stops when its state can no longer be trusted: at once, saying why, so that its
//! peers go on without it. Not for what a retry or a refusal can answer.

/// Exit code of a process that stopped itself.
pub const EXIT_CODE: i32 = 70;

/// Logs the reason with its fields and ends the process.
#[macro_export]
macro_rules! fatal {
    ($($reason:tt)+) => {{
        tracing::error!($($reason)+);
        $crate::fatal::stop()
    }};
}

/// Ends the process without running anything more.
pub fn stop() -> ! {
    std::process::exit(EXIT_CODE)
}
