//! The leader's deadlines. Which leases exist is replicated; when they end is known to the leader
//! alone, by its own clock, and drawn up anew by each new leader. Only the sequencer's thread
//! touches the book, so a renewal and an expiry can never pass each other.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::time::Duration;

use crate::clock::Tick;
use crate::effect::Effect;
use crate::types::LeaseId;

/// A silence of the clock longer than this means that the process was paused: every lease gets the
/// time back, since its holder could not renew it meanwhile.
const PAUSE: Duration = Duration::from_secs(1);

#[derive(Clone, Copy)]
struct Term {
    ends: Tick,
    ttl: Duration,
}

/// Deadlines of all leases, by the leader's clock.
#[derive(Default)]
pub struct LeaseBook {
    terms: HashMap<LeaseId, Term>,
    /// May hold outdated deadlines; the map decides.
    queue: BinaryHeap<Reverse<(Tick, LeaseId)>>,
    last_look: Tick,
    last_checkpoint: Tick,
}

impl LeaseBook {
    /// A new leader's book: each lease gets what is left of it and `extra` for the time in which
    /// nobody could renew it.
    pub fn draw_up(
        leases: impl Iterator<Item = (LeaseId, Duration, Duration)>,
        extra: Duration,
        now: Tick,
    ) -> Self {
        let mut book = Self { last_look: now, last_checkpoint: now, ..Self::default() };
        for (id, ttl, remaining) in leases {
            book.set(id, ttl, now.after(remaining.saturating_add(extra)));
        }
        book
    }

    /// Keeps the book in step with a decision of this leader.
    pub fn follow(&mut self, effect: &Effect, now: Tick) {
        match effect {
            Effect::LeaseGrant { id, ttl } => self.grant(*id, seconds(*ttl), now),
            Effect::LeaseRevoke { id } => self.forget(*id),
            _ => {}
        }
    }

    /// After decisions were undone: leases that do not exist after all are forgotten, and those
    /// that were not revoked after all get their full time again.
    pub fn reconcile(
        &mut self,
        leases: impl Iterator<Item = (LeaseId, Duration, Duration)>,
        now: Tick,
    ) {
        let mut before = std::mem::take(&mut self.terms);
        for (id, ttl, _) in leases {
            let term = before.remove(&id).unwrap_or(Term { ends: now.after(ttl), ttl });
            self.terms.insert(id, term);
        }
        self.rebuild_queue();
    }

    /// True once per `interval`.
    pub fn checkpoint_due(&mut self, now: Tick, interval: Duration) -> bool {
        let due = now.since(self.last_checkpoint) >= interval;
        if due {
            self.last_checkpoint = now;
        }
        due
    }

    pub fn grant(&mut self, id: LeaseId, ttl: Duration, now: Tick) {
        self.set(id, ttl, now.after(ttl));
    }

    /// Starts the lease's time again; `None` when the book has no such lease.
    pub fn renew(&mut self, id: LeaseId, now: Tick) -> Option<Duration> {
        let ttl = self.terms.get(&id)?.ttl;
        self.set(id, ttl, now.after(ttl));
        Some(ttl)
    }

    pub fn forget(&mut self, id: LeaseId) {
        self.terms.remove(&id);
    }

    /// Time until the lease ends, zero when it should have.
    pub fn remaining(&self, id: LeaseId, now: Tick) -> Option<Duration> {
        self.terms.get(&id).map(|term| term.ends.since(now))
    }

    pub fn contains(&self, id: LeaseId) -> bool {
        self.terms.contains_key(&id)
    }

    /// The leases that have ended by `now`, at most `max` of them, soonest first. They stay in the
    /// book until they are forgotten, but are named once; [`LeaseBook::retry`] names them again.
    pub fn expired(&mut self, now: Tick, max: usize) -> Vec<LeaseId> {
        self.give_back_pause(now);
        let mut ended = Vec::new();
        while let Some(Reverse((at, id))) = self.queue.peek().copied() {
            if at > now || ended.len() == max {
                break;
            }
            self.queue.pop();
            match self.terms.get(&id) {
                Some(term) if term.ends <= now => ended.push(id),
                // Renewed since: its newer deadline is in the queue.
                _ => {}
            }
        }
        ended.dedup();
        ended
    }

    /// Puts a lease back into the queue whose revocation did not go through.
    pub fn retry(&mut self, id: LeaseId) {
        if let Some(term) = self.terms.get(&id) {
            self.queue.push(Reverse((term.ends, id)));
        }
    }

