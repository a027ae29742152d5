//! The sequencer: one thread, at work only while this member leads. It decides what arrives on the
//! newest head, gathers the decisions into one entry, proposes it, and goes on without waiting.
//!
//! What keeps that sound is in [`super::reign`]: nothing is decided before a blank entry of this
//! reign is applied, and at the first entry that was rejected or void everything stops, is
//! resolved, and begins anew on the applied state.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use tokio::sync::{mpsc, oneshot, watch};

use super::answer::{Call, Decided};
use super::ask::{Ask, Said};
use super::batch::Batch;
use super::desk::Head;
use super::error::Failure;
use super::lease_book::LeaseBook;
use super::parked::{Lot, Pending};
use super::patience::Patience;
use super::plugin::{Bindings, Handled, Verdicts};
use super::queue::Lines;
use super::reign::Reign;
use super::reserve::Reservation;
use super::route::{Route, route};
use super::shared::Shared;
use super::verdicts::said;
use crate::auth::AuthRefusal;
use crate::clock::{Clock, Tick};
use crate::decide::{self, Advance, Draft, Refusal, Request};
use crate::effect::{BindingId, ChainId};
use crate::limits::{ENTRIES_IN_FLIGHT_MAX, ENTRY_DECISIONS_MAX};
use crate::machine::State;
use crate::raft::{Leadership, ProposeError, Proposed};
use crate::view::Recent;

/// How often leases are looked at: a lease is revoked at most this much late.
const LEASE_TICK: Duration = Duration::from_millis(250);

/// What reaches the sequencer's queue.
#[allow(clippy::large_enum_variant, reason = "nearly all are calls, and a box for each costs more")]
pub enum Submission {
    Call(Call),
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
    /// What the lane has found.
    verdicts: mpsc::UnboundedReceiver<Verdicts>,
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
    /// The bindings of the head, and which version of them.
    pub(super) bindings: Arc<Bindings>,
    pub(super) bindings_revision: Option<u64>,
    /// Counts what goes to the lane.
    pub(super) order: u64,
    /// Bindings whose batches were taken.
    pub(super) acknowledged: Vec<BindingId>,
    /// Decisions that wait for something to change.
    pub(super) parked: Lot,
    /// Those of them that wait for the same thing.
    pub(super) lines: Lines,
    /// Keys kept free for a job that was overtaken again and again.
    pub(super) reservation: Option<Reservation>,
    /// Those that would write there.
    pub(super) standing_back: Vec<Pending>,
    /// They may go on.
    pub(super) released: Vec<Pending>,
    /// Calls that wait for an entry which they can join.
    pub(super) patience: Patience,
    /// Set while somebody else (a leader transfer) holds proposing back.
    held: Option<oneshot::Receiver<()>>,
}

impl Sequencer {
    pub fn new(shared: Arc<Shared>, queue: mpsc::Receiver<Submission>) -> Self {
        let leadership = shared.group().leadership();
        let head = shared.applied.with(|version| version.state.clone());
        let verdicts = shared.lane.verdicts();
        Self {
            shared,
            queue,
            verdicts,
            leadership,
            reign: Reign::Follower,
            head,
            recent: Recent::default(),
            book: LeaseBook::default(),
            outstanding: FuturesUnordered::new(),
            again: Vec::new(),
            later: Vec::new(),
            bindings: Arc::default(),
            bindings_revision: None,
            order: 0,
            acknowledged: Vec::new(),
            parked: Lot::default(),
            lines: Lines::default(),
            reservation: None,
            standing_back: Vec::new(),
            released: Vec::new(),
            patience: Patience::default(),
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
            self.hear();
            let (open, listens) = (self.is_open(), self.listens());
            let patience_ends = self.patience_ends();
            tokio::select! {
                biased;
                changed = self.leadership.changed() => match changed {
                    Ok(()) => self.on_leadership(),
                    Err(_) => break,
                },
                Some(resolved) = self.outstanding.next(), if listens => self.on_resolved(resolved),
                _ = released(&mut self.held) => self.held = None,
                _ = leases.tick() => self.on_lease_tick(),
                () = due(&self.shared.clock, self.parked.next_due()), if open => self.on_due(),
                () = due(&self.shared.clock, patience_ends), if open => self.lose_patience(),
                Some(verdicts) = self.verdicts.recv(), if open => {
                    self.gather(&mut arrived);
                    self.take(Some(verdicts), &mut arrived);
                }
                count = self.queue.recv_many(&mut arrived, ENTRY_DECISIONS_MAX), if open => {
                    if count == 0 {
                        break;
                    }
                    self.take(None, &mut arrived);
                }
            }
        }
        self.turn_away(Failure::Stopped);
    }

