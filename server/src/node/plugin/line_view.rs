//! What plugins see beside the store: the line of the lock that they are asked about, and the
//! queue. Everything else is the [`Guest`]'s.

use bytes::Bytes;
use portunus_proto::portunus::v1::QueueItem;
use prost::Message;

use super::locks::stander;
use super::view::Guest;
use crate::decide;
use crate::decide::lock::admission;
use crate::decide::queue::Queue;
use crate::types::{Item, KeyRange, LeaseId};
use crate::wasm::{LockPlace, QueuedItem, Refused, View};

/// The view of a plugin that is asked about a lock.
pub struct LineView<'a> {
    pub guest: Guest<'a>,
    pub name: &'a Bytes,
    /// Who wants it.
    pub place: &'a LockPlace,
    /// The plugin has heard that it is not its turn.
    pub is_behind: bool,
}

/// The view of a plugin that is asked about a queue.
pub struct QueueView<'a> {
    pub guest: Guest<'a>,
    pub queue: Queue<'a>,
}

/// The part of a view that is the guest's.
macro_rules! as_guest {
    () => {
        fn get(&mut self, key: &[u8]) -> Result<Option<Item>, Refused> {
            self.guest.get(key)
        }

        fn range(&mut self, range: &KeyRange, limit: usize) -> Result<Vec<Item>, Refused> {
            self.guest.range(range, limit)
        }

        fn count(&mut self, range: &KeyRange) -> Result<u64, Refused> {
            self.guest.count(range)
        }

        fn put(&mut self, key: &[u8], value: &[u8], lease: LeaseId) -> Result<(), Refused> {
            self.guest.put(key, value, lease)
        }

        fn delete(&mut self, range: &KeyRange) -> Result<u64, Refused> {
            self.guest.delete(range)
        }

        fn now_ms(&mut self) -> u64 {
            self.guest.now_ms()
        }

        fn random(&mut self, out: &mut [u8]) {
            self.guest.random(out);
        }
    };
}

impl View for LineView<'_> {
    as_guest!();

    fn waiters(&mut self) -> Result<Vec<LockPlace>, Refused> {
        let state = self.guest.overlay.state;
        self.guest.reads.note_range(&decide::lock::line_of(self.name));
        let mut all: Vec<LockPlace> =
            admission::waiting(state, self.name).iter().map(stander).collect();
        if self.place.entered == 0 {
            all.push(self.place.clone());
        }
        Ok(all)
    }

    fn is_next(&mut self) -> Result<bool, Refused> {
        let state = self.guest.overlay.state;
        if self.place.entered == 0 {
            // Others may enter before this decision is final.
            self.guest.reads.note_range(&decide::lock::line_of(self.name));
            self.is_behind = admission::is_waited_for(state, self.name);
            return Ok(!self.is_behind);
        }
        // Nobody can come before any more: while somebody waits there, that place tells when not.
        let before = admission::predecessor(state, self.name, self.place.lease);
        if let Some(key) = &before {
            self.guest.reads.note_key(key, state.get(key));
        }
        self.is_behind = before.is_some();
        Ok(before.is_none())
    }
}

impl View for QueueView<'_> {
    as_guest!();

    fn ready_items(&mut self, skip: usize, limit: usize) -> Result<Vec<QueuedItem>, Refused> {
        Ok(self.items(&self.queue.ready(), skip, limit))
    }

    fn items_in_flight(&mut self, limit: usize) -> Result<Vec<QueuedItem>, Refused> {
        Ok(self.items(&self.queue.taken(), 0, limit))
    }

    fn holds_item(&mut self, id: u64) -> Result<bool, Refused> {
        let state = self.guest.overlay.state;
        let delayed = self.queue.delayed();
        let ranges = [self.queue.ready(), delayed.clone(), self.queue.taken(), self.queue.dead()];
        ranges.iter().for_each(|range| self.guest.reads.note_range(range));
        let is_there = |key: Bytes| state.get(&key).is_some();
        Ok(is_there(self.queue.taken_key(id))
            || is_there(self.queue.dead_key(id))
            || decide::queue::ready_key(state, self.queue, id).is_some()
            || state.items().range(&delayed).any(|item| Queue::id_of(item.key()) == Some(id)))
    }
}

impl QueueView<'_> {
    fn items(&mut self, range: &KeyRange, skip: usize, limit: usize) -> Vec<QueuedItem> {
        self.guest.reads.note_range(range);
        let items = self.guest.overlay.state.items().range(range);
        let items = items.filter_map(|item| QueueItem::decode(item.value()).ok());
        items.skip(skip).take(limit).map(queued).collect()
    }
}

fn queued(item: QueueItem) -> QueuedItem {
    let mut headers: Vec<_> = item.headers.into_iter().collect();
    headers.sort();
    QueuedItem {
        id: item.id,
        payload: item.payload.to_vec(),
        headers,
        priority: item.priority,
        attempts: item.attempts,
        enqueued_ms: item.enqueued_ms,
    }
}
