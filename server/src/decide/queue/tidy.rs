//! Bringing items back: those whose claims ended, and those whose delay is over.

use bytes::Bytes;
use portunus_proto::portunus::v1::QueueItem;
use prost::Message;

use super::config::{self, Config};
use super::keys::{self, Queue};
use crate::decide::writer::Writer;
use crate::machine::State;
use crate::types::{KeyRange, LeaseId};

/// Items brought back by one decision of its own.
pub const AT_ONCE: usize = 512;

const CLAIM_ENDED: &str = "its claim ended";

/// How many items are to be brought back, counted up to `max`.
pub fn backlog(state: &State, queue: Queue<'_>, now_ms: u64, max: usize) -> usize {
    let returning = returning(state, queue);
    returning.saturating_add(due(state, queue, now_ms, max).len())
}

/// Taken items without a claim.
pub fn returning(state: &State, queue: Queue<'_>) -> usize {
    let items = state.items();
    items.count(&queue.taken()).saturating_sub(items.count(&queue.claims()))
}

/// When the next delayed item is due.
pub fn next_due(state: &State, queue: Queue<'_>) -> Option<u64> {
    state.items().range(&queue.delayed()).next().and_then(|item| queue.due(item.key()))
}

/// Brings back up to `max` items and says how many.
pub fn tidy(writer: &mut Writer<'_>, name: &[u8], now_ms: u64, max: usize) -> usize {
    let queue = Queue::known(name);
    let config = config::read(writer, queue);
    let mut moved = 0;
    while moved < max
        && let Some(key) = first_without_claim(writer.head, queue)
    {
        bring_back(writer, queue, &key, &config);
        moved += 1;
    }
    for key in due(writer.head, queue, now_ms, max - moved) {
        let Some(item) = read(writer, &key) else { continue };
        writer.delete(&KeyRange::single(key));
        put_ready(writer, queue, &item);
        moved += 1;
    }
    moved
}

fn due(state: &State, queue: Queue<'_>, now_ms: u64, max: usize) -> Vec<Bytes> {
    let delayed = state.items().range(&queue.delayed());
    let due = delayed.take_while(|item| queue.due(item.key()).is_none_or(|due| due <= now_ms));
    due.take(max).map(|item| Bytes::copy_from_slice(item.key())).collect()
}

/// The first taken item that has no claim. Claims and taken items are in the same order, and each
/// claim has its item, so both agree up to there: a binary search.
fn first_without_claim(state: &State, queue: Queue<'_>) -> Option<Bytes> {
    let items = state.items();
    let (taken, claims) = (queue.taken(), queue.claims());
    let (first_taken, first_claim) = (items.rank(&taken.start), items.rank(&claims.start));
    let (taken, claims) = (items.count(&taken), items.count(&claims));
    let id = |at: usize| items.nth(at).and_then(|item| keys::id(item.key()));
    let agree = |n: usize| n < claims && id(first_taken + n) == id(first_claim + n);
    if taken <= claims {
        return None;
    }
    let (mut low, mut high) = (0, taken);
    while low < high {
        let middle = low + (high - low) / 2;
        if agree(middle) { low = middle + 1 } else { high = middle }
    }
    items
        .nth(first_taken + low)
        .filter(|_| low < taken)
        .map(|item| Bytes::copy_from_slice(item.key()))
}

fn bring_back(writer: &mut Writer<'_>, queue: Queue<'_>, key: &Bytes, config: &Config) {
    let item = read(writer, key);
    writer.delete(&KeyRange::single(key.clone()));
    if let Some(item) = item {
        again_or_dead(writer, queue, item, config, CLAIM_ENDED);
    }
}

/// Back to its place, or to the dead letters if it was delivered too often.
pub fn again_or_dead(
    writer: &mut Writer<'_>,
    queue: Queue<'_>,
    item: QueueItem,
    config: &Config,
    why: &str,
) {
    match config.max_attempts {
        Some(max) if item.attempts >= max => {
            put_dead(writer, queue, item, format!("delivered {max} times; {why}"));
        }
        _ => put_ready(writer, queue, &item),
    }
}

pub fn put_ready(writer: &mut Writer<'_>, queue: Queue<'_>, item: &QueueItem) {
    let key = queue.ready_key(item.priority, item.id);
    writer.put(&key, &item.encode_to_vec(), LeaseId::NONE);
}

pub fn put_dead(writer: &mut Writer<'_>, queue: Queue<'_>, item: QueueItem, reason: String) {
    let item = QueueItem { reason, ..item };
    writer.put(&queue.dead_key(item.id), &item.encode_to_vec(), LeaseId::NONE);
}

/// The item under a key. What a client put there by itself is an item with that payload.
pub fn read(writer: &mut Writer<'_>, key: &Bytes) -> Option<QueueItem> {
    let id = keys::id(key)?;
    let value = writer.get(key)?.value();
    let item = QueueItem::decode(value).ok().filter(|item| item.id == id);
    let payload = || Bytes::copy_from_slice(value);
    Some(item.unwrap_or_else(|| QueueItem { id, payload: payload(), ..QueueItem::default() }))
}
