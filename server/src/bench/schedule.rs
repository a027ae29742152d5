//! When operations begin. Without a rate each client begins its next one when it has an answer.
//! With a rate an operation is due at a fixed time, whoever is free then: a server that stalls
//! is charged for everything that came due meanwhile (no coordinated omission).

use std::num::NonZeroU64;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};

use tokio::sync::Semaphore;

use crate::bench::time::{Duration, Instant, now};

/// How late the kernel may wake the pacer; its default of 50 µs would show in every latency.
const TIMER_SLACK_NANOS: u64 = 1_000;

/// Decides for the clients of one thread.
#[derive(Debug)]
pub struct Schedule {
    start: Instant,
    end: End,
    begun: AtomicU64,
    pace: Option<Pace>,
    stopped: AtomicBool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    After(u64),
    At(Instant),
}

/// Operations become due at `start + n * interval`; a permit stands for each that is.
#[derive(Debug)]
struct Pace {
    interval_nanos: f64,
    due: Semaphore,
}

impl Schedule {
    /// Clients begin when they are free.
    pub fn closed(start: Instant, end: End) -> Self {
        Self { start, end, begun: AtomicU64::new(0), pace: None, stopped: AtomicBool::new(false) }
    }

    /// `total` operations become due at `per_second`.
    pub fn paced(start: Instant, total: u64, per_second: f64) -> Self {
        let pace = Pace { interval_nanos: 1e9 / per_second, due: Semaphore::new(0) };
        Self { pace: Some(pace), ..Self::closed(start, End::After(total)) }
    }

    /// The moment the caller's next operation counts from; `None` when there is none left.
    pub async fn next(&self) -> Option<Instant> {
        if let Some(pace) = &self.pace {
            pace.due.acquire().await.expect("the semaphore is never closed").forget();
        }
        if self.stopped.load(Ordering::Relaxed) {
            return None;
        }
        match (self.end, &self.pace) {
            (End::After(total), pace) => {
                let number = self.begun.fetch_add(1, Ordering::Relaxed);
                let begins = |pace: &Pace| self.start + pace.after(number);
                (number < total).then(|| pace.as_ref().map_or_else(now, begins))
            }
            (End::At(end), _) => {
                let now = now();
                (now < end).then(|| self.begun.fetch_add(1, Ordering::Relaxed)).map(|_| now)
            }
        }
    }

    /// Operations handed out, and those that came due and found no free client.
    pub fn begun(&self) -> u64 {
        match self.end {
            End::After(total) => self.begun.load(Ordering::Relaxed).min(total),
            End::At(_) => self.begun.load(Ordering::Relaxed),
        }
    }

    /// Operations of a paced schedule that found no client in time.
    pub fn missed(&self) -> u64 {
        match (self.end, &self.pace) {
            (End::After(total), Some(_)) => total - self.begun(),
            _ => 0,
        }
    }

    /// When a run that keeps up is over; `None` when only the server's speed decides.
    pub fn planned_end(&self) -> Option<Instant> {
        match (self.end, &self.pace) {
            (End::After(total), Some(pace)) => Some(self.start + pace.after(total)),
            (End::After(_), None) => None,
            (End::At(end), _) => Some(end),
        }
    }

    /// Hands out nothing more.
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }

    /// Starts the thread that lets operations become due, where there is a rate. It ends after
    /// the last, or soon after [`Schedule::stop`]. `clients` are woken at the end to see it.
    pub fn start_pacer(self: &Arc<Self>, clients: usize) -> Option<JoinHandle<()>> {
        self.pace.as_ref()?;
        let schedule = Arc::clone(self);
        Some(thread::spawn(move || schedule.pace(clients)))
    }

    fn pace(&self, clients: usize) {
        let (Some(pace), End::After(total)) = (&self.pace, self.end) else { return };
        // Without it the pacer only is a little less even.
        let _ = rustix::thread::set_current_timer_slack(NonZeroU64::new(TIMER_SLACK_NANOS));
        let mut released = 0;
        while released < total && !self.stopped.load(Ordering::Relaxed) {
            let due = pace.due_by(now().saturating_duration_since(self.start)).min(total);
            pace.due.add_permits(usize::try_from(due - released).unwrap_or(usize::MAX >> 4));
            released = due;
            let next = self.start + pace.after(released);
            thread::sleep(next.saturating_duration_since(now()));
        }
        pace.due.add_permits(clients);
    }
}

impl Pace {
    /// When operation `number` is due, from the start.
    fn after(&self, number: u64) -> Duration {
        Duration::from_nanos((number as f64 * self.interval_nanos) as u64)
    }

    /// How many operations are due `elapsed` after the start; the first is at once.
    fn due_by(&self, elapsed: Duration) -> u64 {
        (elapsed.as_nanos() as f64 / self.interval_nanos) as u64 + 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_closed_schedule_ends_after_its_operations() {
        let schedule = Schedule::closed(now(), End::After(3));
        for _ in 0..3 {
            assert!(schedule.next().await.is_some());
        }
        assert_eq!(schedule.next().await, None);
        assert_eq!((schedule.begun(), schedule.missed()), (3, 0));
    }

    #[tokio::test]
    async fn a_closed_schedule_ends_at_its_time() {
        assert_eq!(Schedule::closed(now(), End::At(now())).next().await, None);
        let later = now() + Duration::from_secs(3600);
        let schedule = Schedule::closed(now(), End::At(later));
        assert!(schedule.next().await.is_some());
        schedule.stop();
        assert_eq!(schedule.next().await, None);
    }

    #[tokio::test]
    async fn a_paced_schedule_counts_from_when_an_operation_was_due() {
        let start = now();
        let schedule = Arc::new(Schedule::paced(start, 100, 1_000.0));
        let pacer = schedule.start_pacer(1).expect("a paced schedule has a pacer");
        for number in 0..100_u32 {
            let due = schedule.next().await.expect("100 operations");
            assert_eq!(due, start + Duration::from_millis(1) * number);
            assert!(now() >= due, "begun before it was due");
        }
        assert_eq!(schedule.next().await, None);
        pacer.join().expect("the pacer ends");
        assert_eq!(schedule.planned_end(), Some(start + Duration::from_millis(100)));
    }

    #[test]
    fn what_came_due_and_was_not_begun_is_missed() {
        let schedule = Schedule::paced(now(), 10, 1e6);
        assert_eq!((schedule.begun(), schedule.missed()), (0, 10));
    }
}
