//! The sequencer's part in leases: renewals in order with everything else, expiry by the leader's
//! clock, and what is left of long leases, replicated now and then.

use bytes::Bytes;

use super::answer::{Call, Decided};
use super::ask::{Ask, KeepAlive, Said, TimeToLive};
use super::batch::Batch;
use super::metrics;
use super::parked::Pending;
use super::sequencer::Sequencer;
use crate::decide::{Draft, Request};
use crate::effect::Effect;
use crate::limits::LEASE_REVOKES_PER_SECOND;
use crate::types::LeaseId;

/// Ticks per second times this many leases is etcd's rate of revocation.
const REVOKES_PER_TICK: usize = LEASE_REVOKES_PER_SECOND / 4;

/// Parked decisions looked at per tick for callers that have gone: all of them within some
/// seconds, and never many at once.
const SWEPT_PER_TICK: usize = 64;
const SWEEP_TICKS: usize = 16;

impl Sequencer {
    /// A renewal is confirmed by a read-index round instead of an entry, unless a remaining time
    /// was replicated: then the reset must be in the log before the holder hears of it, or a new
    /// leader could end the lease early.
    pub(super) fn keep_alive(&mut self, call: Call, id: LeaseId, batch: &mut Batch) {
        let revision = self.head.revision;
        let Some(lease) = self.head.lease(id) else {
            // Perhaps revoked in the head only: the answer waits until that is applied.
            let result = Ok(Said::KeepAlive(KeepAlive { ttl: 0, revision }));
            return batch.add(&mut Draft::default(), Decided { call, result, confirm: true });
        };
        let (ttl, shortened) = (lease.ttl, lease.remaining != 0);
        let now = self.shared.clock.now();
        self.book.renew(id, now);
        let mut draft = Draft::default();
        if shortened {
            draft.emit(&mut self.head, Effect::LeaseCheckpoint { id, remaining: 0 });
        }
        let confirm = draft.effects.is_empty();
        let result = Ok(Said::KeepAlive(KeepAlive { ttl, revision }));
        batch.add(&mut draft, Decided { call, result, confirm });
    }

    pub(super) fn time_to_live(&self, id: LeaseId, keys: bool) -> TimeToLive {
        let Some(lease) = self.head.lease(id) else {
            return TimeToLive { ttl: -1, ..TimeToLive::default() };
        };
        let left = self.book.remaining(id, self.shared.clock.now()).unwrap_or_default();
        TimeToLive {
            ttl: left.as_secs() as i64,
            granted_ttl: lease.ttl,
            keys: if keys { self.head.lease_keys(id) } else { Vec::new() },
        }
    }

    pub(super) fn on_lease_tick(&mut self) {
        if self.reign.leading().is_none() || self.reign.is_waiting() {
            metrics::WAITING_DECISIONS.set(0);
            return;
        }
        metrics::WAITING_DECISIONS.set((self.parked.len() + self.lines.len()) as i64);
        self.look_after_reservation();
        let ahead = self.lines.sweep().into_iter().map(Pending::Call);
        self.released.extend(ahead);
        self.parked.sweep(SWEPT_PER_TICK.max(self.parked.len() / SWEEP_TICKS));
        self.decide_released();
        let now = self.shared.clock.now();
        let mut batch = Batch::default();
        for id in self.book.expired(now, REVOKES_PER_TICK) {
            self.evaluate_own(Request::lease_revoke(id), &mut batch);
            // Refused (the cluster is corrupt, say): it is due again at the next look.
            match self.book.contains(id) {
                true => self.book.retry(id),
                false => metrics::LEASES_EXPIRED.inc(),
            }
        }
        let interval = self.shared.options.lease_checkpoint_interval;
        if self.book.checkpoint_due(now, interval) {
            for (id, left) in self.book.checkpoints(interval, now) {
                let remaining = left.as_secs().max(1) as i64;
                self.evaluate_own(Request::LeaseCheckpoint { id, remaining }, &mut batch);
            }
        }
        self.raise_feature_level(&mut batch);
        self.propose(batch);
        // Who waited for a lease's end.
        self.decide_released();
    }

    /// A decision that the server itself asks for; nobody waits for its answer.
    pub(super) fn evaluate_own(&mut self, request: Request, batch: &mut Batch) {
        let (call, _nobody) = Call::new(Ask::Decide(request));
        self.evaluate(call, &[], Bytes::new(), batch);
    }
}
