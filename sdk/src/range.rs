//! Ranges of keys: from Rust's ranges to the contract's, and reading them page by page.

use std::ops::{Bound, RangeBounds};

use crate::Item;
use crate::host::store;

/// A first page is small, for those who look at the first items only; each next one is larger.
const PAGE_FIRST: u32 = 16;
const PAGE_MAX: u32 = 1024;

/// Start and end as the contract has them: the end is not in the range, none is no end.
pub(crate) type Span = (Vec<u8>, Option<Vec<u8>>);

pub(crate) fn bounds<K: AsRef<[u8]>>(keys: &impl RangeBounds<K>) -> Span {
    let start = match keys.start_bound() {
        Bound::Included(key) => key.as_ref().to_vec(),
        Bound::Excluded(key) => after(key.as_ref()),
        Bound::Unbounded => Vec::new(),
    };
    let end = match keys.end_bound() {
        Bound::Included(key) => Some(after(key.as_ref())),
        Bound::Excluded(key) => Some(key.as_ref().to_vec()),
        Bound::Unbounded => None,
    };
    (start, end)
}

/// All keys that begin with `prefix`.
pub(crate) fn under(prefix: &[u8]) -> Span {
    let end = prefix.iter().rposition(|byte| *byte != 0xff).map(|last| {
        let mut end = prefix[..=last].to_vec();
        end[last] += 1;
        end
    });
    (prefix.to_vec(), end)
}

/// The next key in order.
fn after(key: &[u8]) -> Vec<u8> {
    [key, &[0]].concat()
}

/// The items of a range, read as they are asked for.
///
/// Only the pages that were read belong to the decision. A page that is read after a write of the
/// plugin sees it.
#[derive(Debug)]
pub struct Scan {
    start: Vec<u8>,
    end: Option<Vec<u8>>,
    page: std::vec::IntoIter<Item>,
    page_size: u32,
    left: usize,
    at_end: bool,
}

impl Scan {
    pub(crate) fn new((start, end): Span) -> Self {
        Self {
            start,
            end,
            page: Vec::new().into_iter(),
            page_size: PAGE_FIRST,
            left: usize::MAX,
            at_end: false,
        }
    }

    /// Ends after `items` items, and reads no more than that: unlike `take`, which does not know
    /// beforehand.
    #[must_use]
    pub fn limit(self, items: usize) -> Self {
        let left = self.left.min(items);
        Self { left, ..self }
    }

    fn turn(&mut self) {
        let size = self.page_size.min(u32::try_from(self.left).unwrap_or(u32::MAX));
        let page = store::range(&self.start, self.end.as_deref(), size);
        self.at_end = page.len() < size as usize;
        if let Some(last) = page.last() {
            self.start = after(&last.key);
        }
        self.page = page.into_iter();
        self.page_size = (self.page_size * 4).min(PAGE_MAX);
    }
}

impl Iterator for Scan {
    type Item = Item;

    fn next(&mut self) -> Option<Item> {
        if self.left == 0 {
            return None;
        }
        if self.page.len() == 0 && !self.at_end {
            self.turn();
        }
        let next = self.page.next()?;
        self.left -= 1;
        Some(next)
    }
}

#[cfg(test)]
mod tests {
    use super::{bounds, under};

    #[test]
    fn a_prefix_ends_before_its_successor() {
        assert_eq!(under(b"ab").1, Some(b"ac".to_vec()));
        assert_eq!(under(b"a\xff\xff").1, Some(b"b".to_vec()));
        assert_eq!(under(b"\xff").1, None);
        assert_eq!(under(b"").1, None);
    }

    #[test]
    fn rusts_ranges_are_the_contracts() {
        assert_eq!(bounds(&("a".."b")), (b"a".to_vec(), Some(b"b".to_vec())));
        assert_eq!(bounds(&("a"..="b")), (b"a".to_vec(), Some(b"b\0".to_vec())));
        assert_eq!(bounds(&("a"..)), (b"a".to_vec(), None));
        assert_eq!(bounds::<&str>(&(..)), (Vec::new(), None));
    }
}
