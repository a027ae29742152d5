//! The life of a leadership: begin after a blank entry of this very reign is applied; at the first
//! rejected or void entry stop, resolve what is outstanding, fall back to the applied state, and
//! go on in a new epoch; end when another leads.

use std::time::Duration;

use tokio::sync::oneshot;

use super::answer::Call;
use super::error::Failure;
use super::lease_book::LeaseBook;
use super::parked::Pending;
use super::pipeline::Prepared;
use super::sequencer::{Resolved, Sequencer};
use crate::effect::ChainId;
use crate::raft::{ProposeError, Proposed};
use crate::view::Recent;

/// A new leader is refused until its first quorum answers; asking again sooner gains nothing.
const BLANK_RETRY: Duration = Duration::from_millis(5);

/// What this member is to the sequencer.
#[derive(Default)]
pub enum Reign {
    #[default]
    Follower,
    /// Elected, but what the log holds of earlier terms may not be applied yet.
    Starting {
        term: u64,
    },
    Leading(Leading),
    /// An entry was lost: nothing is proposed until every other one is resolved.
    Resolving(Leading),
    /// As leading, and somebody waits for the last outstanding entry.
    Draining(Leading, oneshot::Sender<()>),
}

/// A stretch of leadership without a lost entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leading {
    pub term: u64,
    pub epoch: u64,
}

impl Reign {
    pub fn leading(&self) -> Option<Leading> {
        match self {
            Self::Leading(leading) | Self::Draining(leading, _) => Some(*leading),
            _ => None,
        }
    }

    /// Questions wait in the queue meanwhile.
    pub fn is_waiting(&self) -> bool {
        matches!(self, Self::Starting { .. } | Self::Resolving(_) | Self::Draining(..))
    }

    pub fn when_drained(&mut self, tell: oneshot::Sender<()>) {
        match std::mem::take(self) {
            Self::Leading(leading) | Self::Draining(leading, _) => {
                *self = Self::Draining(leading, tell);
            }
            // Not leading: there is nothing to drain, and dropping the sender says so.
            other => *self = other,
        }
    }

    fn term(&self) -> Option<u64> {
        match self {
            Self::Follower => None,
            Self::Starting { term } => Some(*term),
            Self::Leading(l) | Self::Resolving(l) | Self::Draining(l, _) => Some(l.term),
        }
    }
}

/// Stands for the blank entry among the outstanding ones; no chain has an epoch 0.
fn blank(term: u64) -> ChainId {
    ChainId { term, ..ChainId::default() }
}

impl Sequencer {
    /// Follows raft's word on who leads.
    pub(super) fn on_leadership(&mut self) {
        let leadership = self.leadership.borrow_and_update().clone();
        let mine = leadership.is_leader.then_some(leadership.term);
        if mine == self.reign.term() {
            return;
        }
        if self.reign.term().is_some() {
            tracing::info!(term = leadership.term, "no longer leading");
        }
        self.shared.set_reign(None);
        match mine {
            Some(term) => {
                self.reign = Reign::Starting { term };
                self.propose_blank(term, Duration::ZERO);
            }
            // What is outstanding stays so: it may yet be applied under the new leader.
            None => self.reign = Reign::Follower,
        }
        self.turn_away(Failure::NotLeader);
    }

    /// Hands back everything that waits to be decided here.
    pub(super) fn turn_away(&mut self, why: Failure) {
        let desk = &self.shared.lane.desk;
        desk.publish(None);
        let pending = self.standing_back.drain(..).chain(self.released.drain(..));
        let waiting = self.again.drain(..).chain(self.later.drain(..));
        let waiting = waiting.chain(self.patience.drain());
        let waiting = waiting.chain(pending.map(Pending::into_call));
        let waiting = waiting.chain(desk.drain().into_iter().map(|job| job.call));
        waiting.for_each(|call| call.bounce(why));
        self.reservation = None;
        // Who was told to wait here must hear that here is somewhere else now.
        let parked = if why == Failure::NotLeader { Failure::LeaderChanged } else { why };
        self.lines.drain().into_iter().for_each(|call| call.bounce(parked));
        self.parked.end(parked);
    }

    fn propose_blank(&mut self, term: u64, wait: Duration) {
        let shared = self.shared.clone();
        self.outstanding.push(Box::pin(async move {
            tokio::time::sleep(wait).await;
            (blank(term), shared.group().propose_blank(term).await)
        }));
    }

