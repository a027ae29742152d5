//! How long a watch stream that was just given events waits for the next ones. A message costs
//! the server several times what an event in it costs, so the more watchers are busy, the more
//! events each message should carry: all streams together send a bounded number of messages.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

/// A busy stream waits at least this long: at thousands of revisions a second a message then
/// carries several.
const SHORTEST: Duration = Duration::from_millis(1);
/// And at most this long, however many streams are busy.
const LONGEST: Duration = Duration::from_millis(20);
/// Each busy watcher adds this much to everybody's wait: about 10,000 messages a second in all,
/// which is a tenth of a core.
const PER_WATCHER: Duration = Duration::from_micros(100);
/// Watchers are counted anew this often.
const WINDOW: Duration = Duration::from_millis(50);

/// Counts the watchers that are busy. Cloning shares the count.
#[derive(Clone)]
pub struct WatchPace(Arc<Count>);

struct Count {
    began: Instant,
    /// The window that is being counted.
    window: AtomicU64,
    watchers: AtomicU32,
    /// Watchers of the window before.
    busy: AtomicU32,
}

/// One stream's part in the count.
#[derive(Default)]
pub struct Step {
    counted: Option<u64>,
    /// Messages that left together: one for each watcher that had events.
    burst: u32,
}

impl Default for WatchPace {
    fn default() -> Self {
        Self(Arc::new(Count {
            began: Instant::now(),
            window: AtomicU64::new(0),
            watchers: AtomicU32::new(0),
            busy: AtomicU32::new(0),
        }))
    }
}

impl WatchPace {
    /// When a stream that sends a message `now` may send its next one. `follows` says that the
    /// message left together with the one before.
    pub fn next(&self, step: &mut Step, follows: bool, now: Instant) -> Instant {
        let count = &*self.0;
        let window = count.turn(now);
        if follows {
            step.burst += 1;
        } else {
            if step.counted != Some(window) {
                step.counted = Some(window);
                count.watchers.fetch_add(step.burst.max(1), Ordering::Relaxed);
            }
            step.burst = 1;
        }
        now + wait(count.busy.load(Ordering::Relaxed))
    }
}

impl Count {
    /// The window that `now` lies in; the first to reach it closes the one before.
    fn turn(&self, now: Instant) -> u64 {
        let passed = now.saturating_duration_since(self.began).as_millis() / WINDOW.as_millis();
        let window = passed.try_into().unwrap_or(u64::MAX);
        let counted = self.window.load(Ordering::Relaxed);
        let (relaxed, next) = (Ordering::Relaxed, counted + 1);
        if window > counted
            && self.window.compare_exchange(counted, window, relaxed, relaxed).is_ok()
        {
            let watchers = self.watchers.swap(0, relaxed);
            // After a quiet window nobody is busy, whatever was counted before it.
            self.busy.store(if window == next { watchers } else { 0 }, relaxed);
        }
        window
    }
}

fn wait(busy: u32) -> Duration {
    (PER_WATCHER * busy).clamp(SHORTEST, LONGEST)
}

#[cfg(test)]
mod tests {
    use super::{LONGEST, SHORTEST, Step, WINDOW, WatchPace};

    #[test]
    fn few_watchers_hear_soon_and_many_hear_more_at_a_time() {
        let pace = WatchPace::default();
        let began = pace.0.began;
        let mut steps: Vec<Step> = (0..100).map(|_| Step::default()).collect();
        let mut now = began;
        assert_eq!(pace.next(&mut steps[0], false, now) - now, SHORTEST);
        for step in &mut steps {
            // Twice in a window counts once.
            pace.next(step, false, now);
            pace.next(step, false, now);
        }
        now += WINDOW;
        assert_eq!((pace.next(&mut steps[0], false, now) - now).as_micros(), 10_000);
        now += WINDOW;
        assert_eq!(pace.next(&mut steps[0], false, now) - now, SHORTEST, "one was busy before");
    }

    #[test]
    fn the_watchers_of_one_stream_count_each() {
        let pace = WatchPace::default();
        let mut step = Step::default();
        let mut now = pace.0.began;
        for _ in 0..3 {
            now += WINDOW;
            pace.next(&mut step, false, now);
            (1..50).for_each(|_| {
                pace.next(&mut step, true, now);
            });
        }
        assert_eq!((pace.next(&mut step, true, now + WINDOW) - now - WINDOW).as_micros(), 5_000);
    }

    #[test]
    fn a_quiet_time_is_forgotten_and_the_wait_is_bounded() {
        let pace = WatchPace::default();
        let began = pace.0.began;
        (0..1000).for_each(|_| {
            pace.next(&mut Step::default(), false, began);
        });
        let mut one = Step::default();
        let soon = began + WINDOW;
        assert_eq!(pace.next(&mut one, false, soon) - soon, LONGEST);
        (0..1000).for_each(|_| {
            pace.next(&mut Step::default(), false, soon);
        });
        let later = began + 10 * WINDOW;
        assert_eq!(pace.next(&mut one, false, later) - later, SHORTEST);
    }
}
