//! The state that a plugin may read and write during one call, lent by the caller, and the slot
//! in which the host functions find it.

use super::admission::{LockPlace, QueuedItem};
use crate::types::{Item, KeyRange, LeaseId};

/// The plugin asked for something its binding does not grant, or that cannot be done. It ends the
/// call; the text reaches whoever caused the call, and the author.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Refused(pub String);

/// The store, the clock and the dice of a plugin's call. The implementation keeps the read set,
/// holds the writes back until the call has ended well, and checks the grants. It counts nothing:
/// limits are enforced before it is asked.
pub trait View {
    /// The key's revision in this view, if the key exists.
    fn get(&mut self, key: &[u8]) -> Result<Option<Item>, Refused>;

    /// At most `limit` items of `range`, in key order. `limit` is never zero.
    fn range(&mut self, range: &KeyRange, limit: usize) -> Result<Vec<Item>, Refused>;

    /// How many keys `range` holds.
    fn count(&mut self, range: &KeyRange) -> Result<u64, Refused>;

    /// Writes `key`, which is not empty; seen by the reads that follow.
    fn put(&mut self, key: &[u8], value: &[u8], lease: LeaseId) -> Result<(), Refused>;

    /// Deletes the keys of `range`, which may be a single one, and tells how many there were.
    fn delete(&mut self, range: &KeyRange) -> Result<u64, Refused>;

    /// Milliseconds since 1970 in UTC, the same within one call.
    fn now_ms(&mut self) -> u64;

    /// Fills `out` with bytes that nobody can foretell.
    fn random(&mut self, out: &mut [u8]);

    /// Who waits for the lock in question, in the order in which they came.
    fn waiters(&mut self) -> Result<Vec<LockPlace>, Refused> {
        Err(Refused("locks can only be used by a lock admission".to_owned()))
    }

    /// Whether nobody waits any more who came before the request in question.
    fn is_next(&mut self) -> Result<bool, Refused> {
        Err(Refused("locks can only be used by a lock admission".to_owned()))
    }

    /// At most `limit` ready items of the queue in question, after the first `skip`.
    fn ready_items(&mut self, _skip: usize, _limit: usize) -> Result<Vec<QueuedItem>, Refused> {
        Err(Refused("queues can only be used by a queue condition".to_owned()))
    }

    /// At most `limit` items that are delivered and not acknowledged.
    fn items_in_flight(&mut self, _limit: usize) -> Result<Vec<QueuedItem>, Refused> {
        Err(Refused("queues can only be used by a queue condition".to_owned()))
    }

    /// Whether the item is still in the queue.
    fn holds_item(&mut self, _id: u64) -> Result<bool, Refused> {
        Err(Refused("queues can only be used by a queue condition".to_owned()))
    }
}

/// Holds the view while a call runs. A store's data must be `'static` and the view is borrowed,
/// so the borrow's lifetime is erased by [`ViewSlot::lend`] and given back by [`ViewSlot::get`].
#[derive(Default)]
pub(super) struct ViewSlot(Option<*mut (dyn View + 'static)>);

// SAFETY: the slot is filled for the length of one call only, which stays on its thread (see
// `lend`); a store that moves between threads carries an empty slot.
#[allow(unsafe_code, reason = "a raw pointer that is None whenever its owner can move")]
unsafe impl Send for ViewSlot {}

impl ViewSlot {
    /// Fills the slot.
    ///
    /// # Safety
    /// The caller empties the slot with [`ViewSlot::clear`] before `view` is usable again, on
    /// every way out, and does not move the slot to another thread in between.
    #[allow(unsafe_code, reason = "the only place that erases the view's lifetime")]
    pub(super) unsafe fn lend(&mut self, view: &mut dyn View) {
        let view: *mut (dyn View + '_) = view;
        // SAFETY: only the lifetime changes; the contract above keeps the use within it.
        self.0 = Some(unsafe {
            std::mem::transmute::<*mut (dyn View + '_), *mut (dyn View + 'static)>(view)
        });
    }

    pub(super) fn clear(&mut self) {
        self.0 = None;
    }

    /// The lent view; refused when the guest uses it outside a call, as while it starts.
    #[allow(unsafe_code, reason = "gives the view back its lifetime, bound to the slot's borrow")]
    pub(super) fn get(&mut self) -> Result<&mut dyn View, Refused> {
        match self.0 {
            // SAFETY: filled by `lend` from a unique borrow that is still held by the caller of
            // the running call, and reached only through this unique borrow of the slot.
            Some(view) => Ok(unsafe { &mut *view }),
            None => Err(Refused("store and env can only be used during a call".to_owned())),
        }
    }
}
