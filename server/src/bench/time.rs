//! The load generator's clock. It measures a server from outside, in real time: the one clock of
//! the server's own decisions is not for it.

pub use std::time::{Duration, Instant};

#[allow(clippy::disallowed_methods, reason = "measures real time from outside of any server")]
pub fn now() -> Instant {
    Instant::now()
}