    /// What else has arrived goes into the same entry.
    pub(super) fn gather(&mut self, arrived: &mut Vec<Submission>) {
        while arrived.len() < ENTRY_DECISIONS_MAX
            && let Ok(submission) = self.queue.try_recv()
        {
            arrived.push(submission);
        }
    }

    /// True when the queue may be read. A member that does not lead only hands calls back, so what
    /// it proposed in an earlier reign must not hold them up: the bound belongs to leading.
    pub(super) fn is_open(&self) -> bool {
        let room = self.outstanding.len() < ENTRIES_IN_FLIGHT_MAX;
        let room = room || self.reign.leading().is_none();
        self.held.is_none() && room && !self.reign.is_waiting()
    }

    /// Decides everything that has arrived, in order. What the lane has found comes first: what it
    /// foresaw holds as long as nothing else is decided before.
    pub(super) fn take(&mut self, first: Option<Verdicts>, arrived: &mut Vec<Submission>) {
        let mut batch = Batch::default();
        if let Some(verdicts) = first {
            self.take_verdicts(verdicts, &mut batch);
        }
        while let Ok(verdicts) = self.verdicts.try_recv() {
            self.take_verdicts(verdicts, &mut batch);
        }
        for submission in arrived.drain(..) {
            match submission {
                Submission::Call(call) => {
                    if let Some(call) = self.postpone(call) {
                        self.decide(call, &mut batch);
                    }
                }
                Submission::Freeze { frozen, held } => self.freeze(frozen, held),
            }
            if batch.is_full() {
                self.propose(std::mem::take(&mut batch));
            }
        }
        self.join_in(&mut batch);
        // Who was woken by one of these decisions is decided in the same entry: the next holder of
        // a lock costs no sync of its own.
        self.release_into(&mut batch);
        self.propose(batch);
        // Other bindings, or what could not be proposed, may have woken more.
        self.decide_released();
        self.hand_on();
    }

    /// Some parked decision's time has come.
    fn on_due(&mut self) {
        self.parked.wake_due(self.shared.clock.now());
        self.decide_released();
    }

    pub(super) fn decide_again(&mut self, calls: Vec<Call>) {
        let mut batch = Batch::default();
        self.decide_into(calls, &mut batch);
        self.propose(batch);
    }

    pub(super) fn decide_into(&mut self, calls: Vec<Call>, batch: &mut Batch) {
        for call in calls {
            self.decide(call, batch);
            if batch.is_full() {
                self.propose(std::mem::take(batch));
            }
        }
    }

