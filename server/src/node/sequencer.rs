//! The sequencer: one thread, at work only while this member leads. It decides what arrives on the
//! newest head, gathers the decisions into one entry, proposes it, and goes on without waiting.
//!
//! What keeps that sound is in [`super::reign`]: nothing is decided before a blank entry of this
//! reign is applied, and at the first entry that was rejected or void everything stops, is
//! resolved, and begins anew on the applied state.

use std::time::Duration;

use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use tokio::sync::{mpsc, oneshot, watch};

use super::answer::{Call, Decided};
use super::ask::{Ask, Said};
use super::batch::Batch;
use super::error::Failure;
use super::lease_book::LeaseBook;
use super::reign::Reign;
use super::reserve::Reservation;
use super::shared::Shared;
use crate::decide::{self, Draft, Refusal, Request};
use crate::effect::ChainId;
use crate::limits::{ENTRIES_IN_FLIGHT_MAX, ENTRY_DECISIONS_MAX};
use crate::machine::State;
use crate::raft::{Leadership, ProposeError, Proposed};
use crate::view::Recent;
use std::sync::Arc;

/// How often leases are looked at: a lease is revoked at most this much late.
const LEASE_TICK: Duration = Duration::from_millis(250);

/// What reaches the sequencer's queue.
pub enum Submission {
    Call(Call),
    /// A call whose plugins have spoken.
    Judged(Box<super::lane::Judged>),
    /// Stop proposing and let everything outstanding come home; `held` ends the freeze.
    Freeze {
        frozen: oneshot::Sender<()>,
        held: oneshot::Receiver<()>,
    },
}

/// The end of one proposal.
pub(super) type Resolved = (ChainId, Result<Proposed, ProposeError>);

/// The sequencer's own state; lives on its thread.
pub struct Sequencer {
    pub(super) shared: Arc<Shared>,
    queue: mpsc::Receiver<Submission>,
    pub(super) leadership: watch::Receiver<Leadership>,
    pub(super) reign: Reign,
    pub(super) head: State,
    pub(super) recent: Recent,
    pub(super) book: LeaseBook,
    pub(super) outstanding: FuturesUnordered<BoxFuture<'static, Resolved>>,
    /// Decided in this reign and provably not executed; first in line at the next epoch.
    pub(super) again: Vec<Call>,
    /// Read a revision that is sequenced and not applied: decided again when more is.
    pub(super) later: Vec<Call>,
    /// Keys kept free for a request whose plugins were overtaken again and again.
    pub(super) reservation: Option<Reservation>,
    /// Requests that would write there.
    pub(super) standing_back: Vec<Call>,
    /// They may go on.
    pub(super) released: Vec<Call>,
    /// Set while somebody else (a leader transfer) holds proposing back.
    held: Option<oneshot::Receiver<()>>,
}

impl Sequencer {
    pub fn new(shared: Arc<Shared>, queue: mpsc::Receiver<Submission>) -> Self {
        let leadership = shared.group().leadership();
        let head = shared.applied.with(|version| version.state.clone());
        Self {
            shared,
            queue,
            leadership,
            reign: Reign::Follower,
            head,
            recent: Recent::default(),
            book: LeaseBook::default(),
            outstanding: FuturesUnordered::new(),
            again: Vec::new(),
            later: Vec::new(),
            reservation: None,
            standing_back: Vec::new(),
            released: Vec::new(),
            held: None,
        }
    }

    /// Runs until the queue is closed.
    pub async fn run(mut self) {
        let mut arrived = Vec::with_capacity(ENTRY_DECISIONS_MAX);
        let mut leases = tokio::time::interval(LEASE_TICK);
        leases.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        self.on_leadership();
        loop {
            let open = self.is_open();
            tokio::select! {
                biased;
                changed = self.leadership.changed() => match changed {
                    Ok(()) => self.on_leadership(),
                    Err(_) => break,
                },
                Some(resolved) = self.outstanding.next() => self.on_resolved(resolved),
                _ = released(&mut self.held) => self.held = None,
                _ = leases.tick() => self.on_lease_tick(),
                count = self.queue.recv_many(&mut arrived, ENTRY_DECISIONS_MAX), if open => {
                    if count == 0 {
                        break;
                    }
                    self.take(&mut arrived);
                }
            }
        }
        self.turn_away(Failure::Stopped);
    }

    /// True when the queue may be read. A member that does not lead only hands calls back, so what
    /// it proposed in an earlier reign must not hold them up: the bound belongs to leading.
    fn is_open(&self) -> bool {
        let room = self.outstanding.len() < ENTRIES_IN_FLIGHT_MAX;
        let room = room || self.reign.leading().is_none();
        self.held.is_none() && room && !self.reign.is_waiting()
    }

