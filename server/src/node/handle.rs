//! The handle that the API holds: asks the leader's sequencer, wherever it is, and reads what is
//! applied here.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use portunus_proto::etcdserverpb::{CompactionRequest, ResponseHeader};
use tokio::sync::watch;
use tokio::time::Instant;

use super::answer::{Bounce, Call, Executed};
use super::ask::{Ask, KeepAlive, Said, TimeToLive};
use super::error::{Error, Failure};
use super::metrics;
use super::sequencer::Submission;
use super::shared::Shared;
use super::timing::{Kind, Timing};
use super::{wire, wire_auth};
use crate::auth::Caller;
use crate::decide::{self, Reply, Request};
use crate::raft::{ForwardError, Leadership};
use crate::types::LeaseId;

/// How long to wait for news of a leader before asking the same one again.
pub(super) const LEADER_NEWS: Duration = Duration::from_millis(50);
/// What a leader that handed over may take for the answers that are still on their way.
const LAST_WORD: Duration = Duration::from_millis(500);

/// A cheap handle to a running member.
#[derive(Clone)]
pub struct Node {
    pub(super) shared: Arc<Shared>,
    /// On whose behalf it asks and reads.
    pub(super) caller: Caller,
}

impl Node {
    /// Decides a change on the leader and waits until the reply is safe to give and visible here.
    pub async fn write(&self, request: Request) -> Result<Reply, Error> {
        decide::check(&request, self.shared.options.max_txn_ops)?;
        let request = match request {
            Request::Txn(txn) if decide::txn::is_read_only(&txn) => {
                return Ok(Reply::Txn(self.read_txn(txn).await?));
            }
            Request::LeaseGrant(mut grant) if grant.id == 0 => {
                // Positive, as etcd draws them.
                grant.id = rand::random_range(1..=i64::MAX);
                Request::LeaseGrant(grant)
            }
            Request::Compact(compaction) => return self.compact(compaction).await,
            other => other,
        };
        self.decide(request).await
    }

    /// Compacts; a physical compaction waits until it is carried out on this member.
    async fn compact(&self, compaction: CompactionRequest) -> Result<Reply, Error> {
        let (revision, physical) = (compaction.revision, compaction.physical);
        let reply = self.decide(Request::Compact(compaction)).await?;
        if physical {
            let mut forgotten = self.shared.forgotten.subscribe();
            // It ends when the member does.
            let _ = forgotten.wait_for(|done| *done >= revision).await;
        }
        Ok(reply)
    }

    /// Returns once what is compacted on this member no longer counts as stored, so that the space
    /// is there for whoever clears the alarm about it next. Nobody is held up.
    pub async fn defragment(&self) -> Result<(), Failure> {
        let compacted = self.shared.applied.with(|version| version.state.compacted);
        let mut forgotten = self.shared.forgotten.subscribe();
        let _ = forgotten.wait_for(|done| *done >= compacted).await;
        let shared = self.shared.clone();
        let (clock, started) = (shared.clock.clone(), shared.clock.now());
        metrics::DEFRAGMENTS.inc();
        let settled = tokio::task::spawn_blocking(move || {
            let settled = shared.store.settle();
            metrics::DEFRAGMENTS.dec();
            settled
        });
        match settled.await {
            Ok(Ok(())) => {
                metrics::DEFRAGMENT_SECONDS.observe(clock.now().since(started).as_secs_f64());
                Ok(())
            }
            // The writer of the store ends with the member.
            Ok(Err(_)) | Err(_) => Err(Failure::Stopped),
        }
    }

    pub(super) async fn decide(&self, request: Request) -> Result<Reply, Error> {
        let pending = metrics::Pending::begin();
        let (kind, timing) = (Kind::of(&request), Timing::begin(&self.shared.clock));
        let said = self.ask(Ask::Decide(request)).await;
        drop(pending);
        if let Some(kind) = kind {
            timing.request(kind, said.is_ok());
        }
        if matches!(said, Err(Error::Failed(_))) {
            metrics::PROPOSALS_FAILED.inc();
        }
        match said? {
            Said::Reply(reply) => Ok(reply),
            other => unreachable_answer(&other),
        }
    }

