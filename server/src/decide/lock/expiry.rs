//! What the expiry of a holder's lease leaves behind: a delay before the next grant, so that what
//! the holder has sent may arrive or be lost first.

use bytes::Bytes;
use portunus_proto::portunus::v1::LockRecord;

use super::admission::is_holder;
use super::line::{delay_key, delayed_until};
use super::record;
use crate::decide::writer::Writer;
use crate::machine::State;
use crate::types::{Item, LeaseId};

/// What of a lease's keys may be held locks that ask for a delay.
pub fn held_by(state: &State, lease: LeaseId) -> Vec<Item> {
    let keys = state.lease_keys(lease);
    keys.iter().filter_map(|key| state.get(key)).filter(|item| asks(item)).cloned().collect()
}

fn asks(item: &Item) -> bool {
    let asks = |held: LockRecord| held.granted && held.lock_delay_ms > 0;
    !is_holder(item.key()) && record::decode(item.value()).is_some_and(asks)
}

/// Notes the delays that holders whose keys were `items` have asked for.
pub fn delay_after(writer: &mut Writer<'_>, items: &[Item], now_ms: u64) {
    for item in items {
        let Some(record) = record::decode(item.value()) else { continue };
        let Some(name) = name_of(item) else { continue };
        let until = now_ms.saturating_add(record.lock_delay_ms.unsigned_abs());
        let key = delay_key(&name);
        let until = delayed_until(writer.get(&key)).map_or(until, |other| other.max(until));
        writer.put(&key, until.to_string().as_bytes(), LeaseId::NONE);
    }
}

/// The line that a key is of.
fn name_of(item: &Item) -> Option<Bytes> {
    let suffix = format!("/{}", item.lease());
    item.key().strip_suffix(suffix.as_bytes()).map(Bytes::copy_from_slice)
}
