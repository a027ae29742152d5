//! Applies committed entries: blind, in memory, in order. On the leader the sequencer has computed
//! each entry's outcome already and the applier only adopts it; everywhere else it is computed
//! from the effects. At the end of a batch the outcome becomes visible, all at once and in this
//! order: history, store, applied state, watchers, answers.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use super::answer::Decided;
use super::applied::Version;
use super::metrics;
use super::past;
use super::reign::Leading;
use super::shared::Shared;
use super::snapshot;
use crate::effect::{self, ChainId, Effect};
use crate::machine::{self, Applied, Change, State, What};
use crate::raft::{
    self, LogId, Outcome, Payload, SnapshotSource, Staged, Stager, StoredMembership,
};
use crate::storage;
use bytes::Bytes;

/// Answers worth giving at once.
const FEW_ANSWERS: usize = 2;
/// A batch that takes longer is told in the metrics (`--warning-apply-duration`), as etcd.
const SLOW_APPLY: Duration = Duration::from_millis(100);
/// Bytes behind which the store counts as congested: half of what it takes before it blocks.
const CONGESTED_BYTES: usize = 32 * 1024 * 1024;

/// The machine's hand: lives on raft's thread and is the only writer of the applied state.
pub struct Applier {
    pub(super) shared: Arc<Shared>,
    pub(super) state: State,
    pub(super) last: Option<LogId>,
    pub(super) membership: StoredMembership,
    /// What the entries since the last flush brought.
    staged: Changes,
}

#[derive(Default)]
struct Changes {
    changes: Vec<Change>,
    rows: machine::Rows,
    answers: Vec<(Vec<Decided>, u64, Leading)>,
    any: bool,
}

impl raft::Applier for Applier {
    fn applied(&self) -> (Option<LogId>, StoredMembership) {
        (self.last, self.membership.clone())
    }

    fn apply(&mut self, log_id: LogId, payload: Payload) -> Outcome {
        self.apply_entry(log_id, payload)
    }

    fn flush(&mut self) {
        self.flush_staged();
    }

    fn is_congested(&self) -> bool {
        self.shared.store.pending_bytes() > CONGESTED_BYTES
    }

    /// Waits for the store to have everything applied: its contents and the position that raft
    /// names must be those of one moment.
    fn snapshot(&mut self) -> Box<dyn SnapshotSource> {
        self.flush_staged();
        let started = self.shared.clock.now();
        let source = snapshot::Source::new(&self.shared.store);
        let took = self.shared.clock.now().since(started);
        metrics::SNAPSHOT_SECONDS.observe(took.as_secs_f64());
        match source {
            Ok(source) => Box::new(source),
            Err(error) => crate::fatal!(%error, "the store gives no snapshot"),
        }
    }

    fn stager(&self) -> Box<dyn Stager> {
        Box::new(snapshot::StoreStager(self.shared.store.clone()))
    }

    fn install(
        &mut self,
        last: Option<LogId>,
        membership: StoredMembership,
        staged: Staged,
    ) -> io::Result<()> {
        metrics::SNAPSHOTS_APPLYING.set(1);
        let snapshot::Complete { installed, state, history } = staged.take();
        stop_if_too_new(state.feature_level);
        let index = last.map_or(0, |last| last.index);
        self.shared.replace_store(installed, index)?;
        self.staged = Changes::default();
        self.last = last;
        self.note_membership(membership);
        self.state = state.clone();
        let (revision, compacted) = (state.revision, state.compacted);
        self.shared.history.store(Arc::new(history));
        self.shared.applied.publish(Version { state, index });
        // Watchers go on from the snapshot's history, or hear that it does not reach back.
        self.shared.hub.reset(revision, compacted);
        metrics::SNAPSHOTS_APPLYING.set(0);
        tracing::info!(index, revision, "applied snapshot");
        Ok(())
    }
}

impl Applier {
    pub fn new(shared: Arc<Shared>, last: Option<LogId>, membership: StoredMembership) -> Self {
        let state = shared.applied.with(|version| version.state.clone());
        let mut applier = Self {
            shared,
            state,
            last,
            membership: StoredMembership::default(),
            staged: Changes::default(),
        };
        applier.note_membership(membership);
        applier
    }

    fn apply_entry(&mut self, log_id: LogId, payload: Payload) -> Outcome {
        self.last = Some(log_id);
        self.staged.any = true;
        match payload {
            Payload::Blank => Outcome::Applied,
            Payload::Membership(membership) => {
                self.note_membership(membership);
                Outcome::Applied
            }
            Payload::Effects(bytes) => self.apply_effects(log_id, &bytes),
        }
    }

    fn apply_effects(&mut self, log_id: LogId, bytes: &Bytes) -> Outcome {
        let prepared = effect::peek_id(bytes)
            .and_then(|id| self.shared.pipeline.take_following(id, self.state.chain));
        let Some(prepared) = prepared else {
            return self.apply_unprepared(log_id, bytes);
        };
        let ChainId { term, epoch, .. } = prepared.id;
        self.state = prepared.state;
        self.staged.changes.extend(prepared.changes);
        self.staged.rows.extend(prepared.rows);
        self.staged.answers.push((prepared.decided, log_id.index, Leading { term, epoch }));
        Outcome::Applied
    }

