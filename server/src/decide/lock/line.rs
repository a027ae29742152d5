//! Lines: their keys, and whether a place in one may be granted.

use bytes::Bytes;
use portunus_proto::portunus::v1::{LockMode, LockRecord};

use super::record;
use crate::decide::writer::Writer;
use crate::machine::State;
use crate::types::{Item, KeyRange, LeaseId};

/// The keys of a line.
pub fn line(name: &[u8]) -> KeyRange {
    KeyRange::prefix([name, b"/"].concat())
}

/// The place of a lease in a line.
pub fn key(name: &[u8], lease: LeaseId) -> Bytes {
    [name, format!("/{lease}").as_bytes()].concat().into()
}

/// Where a delay after a crash is noted.
pub fn delay_key(name: &[u8]) -> Bytes {
    [name, b"!delay"].concat().into()
}

pub fn delayed_until(item: Option<&Item>) -> Option<u64> {
    std::str::from_utf8(item?.value()).ok()?.parse().ok()
}

/// Whether a place may be granted now.
#[derive(Debug, PartialEq, Eq)]
pub enum Turn {
    Free,
    /// Until something changes that was read, or until this time.
    Wait(Option<u64>),
}

/// The items of a line that came before `place`, all of them for somebody new, oldest first.
pub fn before<'a>(state: &'a State, name: &[u8], place: Option<&Item>) -> Vec<&'a Item> {
    let at = |item: &Item| (item.create_revision(), Bytes::copy_from_slice(item.key()));
    let own = place.map(at);
    let is_older = |item: &&Item| match &own {
        Some((revision, _)) if item.create_revision() != *revision => {
            item.create_revision() < *revision
        }
        Some((_, key)) => item.key() < &key[..],
        None => true,
    };
    let mut older: Vec<&Item> = state.items().range(&line(name)).filter(is_older).collect();
    older.sort_by(|a, b| (a.create_revision(), a.key()).cmp(&(b.create_revision(), b.key())));
    older
}

/// Looks whether a place that asks for `wanted` may be granted, and notes exactly what that rests
/// on: the place before it while that one waits itself, else all holders.
pub fn turn(
    writer: &mut Writer<'_>,
    name: &Bytes,
    wanted: &LockRecord,
    place: Option<&Item>,
    now_ms: u64,
) -> Turn {
    if place.is_none()
        && let Some(reads) = writer.reads()
    {
        reads.note_range(&line(name));
    }
    let older: Vec<Item> = before(writer.head, name, place).into_iter().cloned().collect();
    if let Some(last) = older.last()
        && !holds(last, older.len() == 1)
    {
        note(writer, last);
        return Turn::Wait(None);
    }
    older.iter().for_each(|item| note(writer, item));
    let held: Vec<LockRecord> = older.iter().map(terms).collect();
    if !fits(wanted, &held) {
        return Turn::Wait(None);
    }
    let delay = delayed_until(writer.get(&delay_key(name)));
    match delay {
        Some(until) if until > now_ms => Turn::Wait(Some(until)),
        _ => Turn::Free,
    }
}

fn note(writer: &mut Writer<'_>, item: &Item) {
    writer.get(&Bytes::copy_from_slice(item.key()));
}

/// What the item asks for: an etcd client's is exclusive.
pub fn terms(item: &Item) -> LockRecord {
    record::decode(item.value()).unwrap_or_default()
}

/// Whether the item holds; `is_first` decides about etcd clients.
pub fn holds(item: &Item, is_first: bool) -> bool {
    record::decode(item.value()).map_or(is_first, |record| record.granted)
}

/// Whether `wanted` may be held beside all of `held`.
fn fits(wanted: &LockRecord, held: &[LockRecord]) -> bool {
    match wanted.mode() {
        _ if held.is_empty() => true,
        LockMode::Exclusive => false,
        LockMode::Shared => held.iter().all(|other| other.mode() == LockMode::Shared),
        LockMode::Permits => {
            let alike = |other: &LockRecord| {
                other.mode() == LockMode::Permits && other.permits == wanted.permits
            };
            let taken: u64 = held.iter().map(|other| u64::from(other.weight)).sum();
            held.iter().all(alike) && taken + u64::from(wanted.weight) <= wanted.permits.into()
        }
    }
}
