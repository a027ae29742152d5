//! The only door to time. Everything that waits or expires takes a [`Clock`], so that a test can
//! turn its hands.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

/// Time since some fixed moment before the process began to serve; never goes back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tick(Duration);

impl Tick {
    pub const ZERO: Tick = Tick(Duration::ZERO);

    pub const fn from_start(elapsed: Duration) -> Self {
        Self(elapsed)
    }

    /// Saturates instead of overflowing: a lease of centuries is as good as one without end.
    pub fn after(self, wait: Duration) -> Self {
        Self(self.0.saturating_add(wait))
    }

    /// Time from `earlier` to here; zero when `earlier` is later.
    pub fn since(self, earlier: Tick) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

/// A clock that can be real or turned by hand.
#[derive(Clone, Debug)]
pub struct Clock(Source);

#[derive(Clone, Debug)]
enum Source {
    System { start: Instant, latest_ms: Arc<AtomicU64> },
    Manual(Arc<AtomicU64>),
}

impl Clock {
    #[allow(clippy::disallowed_methods, reason = "the one place that reads the system's clock")]
    pub fn system() -> Self {
        Self(Source::System { start: Instant::now(), latest_ms: Arc::default() })
    }

    /// A clock at zero that moves only by [`Clock::advance`].
    pub fn manual() -> Self {
        Self(Source::Manual(Arc::default()))
    }

    #[allow(clippy::disallowed_methods, reason = "the one place that reads the system's clock")]
    pub fn now(&self) -> Tick {
        match &self.0 {
            Source::System { start, .. } => Tick(start.elapsed()),
            Source::Manual(nanos) => Tick(Duration::from_nanos(nanos.load(Ordering::SeqCst))),
        }
    }

    /// Milliseconds since 1970 in UTC. A system clock that is set back stands still here until it
    /// has caught up. A manual clock began in 1970.
    #[allow(clippy::disallowed_methods, reason = "the one place that reads the system's clock")]
    pub fn unix_ms(&self) -> u64 {
        match &self.0 {
            Source::System { latest_ms, .. } => {
                let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
                let now = now.map_or(0, |now| now.as_millis() as u64);
                latest_ms.fetch_max(now, Ordering::Relaxed).max(now)
            }
            Source::Manual(nanos) => nanos.load(Ordering::SeqCst) / 1_000_000,
        }
    }

    /// Moves a manual clock forward; does nothing to the system's.
    pub fn advance(&self, by: Duration) {
        if let Source::Manual(nanos) = &self.0 {
            nanos.fetch_add(by.as_nanos() as u64, Ordering::SeqCst);
        }
    }
}