    /// Leases longer than `interval`, with what is left of each: to be replicated.
    pub fn checkpoints(&self, interval: Duration, now: Tick) -> Vec<(LeaseId, Duration)> {
        let long = self.terms.iter().filter(|(_, term)| term.ttl > interval);
        long.map(|(id, term)| (*id, term.ends.since(now))).collect()
    }

    fn set(&mut self, id: LeaseId, ttl: Duration, ends: Tick) {
        self.terms.insert(id, Term { ends, ttl });
        self.queue.push(Reverse((ends, id)));
        if self.queue.len() > 2 * self.terms.len() + 1024 {
            self.rebuild_queue();
        }
    }

    /// A process that was stopped could hear no renewal; its leases get that time back.
    fn give_back_pause(&mut self, now: Tick) {
        let silence = now.since(self.last_look);
        self.last_look = now;
        if silence > PAUSE {
            tracing::warn!(?silence, "the clock made a leap: leases are extended by it");
            self.terms.values_mut().for_each(|term| term.ends = term.ends.after(silence));
            self.rebuild_queue();
        }
    }

    /// Renewals leave outdated deadlines behind; without this a kept-alive lease would grow it.
    fn rebuild_queue(&mut self) {
        self.queue = self.terms.iter().map(|(id, term)| Reverse((term.ends, *id))).collect();
    }
}

/// A TTL on the wire, as a time; a negative one is none at all.
pub fn seconds(ttl: i64) -> Duration {
    Duration::from_secs(u64::try_from(ttl).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::LeaseBook;
    use crate::clock::Tick;
    use crate::types::LeaseId;

    const S: fn(u64) -> Duration = Duration::from_secs;

    fn at(millis: u64) -> Tick {
        Tick::from_start(Duration::from_millis(millis))
    }

    /// Looks at the book often enough that no pause is seen.
    fn expired_by(book: &mut LeaseBook, from: u64, to: u64) -> Vec<LeaseId> {
        (from..=to).step_by(500).flat_map(|now| book.expired(at(now), 10)).collect()
    }

    #[test]
    fn a_lease_ends_once_and_a_renewed_one_later() {
        let mut book = LeaseBook::default();
        book.grant(LeaseId(1), S(2), at(0));
        book.grant(LeaseId(2), S(2), at(0));
        assert_eq!(expired_by(&mut book, 0, 1500), []);
        assert_eq!(book.renew(LeaseId(2), at(1500)), Some(S(2)));
        assert_eq!(expired_by(&mut book, 2000, 3000), [LeaseId(1)]);
        assert_eq!(expired_by(&mut book, 3500, 4000), [LeaseId(2)]);
        assert_eq!(book.renew(LeaseId(3), at(4000)), None);
    }

    #[test]
    fn a_revocation_that_failed_is_tried_again() {
        let mut book = LeaseBook::default();
        book.grant(LeaseId(1), S(1), at(0));
        assert_eq!(expired_by(&mut book, 500, 1000), [LeaseId(1)]);
        book.retry(LeaseId(1));
        assert_eq!(book.expired(at(1500), 10), [LeaseId(1)]);
        book.forget(LeaseId(1));
        book.retry(LeaseId(1));
        assert_eq!(book.expired(at(1600), 10), []);
    }

    #[test]
    fn a_paused_leader_gives_its_leases_the_pause_back() {
        let mut book = LeaseBook::default();
        book.grant(LeaseId(1), S(5), at(0));
        assert_eq!(book.expired(at(500), 10), []);
        assert_eq!(book.expired(at(60_500), 10), [], "the pause of a minute is given back");
        assert_eq!(expired_by(&mut book, 61_000, 64_500), []);
        assert_eq!(expired_by(&mut book, 65_000, 65_000), [LeaseId(1)]);
    }

    #[test]
    fn a_new_leader_grants_what_is_left_and_the_election() {
        let leases = [(LeaseId(1), S(100), S(3))];
        let mut book = LeaseBook::draw_up(leases.into_iter(), S(1), at(0));
        assert_eq!(book.remaining(LeaseId(1), at(0)), Some(S(4)));
        assert_eq!(expired_by(&mut book, 500, 3500), []);
        assert_eq!(expired_by(&mut book, 4000, 4000), [LeaseId(1)]);
    }

    #[test]
    fn renewing_for_ever_does_not_grow_the_queue() {
        let mut book = LeaseBook::default();
        book.grant(LeaseId(1), S(60), at(0));
        for n in 0..100_000 {
            book.renew(LeaseId(1), at(n));
        }
        assert!(book.queue.len() < 2048, "{}", book.queue.len());
    }
}
