//! Letting go, and being asked to.

use bytes::Bytes;
use portunus_proto::portunus::v1::{
    LockLeave, LockRecord, LockReleaseRequest, LockRevocationRequest, LockSaid,
};

use super::admission::{give_up, note_holder};
use super::line::{before, holds, key, terms};
use super::record;
use crate::decide::writer::Writer;
use crate::types::{Item, LeaseId};

fn said(writer: &Writer<'_>, count: u32) -> LockSaid {
    LockSaid { revision: writer.head.revision, count, ..LockSaid::default() }
}

/// Gives up the places that are still the caller's: it goes away.
pub fn leave(writer: &mut Writer<'_>, leave: &LockLeave) -> LockSaid {
    let mut count = 0;
    for place in &leave.places {
        if writer.get(&place.key).is_some_and(|item| item.create_revision() == place.token) {
            let lease = writer.get(&place.key).map_or(LeaseId::NONE, Item::lease);
            give_up(writer, &place.name, lease);
            count += 1;
        }
    }
    said(writer, count)
}

/// Releases once, and lets go of what is then held no more.
pub fn release(writer: &mut Writer<'_>, release: &LockReleaseRequest) -> LockSaid {
    let lease = LeaseId(release.lease);
    let mut count = 0;
    for name in &release.names {
        let key = key(name, lease);
        let Some(item) = writer.get(&key).cloned() else { continue };
        match record::decode(item.value()) {
            Some(held) if held.holds > 1 && !release.entirely => {
                let record = LockRecord { holds: held.holds - 1, ..held };
                writer.put(&key, &record::encode(&record), lease);
                note_holder(writer, name, lease, &record);
            }
            _ => {
                give_up(writer, name, lease);
                count += 1;
            }
        }
    }
    said(writer, count)
}

/// Writes the wish into the records of all holders, who follow their keys.
pub fn request_revocation(writer: &mut Writer<'_>, request: &LockRevocationRequest) -> LockSaid {
    if let Some(reads) = writer.reads() {
        reads.note_range(&super::line::line(&request.name));
    }
    let line: Vec<Item> = before(writer.head, &request.name, None).into_iter().cloned().collect();
    let mut count = 0;
    let holders = line.iter().enumerate().filter(|(n, item)| holds(item, *n == 0));
    for (_, item) in holders {
        if record::decode(item.value()).is_none() {
            continue;
        }
        let record = LockRecord { revocation: request.reason.clone(), ..terms(item) };
        let key = Bytes::copy_from_slice(item.key());
        writer.put(&key, &record::encode(&record), item.lease());
        count += 1;
    }
    said(writer, count)
}
