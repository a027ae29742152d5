//! etcd's hash of the key space: Castagnoli's CRC over the records of revisions, as etcd's file has
//! them. Two members that hold the same history have the same hash, and so has an etcd.
//!
//! What is hashed does not depend on how far each member has carried a compaction out: above the
//! compaction mark every record counts, at and below it only what is live at the hashed revision.

use std::sync::Arc;

use prometheus::Histogram;

use super::applied::Version;
use super::error::{Error, Failure};
use super::handle::Node;
use super::metrics;
use super::shared::Shared;
use crate::backup::hashed_record;
use crate::decide::Refusal;
use crate::mvcc::History;
use crate::storage::{Body, Record};
use crate::types::{KeyRange, Revision};

/// What a hash begins with, as in etcd.
const SEED: &[u8] = b"key";
/// A compaction may pass a hash on its way; it is then begun again, this often.
const ATTEMPTS: usize = 5;

/// What Maintenance.HashKV reports: equal on all members that hold the same data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HashKv {
    pub hash: u32,
    pub compact_revision: i64,
    /// The revision that was hashed.
    pub hash_revision: i64,
}

impl Node {
    /// A hash of all keys and revisions up to `revision`, 0 for all there are.
    pub async fn hash_kv(&self, revision: i64) -> Result<HashKv, Error> {
        self.timed_hash(revision, &metrics::HASH_REVISION_SECONDS).await
    }

    /// A hash of all there is, for Maintenance.Hash.
    pub async fn hash(&self) -> Result<HashKv, Error> {
        self.timed_hash(0, &metrics::HASH_SECONDS).await
    }

    async fn timed_hash(&self, revision: i64, seconds: &Histogram) -> Result<HashKv, Error> {
        let shared = self.shared.clone();
        let (clock, started) = (shared.clock.clone(), shared.clock.now());
        let hashed = tokio::task::spawn_blocking(move || shared.hash_kv(revision)).await;
        let hashed = hashed.map_err(|_| Failure::Unreadable)??;
        seconds.observe(clock.now().since(started).as_secs_f64());
        Ok(hashed)
    }
}

impl Shared {
    /// Reads the store: minutes for many gigabytes.
    fn hash_kv(&self, revision: i64) -> Result<HashKv, Error> {
        for _ in 0..ATTEMPTS {
            let version = self.applied.load();
            let (now, compacted) = (version.state.revision, version.state.compacted);
            let at = if revision == 0 { now } else { revision };
            if at > now {
                return Err(Refusal::FutureRevision.into());
            }
            // Before the first revision there was nothing, which is not compacted.
            if (1..compacted).contains(&at) {
                return Err(Refusal::Compacted.into());
            }
            let history = self.history.load_full();
            let hash = hash(self, &version, &history, at)?;
            // What compaction has passed meanwhile may have been missing; after an installed
            // snapshot it was another store.
            let same = Arc::ptr_eq(&history, &self.history.load_full());
            if same && history.floor() <= compacted.max(0) {
                return Ok(HashKv { hash, compact_revision: compacted, hash_revision: at });
            }
        }
        Err(Refusal::Compacted.into())
    }
}

fn hash(shared: &Shared, version: &Arc<Version>, history: &History, at: i64) -> Result<u32, Error> {
    let mut hash = crc32c::crc32c(SEED);
    if at <= 0 {
        return Ok(hash);
    }
    let kept = Kept::new(version, history, at);
    for record in shared.store.scan(Revision::default(), Revision::new(at + 1, 0)) {
        let (revision, record) = record.map_err(|error| {
            tracing::error!(%error, "the store cannot be read for its hash");
            Failure::Unreadable
        })?;
        if kept.counts(revision, &record) {
            hash = hashed_record(hash, revision, &record.body);
        }
    }
    Ok(hash)
}

/// Which records count.
struct Kept<'a> {
    version: &'a Version,
    history: &'a History,
    /// At and below the compaction mark a record counts that was live after this revision.
    live_after: i64,
}

impl<'a> Kept<'a> {
    fn new(version: &'a Version, history: &'a History, at: i64) -> Self {
        let compacted = version.state.compacted;
        // etcd hashes all that compaction left when nothing is live at the hashed revision.
        let any = is_anything_live(version, history, at);
        Self { version, history, live_after: if any { at } else { compacted } }
    }

    fn counts(&self, revision: Revision, record: &Record) -> bool {
        if revision.main > self.version.state.compacted {
            return true;
        }
        let Body::Put(item) = &record.body else { return false };
        let key = item.key();
        let live = self.version.state.get(key).is_some_and(|live| live.modified() == revision);
        live || {
            let end = self.history.superseded(key, revision);
            end.is_some_and(|end| end.main > self.live_after)
        }
    }
}

fn is_anything_live(version: &Version, history: &History, at: i64) -> bool {
    let (state, all) = (&version.state, KeyRange::all());
    state.items().range(&all).any(|item| item.mod_revision() <= at)
        || history.was_anything_live(at, state.revision)
}