    pub(super) fn on_resolved(&mut self, (id, result): Resolved) {
        if id == blank(id.term) {
            return self.on_blank(id.term, result);
        }
        match result {
            // The applier has answered the callers.
            Ok(Proposed::Applied) => {
                let later = std::mem::take(&mut self.later);
                self.decide_again(later);
                self.decide_released();
            }
            Ok(Proposed::Void) | Err(ProposeError::Rejected) => self.take_back(id),
            Err(ProposeError::Unknown) => self.give_up(id),
        }
        self.settle();
    }

    fn on_blank(&mut self, term: u64, result: Result<Proposed, ProposeError>) {
        let Reign::Starting { term: current } = self.reign else { return };
        if current != term {
            return;
        }
        match result {
            Ok(_) => self.start(Leading { term, epoch: 1 }),
            Err(_) => self.propose_blank(term, BLANK_RETRY),
        }
    }

    /// Everything that earlier leaders left in the log is applied: lead.
    fn start(&mut self, leading: Leading) {
        // Whatever this member proposed in an earlier reign has been applied or overwritten by now.
        self.outstanding.clear();
        for prepared in self.shared.pipeline.drain() {
            lose(prepared);
        }
        self.head = self.shared.applied.with(|version| version.state.clone());
        self.recent = Recent::default();
        let extra = self.shared.options.election_timeout;
        let leases = self.head.lease_terms();
        self.book = LeaseBook::draw_up(leases, extra, self.shared.clock.now());
        tracing::info!(term = leading.term, revision = self.head.revision, "leading");
        self.lead(leading);
        self.begin_anew();
    }

    /// What rests on the head that was, now that it is the applied state.
    fn begin_anew(&mut self) {
        self.bindings_revision = None;
        self.reservation = None;
        self.released.append(&mut self.standing_back);
        self.parked.wake_where(|_| true);
        self.publish_head();
        self.shared.lane.desk.compiled();
        // What was taken back comes first: who waits may wait for what that does.
        let calls = std::mem::take(&mut self.again);
        self.decide_again(calls);
        self.decide_released();
    }

    fn lead(&mut self, leading: Leading) {
        self.reign = Reign::Leading(leading);
        self.shared.set_reign(Some(leading));
    }

    /// An entry that had no effect: its calls are decided again, and nothing built on it stands.
    fn take_back(&mut self, id: ChainId) {
        if let Some(prepared) = self.shared.pipeline.take(id) {
            tracing::warn!(entry = %id, "an entry was not executed: its decisions are taken again");
            self.again.extend(prepared.decided.into_iter().map(|decided| decided.call));
        }
        self.stop();
    }

    fn give_up(&mut self, id: ChainId) {
        if let Some(prepared) = self.shared.pipeline.take(id) {
            lose(prepared);
        }
        self.stop();
    }

    fn stop(&mut self) {
        if let Some(leading) = self.reign.leading() {
            self.shared.set_reign(None);
            self.shared.lane.desk.publish(None);
            self.reign = Reign::Resolving(leading);
        }
    }

    /// Goes on once nothing is outstanding any more.
    pub(super) fn settle(&mut self) {
        if !self.outstanding.is_empty() {
            return;
        }
        self.patience.came_home(self.shared.clock.now());
        match std::mem::take(&mut self.reign) {
            Reign::Resolving(Leading { term, epoch }) => self.new_epoch(term, epoch + 1),
            Reign::Draining(leading, tell) => {
                let _ = tell.send(());
                self.reign = Reign::Leading(leading);
            }
            other => self.reign = other,
        }
        if self.reign.term().is_none() {
            self.turn_away(Failure::NotLeader);
        }
    }

    fn new_epoch(&mut self, term: u64, epoch: u64) {
        for prepared in self.shared.pipeline.drain() {
            lose(prepared);
        }
        self.head = self.shared.applied.with(|version| version.state.clone());
        self.recent = Recent::default();
        self.book.reconcile(self.head.lease_terms(), self.shared.clock.now());
        self.lead(Leading { term, epoch });
        self.begin_anew();
    }
}

fn lose(prepared: Prepared) {
    let calls = prepared.decided.into_iter().map(|decided| decided.call);
    calls.for_each(|call: Call| call.lose(Failure::TimedOutLeaderFailed));
}
