//! What a feed tells its group, and what a client's mailbox is told.

use std::sync::Arc;

use bytes::Bytes;
use portunus_proto::etcdserverpb::ResponseHeader;
use tonic::Status;

/// Names a client's watch within the proxy.
pub type Seat = u64;

/// Events of whole revisions, in order.
#[derive(Debug)]
pub struct Batch {
    pub header: ResponseHeader,
    /// Each with its revision.
    pub events: Vec<(i64, Bytes)>,
    pub bytes: usize,
}

impl Batch {
    pub fn new(header: ResponseHeader, events: Vec<(i64, Bytes)>) -> Self {
        let bytes = events.iter().map(|(_, event)| event.len()).sum();
        Self { header, events, bytes }
    }
}

/// A watch that a member ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Refusal {
    pub header: ResponseHeader,
    pub compact_revision: i64,
    pub reason: String,
    /// Before it had begun.
    pub at_once: bool,
}

/// What a feed brings. Revisions in it are told once, however often the feed is taken up again.
#[derive(Debug)]
pub enum News {
    /// A member has begun it, or taken it up again; everything before `next` is behind it.
    Begun {
        header: ResponseHeader,
        next: i64,
        attempt: u64,
    },
    /// `next` is the first revision of which nothing has been told.
    Events {
        batch: Arc<Batch>,
        next: i64,
    },
    /// An answer to the question how far it is.
    Mark {
        header: ResponseHeader,
        next: i64,
    },
    /// The member says so by itself.
    Progress {
        header: ResponseHeader,
        next: i64,
    },
    Refused(Refusal),
    /// It cannot go on; the streams of its watches end with this.
    Failed(Status),
}

/// What is put into a mailbox.
#[derive(Clone, Debug)]
pub enum Letter {
    Created {
        seat: Seat,
        header: ResponseHeader,
    },
    /// Only what is of revision `from` and later.
    Events {
        seat: Seat,
        batch: Arc<Batch>,
        from: i64,
    },
    Progress {
        seat: Seat,
        header: ResponseHeader,
    },
    /// The answer to a client's question how far its watches are.
    Reached {
        seat: Seat,
        header: ResponseHeader,
    },
    Refused {
        seat: Seat,
        refusal: Refusal,
    },
    /// The client was too slow: nothing comes any more, until it asks again from `from` on.
    Lagging {
        seat: Seat,
        from: i64,
    },
    /// The stream ends.
    Ended(Status),
}
