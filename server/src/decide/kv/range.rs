//! Ranges: etcd's filters, orders and limits over the live items or over an older revision.

use std::cmp::Ordering;

use bytes::Bytes;
use pb::range_request::{SortOrder, SortTarget};
use portunus_proto::etcdserverpb as pb;

use crate::decide::request::header;
use crate::decide::{Past, Refusal};
use crate::machine::State;
use crate::mvcc::{PastItems, ReadError, read_at};
use crate::types::{Item, KeyRange};
use crate::view::ReadSet;

/// Checks that need no state.
pub fn check_range(request: &pb::RangeRequest) -> Result<(), Refusal> {
    if request.key.is_empty() {
        return Err(Refusal::EmptyKey);
    }
    let order = SortOrder::try_from(request.sort_order);
    let target = SortTarget::try_from(request.sort_target);
    if order.is_err() || target.is_err() { Err(Refusal::InvalidSortOption) } else { Ok(()) }
}

/// Answers a range on `state`; a revision below zero means the current one, as zero does.
pub fn range(
    state: &State,
    past: Option<&dyn Past>,
    request: &pb::RangeRequest,
) -> Result<pb::RangeResponse, Refusal> {
    check_range(request)?;
    if request.revision > 0 {
        check_revision(state, request)?;
    }
    answer(state, past, request, None)
}

/// Refuses a revision that is not there yet or no more.
pub(in crate::decide) fn check_revision(
    state: &State,
    request: &pb::RangeRequest,
) -> Result<(), Refusal> {
    match request.revision {
        0 => Ok(()),
        revision if revision > state.revision => Err(Refusal::FutureRevision),
        revision if revision < state.compacted => Err(Refusal::Compacted),
        _ => Ok(()),
    }
}

/// Answers a range that was checked.
pub(in crate::decide) fn answer(
    state: &State,
    past: Option<&dyn Past>,
    request: &pb::RangeRequest,
    reads: Option<&mut ReadSet>,
) -> Result<pb::RangeResponse, Refusal> {
    let range = KeyRange::from_wire(request.key.clone(), request.range_end.clone());
    let is_past = request.revision > 0 && request.revision < state.revision;
    if let (Some(reads), false) = (reads, is_past) {
        reads.note_range(&range);
    }
    let mut response = if is_past {
        answer_past(past, &range, request)?
    } else {
        answer_live(state, &range, request)
    };
    response.header = header(state.revision);
    Ok(response)
}

fn answer_live(state: &State, range: &KeyRange, request: &pb::RangeRequest) -> pb::RangeResponse {
    if range.is_single() {
        let item = state.get(&range.start);
        let count = usize::from(item.is_some());
        return assemble(request, item.into_iter().collect(), count);
    }
    let items = state.items();
    let count = items.count(range);
    let found = match (request.count_only, Fetch::of(request)) {
        (true, _) => Vec::new(),
        (_, Fetch::First(limit)) => items.range(range).take(limit).collect(),
        (_, Fetch::Last(limit)) => {
            let mut last: Vec<_> = items.range(range).rev().take(limit).collect();
            last.reverse();
            last
        }
        (_, Fetch::All) => {
            let mut all = items.range(range);
            if has_filters(request) {
                all.filter(|i| passes(request, i)).collect()
            } else {
                all.by_ref().collect()
            }
        }
    };
    assemble(request, found, count)
}

fn answer_past(
    past: Option<&dyn Past>,
    range: &KeyRange,
    request: &pb::RangeRequest,
) -> Result<pb::RangeResponse, Refusal> {
    let revision = request.revision;
    let limit = match (request.count_only, Fetch::of(request)) {
        (true, _) => 0,
        (_, Fetch::First(limit)) => limit,
        (_, Fetch::Last(_) | Fetch::All) => usize::MAX,
    };
    let mut outcome = Err(Refusal::Compacted);
    if let Some(past) = past {
        past.lend(&mut |applied, history, records| {
            outcome = if revision > applied.revision {
                Err(Refusal::NotApplied(revision))
            } else {
                let (live, now) = (applied.items(), applied.revision);
                read_at(live, now, history, records, range, revision, limit).map_err(Refusal::from)
            };
        });
    }
    let PastItems { items, count } = outcome?;
    Ok(assemble(request, items.iter().collect(), count))
}