    /// Starts a lease's time again. A lease that does not exist has TTL 0.
    pub async fn lease_keep_alive(&self, id: LeaseId) -> Result<KeepAlive, Error> {
        match self.ask(Ask::KeepAlive(id)).await? {
            Said::KeepAlive(kept) => {
                metrics::LEASES_RENEWED.inc_by(u64::from(kept.ttl > 0));
                Ok(kept)
            }
            other => unreachable_answer(&other),
        }
    }

    /// What is left of a lease. A lease that does not exist has TTL -1.
    pub async fn lease_time_to_live(&self, id: LeaseId, keys: bool) -> Result<TimeToLive, Error> {
        match self.ask(Ask::TimeToLive { id, keys }).await? {
            Said::TimeToLive(left) => Ok(left),
            other => unreachable_answer(&other),
        }
    }

    pub(super) async fn ask(&self, ask: Ask) -> Result<Said, Error> {
        let limit = self.shared.options.request_timeout();
        let mut deadline = Instant::now() + limit;
        let executed = if ask.may_wait() {
            // As long as its caller does.
            let executed = self.ask_leader(ask).await?;
            deadline = Instant::now() + limit;
            executed
        } else {
            match tokio::time::timeout_at(deadline, self.ask_leader(ask)).await {
                Ok(executed) => executed?,
                Err(_) => return Err(Failure::TimedOut.into()),
            }
        };
        let Executed { result, index } = executed;
        if index > self.shared.applied_index() {
            let applied = self.shared.applied.reached(index);
            if tokio::time::timeout_at(deadline, applied).await.is_err() {
                return Err(Failure::TimedOutApplying.into());
            }
        }
        Ok(result?)
    }

    /// Asks whoever leads. Asks again only on proof that nothing was executed.
    pub(super) async fn ask_leader(&self, mut ask: Ask) -> Result<Executed, Error> {
        if self.shared.reign().is_some() {
            match self.ask_here(ask).await {
                Err(Bounce::NotExecuted(back, Failure::NotLeader)) => ask = *back,
                other => return Ok(other?),
            }
        }
        let mut leadership = self.shared.group().leadership();
        let limit = self.shared.options.request_timeout();
        // Since when nobody could be asked.
        let mut alone = Instant::now();
        loop {
            let asked = Instant::now();
            let current = leadership.borrow_and_update().clone();
            let bounce = match current.leader {
                Some(leader) if leader == self.shared.identity.member.0 => self.ask_here(ask).await,
                Some(leader) => self.ask_there(leader, ask).await,
                None => Err(Bounce::NotExecuted(Box::new(ask), Failure::NoLeader)),
            };
            match bounce {
                Ok(executed) => return Ok(executed),
                Err(Bounce::NotExecuted(back, Failure::NoLeader | Failure::NotLeader)) => {
                    ask = *back
                }
                Err(other) => return Err(other.into()),
            }
            // A call that may wait has no deadline here, but it waits for a leader only that long.
            if asked.elapsed() > limit {
                alone = Instant::now();
            }
            if ask.may_wait() && alone.elapsed() > limit {
                return Err(Failure::TimedOut.into());
            }
            // Without news the same leader is asked again: perhaps it has begun to lead by now.
            let _ = tokio::time::timeout(LEADER_NEWS, leadership.changed()).await;
        }
    }

    /// Asks this member's own sequencer.
    pub(super) async fn ask_here(&self, ask: Ask) -> Result<Executed, Bounce> {
        let ask = match ask {
            // Rare, and large: it would make every other question's future as large.
            Ask::Member(change) => return Box::pin(self.change_members_here(change)).await,
            ask => ask,
        };
        let (call, answer) = Call::new(ask);
        self.submit(call.by(self.caller.clone()))?;
        answer.await.unwrap_or(Err(Bounce::Unknown(Failure::TimedOutLeaderFailed)))
    }

