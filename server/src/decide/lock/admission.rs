//! Locks whose names are under the prefix of an admission plugin: the plugin's word instead of the
//! line's rules, and the keys that tell who holds.
//!
//! A grant writes `NAME!holders/<lease in hex>` under the holder's lease, in the transaction that
//! marks its place as granted. The create revision of that key is the fencing token: it grows with
//! each grant, also when a plugin admits out of turn. It goes with the lease, and with the place.

use bytes::Bytes;
use portunus_proto::portunus::v1::{LockAdmission, LockRecord, LockWord};

use super::line::{Turn, delay_key, delayed_until, key, turn};
use super::record;
use crate::decide::writer::Writer;
use crate::effect::{Binding, Mode, Point};
use crate::machine::State;
use crate::types::{Item, KeyRange, LeaseId};

/// Behind a lock's name, before a holder's lease.
const HOLDERS: &[u8] = b"!holders/";

/// The keys of a lock's holders where a plugin admits them.
pub fn holders(name: &[u8]) -> KeyRange {
    KeyRange::prefix([name, HOLDERS].concat())
}

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
) -> Turn {
    if enforced(writer.head, name).is_none() {
        return turn(writer, name, wanted, place, now_ms);
    }
    let word = said.iter().find(|said| said.name == *name).map(LockAdmission::word);
    match word {
        Some(LockWord::Native) => turn(writer, name, wanted, place, now_ms),
        Some(LockWord::Admit) => match delayed_until(writer.get(&delay_key(name))) {
            Some(until) if until > now_ms => Turn::Wait(Some(until)),
            _ => Turn::Free,
        },
        // Nobody was asked: nothing is granted.
        Some(LockWord::Wait) | None => Turn::Wait(None),
    }
}

/// Notes a holder, where plugins admit.
pub(super) fn note_holder(
    writer: &mut Writer<'_>,
    name: &Bytes,
    lease: LeaseId,
    held: &LockRecord,
) {
    if enforced(writer.head, name).is_some() {
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

/// Who holds, in the order of their tokens, those from before there was a plugin among them.
pub fn held(state: &State, name: &Bytes) -> Vec<Stander> {
    let mut held: Vec<Stander> = Vec::new();
    for item in state.items().range(&holders(name)) {
        let entered = state.get(&key(name, item.lease())).map_or(0, Item::create_revision);
        let record = super::line::terms(item);
        held.push(Stander { lease: item.lease(), record, entered, token: item.create_revision() });
    }
    for (n, item) in super::line::before(state, name, None).into_iter().enumerate() {
        let known = held.iter().any(|holder| holder.lease == item.lease());
        if !known && super::line::holds(item, n == 0) {
            let (record, entered) = (super::line::terms(item), item.create_revision());
            held.push(Stander { lease: item.lease(), record, entered, token: entered });
        }
    }
    held.sort_by_key(|holder| holder.token);
    held
}

/// The place of the line that came last before the lease's own and waits.
pub fn predecessor(state: &State, name: &Bytes, lease: LeaseId) -> Option<Bytes> {
    let own = state.get(&key(name, lease))?;
    let older = super::line::before(state, name, Some(own));
    let waits = |(n, item): &(usize, &Item)| !super::line::holds(item, *n == 0);
    // From behind: most who hold stand at the front.
    let last = older.into_iter().enumerate().rev().find(waits);
    last.map(|(_, item)| Bytes::copy_from_slice(item.key()))
}

/// Who waits, oldest first.
pub fn waiting(state: &State, name: &Bytes) -> Vec<Stander> {
    let line = super::line::before(state, name, None).into_iter().enumerate();
    let waits = line.filter(|(n, item)| !super::line::holds(item, *n == 0));
    let stander = |(_, item): (usize, &Item)| Stander {
        lease: item.lease(),
        record: super::line::terms(item),
        entered: item.create_revision(),
        token: 0,
    };
    waits.map(stander).collect()
}
