//! When this member last heard from a leader that its vote accepts. openraft goes on naming a leader
//! that is silent, until somebody else is elected; clients must hear that there is none.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::clock::{Clock, Tick};

/// Shared by all clones.
#[derive(Clone)]
pub struct Contact {
    clock: Clock,
    /// Nanoseconds since the clock's beginning.
    heard: Arc<AtomicU64>,
}

impl Contact {
    pub fn new(clock: Clock) -> Self {
        Self { clock, heard: Arc::default() }
    }

    /// The leader has just been heard.
    pub fn note(&self) {
        let now = self.clock.now().since(Tick::ZERO).as_nanos();
        self.heard.store(u64::try_from(now).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Time since the leader was heard, or since the beginning.
    pub fn silence(&self) -> Duration {
        let heard = Duration::from_nanos(self.heard.load(Ordering::Relaxed));
        self.clock.now().since(Tick::from_start(heard))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Clock, Contact};

    #[test]
    fn silence_lasts_from_the_last_word() {
        let clock = Clock::manual();
        let contact = Contact::new(clock.clone());
        clock.advance(Duration::from_secs(3));
        assert_eq!(contact.silence(), Duration::from_secs(3));
        contact.note();
        clock.advance(Duration::from_secs(1));
        assert_eq!(contact.clone().silence(), Duration::from_secs(1));
    }
}