    /// Decides everything that has arrived, in order.
    pub(super) fn take(&mut self, arrived: &mut Vec<Submission>) {
        let mut batch = Batch::default();
        for submission in arrived.drain(..) {
            match submission {
                Submission::Call(call) => self.decide(call, &mut batch),
                Submission::Judged(judged) => self.decide_judged(*judged, &mut batch),
                Submission::Freeze { frozen, held } => self.freeze(frozen, held),
            }
            if batch.is_full() {
                self.propose(std::mem::take(&mut batch));
            }
        }
        self.propose(batch);
        self.decide_released();
    }

    pub(super) fn decide_again(&mut self, calls: Vec<Call>) {
        let mut batch = Batch::default();
        for call in calls {
            self.decide(call, &mut batch);
            if batch.is_full() {
                self.propose(std::mem::take(&mut batch));
            }
        }
        self.propose(batch);
    }

    fn decide(&mut self, call: Call, batch: &mut Batch) {
        if call.is_abandoned() {
            return;
        }
        let Some(reign) = self.reign.leading() else {
            return call.bounce(Failure::NotLeader);
        };
        if self.must_stand_back(&call) {
            return self.standing_back.push(call);
        }
        match &call.ask {
            Ask::Decide(request) => match self.shared.lane.binding_for(&self.head, request) {
                Some(binding) => {
                    self.shared.lane.judge(call, (self.head.clone(), reign), binding, 0);
                }
                None => self.evaluate(call, &[], batch),
            },
            Ask::KeepAlive(id) => {
                let id = *id;
                self.keep_alive(call, id, batch);
            }
            Ask::TimeToLive { id, keys } => {
                let said = self.time_to_live(*id, *keys);
                let result = Ok(Said::TimeToLive(said));
                batch.add(&mut Draft::default(), Decided { call, result, confirm: true });
            }
        }
    }

    /// Decides on the head. `added` are the writes that policies add to the same transaction.
    pub(super) fn evaluate(&mut self, call: Call, added: &[decide::Write], batch: &mut Batch) {
        let Ask::Decide(request) = &call.ask else {
            return call.bounce(Failure::NotLeader);
        };
        let mut draft = Draft::default();
        let cx = self.shared.decision_limits();
        let result = decide::decide(&mut self.head, request, added, &cx, &mut draft);
        if let Err(Refusal::NotApplied(_)) = result {
            return self.later.push(call);
        }
        let full = result == Err(Refusal::NoSpace);
        self.note(&draft);
        let confirm = draft.effects.is_empty();
        let result = result.map(Said::Reply);
        batch.add(&mut draft, Decided { call, result, confirm });
        if full {
            self.raise_no_space(batch);
        }
    }

    /// Keeps what the sequencer itself must know of new effects.
    fn note(&mut self, draft: &Draft) {
        let now = self.shared.clock.now();
        for change in &draft.changes {
            self.recent.push(change);
        }
        for effect in &draft.effects {
            self.book.follow(effect, now);
        }
    }

    fn raise_no_space(&mut self, batch: &mut Batch) {
        let member = self.shared.identity.member;
        if let Some(request) = Request::raise_no_space(&self.head, member) {
            self.evaluate_own(request, batch);
        }
    }

    /// Sends the batch on its way.
    pub(super) fn propose(&mut self, batch: Batch) {
        let Some(reign) = self.reign.leading() else {
            return batch
                .into_decided()
                .into_iter()
                .for_each(|d| d.call.bounce(Failure::NotLeader));
        };
        if batch.is_empty() {
            return;
        }
        if !batch.has_effects() {
            let decided = batch.into_decided();
            if let Err(decided) = self.shared.pipeline.attach(self.head.chain, decided) {
                self.shared.confirm.submit(decided, self.shared.applied_index(), reign);
            }
            return;
        }
        let (bytes, prepared) = batch.seal(&mut self.head, reign.term, reign.epoch);
        let id = prepared.id;
        self.shared.pipeline.push(prepared);
        let proposal = self.shared.group().propose(bytes, reign.term);
        self.outstanding.push(Box::pin(async move { (id, proposal.await) }));
    }

    fn freeze(&mut self, frozen: oneshot::Sender<()>, held: oneshot::Receiver<()>) {
        self.held = Some(held);
        self.reign.when_drained(frozen);
        self.settle();
    }
}

/// Ends when the holder lets go; never when nobody holds.
async fn released(held: &mut Option<oneshot::Receiver<()>>) {
    match held {
        Some(held) => drop(held.await),
        None => std::future::pending().await,
    }
}
