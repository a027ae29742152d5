//! What plugins need of a decision: the writes a request resolves to on a given head, and a place
//! for further writes in the same transaction.

use bytes::Bytes;
use portunus_proto::etcdserverpb as pb;
use portunus_proto::portunus::v1::{LockSaid, QueueSaid};

use super::writer::Writer;
use super::{Cx, Draft, Refusal, Reply, Request, decide};
use crate::effect::Author;
use crate::machine::{Change, State};
use crate::types::{KeyRange, LeaseId};
use crate::view::ReadSet;

/// A write that a plugin makes in a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Write {
    /// Who the writes that follow come from.
    By(Author),
    Put {
        key: Bytes,
        value: Bytes,
        lease: LeaseId,
    },
    Delete {
        key: Bytes,
    },
}

/// Decides `request` with the writes that plugins make in it on `after`, a copy of the head, and
/// returns every change in order, with the item it takes the place of: the branches taken, nested
/// ones included. `reads` gets what the outcome depends on, a refusal too: while it is valid on a
/// newer head, the request comes out the same there, at another revision.
pub fn resolve(
    after: &mut State,
    request: &Request,
    added: &[Write],
    reads: ReadSet,
    cx: &Cx<'_>,
) -> (Result<Vec<Change>, Refusal>, ReadSet) {
    let mut draft = Draft { reads: Some(reads), ..Draft::default() };
    let decided = decide(after, request, added, cx, &mut draft);
    (decided.map(|_| draft.changes), draft.reads.unwrap_or_default())
}

/// Refuses added writes that could not be made.
pub(super) fn check(added: &[Write], writer: &mut Writer<'_>) -> Result<(), Refusal> {
    for write in added {
        match write {
            Write::Put { key, .. } | Write::Delete { key } if key.is_empty() => {
                return Err(Refusal::EmptyKey);
            }
            Write::Put { lease, .. } => writer.check_lease(*lease)?,
            Write::Delete { .. } | Write::By(_) => {}
        }
    }
    Ok(())
}

pub(super) fn write(added: &[Write], writer: &mut Writer<'_>) {
    for write in added {
        match write {
            Write::By(author) => writer.by(author.clone()),
            Write::Put { key, value, lease } => drop(writer.put(key, value, *lease).is_some()),
            Write::Delete { key } => drop(writer.delete(&KeyRange::single(key.clone()))),
        }
    }
}

impl Reply {
    /// A reply whose transaction got further writes names their revision.
    pub(super) fn set_revision(&mut self, now: i64) {
        let header: &mut Option<pb::ResponseHeader> = match self {
            Reply::Put(reply) => &mut reply.header,
            Reply::DeleteRange(reply) => &mut reply.header,
            Reply::Txn(reply) => &mut reply.header,
            Reply::Compact(reply) => &mut reply.header,
            Reply::LeaseGrant(reply) => &mut reply.header,
            Reply::LeaseRevoke(reply) => &mut reply.header,
            Reply::Alarm(reply) => &mut reply.header,
            Reply::LeaseExpire(_) => return,
            Reply::Called { revision, .. }
            | Reply::Done { revision }
            | Reply::Lock(LockSaid { revision, .. })
            | Reply::Queue(QueueSaid { revision, .. }) => {
                *revision = now;
                return;
            }
        };
        if let Some(header) = header {
            header.revision = now;
        }
    }
}
