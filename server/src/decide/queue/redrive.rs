//! Bringing dead letters back to where they were, as if they had never been delivered.

use portunus_proto::portunus::v1::{QueueItem, QueueRedriveRequest, QueueRedriveResponse};

use super::evaluate::count;
use super::keys::Queue;
use super::{config, tidy};
use crate::decide::writer::Writer;
use crate::decide::{QueueRefusal, Refusal};
use crate::types::{Item, KeyRange};
use bytes::Bytes;

/// Items of one call: bounds the decision and its entry.
const AT_ONCE_MAX: usize = 1000;

/// Brings back the named dead letters, or the oldest ones, as many as there is room for in a
/// bounded queue. Refuses when there is room for none. Ids that are not dead letters are passed
/// over: a call may be repeated.
pub fn redrive(
    writer: &mut Writer<'_>,
    request: &QueueRedriveRequest,
) -> Result<QueueRedriveResponse, Refusal> {
    let queue = Queue::named(&request.queue)?;
    if request.ids.len() > AT_ONCE_MAX {
        let (items, max) = (request.ids.len(), AT_ONCE_MAX);
        return Err(Refusal::Queue(QueueRefusal::BatchTooLarge { items, max }));
    }
    let asked = match request.max {
        0 => AT_ONCE_MAX,
        max => AT_ONCE_MAX.min(max as usize),
    };
    let (room, max_length) = room(writer, queue);
    let dead = count(writer, &queue.dead());
    let keys = chosen(writer, queue, request, asked.min(room));
    if let (0, Some(max)) = (room, max_length)
        && dead > 0
    {
        let queue = String::from_utf8_lossy(queue.name()).into_owned();
        return Err(Refusal::Queue(QueueRefusal::Full { queue, max }));
    }
    let mut redriven = 0;
    for key in keys {
        let Some(item) = tidy::read(writer, &key) else { continue };
        writer.delete(&KeyRange::single(key));
        let fresh = QueueItem { attempts: 0, reason: String::new(), ..item };
        tidy::put_ready(writer, queue, &fresh);
        redriven += 1;
    }
    Ok(QueueRedriveResponse { header: None, redriven, left: dead - redriven })
}

/// How many more items may wait, and the queue's bound.
fn room(writer: &mut Writer<'_>, queue: Queue<'_>) -> (usize, Option<u64>) {
    let max_length = config::read(writer, queue).max_length;
    let waiting = count(writer, &queue.ready()) + count(writer, &queue.delayed());
    let room = max_length.map_or(u64::MAX, |max| max.saturating_sub(waiting));
    (usize::try_from(room).unwrap_or(usize::MAX), max_length)
}

fn chosen(
    writer: &mut Writer<'_>,
    queue: Queue<'_>,
    request: &QueueRedriveRequest,
    most: usize,
) -> Vec<Bytes> {
    if !request.ids.is_empty() {
        let keys = request.ids.iter().map(|id| queue.dead_key(*id));
        return keys.filter(|key| writer.get(key).is_some()).take(most).collect();
    }
    let dead = writer.head.items().range(&queue.dead()).take(most);
    dead.map(Item::key).map(Bytes::copy_from_slice).collect()
}
