//! Names in the keyspace of rows: one leading byte keeps the caller's rows apart from the store's
//! own, so that no key a caller chooses can name the mark or a list of what to forget.

/// The row that holds the checkpoint [`Mark`](super::mark::Mark).
pub const MARK: &[u8] = b"m";

const CALLER: u8 = b'r';
const FORGET: u8 = b'f';

/// Where the caller's row `key` is stored.
pub fn caller(key: &[u8]) -> Vec<u8> {
    prefixed(CALLER, key)
}

/// The caller's key of a stored row; `None` for the store's own.
pub fn as_caller(stored: &[u8]) -> Option<&[u8]> {
    stored.split_first().and_then(|(&kind, key)| (kind == CALLER).then_some(key))
}

/// Where the `number`th list of revisions to forget is stored; sorts by number.
pub fn forget(number: u64) -> Vec<u8> {
    prefixed(FORGET, &number.to_be_bytes())
}

/// The number of a stored list of revisions to forget.
pub fn as_forget(stored: &[u8]) -> Option<u64> {
    let (&kind, number) = stored.split_first()?;
    (kind == FORGET).then_some(u64::from_be_bytes(number.try_into().ok()?))
}

fn prefixed(kind: u8, rest: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(1 + rest.len());
    out.push(kind);
    out.extend_from_slice(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::{MARK, as_caller, as_forget, caller, forget};

    #[test]
    fn a_callers_key_never_names_a_row_of_the_store() {
        for key in [&b""[..], b"m", b"f\0\0\0\0\0\0\0\0", b"r"] {
            let stored = caller(key);
            assert_eq!(as_caller(&stored), Some(key));
            assert_ne!(stored, MARK);
            assert_eq!(as_forget(&stored), None);
        }
        assert_eq!(as_caller(MARK), None);
    }

    #[test]
    fn lists_to_forget_sort_by_their_number() {
        assert_eq!(as_forget(&forget(300)), Some(300));
        assert!(forget(255) < forget(256));
        assert_eq!(as_forget(b"f123"), None);
        assert_eq!(as_caller(&forget(1)), None);
    }
}
