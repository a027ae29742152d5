//! Lines for the server's log, under the binding's name.
//!
//! A call may log some kilobytes; more ends it. Do not log values: logs travel further than data.

pub use crate::bindings::host::portunus::plugin::diag::Level;

/// Writes one line.
pub fn log(level: Level, text: &str) {
    #[cfg(target_arch = "wasm32")]
    crate::bindings::host::portunus::plugin::diag::log(level, text);
    #[cfg(not(target_arch = "wasm32"))]
    crate::testing::record(level, text);
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