    fn apply_unprepared(&mut self, log_id: LogId, bytes: &Bytes) -> Outcome {
        let entry = match effect::decode(bytes) {
            Ok(entry) => entry,
            Err(error) => {
                crate::fatal!(index = log_id.index, %error, "cannot read a committed entry")
            }
        };
        let levels = entry.effects.iter().filter_map(|effect| match effect {
            Effect::FeatureLevel(level) => Some(*level),
            _ => None,
        });
        stop_if_too_new(levels.max().unwrap_or(0));
        match machine::apply(&mut self.state, &entry) {
            Ok(Applied::Done { changes, rows }) => {
                self.staged.changes.extend(changes);
                self.staged.rows.extend(rows);
                Outcome::Applied
            }
            Ok(Applied::Void) => {
                tracing::warn!(index = log_id.index, entry = %entry.id, "an entry is void");
                Outcome::Void
            }
            Err(error) => crate::fatal!(
                index = log_id.index, %error,
                "this member's state differs from the leader's: remove the member and add it anew"
            ),
        }
    }

    /// Makes everything applied since the last flush visible.
    fn flush_staged(&mut self) {
        let staged = std::mem::take(&mut self.staged);
        let (true, Some(last)) = (staged.any, self.last) else { return };
        let shared = &self.shared;
        let started = shared.clock.now();
        count(&staged.changes);
        shared.history.load().extend(&staged.changes);
        shared.write_behind(self.store_batch(last, &staged));
        let version = Version { state: self.state.clone(), index: last.index };
        let old = shared.applied.publish(version);
        count_leases(&staged.rows, &old.state, &self.state);
        shared.hub.publish(past::committed(staged.changes));
        let mut answers = staged.answers;
        if let Some((ChainId { term, epoch, .. }, late)) = shared.pipeline.published() {
            answers.push((late, last.index, Leading { term, epoch }));
        }
        self.answer(answers);
        // Freeing what only the old version held takes time that raft's thread has not.
        shared.reaper.take(old);
        let took = self.shared.clock.now().since(started);
        metrics::APPLY_SECONDS.observe(took.as_secs_f64());
        if took > SLOW_APPLY {
            metrics::SLOW_APPLIES.inc();
        }
    }

    /// Many answers are given from a thread that serves clients: waking a task from there costs a
    /// fraction of what it costs from raft's.
    fn answer(&self, answers: Vec<(Vec<Decided>, u64, Leading)>) {
        let count: usize = answers.iter().map(|(decided, ..)| decided.len()).sum();
        let shared = self.shared.clone();
        let give = move || {
            for (decided, index, reign) in answers {
                answer(&shared, decided, index, reign);
            }
        };
        match count {
            0 => {}
            1..=FEW_ANSWERS => give(),
            _ => drop(self.shared.runtime.spawn(async move { give() })),
        }
    }

    fn store_batch(&self, last: LogId, staged: &Changes) -> storage::Batch {
        let mut rows = staged.rows.clone();
        rows.extend(machine::position_rows(&self.state));
        rows.push(super::position::row(&last, &self.membership));
        let records = staged.changes.iter().map(past::record).collect();
        storage::Batch { index: last.index, records, rows, forget: Vec::new() }
    }

    fn note_membership(&mut self, membership: StoredMembership) {
        let me = self.shared.identity.member.0;
        let sole = membership.is_sole_voter(me);
        if let (true, Some(log_id)) = (sole, &membership.log_id) {
            self.shared.sole_voter.applied(log_id.index);
        }
        // One that has just joined also sees the members of before.
        let belonged = self.membership.peers.contains_key(&me);
        if belonged && !membership.peers.contains_key(&me) {
            self.shared.removed.send_replace(true);
        }
        self.shared.members.store(Arc::new(membership.clone()));
        self.membership = membership;
    }
}

/// From here on the log may hold effects that this program does not know.
fn stop_if_too_new(level: u32) {
    if let Err(error) = machine::check_level(level) {
        crate::fatal!(%error, "this member cannot follow the cluster");
    }
}

/// Counts a batch with one addition for each figure.
fn count(changes: &[Change]) {
    let (mut puts, mut bytes, mut txns, mut single) = (0, 0, 0, true);
    let mut last = 0;
    for change in changes {
        if let What::Put(item) = &change.what {
            puts += 1;
            bytes += item.size_bytes();
        }
        // The second change of a revision makes it a transaction.
        txns += u64::from(change.at.main == last && single);
        single = change.at.main != last;
        last = change.at.main;
    }
    metrics::PUTS.inc_by(puts);
    metrics::DELETES.inc_by(changes.len() as u64 - puts);
    metrics::TXNS.inc_by(txns);
    metrics::PUT_BYTES.add(bytes as i64);
}

/// Leases that the batch brought or ended, by what was there before it and is after it.
fn count_leases(rows: &machine::Rows, before: &State, after: &State) {
    for id in rows.iter().filter_map(|(key, _)| machine::lease_of_row(key)) {
        match (before.lease(id), after.lease(id)) {
            (None, Some(lease)) => {
                metrics::LEASES_GRANTED.inc();
                metrics::LEASE_TTL_SECONDS.observe(lease.ttl as f64);
            }
            (Some(_), None) => metrics::LEASES_REVOKED.inc(),
            _ => {}
        }
    }
}

/// What changed something is proved by being applied; the rest needs a round that begins now.
fn answer(shared: &Shared, decided: Vec<Decided>, index: u64, reign: Leading) {
    let mut unproved = Vec::new();
    for decided in decided {
        match decided.confirm {
            true => unproved.push(decided),
            false => decided.call.answer(decided.result, index),
        }
    }
    shared.confirm.submit(unproved, index, reign);
}
