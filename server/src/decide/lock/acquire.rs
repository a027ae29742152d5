//! Taking places and getting them granted, all names of a caller at once.

use bytes::Bytes;
use portunus_proto::portunus::v1::{
    LockAcquireRequest, LockAdmission, LockAwait, LockMode, LockPlace, LockRecord, LockSaid,
};

use super::admission::{enforced, holder_key, is_noted, may_hold, note_holder};
use super::change::{Change, change};
use super::line::{Turn, delay_key, key};
use super::{line, record};
use crate::decide::writer::Writer;
use crate::decide::{LockRefusal, Refusal};
use crate::types::{Item, KeyRange, LeaseId};

/// Names in one call: each costs a look at its line with every decision.
const NAMES_MAX: usize = 32;

/// Checks that need no state.
fn check(request: &LockAcquireRequest) -> Result<(), Refusal> {
    let names = &request.names;
    let twice = names.iter().enumerate().any(|(n, name)| names[..n].contains(name));
    if names.is_empty() || names.iter().any(Bytes::is_empty) || twice {
        return Err(Refusal::Lock(LockRefusal::Unnamed));
    }
    if names.len() > NAMES_MAX {
        return Err(Refusal::Lock(LockRefusal::TooMany { names: names.len(), max: NAMES_MAX }));
    }
    let reserved = |name: &&Bytes| is_below_holders(name);
    if let Some(name) = names.iter().find(reserved) {
        return Err(Refusal::Lock(LockRefusal::Reserved { name: text(name) }));
    }
    let weight = request.weight.max(1);
    if request.mode() == LockMode::Permits && weight > request.permits {
        return Err(Refusal::Lock(LockRefusal::TooHeavy { weight, permits: request.permits }));
    }
    Ok(())
}

/// Whether the places of a line of this name would be keys of another lock's holders.
fn is_below_holders(name: &[u8]) -> bool {
    let keys = [name, b"/"].concat();
    keys.windows(line::HOLDERS.len()).any(|part| part == line::HOLDERS)
}

/// What a caller finds under its own key.
enum Own {
    Absent,
    Waits(Item),
    Holds(Item),
}

fn own(writer: &mut Writer<'_>, name: &Bytes, lease: LeaseId) -> Own {
    let Some(item) = writer.get(&key(name, lease)).cloned() else { return Own::Absent };
    let is_first = || line::is_first(writer.head, name, &item);
    match record::decode(item.value()) {
        Some(record) if record.granted => Own::Holds(item),
        Some(_) => Own::Waits(item),
        // Taken with etcd's service under the same lease.
        None if is_first() || is_noted(writer.head, name, lease) => Own::Holds(item),
        None => Own::Waits(item),
    }
}

/// Enters all names, or finds the places there are. Grants them at once if all may be; with
/// `try_only` it is refused otherwise and nothing is entered.
pub fn enlist(
    writer: &mut Writer<'_>,
    request: &LockAcquireRequest,
    said: &[LockAdmission],
    user: &str,
    now_ms: u64,
) -> Result<LockSaid, Refusal> {
    check(request)?;
    let lease = LeaseId(request.lease);
    if lease.is_none() {
        return Err(Refusal::LeaseNotFound);
    }
    writer.check_lease(lease)?;
    let record = LockRecord {
        mode: request.mode,
        permits: if request.mode() == LockMode::Permits { request.permits } else { 0 },
        weight: request.weight.max(1),
        granted: false,
        holds: 1,
        metadata: request.metadata.clone(),
        lock_delay_ms: request.lock_delay_ms.max(0),
        revocation: String::new(),
        admitted: false,
        user: user.to_owned(),
    };
    let mut found = Vec::with_capacity(request.names.len());
    let mut granted = true;
    for name in &request.names {
        let own = own(writer, name, lease);
        let mut admitted = enforced(writer.head, name).is_some();
        let is_free = match &own {
            // Where a plugin admits, a lock is let go of and asked for again.
            Own::Holds(item) if differs(item, &record) && request.names.len() == 1 && !admitted => {
                match change(writer, name, item, &record, now_ms) {
                    Change::Granted => true,
                    Change::Held => {
                        return Err(Refusal::Lock(LockRefusal::Held { name: text(name) }));
                    }
                    Change::None => {
                        return Err(Refusal::Lock(LockRefusal::Differs { name: text(name) }));
                    }
                }
            }
            Own::Holds(item) | Own::Waits(item) if differs(item, &record) => {
                return Err(Refusal::Lock(LockRefusal::Differs { name: text(name) }));
            }
            Own::Holds(_) => true,
            Own::Waits(item) => {
                may_hold(writer, name, &record, Some(item), said, now_ms).turn == Turn::Free
            }
            Own::Absent => {
                let looked = may_hold(writer, name, &record, None, said, now_ms);
                admitted |= looked.after_admitted;
                looked.turn == Turn::Free
            }
        };
        if !is_free && request.try_only {
            return Err(Refusal::Lock(LockRefusal::Held { name: text(name) }));
        }
        granted &= is_free;
        found.push((own, LockRecord { admitted, ..record.clone() }));
    }
    let mut places = Vec::with_capacity(found.len());
    for (name, (own, record)) in request.names.iter().zip(found) {
        places.push(enter(writer, request, &record, name, own, granted));
    }
    Ok(LockSaid { revision: writer.head.revision, granted, places, count: 0 })
}

