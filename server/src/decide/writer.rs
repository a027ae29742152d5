//! Writing within one decision: everything it writes shares one revision, and it sees what it has
//! written.

use bytes::Bytes;
use triomphe::Arc;

use super::{Draft, Refusal};
use crate::effect::{Author, Effect};
use crate::machine::State;
use crate::types::{Item, KeyRange, LeaseId, Revision};
use crate::view::ReadSet;

/// The head, the draft and the place of the next write.
pub(super) struct Writer<'a> {
    pub head: &'a mut State,
    pub draft: &'a mut Draft,
    next: Revision,
}

/// A point to come back to.
pub(super) struct Mark {
    head: State,
    next: Revision,
    lens: [usize; 3],
}

impl<'a> Writer<'a> {
    pub fn new(head: &'a mut State, draft: &'a mut Draft) -> Self {
        let next = head.next_revision();
        Self { head, draft, next }
    }

    /// Everything written from here on belongs to a revision of its own.
    pub fn begin_revision(&mut self) {
        self.next = self.head.next_revision();
    }

    /// Names who makes the writes that follow in this revision.
    pub fn by(&mut self, author: Author) {
        let main = self.next.main;
        self.emit(Effect::By { main, author: Arc::new(author) });
    }

    pub fn emit(&mut self, effect: Effect) {
        self.draft.emit(self.head, effect);
    }

    /// Where the decision stands, to come back to with [`Writer::undo_to`].
    pub fn mark(&self) -> Mark {
        let Draft { effects, changes, rows, .. } = &*self.draft;
        Mark {
            head: self.head.clone(),
            next: self.next,
            lens: [effects.len(), changes.len(), rows.len()],
        }
    }

    /// Undoes everything since the mark; what was read stays noted.
    pub fn undo_to(&mut self, mark: Mark) {
        *self.head = mark.head;
        self.next = mark.next;
        let [effects, changes, rows] = mark.lens;
        self.draft.effects.truncate(effects);
        self.draft.changes.truncate(changes);
        self.draft.rows.truncate(rows);
    }

    pub fn reads(&mut self) -> Option<&mut ReadSet> {
        self.draft.reads.as_mut()
    }

    /// Refuses a lease that does not exist; none at all is fine.
    pub fn check_lease(&mut self, id: LeaseId) -> Result<(), Refusal> {
        if id.is_none() {
            return Ok(());
        }
        let exists = self.head.lease(id).is_some();
        if let Some(reads) = &mut self.draft.reads {
            reads.note_lease(id, exists);
        }
        exists.then_some(()).ok_or(Refusal::LeaseNotFound)
    }

    /// The key's item as this decision sees it now.
    pub fn get(&mut self, key: &Bytes) -> Option<&Item> {
        let item = self.head.items().get(key);
        if let Some(reads) = &mut self.draft.reads {
            reads.note_key(key, item);
        }
        item
    }

    /// Puts the key's next version and returns the item it takes the place of.
    pub fn put(&mut self, key: &Bytes, value: &[u8], lease: LeaseId) -> Option<&Item> {
        let at = self.next;
        let item = match self.get(key) {
            Some(old) => Item::new(key, value, old.create_revision(), at, old.version() + 1, lease),
            None => Item::new(key, value, at.main, at, 1, lease),
        };
        self.next.sub += 1;
        self.emit(Effect::Put(item));
        self.draft.changes.last().and_then(|change| change.prev.as_ref())
    }

    /// Deletes the keys of a range, in order, and returns how many there were. The items they
    /// held are the `prev` of the draft's last changes.
    pub fn delete(&mut self, range: &KeyRange) -> usize {
        match &mut self.draft.reads {
            Some(reads) if range.is_single() => {
                reads.note_key(&range.start, self.head.get(&range.start));
            }
            Some(reads) => reads.note_range(range),
            None => {}
        }
        let keys: Vec<Bytes> = match range.is_single() {
            true => self.head.get(&range.start).map(|_| range.start.clone()).into_iter().collect(),
            false => self.head.items().range(range).map(key_of).collect(),
        };
        let count = keys.len();
        keys.into_iter().for_each(|key| self.delete_key(key));
        count
    }

    /// Deletes a key that is there.
    pub fn delete_key(&mut self, key: Bytes) {
        let at = self.next;
        self.next.sub += 1;
        self.emit(Effect::Delete { key, at });
    }
}

fn key_of(item: &Item) -> Bytes {
    Bytes::copy_from_slice(item.key())
}
