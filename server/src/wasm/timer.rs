//! Tells whether a running call has used up its time. It is asked at each tick of the epoch, so
//! a call shorter than a tick pays nothing for it.

use std::time::Duration;

use super::bounds::{TICK, WALL_CLOCK_FACTOR};

#[derive(Default)]
pub(super) struct Timer {
    ticks: u32,
    cpu_at_first_tick: Duration,
}

impl Timer {
    pub(super) fn reset(&mut self) {
        self.ticks = 0;
    }

    /// Counts one tick; true when `limit` is used up. `cpu_now` is the CPU time of the calling
    /// thread, which the first tick only notes.
    pub(super) fn tick(&mut self, limit: Duration, cpu_now: Duration) -> bool {
        if self.ticks == 0 {
            self.cpu_at_first_tick = cpu_now;
        }
        self.ticks = self.ticks.saturating_add(1);
        let used = cpu_now.saturating_sub(self.cpu_at_first_tick);
        used >= limit || TICK * self.ticks >= limit * WALL_CLOCK_FACTOR
    }

    /// CPU time since the first tick; none for a call that saw no tick, which is what most are.
    pub(super) fn used(&self, cpu_now: impl Fn() -> Duration) -> Option<Duration> {
        (self.ticks > 0).then(|| cpu_now().saturating_sub(self.cpu_at_first_tick))
    }
}

/// CPU time that this thread has used.
#[allow(unsafe_code, reason = "one system call that std does not offer")]
pub fn thread_cpu_time() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is to a live, writable timespec. It cannot fail for this clock; if it
    // did, the time stays zero and the wall clock ends the call.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec.unsigned_abs().try_into().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{TICK, Timer, WALL_CLOCK_FACTOR};

    const LIMIT: Duration = Duration::from_millis(50);

    #[test]
    fn a_call_ends_by_the_cpu_time_it_used_since_its_first_tick() {
        let start = Duration::from_secs(7);
        let mut timer = Timer::default();
        assert!(!timer.tick(LIMIT, start));
        assert!(!timer.tick(LIMIT, start + LIMIT - TICK));
        assert!(timer.tick(LIMIT, start + LIMIT));
        assert_eq!(timer.used(|| start + LIMIT + TICK), Some(LIMIT + TICK));
        timer.reset();
        assert_eq!(timer.used(|| start), None);
        assert!(!timer.tick(LIMIT, start + LIMIT), "the next call starts anew");
    }

    #[test]
    fn a_call_that_gets_no_cpu_ends_by_the_wall_clock() {
        let mut timer = Timer::default();
        let ticks = (LIMIT * WALL_CLOCK_FACTOR).as_millis() / TICK.as_millis();
        for _ in 1..ticks {
            assert!(!timer.tick(LIMIT, Duration::ZERO));
        }
        assert!(timer.tick(LIMIT, Duration::ZERO));
    }
}
