//! Lines for the plugin's log, which `portunus plugin logs` shows.
//!
//! A call may log some kilobytes; more ends it. Do not log values: logs travel further than data.

pub use crate::bindings::host::portunus::plugin::diag::Level;
use crate::host::diag;

/// Writes one line.
pub fn log(level: Level, text: &str) {
    diag::log(level, text);
}

/// For the plugin's author only.
pub fn debug(text: impl AsRef<str>) {
    log(Level::Debug, text.as_ref());
}

/// Worth knowing in a quiet week.
pub fn info(text: impl AsRef<str>) {
    log(Level::Info, text.as_ref());
}

/// Wrong, and the plugin can go on.
pub fn warn(text: impl AsRef<str>) {
    log(Level::Warn, text.as_ref());
}

/// Wrong, and somebody has to act.
pub fn error(text: impl AsRef<str>) {
    log(Level::Error, text.as_ref());
}
