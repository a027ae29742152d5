//! Reads of the state that the decision is made on.
//!
//! What a plugin reads belongs to the decision: if it changes before the decision is final, the
//! plugin is asked again. So read little, and only what the answer depends on. A binding may
//! read its own prefix, and more if it was granted more; reading elsewhere ends the call.

use crate::Item;

#[cfg(target_arch = "wasm32")]
use crate::bindings::host::portunus::plugin::store as host;
#[cfg(not(target_arch = "wasm32"))]
use crate::testing::reads as host;

/// The key's current revision, if the key exists.
pub fn get(key: impl AsRef<[u8]>) -> Option<Item> {
    host::get(key.as_ref())
}

/// At most `limit` items from `start` up to and without `end`, in key order.
pub fn range(start: impl AsRef<[u8]>, end: impl AsRef<[u8]>, limit: u32) -> Vec<Item> {
    host::range(start.as_ref(), Some(end.as_ref()), limit)
}

/// At most `limit` items whose keys begin with `prefix`, in key order.
pub fn prefix(prefix: impl AsRef<[u8]>, limit: u32) -> Vec<Item> {
    let prefix = prefix.as_ref();
    host::range(prefix, end_of(prefix).as_deref(), limit)
}

/// How many keys there are from `start` up to and without `end`.
pub fn count(start: impl AsRef<[u8]>, end: impl AsRef<[u8]>) -> u64 {
    host::count(start.as_ref(), Some(end.as_ref()))
}

/// How many keys begin with `prefix`.
pub fn count_prefix(prefix: impl AsRef<[u8]>) -> u64 {
    let prefix = prefix.as_ref();
    host::count(prefix, end_of(prefix).as_deref())
}

/// The first key after all that begin with `prefix`; none when there is no such key.
fn end_of(prefix: &[u8]) -> Option<Vec<u8>> {
    let last = prefix.iter().rposition(|byte| *byte != 0xff)?;
    let mut end = prefix[..=last].to_vec();
    end[last] += 1;
    Some(end)
}

#[cfg(test)]
mod tests {
    use super::end_of;

    #[test]
    fn a_prefix_ends_before_its_successor() {
        assert_eq!(end_of(b"ab"), Some(b"ac".to_vec()));
        assert_eq!(end_of(b"a\xff\xff"), Some(b"b".to_vec()));
        assert_eq!(end_of(b"\xff"), None);
        assert_eq!(end_of(b""), None);
    }
}
