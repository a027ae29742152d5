//! One page with what it overflows into, read and bounds-checked once, so that its elements can be
//! taken without another thought.

use bytes::Bytes;

use super::error::{Error, PageError};
use super::layout::{
    BRANCH, BRANCH_ELEMENT_BYTES, BUCKET, COUNT_IS_FIRST, FREELIST, LEAF, LEAF_ELEMENT_BYTES,
    PAGE_HEADER_BYTES, u32_at, u64_at,
};

/// A branch, leaf or freelist page whose elements are all within it.
#[derive(Clone)]
pub struct Page {
    id: u64,
    kind: u16,
    count: usize,
    bytes: Bytes,
}

/// A leaf's element.
pub struct Entry {
    pub key: Bytes,
    pub value: Bytes,
    pub is_bucket: bool,
}

/// Of a page's header: how many pages it goes on over. `bytes` hold a header at least.
pub fn overflow(bytes: &[u8]) -> u32 {
    u32_at(bytes, 12)
}

impl Page {
    /// Checks a page that was read with all it overflows into.
    pub fn new(id: u64, bytes: Bytes) -> Result<Self, Error> {
        let refuse = |what| Error::page(id, what);
        let (named, kind) = (u64_at(&bytes, 0), kind(&bytes));
        if named != id {
            return Err(refuse(PageError::Id(named)));
        }
        let page = Self { id, kind, count: 0, bytes };
        page.checked().map_err(refuse)
    }

    /// The leaf page that an inline bucket carries in its own value.
    pub fn inline(holder: u64, bytes: Bytes) -> Result<Self, Error> {
        let refuse = |what| Error::page(holder, what);
        if bytes.len() < PAGE_HEADER_BYTES {
            return Err(refuse(PageError::Bucket));
        }
        if kind(&bytes) != LEAF {
            return Err(refuse(PageError::Kind(kind(&bytes))));
        }
        let page = Self { id: holder, kind: LEAF, count: 0, bytes };
        page.checked().map_err(refuse)
    }

    pub fn id(&self) -> u64 {
        self.id
    }

    /// What it takes in the file, with all it overflows into.
    pub fn bytes(&self) -> u64 {
        self.bytes.len() as u64
    }

    pub fn is_leaf(&self) -> bool {
        self.kind == LEAF
    }

    pub fn is_branch(&self) -> bool {
        self.kind == BRANCH
    }

    /// How many elements there are.
    pub fn len(&self) -> usize {
        self.count
    }

    /// An element of a leaf.
    pub fn entry(&self, index: usize) -> Entry {
        let at = PAGE_HEADER_BYTES + index * LEAF_ELEMENT_BYTES;
        let (key, end) = self.key_span(at, 4);
        let value = end..end + u32_at(&self.bytes, at + 12) as usize;
        Entry {
            key: self.bytes.slice(key),
            value: self.bytes.slice(value),
            is_bucket: u32_at(&self.bytes, at) & BUCKET != 0,
        }
    }

    /// An element of a branch: the first key below it, and its page.
    pub fn child(&self, index: usize) -> (Bytes, u64) {
        let at = PAGE_HEADER_BYTES + index * BRANCH_ELEMENT_BYTES;
        let (key, _) = self.key_span(at, 0);
        (self.bytes.slice(key), u64_at(&self.bytes, at + 8))
    }

    /// The pages that a freelist names.
    pub fn freed(&self) -> impl Iterator<Item = u64> {
        let first = usize::from(self.long_list());
        (first..first + self.count).map(|at| u64_at(&self.bytes, PAGE_HEADER_BYTES + at * 8))
    }

    /// The key whose position is `ahead` bytes into the element at `at`, and where it ends.
    fn key_span(&self, at: usize, ahead: usize) -> (std::ops::Range<usize>, usize) {
        let start = at + u32_at(&self.bytes, at + ahead) as usize;
        let end = start + u32_at(&self.bytes, at + ahead + 4) as usize;
        (start..end, end)
    }

    fn long_list(&self) -> bool {
        u16_at(&self.bytes, 10) == COUNT_IS_FIRST
    }

    fn checked(mut self) -> Result<Self, PageError> {
        self.count = usize::from(u16_at(&self.bytes, 10));
        match self.kind {
            LEAF => self.check_elements(LEAF_ELEMENT_BYTES, |page, at| {
                let key = u64::from(u32_at(page, at + 4)) + u64::from(u32_at(page, at + 8));
                key + u64::from(u32_at(page, at + 12))
            })?,
            BRANCH => self.check_elements(BRANCH_ELEMENT_BYTES, |page, at| {
                u64::from(u32_at(page, at)) + u64::from(u32_at(page, at + 4))
            })?,
            FREELIST => {
                let room = (self.bytes.len() - PAGE_HEADER_BYTES) / 8;
                if self.long_list() {
                    let named = if room == 0 { 0 } else { u64_at(&self.bytes, PAGE_HEADER_BYTES) };
                    self.count = usize::try_from(named).unwrap_or(usize::MAX);
                }
                let needed = self.count.saturating_add(usize::from(self.long_list()));
                if needed > room {
                    return Err(PageError::Bounds);
                }
                return Ok(self);
            }
            kind => return Err(PageError::Kind(kind)),
        }
        self.check_order()?;
        Ok(self)
    }

    /// `end` is how far an element's data reaches beyond the element's own place.
    fn check_elements(
        &self,
        element: usize,
        end: impl Fn(&[u8], usize) -> u64,
    ) -> Result<(), PageError> {
        if PAGE_HEADER_BYTES + self.count * element > self.bytes.len() {
            return Err(PageError::Bounds);
        }
        let fits = (0..self.count).all(|index| {
            let at = PAGE_HEADER_BYTES + index * element;
            at as u64 + end(&self.bytes, at) <= self.bytes.len() as u64
        });
        if fits { Ok(()) } else { Err(PageError::Bounds) }
    }

    fn check_order(&self) -> Result<(), PageError> {
        let ahead = if self.is_leaf() { 4 } else { 0 };
        let key = |index: usize| {
            let at = PAGE_HEADER_BYTES + index * LEAF_ELEMENT_BYTES;
            &self.bytes[self.key_span(at, ahead).0]
        };
        let ascending = (1..self.count).all(|index| key(index - 1) < key(index));
        if ascending { Ok(()) } else { Err(PageError::Order) }
    }
}

fn kind(bytes: &[u8]) -> u16 {
    u16_at(bytes, 8)
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes(bytes[at..at + 2].try_into().expect("two bytes"))
}