    pub(super) fn decide(&mut self, mut call: Call, batch: &mut Batch) {
        if call.is_abandoned() {
            return self.leave_line(&call);
        }
        if self.reign.leading().is_none() {
            return call.bounce(Failure::NotLeader);
        }
        self.look_at_bindings();
        if let Err(refusal) = self.permits(&call) {
            return self.refuse(call, refusal, batch);
        }
        self.name_caller(&mut call);
        if self.must_stand_back(&call) {
            return self.standing_back.push(Pending::Call(call));
        }
        match &call.ask {
            Ask::Decide(request) => {
                let is_own = matches!(request, Request::Lock(_) | Request::Queue(_));
                let Some(call) = self.stand_in_line(call) else { return };
                let Ask::Decide(request) = &call.ask else { return };
                let bindings = Arc::clone(&self.bindings);
                match route(&self.head, &bindings, request) {
                    Route::Here if is_own => self.decide_or_park(call, batch),
                    Route::Here => self.evaluate(call, &[], Bytes::new(), batch),
                    Route::Lane(named) => self.hand_to_lane(&named.id, call),
                    Route::Refused(refusal) => self.refuse(call, refusal, batch),
                }
            }
            Ask::Handle(events) => {
                let bindings = Arc::clone(&self.bindings);
                match bindings.trigger(&events.binding) {
                    Some(named) => self.hand_to_lane(&named.id, call),
                    None => call.answer(Ok(Said::Handled(Handled::Stale)), 0),
                }
            }
            // Answered before it comes here.
            Ask::Member(_) => call.bounce(Failure::NotLeader),
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

    /// Says in what keeps it who asks. That is for the head to tell, not for the member that hands
    /// the question on.
    fn name_caller(&self, call: &mut Call) {
        if let Ask::Decide(Request::Lock(ask)) = &mut call.ask {
            let user = self.head.auth().user_of(&call.who);
            ask.user = user.unwrap_or_default().to_owned();
        }
    }

    /// Whether the caller may ask this of the head, before any plugin hears of it.
    fn permits(&self, call: &Call) -> Result<(), Refusal> {
        let auth = self.head.auth();
        if auth.enabled && auth.is_over(&call.who, self.shared.clock.unix_ms()) {
            return Err(AuthRefusal::InvalidToken.into());
        }
        match &call.ask {
            Ask::Decide(request) => decide::permit(&self.head, &call.who, request),
            // Asked by the server itself, or for root by the member that was asked.
            Ask::Handle(_) | Ask::Member(_) => Ok(()),
            Ask::KeepAlive(id) => decide::permit_renew(&self.head, &call.who, *id),
            Ask::TimeToLive { id, keys: true } => {
                decide::permit_lease_keys(&self.head, &call.who, *id)
            }
            Ask::TimeToLive { .. } => Ok(auth.rights(&call.who).map(drop)?),
        }
    }

    /// Decides on the head. `added` are the writes that plugins make in the same transaction, and
    /// `payload` a recipe's reply.
    pub(super) fn evaluate(
        &mut self,
        call: Call,
        added: &[decide::Write],
        payload: Bytes,
        batch: &mut Batch,
    ) {
        let advance;
        let request = match &call.ask {
            Ask::Decide(request) => request,
            Ask::Handle(events) => {
                let (binding, from, to) = (events.binding.clone(), events.from, events.to);
                advance = Request::Advance(Advance { binding, from, to });
                &advance
            }
            Ask::Member(_) | Ask::KeepAlive(_) | Ask::TimeToLive { .. } => {
                return call.bounce(Failure::NotLeader);
            }
        };
        let mut draft = Draft::default();
        let cx = self.shared.decision_limits();
        let result = decide::permit(&self.head, &call.who, request)
            .and_then(|()| decide::decide(&mut self.head, request, added, &cx, &mut draft));
        if let Err(Refusal::NotApplied(_)) = result {
            return self.later.push(call);
        }
        if let Err(Refusal::Wait { .. } | Refusal::Untidy { .. }) = result {
            // Its time was over when it was judged and is not now, or the reverse.
            return self.decide(call, batch);
        }
        self.leave_line(&call);
        let full = result == Err(Refusal::NoSpace);
        self.note(&draft);
        let confirm = draft.effects.is_empty();
        let result = said(&call.ask, result, payload);
        let mut call = call;
        let next = call.follow_up(&result);
        batch.add(&mut draft, Decided { call, result, confirm });
        if full {
            self.raise_no_space(batch);
        }
        if let Some(next) = next {
            self.decide(next, batch);
        }
    }

    /// Keeps what the sequencer itself must know of new effects.
    pub(super) fn note(&mut self, draft: &Draft) {
        let now = self.shared.clock.now();
        for change in &draft.changes {
            self.recent.push(change);
            self.parked.on_change(change);
        }
        for effect in &draft.effects {
            self.book.follow(effect, now);
            self.parked.on_effect(effect);
        }
    }

    pub(super) fn raise_no_space(&mut self, batch: &mut Batch) {
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
        self.publish_head();
        let id = prepared.id;
        self.shared.pipeline.push(prepared);
        let proposal = self.shared.group().propose(bytes, reign.term);
        self.outstanding.push(Box::pin(async move { (id, proposal.await) }));
    }

    /// Puts the head before the lane; nothing while there are no bindings.
    pub(super) fn publish_head(&mut self) {
        let Some(reign) = self.reign.leading() else { return };
        self.look_at_bindings();
        if self.head.has_bindings() || self.shared.lane.desk.is_open() {
            let (state, bindings) = (self.head.clone(), Arc::clone(&self.bindings));
            self.shared.lane.desk.publish(Some(Arc::new(Head { state, reign, bindings })));
        }
    }

    /// Follows the head's bindings. A recipe that waits under another version of itself runs
    /// again.
    fn look_at_bindings(&mut self) {
        let revision = Some(self.head.bindings_revision);
        if self.bindings_revision == revision {
            return;
        }
        self.bindings_revision = revision;
        let new = Arc::new(Bindings::of(&self.head));
        let old = std::mem::replace(&mut self.bindings, Arc::clone(&new));
        self.parked.wake_where(|pending| match &pending.call().ask {
            Ask::Decide(Request::Call(call)) => {
                let of = |bindings: &Bindings| {
                    bindings.recipe(&call.plugin).map(|named| named.binding.clone())
                };
                of(&old) != of(&new)
            }
            _ => true,
        });
        self.shared.lane.desk.retain(&new);
    }

    fn freeze(&mut self, frozen: oneshot::Sender<()>, held: oneshot::Receiver<()>) {
        self.held = Some(held);
        self.reign.when_drained(frozen);
        self.settle();
    }
}

/// Ends when it is time; never when nothing is due.
async fn due(clock: &Clock, at: Option<Tick>) {
    match at {
        Some(at) => tokio::time::sleep(at.since(clock.now())).await,
        None => std::future::pending().await,
    }
}

/// Ends when the holder lets go; never when nobody holds.
async fn released(held: &mut Option<oneshot::Receiver<()>>) {
    match held {
        Some(held) => drop(held.await),
        None => std::future::pending().await,
    }
}
