//! Putting items in.

use std::collections::BTreeSet;

use portunus_proto::portunus::v1::{
    QueueEnqueueRequest, QueueEnqueueResponse, QueueItem, QueueNewItem,
};
use prost::Message;

use super::evaluate::{count, number};
use super::keys::{PRIORITY_MAX, Queue};
use super::{config, config::Config};
use crate::decide::writer::Writer;
use crate::decide::{QueueRefusal, Refusal};
use crate::types::{KeyRange, LeaseId};

/// Items of one call: bounds the decision and its entry.
const ITEMS_AT_ONCE_MAX: usize = 1000;
/// Ids forgotten with one enqueue beside as many as it brings, so that they do not gather.
const FORGOTTEN_AT_ONCE: usize = 16;

/// Puts all items in, or waits for room, or refuses.
pub fn enqueue(
    writer: &mut Writer<'_>,
    request: &QueueEnqueueRequest,
    now_ms: u64,
) -> Result<QueueEnqueueResponse, Refusal> {
    let queue = Queue::named(&request.queue)?;
    if request.items.len() > ITEMS_AT_ONCE_MAX {
        let (items, max) = (request.items.len(), ITEMS_AT_ONCE_MAX);
        return Err(Refusal::Queue(QueueRefusal::BatchTooLarge { items, max }));
    }
    if let Some(item) = request.items.iter().find(|item| item.priority > PRIORITY_MAX) {
        return Err(Refusal::Queue(QueueRefusal::Priority {
            priority: item.priority,
            max: PRIORITY_MAX,
        }));
    }
    let config = config::read(writer, queue);
    check_room(writer, queue, &config, request, now_ms)?;
    forget(writer, queue, now_ms, FORGOTTEN_AT_ONCE + request.items.len());
    let before = number(writer, &queue.seq());
    let mut last = before.unwrap_or(0);
    let mut ids = Vec::with_capacity(request.items.len());
    for item in &request.items {
        let earlier = match &item.dedup_id[..] {
            "" => None,
            id => remembered(writer, queue, id, now_ms),
        };
        if let Some(earlier) = earlier {
            ids.push(earlier);
            continue;
        }
        last += 1;
        put(writer, queue, item, last, now_ms);
        remember(writer, queue, &config, item, last, now_ms);
        ids.push(last);
    }
    if before != Some(last) {
        writer.put(&queue.seq(), last.to_string().as_bytes(), LeaseId::NONE);
    }
    Ok(QueueEnqueueResponse { header: None, ids })
}

/// How many of the items are none that came before. A producer that asks again because it lost
/// the answer is not told that the queue is full, perhaps of its own items.
fn count_new(
    writer: &mut Writer<'_>,
    queue: Queue<'_>,
    items: &[QueueNewItem],
    now_ms: u64,
) -> u64 {
    let (mut ids, mut new) = (BTreeSet::new(), 0);
    for id in items.iter().map(|item| &item.dedup_id[..]) {
        let is_new =
            id.is_empty() || ids.insert(id) && remembered(writer, queue, id, now_ms).is_none();
        new += u64::from(is_new);
    }
    new
}

fn check_room(
    writer: &mut Writer<'_>,
    queue: Queue<'_>,
    config: &Config,
    request: &QueueEnqueueRequest,
    now_ms: u64,
) -> Result<(), Refusal> {
    let Some(max) = config.max_length else { return Ok(()) };
    let new = count_new(writer, queue, &request.items, now_ms);
    let waiting = count(writer, &queue.ready()) + count(writer, &queue.delayed());
    if new == 0 || waiting + new <= max {
        return Ok(());
    }
    match new <= max && (config.blocks || request.wait) {
        true => Err(Refusal::Wait { until_ms: None }),
        false => {
            let queue = String::from_utf8_lossy(queue.name()).into_owned();
            Err(Refusal::Queue(QueueRefusal::Full { queue, max }))
        }
    }
}

fn put(writer: &mut Writer<'_>, queue: Queue<'_>, new: &QueueNewItem, id: u64, now_ms: u64) {
    let item = QueueItem {
        id,
        payload: new.payload.clone(),
        headers: new.headers.clone(),
        priority: new.priority,
        attempts: 0,
        enqueued_ms: now_ms,
        dedup_id: new.dedup_id.clone(),
        reason: String::new(),
    };
    let key = match u64::try_from(new.delay_ms) {
        Ok(delay) if delay > 0 => queue.delayed_key(now_ms.saturating_add(delay), id),
        _ => queue.ready_key(new.priority, id),
    };
    writer.put(&key, &item.encode_to_vec(), LeaseId::NONE);
}

fn remember(
    writer: &mut Writer<'_>,
    queue: Queue<'_>,
    config: &Config,
    new: &QueueNewItem,
    id: u64,
    now_ms: u64,
) {
    if new.dedup_id.is_empty() {
        return;
    }
    let until = now_ms.saturating_add(config.dedup_window_ms);
    let text = format!("{id} {until}");
    writer.put(&queue.dedup_key(&new.dedup_id), text.as_bytes(), LeaseId::NONE);
    writer.put(&queue.dedup_until_key(until, &new.dedup_id), b"", LeaseId::NONE);
}

/// The item that came with this id, and until when that counts.
fn dedup(writer: &mut Writer<'_>, queue: Queue<'_>, id: &str) -> Option<(u64, u64)> {
    let text = std::str::from_utf8(writer.get(&queue.dedup_key(id))?.value()).ok()?;
    let (item, until) = text.split_once(' ')?;
    Some((item.parse().ok()?, until.parse().ok()?))
}

/// The item that came with this id within the window.
fn remembered(writer: &mut Writer<'_>, queue: Queue<'_>, id: &str, now_ms: u64) -> Option<u64> {
    dedup(writer, queue, id).filter(|(_, until)| *until > now_ms).map(|(item, _)| item)
}

/// Forgets ids whose time is over. An id that came again since has another time.
fn forget(writer: &mut Writer<'_>, queue: Queue<'_>, now_ms: u64, max: usize) {
    let over: Vec<_> = writer
        .head
        .items()
        .range(&queue.dedup_until())
        .filter_map(|item| queue.forgotten(item.key()))
        .take_while(|(until, _)| *until <= now_ms)
        .take(max)
        .collect();
    for (until, id) in over {
        writer.delete(&KeyRange::single(queue.dedup_until_key(until, &id)));
        if dedup(writer, queue, &id).is_none_or(|(_, current)| current <= until) {
            writer.delete(&KeyRange::single(queue.dedup_key(&id)));
        }
    }
}
