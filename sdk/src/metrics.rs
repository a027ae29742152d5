//! Numbers of the plugin's own, which the server shows in `/metrics` under the plugin's name.
//!
//! They count calls, not decisions: a call that is run again, or whose writes are dropped, has
//! counted. Few names, made of letters, digits and `_`: the host keeps a bounded number of them.

use crate::host::diag;

/// Adds to a counter.
pub fn count(name: &str, by: u64) {
    diag::count(name, by);
}

/// Adds a value to a histogram.
pub fn observe(name: &str, value: f64) {
    diag::observe(name, value);
}