    /// Hands a call to this member's own sequencer.
    pub(super) fn submit(&self, call: Call) -> Result<(), Bounce> {
        use tokio::sync::mpsc::error::TrySendError;
        match self.shared.queue.try_send(Submission::Call(call)) {
            Ok(()) => Ok(()),
            Err(TrySendError::Full(submission)) => {
                Err(not_executed(submission, Failure::TooManyRequests))
            }
            Err(TrySendError::Closed(submission)) => {
                Err(not_executed(submission, Failure::Stopped))
            }
        }
    }

    /// Asks another member, which leads as far as this one knows.
    pub(super) async fn ask_there(&self, leader: u64, ask: Ask) -> Result<Executed, Bounce> {
        let question = wire_auth::encode(&self.caller, &ask);
        let forwarded = tokio::select! {
            biased;
            forwarded = self.shared.group().forward(leader, question) => forwarded,
            () = self.succeeded(leader) => {
                return Err(Bounce::Unknown(Failure::TimedOutLeaderFailed));
            }
        };
        match forwarded {
            Ok(answer) => match wire::decode_delivery(answer) {
                Ok(wire::Delivered::Executed(executed)) => Ok(executed),
                Ok(wire::Delivered::NotExecuted(failure)) => {
                    Err(Bounce::NotExecuted(Box::new(ask), failure))
                }
                Ok(wire::Delivered::Unknown(failure)) => Err(Bounce::Unknown(failure)),
                Err(error) => {
                    tracing::error!(%error, "the leader's answer cannot be read");
                    Err(Bounce::Unknown(Failure::TimedOutConnectionLost))
                }
            },
            Err(ForwardError::NotExecuted) => {
                Err(Bounce::NotExecuted(Box::new(ask), Failure::NoLeader))
            }
            Err(ForwardError::Unknown) => Err(Bounce::Unknown(Failure::TimedOutConnectionLost)),
        }
    }

    /// Resolves when another member has led for a while in place of `leader`: one that hands over
    /// answers before, one that was stopped or cut off may keep its connections for much longer.
    async fn succeeded(&self, leader: u64) {
        let mut leadership = self.leadership();
        // It ends when the member does, and then everything that waits does.
        let _ = leadership.wait_for(|now| now.leader.is_some_and(|now| now != leader)).await;
        tokio::time::sleep(LAST_WORD).await;
    }

    /// The header of an answer given now. Revision and term are those of the applied state.
    pub fn header(&self) -> ResponseHeader {
        ResponseHeader {
            cluster_id: self.shared.identity.cluster.0,
            member_id: self.shared.identity.member.0,
            revision: self.shared.applied.with(|version| version.state.revision),
            raft_term: self.shared.term.load(Ordering::Relaxed),
        }
    }

    /// Follows who leads.
    pub fn leadership(&self) -> watch::Receiver<Leadership> {
        self.shared.group().leadership()
    }

    pub fn max_request_bytes(&self) -> usize {
        self.shared.options.max_request_bytes
    }

    pub fn election_timeout(&self) -> Duration {
        self.shared.options.election_timeout
    }

    pub fn watch_hub(&self) -> &crate::watch::Hub {
        &self.shared.hub
    }
}

fn not_executed(submission: Submission, failure: Failure) -> Bounce {
    match submission {
        Submission::Call(call) => Bounce::NotExecuted(Box::new(call.ask), failure),
        _ => Bounce::Unknown(failure),
    }
}

/// The sequencer answers each kind of question in kind; anything else is a bug on the leader.
pub(super) fn unreachable_answer<T>(said: &Said) -> Result<T, Error> {
    tracing::error!(?said, "an answer of another kind than the question");
    Err(Failure::TimedOutConnectionLost.into())
}
