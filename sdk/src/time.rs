//! A moment, as the leader's clock tells it.

use std::ops::{Add, Sub};
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A moment in milliseconds since 1970 in UTC; in JSON it is that number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Time(u64);

impl Time {
    /// The moment that many milliseconds after 1970 began in UTC.
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// Milliseconds since 1970 began in UTC.
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// How long ago `earlier` was; zero when it is later.
    pub const fn since(self, earlier: Time) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

impl Add<Duration> for Time {
    type Output = Time;

    fn add(self, later: Duration) -> Time {
        Time(self.0.saturating_add(millis(later)))
    }
}

impl Sub<Duration> for Time {
    type Output = Time;

    fn sub(self, earlier: Duration) -> Time {
        Time(self.0.saturating_sub(millis(earlier)))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Time;

    #[test]
    fn arithmetic_stays_within_what_a_clock_can_show() {
        let noon = Time::from_millis(1_000);
        assert_eq!((noon + Duration::from_secs(1)).as_millis(), 2_000);
        assert_eq!(noon - Duration::from_secs(9), Time::from_millis(0));
        assert_eq!(noon + Duration::MAX, Time::from_millis(u64::MAX));
        assert_eq!((noon + Duration::from_millis(7)).since(noon), Duration::from_millis(7));
        assert_eq!(noon.since(noon + Duration::from_millis(7)), Duration::ZERO);
    }

    #[test]
    fn in_json_it_is_a_number() {
        assert_eq!(serde_json::to_string(&Time::from_millis(5)).expect("json"), "5");
        assert_eq!(serde_json::from_str::<Time>("5").expect("json"), Time::from_millis(5));
    }
}
