//! Reads: of the applied state, after a read-index round unless the client asked for what this
//! member has. A reader holds one version of the state and keeps nobody waiting.

use std::sync::Arc;

use futures::Stream;
use futures::stream;
use portunus_proto::etcdserverpb as pb;

use super::applied::Version;
use super::error::{Error, Failure};
use super::handle::Node;
use super::metrics;
use super::shared::Shared;
use crate::decide::{self, Past, PastView, Refusal, kv, txn};
use crate::machine::State;
use crate::mvcc;
use crate::types::{KeyRange, LeaseId};

/// What Maintenance.HashKV reports: equal on all members that hold the same data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HashKv {
    pub hash: u32,
    pub compact_revision: i64,
    /// The revision that was hashed.
    pub hash_revision: i64,
}

impl Node {
    /// Reads a range, linearizable unless the request says otherwise.
    pub async fn range(&self, request: pb::RangeRequest) -> Result<pb::RangeResponse, Error> {
        kv::check_range(&request)?;
        metrics::RANGES.inc();
        match request.serializable {
            true => self.check_range(&request.key, &request.range_end).await?,
            false => self.linearizable().await?,
        }
        let version = self.shared.applied.load();
        // On the very state that is read.
        decide::permit_range(&version.state, &self.caller, &request.key, &request.range_end)?;
        if request.revision > 0 && request.revision < version.state.revision {
            return self
                .off_the_runtime(move |past| kv::range(&version.state, Some(past), &request))
                .await;
        }
        self.shared.read(&version, |past| kv::range(&version.state, Some(past), &request))
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
        let range = self
            .shared
            .applied
            .with(|version| {
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
        version.state.auth().rights(&self.caller).map_err(Refusal::from)?;
        Ok(version.state.lease_terms().map(|(id, _, _)| id).collect())
    }

    /// A hash of all keys and revisions up to `revision`, 0 for all there are.
    pub async fn hash_kv(&self, revision: i64) -> Result<HashKv, Error> {
        let version = self.shared.applied.load();
        let (now, compacted) = (version.state.revision, version.state.compacted);
        let at = if revision == 0 { now } else { revision };
        if at > now {
            return Err(Refusal::FutureRevision.into());
        }
        // Before the first revision there was nothing, which is not compacted.
        if (1..compacted).contains(&at) {
            return Err(Refusal::Compacted.into());
        }
        let shared = self.shared.clone();
        let started = shared.clock.now();
        let clock = shared.clock.clone();
        let hashed = tokio::task::spawn_blocking(move || hash(&shared, &version, at)).await;
        let hash = hashed.map_err(|_| Failure::Unreadable)??;
        metrics::HASH_SECONDS.observe(clock.now().since(started).as_secs_f64());
        Ok(HashKv { hash, compact_revision: compacted, hash_revision: at })
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

/// What a hash begins with, as in etcd.
const HASH_SEED: &[u8] = b"key";

/// Castagnoli's CRC over the items visible at `at`, in order of key, with their places.
fn hash(shared: &Shared, version: &Arc<Version>, at: i64) -> Result<u32, Error> {
    if at < 0 {
        return Ok(crc32c::crc32c(HASH_SEED));
    }
    let history = shared.history.load();
    let (items, now) = (version.state.items(), version.state.revision);
    let seen =
        mvcc::read_at(items, now, &history, &shared.records, &KeyRange::all(), at, usize::MAX);
    let seen = seen.map_err(|error| match error {
        mvcc::ReadError::Compacted(_) => Error::from(Refusal::Compacted),
        mvcc::ReadError::Record(error) => {
            tracing::error!(%error, "an older revision cannot be read");
            Failure::Unreadable.into()
        }
    })?;
    Ok(seen.items.iter().fold(crc32c::crc32c(HASH_SEED), |hash, item| {
        let hash = crc32c::crc32c_append(hash, &item.modified().to_bytes());
        crc32c::crc32c_append(hash, item.encoded())
    }))
}