impl From<ReadError> for Refusal {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Compacted(_) => Refusal::Compacted,
            ReadError::Record(error) => Refusal::Unreadable(error.to_string()),
        }
    }
}

/// How much of a range must be looked at to answer.
enum Fetch {
    First(usize),
    Last(usize),
    All,
}

impl Fetch {
    /// One more than the limit is looked at, to know whether there is more. Without a sort order
    /// the limit comes first and the sort target orders only what it leaves, as in etcd.
    fn of(request: &pb::RangeRequest) -> Self {
        let limit = match usize::try_from(request.limit) {
            Ok(limit @ 1..) => limit.saturating_add(1),
            _ => return Self::All,
        };
        match (has_filters(request), request.sort_order(), request.sort_target()) {
            (true, ..) => Self::All,
            (_, SortOrder::None, _) | (_, SortOrder::Ascend, SortTarget::Key) => Self::First(limit),
            (_, SortOrder::Descend, SortTarget::Key) => Self::Last(limit),
            _ => Self::All,
        }
    }
}

pub(super) fn has_filters(request: &pb::RangeRequest) -> bool {
    request.min_mod_revision != 0
        || request.max_mod_revision != 0
        || request.min_create_revision != 0
        || request.max_create_revision != 0
}

fn passes(request: &pb::RangeRequest, item: &Item) -> bool {
    let within =
        |value: i64, min: i64, max: i64| (min == 0 || value >= min) && (max == 0 || value <= max);
    within(item.mod_revision(), request.min_mod_revision, request.max_mod_revision)
        && within(item.create_revision(), request.min_create_revision, request.max_create_revision)
}

/// Filters, sorts and cuts what was found, in this order.
fn assemble(request: &pb::RangeRequest, found: Vec<&Item>, count: usize) -> pb::RangeResponse {
    let mut items = found;
    if request.count_only {
        items.clear();
    }
    if has_filters(request) {
        items.retain(|item| passes(request, item));
    }
    sort(request, &mut items);
    let limit = usize::try_from(request.limit).unwrap_or(0);
    let more = limit > 0 && items.len() > limit;
    if more {
        items.truncate(limit);
    }
    let encode = if request.keys_only { encoded_key } else { Item::encoded_bytes };
    let kvs = items.into_iter().map(encode).collect();
    pb::RangeResponse { header: None, kvs, more, count: count as i64 }
}

fn sort(request: &pb::RangeRequest, items: &mut [&Item]) {
    let by: fn(&Item, &Item) -> Ordering = match request.sort_target() {
        SortTarget::Key => |a, b| a.key().cmp(b.key()),
        SortTarget::Version => |a, b| a.version().cmp(&b.version()),
        SortTarget::Create => |a, b| a.create_revision().cmp(&b.create_revision()),
        SortTarget::Mod => |a, b| a.mod_revision().cmp(&b.mod_revision()),
        SortTarget::Value => |a, b| a.value().cmp(b.value()),
    };
    match (request.sort_order(), request.sort_target()) {
        (SortOrder::None | SortOrder::Ascend, SortTarget::Key) => {}
        (SortOrder::Descend, SortTarget::Key) => items.reverse(),
        (SortOrder::Descend, _) => items.sort_by(|a, b| by(b, a)),
        _ => items.sort_by(|a, b| by(a, b)),
    }
}

/// Sorts what was found and leaves out what is not wanted of it.
pub(super) fn arrange(
    request: &pb::RangeRequest,
    found: Vec<Bytes>,
) -> Result<Vec<Bytes>, Refusal> {
    let items = found.iter().map(|encoded| Item::from_encoded(encoded, 0));
    let items = items.collect::<Result<Vec<_>, _>>();
    let items = items.map_err(|error| Refusal::Unreadable(error.to_string()))?;
    let found = items.iter().collect();
    let whole = pb::RangeRequest { limit: 0, ..request.clone() };
    Ok(assemble(&whole, found, 0).kvs)
}

/// The item without its value.
fn encoded_key(item: &Item) -> Bytes {
    let at = item.modified();
    let bare = Item::new(item.key(), b"", item.create_revision(), at, item.version(), item.lease());
    bare.encoded_bytes()
}
