//! What calls that fail may cost. A plugin whose calls trap, run out of time or break a limit uses
//! the CPU for nothing, as often as somebody calls it; over time it gets a tenth of one core for
//! that. Calls that end well are not counted: they take turns.

use std::time::Duration;

use crate::clock::Tick;

/// CPU time that failed calls may use before their binding rests: four that run out of their time,
/// so that a call that fails now and then delays nobody.
const CREDIT: Duration = Duration::from_millis(200);
/// The part of one core that failed calls get over time.
const SHARE: u32 = 10;

/// The account of one binding.
#[derive(Debug, Default)]
pub struct Budget {
    /// CPU time of failed calls that is not made up for yet, as of `at`.
    debt: Duration,
    at: Tick,
}

impl Budget {
    /// Charges the CPU time of failed calls.
    pub fn charge(&mut self, failed: Duration, now: Tick) {
        let made_up = now.since(self.at) / SHARE;
        self.debt = self.debt.saturating_sub(made_up).saturating_add(failed);
        self.at = now;
    }

    /// Until when the binding rests; `None` when it need not.
    pub fn rests_until(&self, now: Tick) -> Option<Tick> {
        let over = self.debt.checked_sub(CREDIT).filter(|over| !over.is_zero())?;
        let until = self.at.after(over * SHARE);
        (until > now).then_some(until)
    }
}

#[cfg(test)]
mod tests {
    use super::{Budget, CREDIT, SHARE};
    use crate::clock::Tick;
    use std::time::Duration;

    const MS: fn(u64) -> Duration = Duration::from_millis;

    #[test]
    fn who_fails_without_end_gets_its_share_and_no_more() {
        let mut budget = Budget::default();
        let (mut now, mut used) = (Tick::from_start(MS(5)), Duration::ZERO);
        let end = now.after(Duration::from_secs(100));
        while now < end {
            now = budget.rests_until(now).unwrap_or(now).after(MS(50));
            budget.charge(MS(50), now);
            used += MS(50);
        }
        let share = Duration::from_secs(100) / SHARE;
        assert!(used >= share && used <= share + CREDIT + MS(50), "{used:?}");
    }

    #[test]
    fn a_failure_now_and_then_delays_nobody() {
        let mut budget = Budget::default();
        let mut now = Tick::ZERO;
        for _ in 0..1000 {
            budget.charge(MS(50), now);
            assert_eq!(budget.rests_until(now), None);
            now = now.after(MS(501));
        }
    }
}
