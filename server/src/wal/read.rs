//! Reading entries: what to read is fixed under the lock, the disk is read outside it.

use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use bytes::Bytes;

use super::Entry;
use super::frame::{self, HEADER_BYTES};
use super::index::{Index, Slot};
use super::segment::Segment;

/// Entries to be read, as the log stood when it was asked. Purging or truncating them meanwhile
/// does not take them away.
pub struct ReadPlan(Vec<Planned>);

enum Planned {
    Ready(Entry),
    OnDisk { index: u64, slot: Slot, segment: Arc<Segment>, offset: u64 },
}

impl ReadPlan {
    /// Those of `range` the log holds, ending early at `bytes_max` of payload, but with at least
    /// one.
    pub(super) fn new(index: &Index, range: Range<u64>, bytes_max: usize) -> Self {
        let mut plan = Vec::new();
        let mut bytes = 0;
        for at in range.start.max(index.first)..range.end.min(index.next_index()) {
            let slot_at = (at - index.first) as usize;
            let slot = index.slots[slot_at];
            bytes += slot.payload_bytes as usize;
            if bytes > bytes_max && !plan.is_empty() {
                break;
            }
            plan.push(match (index.cached(slot_at), slot.place()) {
                (Some((tag, payload)), _) => Planned::Ready(Entry {
                    term: slot.term,
                    index: at,
                    tag: *tag,
                    payload: payload.clone(),
                }),
                (None, place) => {
                    let (number, offset) = place.expect("what is not written stays in memory");
                    let segment = index.segments.get(&number);
                    let segment = segment.expect("a segment stays while an entry lies in it");
                    Planned::OnDisk { index: at, slot, segment: segment.clone(), offset }
                }
            });
        }
        Self(plan)
    }

    /// Whether [`ReadPlan::load`] will not touch the disk.
    pub fn is_in_memory(&self) -> bool {
        self.0.iter().all(|planned| matches!(planned, Planned::Ready(_)))
    }

    /// The entries. Blocks on the disk for those that are not in memory.
    pub fn load(self) -> io::Result<Vec<Entry>> {
        let load = |planned| match planned {
            Planned::Ready(entry) => Ok(entry),
            Planned::OnDisk { index, slot, segment, offset } => load(index, slot, &segment, offset),
        };
        self.0.into_iter().map(load).collect()
    }
}

fn load(index: u64, slot: Slot, segment: &Segment, offset: u64) -> io::Result<Entry> {
    let payload_bytes = slot.payload_bytes as usize;
    let mut bytes = vec![0; frame::frame_bytes(payload_bytes)];
    segment.file.read_exact_at(&mut bytes, offset)?;
    let read = frame::decode(&bytes, segment.salt, segment.lsn(offset));
    let frame = read.map(|read| read.frame).filter(|frame| {
        (frame.term, frame.index, frame.payload.len()) == (slot.term, index, payload_bytes)
    });
    let Some(tag) = frame.map(|frame| frame.tag) else {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!(
                "write-ahead log {} is damaged at offset {offset}, where entry {index} was: stop \
                 this member and restore it from its peers",
                segment.path.display()
            ),
        ));
    };
    let payload = Bytes::from(bytes).slice(HEADER_BYTES..HEADER_BYTES + payload_bytes);
    Ok(Entry { term: slot.term, index, tag, payload })
}
