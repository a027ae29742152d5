//! How locks and queues stand in the fake store, and what can be read of them. The names of the
//! keys are the server's; their values are the kit's own.

use serde::{Deserialize, Serialize};

use super::draft::Draft;
use super::store::items_within;
use crate::range::{Span, under};
use crate::{Item, LockMode, Place, QueueItem};

const RANK_MAX: u32 = 0xffff;

/// What the keys of a place in line hold.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct PlaceRecord {
    pub(crate) mode: u8,
    pub(crate) permits: u32,
    pub(crate) weight: u32,
    pub(crate) metadata: Vec<u8>,
    pub(crate) user: Option<String>,
    pub(crate) granted: bool,
}

/// What the key of an item holds.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct ItemRecord {
    pub(crate) payload: Vec<u8>,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) priority: u32,
    pub(crate) attempts: u32,
    pub(crate) enqueued: u64,
}

pub(crate) fn encode(record: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(record).expect("a record has JSON")
}

fn decode<T: for<'de> Deserialize<'de>>(item: &Item) -> Option<T> {
    serde_json::from_slice(&item.value).ok()
}

fn key(name: &[u8], rest: &str) -> Vec<u8> {
    [name, rest.as_bytes()].concat()
}

pub(crate) fn single(key: &[u8]) -> Span {
    (key.to_vec(), Some([key, &[0]].concat()))
}

pub(crate) fn place_key(name: &[u8], lease: i64) -> Vec<u8> {
    key(name, &format!("/{lease:x}"))
}

pub(crate) fn holder_key(name: &[u8], lease: i64) -> Vec<u8> {
    key(name, &format!("!holders/{lease:x}"))
}

pub(crate) fn mode_of(record: &PlaceRecord) -> LockMode {
    [LockMode::Exclusive, LockMode::Shared, LockMode::Permits][usize::from(record.mode.min(2))]
}

/// The places of a line by age, granted or not. Notes nothing.
pub(crate) fn line(draft: &Draft, name: &[u8]) -> Vec<(Item, PlaceRecord)> {
    let span = under(&key(name, "/"));
    let mut line: Vec<(Item, PlaceRecord)> = items_within(&draft.items, &span)
        .filter(|item| item.key == place_key(name, item.lease))
        .filter_map(|item| Some((item.clone(), decode(item)?)))
        .collect();
    line.sort_by_key(|(item, _)| item.create_revision);
    line
}

fn place(draft: &Draft, item: &Item, record: PlaceRecord, token: i64) -> Place {
    let entered = if draft.existed(&item.key) { item.create_revision } else { 0 };
    Place {
        lease: item.lease,
        mode: mode_of(&record),
        permits: record.permits,
        weight: record.weight,
        metadata: record.metadata,
        user: record.user,
        entered,
        token,
    }
}

/// The request's own place.
pub(crate) fn own(draft: &mut Draft, name: &[u8], lease: i64) -> Option<Place> {
    let item = draft.get(&place_key(name, lease))?;
    let record = decode(&item)?;
    Some(place(draft, &item, record, 0))
}

/// Who waits, the oldest first.
pub(crate) fn waiters(draft: &mut Draft, name: &[u8]) -> Vec<Place> {
    draft.reads.push(under(&key(name, "/")));
    let waiting = line(draft, name).into_iter().filter(|(_, record)| !record.granted);
    waiting.map(|(item, record)| place(draft, &item, record, 0)).collect()
}

/// Whether nobody waits before the place; notes the one before it alone.
pub(crate) fn is_next(draft: &mut Draft, name: &[u8], lease: i64) -> bool {
    let line = line(draft, name);
    let waiting = line.iter().filter(|(_, record)| !record.granted);
    let before = waiting.take_while(|(item, _)| item.lease != lease).last();
    let rests_on = before.map_or_else(|| place_key(name, lease), |(item, _)| item.key.clone());
    draft.reads.push(single(&rests_on));
    draft.is_behind = before.is_some();
    !draft.is_behind
}

/// Who holds, in the order of the tokens.
pub(crate) fn holders(draft: &mut Draft, name: &[u8]) -> Vec<Place> {
    let mut holders = draft.range(&under(&key(name, "!holders/")), usize::MAX);
    holders.sort_by_key(|item| item.create_revision);
    let line = line(draft, name);
    let entered = |lease| {
        line.iter()
            .find(|(item, _)| item.lease == lease)
            .map_or(0, |(item, _)| item.create_revision)
    };
    let places = holders.into_iter().filter_map(|item| {
        let record = decode(&item)?;
        let (lease, token) = (item.lease, item.create_revision);
        Some(Place { entered: entered(lease), ..place(draft, &item, record, token) })
    });
    places.collect()
}

pub(crate) fn ready_key(name: &[u8], priority: u32, id: u64) -> Vec<u8> {
    key(name, &format!("/items/{:04x}/{id:016x}", RANK_MAX - priority.min(RANK_MAX)))
}

pub(crate) fn taken_key(name: &[u8], id: u64) -> Vec<u8> {
    key(name, &format!("/taken/{id:016x}"))
}

pub(crate) fn claim_key(name: &[u8], id: u64) -> Vec<u8> {
    key(name, &format!("/claims/{id:016x}"))
}

/// All that a dequeue looks at, as the server does.
pub(crate) fn shelves(name: &[u8]) -> [Span; 3] {
    ["/items/", "/taken/", "/claims/"].map(|shelf| under(&key(name, shelf)))
}

fn queue_item(item: &Item) -> Option<QueueItem> {
    let id = item.key.rsplit(|byte| *byte == b'/').next()?;
    let id = u64::from_str_radix(std::str::from_utf8(id).ok()?, 16).ok()?;
    let ItemRecord { payload, headers, priority, attempts, enqueued } = decode(item)?;
    Some(QueueItem { id, payload, headers, priority, attempts, enqueued })
}

pub(crate) fn ready(draft: &mut Draft, name: &[u8], skip: usize, limit: usize) -> Vec<QueueItem> {
    let found = draft.range(&under(&key(name, "/items/")), skip.saturating_add(limit));
    found.iter().skip(skip).filter_map(queue_item).collect()
}

pub(crate) fn in_flight(draft: &mut Draft, name: &[u8], limit: usize) -> Vec<QueueItem> {
    let found = draft.range(&under(&key(name, "/taken/")), limit);
    found.iter().filter_map(queue_item).collect()
}

pub(crate) fn holds(draft: &mut Draft, name: &[u8], id: u64) -> bool {
    let is_ready = ready(draft, name, 0, usize::MAX).iter().any(|item| item.id == id);
    is_ready || draft.get(&taken_key(name, id)).is_some()
}

/// Takes an item back among the ready ones. False when it is not in flight.
pub(crate) fn give_back(draft: &mut Draft, name: &[u8], id: u64) -> bool {
    let taken = taken_key(name, id);
    let record: Option<ItemRecord> = draft.get(&taken).as_ref().and_then(decode);
    let Some(record) = record else { return false };
    draft.delete(&single(&taken));
    draft.delete(&single(&claim_key(name, id)));
    draft.put(&ready_key(name, record.priority, id), &encode(&record), 0);
    true
}

/// Takes back the items whose claims the transaction has deleted: their lease has ended.
pub(crate) fn bring_back(draft: &mut Draft) {
    for event in draft.events() {
        let text = String::from_utf8_lossy(event.key()).into_owned();
        if let Some((name, id)) = text.rsplit_once("/claims/")
            && let Ok(id) = u64::from_str_radix(id, 16)
        {
            give_back(draft, name.as_bytes(), id);
        }
    }
}
