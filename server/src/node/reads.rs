//! Reads: of the applied state, after a read-index round unless the client asked for what this
//! member has. A reader holds one version of the state and keeps nobody waiting.

use futures::Stream;
use futures::stream;
use portunus_proto::etcdserverpb as pb;

use super::applied::Version;
use super::error::{Error, Failure};
use super::handle::Node;
use super::metrics;
use super::shared::Shared;
use super::timing::{Kind, Timing};
use crate::decide::{self, Past, PastView, Refusal, kv, txn};
use crate::machine::State;
use crate::types::LeaseId;

impl Node {
    /// Reads a range, linearizable unless the request says otherwise.
    pub async fn range(&self, request: pb::RangeRequest) -> Result<pb::RangeResponse, Error> {
        kv::check_range(&request)?;
        metrics::RANGES.inc();
        let timing = Timing::begin(&self.shared.clock);
        let answer = self.checked_range(request).await;
        timing.request(Kind::Range, answer.is_ok());
        answer
    }

    async fn checked_range(&self, request: pb::RangeRequest) -> Result<pb::RangeResponse, Error> {
        match request.serializable {
            true => self.check_range(&request.key, &request.range_end).await?,
            false => self.linearizable().await?,
        }
        let version = self.shared.applied.load();
        // On the very state that is read.
        decide::permit_range(&version.state, &self.caller, &request.key, &request.range_end)?;
        let timing = Timing::begin(&self.shared.clock);
        let answer = if request.revision > 0 && request.revision < version.state.revision {
            self.off_the_runtime(move |past| kv::range(&version.state, Some(past), &request)).await
        } else {
            self.shared.read(&version, |past| kv::range(&version.state, Some(past), &request))
        };
        timing.range(answer.is_ok());
        answer
    }

    /// Reads a range in pieces, all of one revision.
    pub async fn range_stream(
        &self,
        request: pb::RangeRequest,
    ) -> Result<impl Stream<Item = Result<pb::RangeStreamResponse, Error>> + Send + use<>, Error>
    {
        kv::check_range(&request)?;
        metrics::RANGES.inc();
        match request.serializable {
            true => self.check_range(&request.key, &request.range_end).await?,
            false => self.linearizable().await?,
        }
        let permit = |state: &State| {
            decide::permit_range(state, &self.caller, &request.key, &request.range_end)
        };
        let target = self.shared.options.max_request_bytes;
        let range = self.shared.applied.with(|version| {
            permit(&version.state)?;
            kv::RangeStream::new(&version.state, &request, target)
        })?;
        let pieces = stream::unfold((self.clone(), Some(range)), |(node, range)| async move {
            let mut range = range?;
            let version = node.shared.applied.load();
            let piece = node
                .off_the_runtime(move |past| {
                    range.next(&version.state, Some(past)).map(|piece| (piece, range))
                })
                .await;
            match piece {
                Ok((Some(piece), range)) => {
                    let piece = pb::RangeStreamResponse { range_response: Some(piece) };
                    Some((Ok(piece), (node, Some(range))))
                }
                Ok((None, _)) => None,
                Err(error) => Some((Err(error), (node, None))),
            }
        });
        Ok(pieces)
    }

    /// Runs a transaction that cannot write.
    pub(super) async fn read_txn(&self, request: pb::TxnRequest) -> Result<pb::TxnResponse, Error> {
        txn::check(&request, self.shared.options.max_txn_ops)?;
        metrics::RANGES.inc_by(request.success.len().max(request.failure.len()) as u64);
        let timing = Timing::begin(&self.shared.clock);
        let answer = self.checked_read_txn(request).await;
        timing.request(Kind::ReadonlyTxn, answer.is_ok());
        answer
    }

    async fn checked_read_txn(&self, request: pb::TxnRequest) -> Result<pb::TxnResponse, Error> {
        match txn::is_serializable(&request) {
            true => self.check_txn(&request).await?,
            false => self.linearizable().await?,
        }
        let version = self.shared.applied.load();
        decide::permit_txn(&version.state, &self.caller, &request)?;
        self.shared.read(&version, |past| txn::read_only(&version.state, &request, Some(past)))
    }

    /// Returns once everything is applied here that was committed when the call began.
    pub async fn linearizable(&self) -> Result<(), Error> {
        if self.shared.is_alone() {
            return Ok(());
        }
        let deadline = self.shared.options.request_timeout();
        let read = async {
            let index = self.read_index().await?;
            self.shared.applied.reached(index).await;
            Ok(())
        };
        match tokio::time::timeout(deadline, read).await {
            Ok(result) => result,
            Err(_) => {
                metrics::READ_INDEXES_SLOW.inc();
                Err(Failure::TimedOut.into())
            }
        }
    }

    /// A round that fails is never used; a new one begins when there is news, until the caller's
    /// deadline.
    async fn read_index(&self) -> Result<u64, Error> {
        let mut leadership = self.leadership();
        loop {
            leadership.borrow_and_update();
            match self.shared.confirm.read_index().await {
                Ok(index) => return Ok(index),
                Err(Failure::Stopped) => return Err(Failure::Stopped.into()),
                Err(_) => {
                    let wait =
                        tokio::time::timeout(super::handle::LEADER_NEWS, leadership.changed());
                    let _ = wait.await;
                }
            }
        }
    }

    /// All leases, as the cluster knows them now.
    pub async fn leases(&self) -> Result<Vec<LeaseId>, Error> {
        self.linearizable().await?;
        let version = self.shared.applied.load();
        let ids: Vec<LeaseId> = version.state.lease_terms().map(|(id, _, _)| id).collect();
        let auth = version.state.auth();
        if !auth.rights(&self.caller).map_err(Refusal::from)?.hold_everything() {
            // As in etcd: all are listed to who may see what is under each, or none.
            for id in &ids {
                decide::permit_lease_keys(&version.state, &self.caller, *id)?;
            }
        }
        Ok(ids)
    }

    /// Runs a read that may touch the disk where it holds nobody up.
    async fn off_the_runtime<T: Send + 'static>(
        &self,
        read: impl FnOnce(&dyn Past) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, Error> {
        let shared = self.shared.clone();
        let version = shared.applied.load();
        let read = tokio::task::spawn_blocking(move || shared.read(&version, |past| read(past)));
        read.await.unwrap_or(Err(Failure::Unreadable.into()))
    }
}

impl Shared {
    /// True when nobody else can have committed anything: this member is the only voter and leads.
    pub(super) fn is_alone(&self) -> bool {
        self.sole_voter.is_it() && self.reign().is_some()
    }

    /// Lends the past to a read of `version`.
    pub(super) fn read<T>(
        &self,
        version: &Version,
        read: impl FnOnce(&dyn Past) -> Result<T, Refusal>,
    ) -> Result<T, Error> {
        let history = self.history.load();
        let past = PastView { applied: &version.state, history: &history, records: &self.records };
        match read(&past) {
            Err(Refusal::Unreadable(why)) => {
                tracing::error!(why, "an older revision cannot be read");
                Err(Failure::Unreadable.into())
            }
            other => Ok(other?),
        }
    }
}
