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

/// Threads without which a member only seems to live.
const VITAL: [&str; 4] = ["sequencer", "raft", "wal-commit", "store-writer"];

/// Makes a panic on a vital thread stop the process; one while serving a client stays with it.
pub fn stop_on_vital_panics() {
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        report(panic);
        let current = std::thread::current();
        if current.name().is_some_and(|name| VITAL.contains(&name)) {
            tracing::error!(thread = current.name(), "a vital thread panicked");
            stop();
        }
    }));
}

/// Ends the process without running anything more.
pub fn stop() -> ! {
    std::process::exit(EXIT_CODE)
}
