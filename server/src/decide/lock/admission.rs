//! Locks whose names are under the prefix of an admission plugin: the plugin's word instead of the
//! line's rules, and the keys that tell who holds.
//!
//! A grant writes `NAME!holders/<lease in hex>` under the holder's lease, in the transaction that
//! marks its place as granted. The create revision of that key is the fencing token: it grows with
//! each grant, also when a plugin admits out of turn. It goes with the lease, and with the place.

use bytes::Bytes;
use portunus_proto::portunus::v1::{LockAdmission, LockRecord, LockWord};

pub use super::line::holders;
use super::line::{
    HOLDERS, Looked, Turn, delay_key, delayed_until, is_first, key, line, rank, terms, turn,
};
use super::record;
use crate::decide::writer::Writer;
use crate::effect::{Binding, Mode, Point};
use crate::machine::State;
use crate::types::{Item, KeyRange, LeaseId};

/// Whose create revision is the holder's token.
pub fn holder_key(name: &[u8], lease: LeaseId) -> Bytes {
    [name, HOLDERS, lease.to_string().as_bytes()].concat().into()
}

/// The place in line of whom `key` says that it holds.
pub fn place_of(name: &[u8], key: &[u8]) -> Bytes {
    let slash = key.iter().rposition(|byte| *byte == b'/').unwrap_or(0);
    [name, &key[slash..]].concat().into()
}

/// Whether a key tells of a holder and is no place in a line.
pub(super) fn is_holder(key: &[u8]) -> bool {
    let Some(slash) = key.iter().rposition(|byte| *byte == b'/') else { return false };
    key[..=slash].ends_with(HOLDERS)
}

/// The bindings that are asked about a lock, in their order; those that are disabled are not.
pub fn admitting<'a>(
    state: &'a State,
    name: &Bytes,
) -> impl Iterator<Item = &'a Binding> + use<'a> {
    let name = [KeyRange::single(name.clone())];
    let over = state.registry().bindings_over(Point::LockAdmission, &name);
    over.filter(|binding| binding.mode != Mode::Disabled)
}

/// The binding whose word counts for locks of this name, or for keys that begin so.
pub fn enforced<'a>(state: &'a State, name: &Bytes) -> Option<&'a Binding> {
    admitting(state, name).find(|binding| binding.mode == Mode::Enforce)
}

/// Whether a place may be granted now: by the word of plugins, where there are any, and by the
/// rules of the line elsewhere.
pub(super) fn may_hold(
    writer: &mut Writer<'_>,
    name: &Bytes,
    wanted: &LockRecord,
    place: Option<&Item>,
    said: &[LockAdmission],
    now_ms: u64,
) -> Looked {
    if enforced(writer.head, name).is_none() {
        return turn(writer, name, wanted, place, now_ms);
    }
    let word = said.iter().find(|said| said.name == *name).map(LockAdmission::word);
    match word {
        Some(LockWord::Native) => turn(writer, name, wanted, place, now_ms),
        Some(LockWord::Admit) => match delayed_until(writer.get(&delay_key(name))) {
            Some(until) if until > now_ms => Turn::Wait(Some(until)).into(),
            _ => Turn::Free.into(),
        },
        // Nobody was asked: nothing is granted.
        Some(LockWord::Wait) | None => Turn::Wait(None).into(),
    }
}

/// Notes a holder whose grants are noted.
pub(super) fn note_holder(
    writer: &mut Writer<'_>,
    name: &Bytes,
    lease: LeaseId,
    held: &LockRecord,
) {
    if held.admitted {
        writer.put(&holder_key(name, lease), &record::encode(held), lease);
    }
}

/// Takes a place away, and the holder's key with it.
pub(super) fn give_up(writer: &mut Writer<'_>, name: &[u8], lease: LeaseId) {
    writer.delete(&KeyRange::single(key(name, lease)));
    let holder = holder_key(name, lease);
    if writer.get(&holder).is_some() {
        writer.delete(&KeyRange::single(holder));
    }
}

/// A place of a line as plugins see it.
pub struct Stander {
    pub lease: LeaseId,
    pub record: LockRecord,
    /// When it entered.
    pub entered: i64,
    /// 0 while it waits.
    pub token: i64,
}

/// The places of a lock, in no order. Names below its own have lines of their own.
fn places<'a>(state: &'a State, name: &[u8]) -> impl Iterator<Item = &'a Item> + use<'a> {
    let begin = name.len() + 1;
    let items = state.items().range(&line(name));
    items.filter(move |item| !item.key()[begin..].contains(&b'/'))
}

/// Whether a plugin let the lease in.
pub(super) fn is_noted(state: &State, name: &[u8], lease: LeaseId) -> bool {
    state.get(&holder_key(name, lease)).is_some()
}

fn waits(state: &State, name: &[u8], item: &Item) -> bool {
    match record::decode(item.value()) {
        Some(record) => !record.granted,
        // An etcd client's, from before the lock was bound.
        None => !is_first(state, name, item) && !is_noted(state, name, item.lease()),
    }
}

/// Who holds, in the order of their tokens, those from before there was a plugin among them.
pub fn held(state: &State, name: &Bytes) -> Vec<Stander> {
    let mut held: Vec<Stander> = Vec::new();
    for item in state.items().range(&holders(name)) {
        // The place alone can be gone when clients could write here for a while.
        let Some(place) = state.get(&key(name, item.lease())) else { continue };
        let (record, entered) = (terms(item), place.create_revision());
        held.push(Stander { lease: item.lease(), record, entered, token: item.create_revision() });
    }
    let is_native =
        |item: &&Item| !waits(state, name, item) && !is_noted(state, name, item.lease());
    held.extend(places(state, name).filter(is_native).map(|item| {
        let entered = item.create_revision();
        Stander { lease: item.lease(), record: terms(item), entered, token: entered }
    }));
    held.sort_by_key(|holder| holder.token);
    held
}

/// The keys of those holders whom no plugin let in: the lock was theirs before it was bound.
pub fn native_holders(state: &State, name: &Bytes, held: &[Stander]) -> Vec<Bytes> {
    let native = held.iter().filter(|held| !is_noted(state, name, held.lease));
    native.map(|held| key(name, held.lease)).collect()
}

/// The place of the line that came last before the lease's own and waits.
pub fn predecessor(state: &State, name: &Bytes, lease: LeaseId) -> Option<Bytes> {
    let own = state.get(&key(name, lease))?;
    let older = || places(state, name).filter(|item| rank(item) < rank(own));
    let last = |one: &&Item, other: &&Item| rank(one).cmp(&rank(other));
    let newest = older().max_by(last)?;
    let waiting = match waits(state, name, newest) {
        true => Some(newest),
        // Whoever is next comes behind those who hold.
        false => older().filter(|item| waits(state, name, item)).max_by(last),
    };
    waiting.map(|item| Bytes::copy_from_slice(item.key()))
}

/// Whether anybody waits.
pub fn is_waited_for(state: &State, name: &Bytes) -> bool {
    places(state, name).any(|item| waits(state, name, item))
}

/// Who waits, oldest first.
pub fn waiting(state: &State, name: &Bytes) -> Vec<Stander> {
    let waits = places(state, name).filter(|item| waits(state, name, item));
    let mut waiting: Vec<&Item> = waits.collect();
    waiting.sort_unstable_by(|one, other| rank(one).cmp(&rank(other)));
    let stander = |item: &Item| Stander {
        lease: item.lease(),
        record: terms(item),
        entered: item.create_revision(),
        token: 0,
    };
    waiting.into_iter().map(stander).collect()
}

#[cfg(test)]
#[path = "admission_test.rs"]
mod tests;
