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

/// Behind a lock's name, before a holder's lease.
pub const HOLDERS: &[u8] = b"!holders/";

/// The keys of a lock's holders where a plugin admits them.
pub fn holders(name: &[u8]) -> KeyRange {
    KeyRange::prefix([name, HOLDERS].concat())
}

/// Where a delay after a crash is noted.
pub fn delay_key(name: &[u8]) -> Bytes {
    [name, b"!delay"].concat().into()
}

pub fn delayed_until(item: Option<&Item>) -> Option<u64> {
    std::str::from_utf8(item?.value()).ok()?.parse().ok()
}

/// What was found of a line.
#[derive(Debug)]
pub struct Looked {
    pub turn: Turn,
    /// A plugin has a say in the place before this one, or had when that was entered.
    pub after_admitted: bool,
}

impl From<Turn> for Looked {
    fn from(turn: Turn) -> Self {
        Self { turn, after_admitted: false }
    }
}

/// Whether a place may be granted now.
#[derive(Debug, PartialEq, Eq)]
pub enum Turn {
    Free,
    /// Until something changes that was read, or until this time.
    Wait(Option<u64>),
}

/// What orders a line.
pub fn rank(item: &Item) -> (i64, &[u8]) {
    (item.create_revision(), item.key())
}

/// The items of a line that came before `place`, all of them for somebody new, in no order.
fn older<'a>(
    state: &'a State,
    name: &[u8],
    place: Option<&'a Item>,
) -> impl Iterator<Item = &'a Item> {
    let own = place.map(rank);
    state.items().range(&line(name)).filter(move |item| own.is_none_or(|own| rank(item) < own))
}

/// The same, oldest first.
pub fn before<'a>(state: &'a State, name: &[u8], place: Option<&'a Item>) -> Vec<&'a Item> {
    let mut older: Vec<&Item> = older(state, name, place).collect();
    older.sort_unstable_by(|a, b| rank(a).cmp(&rank(b)));
    older
}

/// Whether nobody in the line came before `place`.
pub fn is_first(state: &State, name: &[u8], place: &Item) -> bool {
    older(state, name, Some(place)).next().is_none()
}

/// Who came last before `place`, and whether that one is the first of all. A long line costs a
/// comparison for each place in it and nothing else.
fn predecessor(state: &State, name: &[u8], place: Option<&Item>) -> Option<(Item, bool)> {
    let (mut last, mut count): (Option<&Item>, usize) = (None, 0);
    for item in older(state, name, place) {
        count += 1;
        if last.is_none_or(|last| rank(last) < rank(item)) {
            last = Some(item);
        }
    }
    last.map(|last| (last.clone(), count == 1))
}

/// The places of holders who came later than `place`: a plugin has let them in, and is gone or has
/// failed.
fn younger_holders<'a>(
    state: &'a State,
    name: &'a [u8],
    place: &'a Item,
) -> impl Iterator<Item = &'a Item> {
    let held = state.items().range(&holders(name));
    let places = held.filter_map(|holder| state.get(&key(name, holder.lease())));
    places.filter(|held| rank(held) > rank(place))
}

/// Looks whether a place that asks for `wanted` may be granted, and notes exactly what that rests
/// on: the place before it while that one waits itself, else all holders.
pub fn turn(
    writer: &mut Writer<'_>,
    name: &Bytes,
    wanted: &LockRecord,
    place: Option<&Item>,
    now_ms: u64,
) -> Looked {
    if place.is_none()
        && let Some(reads) = writer.reads()
    {
        reads.note_range(&line(name));
    }
    let last = predecessor(writer.head, name, place);
    let after_admitted = last.as_ref().is_some_and(|(last, _)| terms(last).admitted);
    let looked = |turn| Looked { turn, after_admitted };
    let is_first = last.is_none();
    if let Some((last, last_is_first)) = last
        && !holds(&last, last_is_first)
    {
        note(writer, &last);
        return looked(Turn::Wait(None));
    }
    let younger = place.map(|place| younger_holders(writer.head, name, place));
    // Whoever is first need not look at the line again.
    let older = (!is_first).then(|| older(writer.head, name, place));
    let held = older.into_iter().flatten().chain(younger.into_iter().flatten());
    let held: Vec<Item> = held.cloned().collect();
    held.iter().for_each(|item| note(writer, item));
    let held: Vec<LockRecord> = held.iter().map(terms).collect();
    if !fits(wanted, &held) {
        return looked(Turn::Wait(None));
    }
    let delay = delayed_until(writer.get(&delay_key(name)));
    looked(match delay {
        Some(until) if until > now_ms => Turn::Wait(Some(until)),
        _ => Turn::Free,
    })
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
