//! Taking items out for good.

use bytes::Bytes;
use portunus_proto::portunus::v1::{QueuePurgeRequest, QueueRemoveRequest, QueueShelf};

use super::keys::{self, PRIORITY_MAX, Queue};
use crate::decide::Refusal;
use crate::decide::writer::Writer;
use crate::machine::State;
use crate::types::{KeyRange, RangeEnd};

/// Removes an item wherever it is, its claim with it: who has it learns so at its ack. Returns 1 if
/// it was there.
pub fn remove(writer: &mut Writer<'_>, request: &QueueRemoveRequest) -> Result<u64, Refusal> {
    let queue = Queue::named(&request.queue)?;
    let id = request.id;
    if let Some(reads) = writer.reads() {
        [queue.ready(), queue.delayed()].iter().for_each(|range| reads.note_range(range));
    }
    let (taken, dead) = (queue.taken_key(id), queue.dead_key(id));
    let found = [taken, dead].into_iter().find(|key| writer.get(key).is_some());
    let found =
        found.or_else(|| ready(writer.head, queue, id)).or_else(|| delayed(writer.head, queue, id));
    let Some(key) = found else { return Ok(0) };
    writer.delete(&KeyRange::single(queue.claim_key(id)));
    writer.delete(&KeyRange::single(key));
    Ok(1)
}

/// Hops from one priority in use to the next.
fn ready(state: &State, queue: Queue<'_>, id: u64) -> Option<Bytes> {
    let RangeEnd::Before(end) = queue.ready().end else { return None };
    let mut from = queue.ready().start;
    loop {
        let rest = KeyRange { start: from, end: RangeEnd::Before(end.clone()) };
        let next = state.items().range(&rest).next()?;
        let rank = queue.rank(next.key())?;
        let key = queue.ready_key(PRIORITY_MAX - rank.min(PRIORITY_MAX), id);
        if state.get(&key).is_some() {
            return Some(key);
        }
        from = match KeyRange::prefix(queue.ready_from(rank)).end {
            RangeEnd::Before(after) => after,
            _ => return None,
        };
    }
}

fn delayed(state: &State, queue: Queue<'_>, id: u64) -> Option<Bytes> {
    let mut delayed = state.items().range(&queue.delayed());
    let found = delayed.find(|item| keys::id(item.key()) == Some(id));
    found.map(|item| Bytes::copy_from_slice(item.key()))
}

/// Empties shelves; of taken items the claims go too. Returns how many items went.
pub fn purge(writer: &mut Writer<'_>, request: &QueuePurgeRequest) -> Result<u64, Refusal> {
    let queue = Queue::named(&request.queue)?;
    let mut removed = 0;
    for shelf in request.shelves() {
        removed += match shelf {
            QueueShelf::Ready => {
                writer.delete(&KeyRange::single(queue.batch()));
                writer.delete(&queue.ready())
            }
            QueueShelf::Delayed => writer.delete(&queue.delayed()),
            QueueShelf::Dead => writer.delete(&queue.dead()),
            QueueShelf::Taken => {
                writer.delete(&queue.claims());
                writer.delete(&queue.taken())
            }
        };
    }
    Ok(removed as u64)
}
