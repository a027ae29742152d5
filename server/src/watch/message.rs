//! What a watch stream is asked and answers, free of gRPC: the service maps these one to one to
//! `etcdserverpb` messages and adds cluster, member and term to the header.

use std::borrow::Cow;

use bytes::Bytes;

/// The id of an answer that is about no single watcher.
pub const NO_WATCHER: i64 = -1;

pub(super) const REASON_DUPLICATE: &str = "mvcc: duplicate watch ID provided on the WatchStream";
pub(super) const REASON_EMPTY_RANGE: &str = "mvcc: watcher range is empty";
pub(super) const REASON_COMPACTED: &str = "etcdserver: mvcc: required revision has been compacted";

/// A `WatchCreateRequest`, as it came: key and end are not rewritten yet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Create {
    pub key: Bytes,
    pub range_end: Bytes,
    /// 0 is "from now on".
    pub start_revision: i64,
    /// 0 lets the server choose.
    pub watch_id: i64,
    pub progress_notify: bool,
    pub prev_kv: bool,
    /// The filter `NOPUT`.
    pub no_put: bool,
    /// The filter `NODELETE`.
    pub no_delete: bool,
    pub fragment: bool,
}

/// A `WatchResponse`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Response {
    pub watch_id: i64,
    /// The header's revision: with events that of the last one; in a progress answer, one up to
    /// which everything was sent before; 0 when it is cancelled as compacted; else the applied
    /// one.
    pub revision: i64,
    pub created: bool,
    pub canceled: bool,
    /// Not 0 when the watch was cancelled because revisions it needs are compacted.
    pub compact_revision: i64,
    pub cancel_reason: Cow<'static, str>,
    /// More of the same revision follows.
    pub fragment: bool,
    /// Encoded `mvccpb.Event` messages.
    pub events: Vec<Bytes>,
}

impl Response {
    pub(super) fn created(watch_id: i64, revision: i64) -> Self {
        Self { watch_id, revision, created: true, ..Self::default() }
    }

    pub(super) fn refused(revision: i64, reason: Cow<'static, str>) -> Self {
        let refused = Self::created(NO_WATCHER, revision);
        Self { canceled: true, cancel_reason: reason, ..refused }
    }

    pub(super) fn canceled(watch_id: i64, revision: i64) -> Self {
        Self { watch_id, revision, canceled: true, ..Self::default() }
    }

    /// Its header has no revision, as in etcd.
    pub(super) fn compacted(watch_id: i64, compact_revision: i64) -> Self {
        Self { compact_revision, ..Self::canceled(watch_id, 0) }
    }

    pub(super) fn progress(watch_id: i64, revision: i64) -> Self {
        Self { watch_id, revision, ..Self::default() }
    }
}

/// Why a session gives no more answers. The stream ends with it; clients resume elsewhere.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Ended {
    #[error("the watch hub is closed: {0}")]
    Closed(Cow<'static, str>),
    #[error("watch history could not be read: {0}")]
    History(String),
}
