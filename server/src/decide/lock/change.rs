//! Changing what is held: exclusive to shared and back, without letting go in between.

use portunus_proto::portunus::v1::{LockMode, LockRecord};

use super::line::{before, delay_key, delayed_until, holds, line};
use super::record;
use crate::decide::writer::Writer;
use crate::types::Item;
use bytes::Bytes;

/// What a holder hears who asks for another mode.
#[derive(Debug, PartialEq, Eq)]
pub enum Change {
    Granted,
    /// Others hold it too. An upgrade does not wait: two would wait for each other.
    Held,
    /// No such change: etcd's keys have no mode, and permits are counted.
    None,
}

/// Whether the holder of `item` may hold it as `wanted`. To share it is always granted; to have it
/// alone only when nobody else holds it, or crashed while it did and is waited for, whoever else
/// waits. The place in line stays, and the token with it.
pub fn change(
    writer: &mut Writer<'_>,
    name: &Bytes,
    item: &Item,
    wanted: &LockRecord,
    now_ms: u64,
) -> Change {
    let Some(has) = record::decode(item.value()) else { return Change::None };
    match (has.mode(), wanted.mode()) {
        (LockMode::Exclusive, LockMode::Shared) => Change::Granted,
        (LockMode::Shared, LockMode::Exclusive) => {
            if let Some(reads) = writer.reads() {
                reads.note_range(&line(name));
            }
            let all = before(writer.head, name, None);
            let others = all.iter().enumerate().filter(|(_, other)| other.key() != item.key());
            let is_shared = others.into_iter().any(|(n, other)| holds(other, n == 0));
            let delay = delayed_until(writer.get(&delay_key(name)));
            match is_shared || delay.is_some_and(|until| until > now_ms) {
                true => Change::Held,
                false => Change::Granted,
            }
        }
        _ => Change::None,
    }
}
