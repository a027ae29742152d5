//! One committed revision as watchers see it: its events, each encoded as `mvccpb.Event` at most
//! once and shared by everyone who receives it. Knows nothing of who watches.

use std::sync::OnceLock;

use bytes::Bytes;
use prost::encoding::{WireType, encode_key, encode_varint, encoded_len_varint};
use triomphe::Arc;

use crate::effect::Author;
use crate::types::Item;

const TYPE: u32 = 1;
const KV: u32 = 2;
const PREV_KV: u32 = 3;
/// `mvccpb.Event.EventType.DELETE`; a put is the default and is not written.
const TYPE_DELETE: u64 = 1;
/// `mvccpb.KeyValue`: what a delete event's kv carries.
const KEY: u32 = 1;
const MOD_REVISION: u32 = 3;
/// Tags, lengths and the reference counts around an encoded event.
const OVERHEAD_BYTES: usize = 96;

/// What happened to a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    Put(Item),
    Delete { key: Bytes },
}

/// One change within a revision, with the item it replaced or removed.
#[derive(Debug)]
pub struct Event {
    change: Change,
    prev: Option<Item>,
    author: Option<Arc<Author>>,
    plain: OnceLock<Bytes>,
    with_prev: OnceLock<Bytes>,
}

impl Event {
    /// `prev` is the item before this revision, `None` when the key did not exist.
    pub fn new(change: Change, prev: Option<Item>) -> Self {
        let (plain, with_prev) = (OnceLock::new(), OnceLock::new());
        Self { change, prev, author: None, plain, with_prev }
    }

    /// The same, written by a plugin. Watchers are not told.
    pub fn by(self, author: Option<Arc<Author>>) -> Self {
        Self { author, ..self }
    }

    pub fn key(&self) -> &[u8] {
        match &self.change {
            Change::Put(item) => item.key(),
            Change::Delete { key } => key,
        }
    }

    pub fn change(&self) -> &Change {
        &self.change
    }

    pub fn prev(&self) -> Option<&Item> {
        self.prev.as_ref()
    }

    /// The plugin that made the change; none for a client's own.
    pub fn author(&self) -> Option<&Arc<Author>> {
        self.author.as_ref()
    }

    pub fn is_put(&self) -> bool {
        matches!(self.change, Change::Put(_))
    }

    /// Fills in what a record of the history does not carry, before the event is shared.
    pub(super) fn set_prev(&mut self, prev: Option<Item>) {
        self.prev = prev;
        self.with_prev = OnceLock::new();
    }

    /// The `mvccpb.Event` message; `revision` is that of the [`Committed`] it belongs to.
    pub(super) fn encoded(&self, revision: i64, with_prev: bool) -> &Bytes {
        match (&self.prev, with_prev) {
            (Some(prev), true) => self.with_prev.get_or_init(|| self.encode(revision, Some(prev))),
            _ => self.plain.get_or_init(|| self.encode(revision, None)),
        }
    }

    fn encode(&self, revision: i64, prev: Option<&Item>) -> Bytes {
        let prev_len = prev.map_or(0, |item| item.encoded().len());
        let kv_len = self.key().len() + OVERHEAD_BYTES;
        let mut out = Vec::with_capacity(prev_len + kv_len);
        match &self.change {
            Change::Put(item) => put_message(&mut out, KV, item.encoded()),
            Change::Delete { key } => {
                encode_key(TYPE, WireType::Varint, &mut out);
                encode_varint(TYPE_DELETE, &mut out);
                put_message(&mut out, KV, &deleted(key, revision));
            }
        }
        if let Some(item) = prev {
            put_message(&mut out, PREV_KV, item.encoded());
        }
        Bytes::from(out)
    }

    /// An upper estimate of what the event keeps in memory once everything about it is encoded.
    fn size_bytes(&self) -> usize {
        let current = match &self.change {
            Change::Put(item) => item.size_bytes(),
            Change::Delete { key } => key.len(),
        };
        let prev = self.prev.as_ref().map_or(0, Item::size_bytes);
        2 * (current + prev) + OVERHEAD_BYTES
    }
}

fn deleted(key: &[u8], revision: i64) -> Vec<u8> {
    let mut kv = Vec::with_capacity(key.len() + 16);
    put_message(&mut kv, KEY, key);
    encode_key(MOD_REVISION, WireType::Varint, &mut kv);
    encode_varint(revision as u64, &mut kv);
    kv
}

fn put_message(out: &mut Vec<u8>, tag: u32, bytes: &[u8]) {
    out.reserve(bytes.len() + encoded_len_varint(bytes.len() as u64) + 1);
    encode_key(tag, WireType::LengthDelimited, out);
    encode_varint(bytes.len() as u64, out);
    out.extend_from_slice(bytes);
}

/// All events of one revision, in the order they happened.
#[derive(Debug)]
pub struct Committed {
    revision: i64,
    events: Vec<Event>,
}

impl Committed {
    pub fn new(revision: i64, events: Vec<Event>) -> Self {
        Self { revision, events }
    }

    pub fn revision(&self) -> i64 {
        self.revision
    }

    pub fn events(&self) -> &[Event] {
        &self.events
    }

    pub(super) fn events_mut(&mut self) -> &mut [Event] {
        &mut self.events
    }

    pub(super) fn size_bytes(&self) -> usize {
        OVERHEAD_BYTES + self.events.iter().map(Event::size_bytes).sum::<usize>()
    }
}

#[cfg(test)]
mod tests {
    use super::{Change, Event};
    use crate::types::{Item, LeaseId, Revision};

    fn item(value: &str, modified: i64) -> Item {
        Item::new(b"k", value.as_bytes(), 2, Revision::new(modified, 0), 1, LeaseId::NONE)
    }

    #[test]
    fn a_put_is_type_kv_and_prev_in_field_order() {
        let (new, old) = (item("v", 3), item("u", 2));
        let event = Event::new(Change::Put(new.clone()), Some(old.clone()));
        let mut expected = vec![0x12, new.encoded().len() as u8];
        expected.extend_from_slice(new.encoded());
        assert_eq!(event.encoded(3, false)[..], expected[..]);
        expected.extend_from_slice(&[0x1a, old.encoded().len() as u8]);
        expected.extend_from_slice(old.encoded());
        assert_eq!(event.encoded(3, true)[..], expected[..]);
    }

    #[test]
    fn a_delete_carries_key_and_revision_only() {
        let event = Event::new(Change::Delete { key: "k".into() }, None);
        let expected = [0x08, 1, 0x12, 6, 0x0a, 1, b'k', 0x18, 0xac, 0x02];
        // 300 takes two bytes, so the kv is 1+1+1 for the key and 1+2 for the revision.
        assert_eq!(event.encoded(300, true)[..], expected[..]);
    }

    #[test]
    fn an_event_is_encoded_once() {
        let event = Event::new(Change::Put(item("v", 3)), None);
        let first = event.encoded(3, false).as_ptr();
        assert_eq!(event.encoded(3, false).as_ptr(), first);
        assert_eq!(event.encoded(3, true).as_ptr(), first, "no prev: the plain form serves both");
    }
}
