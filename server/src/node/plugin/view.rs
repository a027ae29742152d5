//! What a plugin can do to the store during its call: within its grants, on top of the
//! transaction, each look noted.

use bytes::Bytes;
use rand::RngCore;

use super::overlay::Overlay;
use crate::effect::Binding;
use crate::types::{Item, KeyRange, LeaseId};
use crate::view::ReadSet;
use crate::wasm::{Refused, View};

/// Keys that one delete of a range may come to: each becomes a write of its own.
const DELETED_AT_ONCE_MAX: usize = 4096;

/// A plugin's view of one transaction in the making.
pub struct Guest<'a> {
    pub binding: &'a Binding,
    pub overlay: Overlay<'a>,
    pub reads: &'a mut ReadSet,
    /// Keys that the transaction writes without this plugin, which must leave them alone.
    pub taken: &'a dyn Fn(&[u8]) -> bool,
    pub now_ms: u64,
}

impl Guest<'_> {
    fn may_read(&self, range: &KeyRange) -> Result<(), Refused> {
        let grants = &self.binding.grants;
        let granted = grants.read.iter().chain(&grants.write);
        match range.is_empty() || self.is_own(range) || granted.clone().any(|g| g.covers(range)) {
            true => Ok(()),
            false => Err(self.not_granted("read", range)),
        }
    }

    fn may_write(&self, range: &KeyRange) -> Result<(), Refused> {
        let mut granted = self.binding.grants.write.iter();
        match range.is_empty() || self.is_own(range) || granted.any(|g| g.covers(range)) {
            true => Ok(()),
            false => Err(self.not_granted("write", range)),
        }
    }

    fn is_own(&self, range: &KeyRange) -> bool {
        KeyRange::prefix(self.binding.prefix.clone()).covers(range)
    }

    fn not_granted(&self, what: &str, range: &KeyRange) -> Refused {
        let plugin = &self.binding.plugin;
        let (start, prefix) = (text(&range.start), text(&self.binding.prefix));
        let keys = if range.is_single() { "" } else { "a range from " };
        Refused(format!(
            "{plugin} may not {what} {keys}{start:?}: it is bound to {prefix:?} and has no grant \
             for it"
        ))
    }

    /// What is there before the transaction; a key that it writes was noted then.
    fn note(&mut self, key: &Bytes) {
        self.reads.note_key(key, self.overlay.state.get(key));
    }

    fn leave_alone(&self, key: &[u8]) -> Result<(), Refused> {
        match (self.taken)(key) {
            false => Ok(()),
            true => {
                let (plugin, key) = (&self.binding.plugin, text(key));
                Err(Refused(format!(
                    "{plugin} writes {key:?}, which the transaction writes itself"
                )))
            }
        }
    }
}

impl View for Guest<'_> {
    fn get(&mut self, key: &[u8]) -> Result<Option<Item>, Refused> {
        let key = Bytes::copy_from_slice(key);
        self.may_read(&KeyRange::single(key.clone()))?;
        self.note(&key);
        Ok(self.overlay.get(&key).cloned())
    }

    fn range(&mut self, range: &KeyRange, limit: usize) -> Result<Vec<Item>, Refused> {
        self.may_read(range)?;
        let items = self.overlay.range(range, limit);
        // Nothing above the last item was looked at when the limit cut it off.
        match items.last() {
            Some(last) if items.len() == limit => {
                let mut end = last.key().to_vec();
                end.push(0);
                let seen = KeyRange::from_wire(range.start.clone(), end.into());
                self.reads.note_range(&seen);
            }
            _ => self.reads.note_range(range),
        }
        Ok(items)
    }

    fn count(&mut self, range: &KeyRange) -> Result<u64, Refused> {
        self.may_read(range)?;
        self.reads.note_range(range);
        Ok(self.overlay.count(range) as u64)
    }

    fn put(&mut self, key: &[u8], value: &[u8], lease: LeaseId) -> Result<(), Refused> {
        let key = Bytes::copy_from_slice(key);
        self.may_write(&KeyRange::single(key.clone()))?;
        self.leave_alone(&key)?;
        if !lease.is_none() {
            let exists = self.overlay.state.lease(lease).is_some();
            self.reads.note_lease(lease, exists);
            if !exists {
                return Err(Refused(format!("there is no lease {lease}")));
            }
        }
        self.note(&key);
        self.overlay.put(&key, value, lease);
        Ok(())
    }

    fn delete(&mut self, range: &KeyRange) -> Result<u64, Refused> {
        self.may_write(range)?;
        match range.is_single() {
            true => self.note(&range.start),
            false => self.reads.note_range(range),
        }
        let taken = self.overlay.range(range, DELETED_AT_ONCE_MAX + 1);
        taken.iter().try_for_each(|item| self.leave_alone(item.key()))?;
        let deleted = self.overlay.delete(range, DELETED_AT_ONCE_MAX);
        let too_many =
            || Refused(format!("it deletes more than {DELETED_AT_ONCE_MAX} keys at once"));
        deleted.map(|count| count as u64).ok_or_else(too_many)
    }

    fn now_ms(&mut self) -> u64 {
        self.now_ms
    }

    fn random(&mut self, out: &mut [u8]) {
        rand::rng().fill_bytes(out);
    }
}

fn text(key: &[u8]) -> String {
    String::from_utf8_lossy(key).into_owned()
}