/// A place once taken stays what it is.
fn differs(item: &Item, wanted: &LockRecord) -> bool {
    let has = line::terms(item);
    (has.mode, has.permits) != (wanted.mode, wanted.permits)
        || (has.mode() == LockMode::Permits && has.weight != wanted.weight)
}

fn enter(
    writer: &mut Writer<'_>,
    request: &LockAcquireRequest,
    record: &LockRecord,
    name: &Bytes,
    own: Own,
    granted: bool,
) -> LockPlace {
    let lease = LeaseId(request.lease);
    match own {
        Own::Absent => {
            let record = LockRecord { granted, ..record.clone() };
            put(writer, name, lease, &record);
            if granted {
                note_holder(writer, name, lease, &record);
            }
        }
        Own::Waits(item) if granted => grant(writer, name, &item),
        Own::Holds(item) if granted && differs(&item, record) => {
            let held = line::terms(&item);
            put(writer, name, lease, &LockRecord { mode: record.mode, ..held });
            // A delay after another's crash goes on: this is no new holder.
            return place(writer, name, lease);
        }
        Own::Holds(item) if granted && request.reentrant => {
            let held = line::terms(&item);
            let record = LockRecord { granted, holds: held.holds.max(1) + 1, ..held };
            put(writer, name, lease, &record);
            note_holder(writer, name, lease, &record);
        }
        Own::Waits(_) | Own::Holds(_) => {}
    }
    if granted {
        end_delay(writer, name);
    }
    place(writer, name, lease)
}

fn put(writer: &mut Writer<'_>, name: &Bytes, lease: LeaseId, record: &LockRecord) {
    writer.put(&key(name, lease), &record::encode(record), lease);
}

/// An etcd client's key is left as it is: it holds by being first, or by the word of a plugin.
fn grant(writer: &mut Writer<'_>, name: &Bytes, item: &Item) {
    let admits = enforced(writer.head, name).is_some();
    let has = line::terms(item);
    let record = LockRecord { granted: true, admitted: has.admitted || admits, ..has };
    if record::decode(item.value()).is_some() {
        put(writer, name, item.lease(), &record);
    }
    note_holder(writer, name, item.lease(), &record);
}

fn end_delay(writer: &mut Writer<'_>, name: &Bytes) {
    let delay = delay_key(name);
    if writer.get(&delay).is_some() {
        writer.delete(&KeyRange::single(delay));
    }
}

fn place(writer: &mut Writer<'_>, name: &Bytes, lease: LeaseId) -> LockPlace {
    let holder = holder_key(name, lease);
    if let Some(item) = writer.get(&holder) {
        let (token, holds) = (item.create_revision(), line::terms(item).holds.max(1));
        return LockPlace { name: name.clone(), key: holder, token, holds };
    }
    let key = key(name, lease);
    let (token, holds) = match writer.get(&key) {
        Some(item) => (item.create_revision(), line::terms(item).holds.max(1)),
        None => (0, 0),
    };
    LockPlace { name: name.clone(), key, token, holds }
}

/// Grants all places once each may be.
pub fn await_turn(
    writer: &mut Writer<'_>,
    wait: &LockAwait,
    said: &[LockAdmission],
    now_ms: u64,
) -> Result<LockSaid, Refusal> {
    let mut due = Vec::new();
    for place in &wait.places {
        let item = writer.get(&place.key).filter(|item| item.create_revision() == place.token);
        let Some(item) = item.cloned() else {
            return Err(Refusal::Lock(LockRefusal::Lost { name: text(&place.name) }));
        };
        let holds = || {
            line::is_first(writer.head, &place.name, &item)
                || is_noted(writer.head, &place.name, item.lease())
        };
        if record::decode(item.value()).map_or_else(holds, |record| record.granted) {
            continue;
        }
        due.push((&place.name, item));
    }
    for (name, item) in &due {
        let wanted = line::terms(item);
        let looked = may_hold(writer, name, &wanted, Some(item), said, now_ms);
        if let Turn::Wait(until_ms) = looked.turn {
            return Err(Refusal::Wait { until_ms });
        }
    }
    for (name, item) in &due {
        grant(writer, name, item);
        end_delay(writer, name);
    }
    let lease_of = |key: &Bytes| writer.head.get(key).map_or(LeaseId::NONE, Item::lease);
    let own: Vec<_> = wait.places.iter().map(|place| (&place.name, lease_of(&place.key))).collect();
    let held = own.into_iter().map(|(name, lease)| place(writer, name, lease)).collect();
    Ok(LockSaid { revision: writer.head.revision, granted: true, places: held, count: 0 })
}

pub(super) fn text(name: &[u8]) -> String {
    String::from_utf8_lossy(name).into_owned()
}
