//! The state that a plugin may read during one call, lent by the caller, and the slot in which
//! the host functions find it.

use crate::types::{Item, KeyRange};

/// The plugin asked for something its binding does not grant, or the view cannot answer.
/// The text reaches the caller of the write and the author.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ReadRefused(pub String);

/// Reads for a plugin. The implementation keeps the read set and checks the grants.
pub trait StoreView {
    /// The key's revision in this view, if the key exists.
    fn get(&mut self, key: &[u8]) -> Result<Option<Item>, ReadRefused>;

    /// At most `limit` items of `range`, in key order. `limit` is never zero.
    fn range(&mut self, range: &KeyRange, limit: usize) -> Result<Vec<Item>, ReadRefused>;

    /// How many keys `range` holds.
    fn count(&mut self, range: &KeyRange) -> Result<u64, ReadRefused>;
}

/// Holds the view while a call runs. A store's data must be `'static` and the view is borrowed,
/// so the borrow's lifetime is erased by [`ViewSlot::lend`] and given back by [`ViewSlot::get`].
#[derive(Default)]
pub(super) struct ViewSlot(Option<*mut (dyn StoreView + 'static)>);

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
    pub(super) unsafe fn lend(&mut self, view: &mut dyn StoreView) {
        let view: *mut (dyn StoreView + '_) = view;
        // SAFETY: only the lifetime changes; the contract above keeps the use within it.
        self.0 = Some(unsafe {
            std::mem::transmute::<*mut (dyn StoreView + '_), *mut (dyn StoreView + 'static)>(view)
        });
    }

    pub(super) fn clear(&mut self) {
        self.0 = None;
    }

    /// The lent view; refused when the guest reads outside a call, as while it starts.
    #[allow(unsafe_code, reason = "gives the view back its lifetime, bound to the slot's borrow")]
    pub(super) fn get(&mut self) -> Result<&mut dyn StoreView, ReadRefused> {
        match self.0 {
            // SAFETY: filled by `lend` from a unique borrow that is still held by the caller of
            // the running call, and reached only through this unique borrow of the slot.
            Some(view) => Ok(unsafe { &mut *view }),
            None => Err(ReadRefused("the store can only be read during a call".to_owned())),
        }
    }
}
