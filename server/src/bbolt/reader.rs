//! Opening a file, finding its buckets, and checking it as a whole.

use bytes::Bytes;

use super::cursor::Cursor;
use super::error::{Error, MetaError, PageError};
use super::layout::{
    BUCKET_HEADER_BYTES, META_BYTES, Meta, NO_FREELIST, PAGE_HEADER_BYTES, PAGE_SIZES, u64_at,
};
use super::page::{self, Page};
use super::source::Source;

/// A file that is read. Nothing is cached: a page is read when it is asked for.
pub struct Database<S> {
    source: S,
    meta: Meta,
}

/// Where a bucket's entries are.
#[derive(Clone)]
pub struct Bucket {
    pub(super) root: Root,
}

#[derive(Clone)]
pub(super) enum Root {
    Page(u64),
    /// In the bucket's own entry.
    Inline(Page),
}

impl<S: Source> Database<S> {
    /// Opens the file by the valid meta page with the higher transaction.
    pub fn open(source: S) -> Result<Self, Error> {
        let bytes = source.bytes().map_err(Error::io("ask for the file's size"))?;
        if bytes < 2 * u64::from(PAGE_SIZES[0]) {
            return Err(Error::TooShort { bytes });
        }
        let first = meta_at(&source, 0);
        let second = match &first {
            Ok(first) => meta_at(&source, u64::from(first.page_bytes)),
            // Any size may be the file's; it says so itself.
            Err(_) => {
                let found = PAGE_SIZES.iter().map(|size| guessed(&source, *size));
                found.reduce(Result::or).unwrap_or(Err(MetaError::Missing))
            }
        };
        let meta = match (first, second) {
            (Ok(a), Ok(b)) if b.transaction > a.transaction => b,
            (Ok(a), _) => a,
            (Err(_), Ok(b)) => b,
            (Err(first), Err(second)) => return Err(Error::NoMeta { first, second }),
        };
        let needed = meta.pages.saturating_mul(u64::from(meta.page_bytes));
        if needed > bytes {
            return Err(Error::Truncated { needed, bytes });
        }
        Ok(Self { source, meta })
    }

    /// Bytes that the pages in use take.
    pub fn bytes(&self) -> u64 {
        self.meta.pages * u64::from(self.meta.page_bytes)
    }

    /// The buckets at the root, by name.
    pub fn buckets(&self) -> Result<Vec<(Bytes, Bucket)>, Error> {
        let mut found = Vec::new();
        let mut cursor = Cursor::new(self, &self.root());
        while let Some((page, entry)) = cursor.next_entry()? {
            if entry.is_bucket {
                found.push((entry.key, Bucket::decode(page, entry.value)?));
            }
        }
        Ok(found)
    }

    /// The entries of a bucket in order of key, buckets within it apart.
    pub fn entries(&self, bucket: &Bucket) -> Cursor<'_, S> {
        Cursor::new(self, bucket)
    }

    /// Goes over every page: each is used once or free, each in order and within its bounds.
    pub fn check(&self) -> Result<(), Error> {
        let mut seen = Seen::new(self.meta.pages);
        (0..2).try_for_each(|meta| seen.take(meta))?;
        let freelist = match self.meta.freelist {
            NO_FREELIST => None,
            at => Some(self.page(at)?),
        };
        let mut waiting = vec![self.root()];
        while let Some(bucket) = waiting.pop() {
            let mut cursor = Cursor::new(self, &bucket);
            cursor.on_page(|first, count| (first..first + count).try_for_each(|id| seen.take(id)));
            while let Some((page, entry)) = cursor.next_entry()? {
                if entry.is_bucket {
                    waiting.push(Bucket::decode(page, entry.value)?);
                }
            }
        }
        let Some(freelist) = freelist else { return Ok(()) };
        if freelist.is_leaf() || freelist.is_branch() {
            let kind = if freelist.is_leaf() { super::layout::LEAF } else { super::layout::BRANCH };
            return Err(Error::page(freelist.id(), PageError::Kind(kind)));
        }
        let (first, count) = self.span(&freelist);
        (first..first + count).try_for_each(|id| seen.take(id))?;
        for id in freelist.freed() {
            seen.free(id)?;
        }
        seen.all()
    }

    pub(super) fn root(&self) -> Bucket {
        Bucket { root: Root::Page(self.meta.root) }
    }

    /// A page and all it overflows into.
    pub(super) fn page(&self, id: u64) -> Result<Page, Error> {
        let size = u64::from(self.meta.page_bytes);
        let beyond = || Error::page(id, PageError::Beyond(self.meta.pages));
        if !(2..self.meta.pages).contains(&id) {
            return Err(beyond());
        }
        let mut header = [0; PAGE_HEADER_BYTES];
        let at = id * size;
        self.source.read_at(at, &mut header).map_err(Error::io("read a page"))?;
        let pages = u64::from(page::overflow(&header)) + 1;
        if pages > self.meta.pages - id {
            return Err(beyond());
        }
        let mut bytes = vec![0; (pages * size) as usize];
        self.source.read_at(at, &mut bytes).map_err(Error::io("read a page"))?;
        Page::new(id, bytes.into())
    }

    /// The first page and the number of pages that `page` was read from.
    pub(super) fn span(&self, page: &Page) -> (u64, u64) {
        (page.id(), page.bytes() / u64::from(self.meta.page_bytes))
    }
}

impl Bucket {
    /// Reads the value of a bucket's entry, which is on page `holder`.
    fn decode(holder: u64, value: Bytes) -> Result<Self, Error> {
        if value.len() < BUCKET_HEADER_BYTES {
            return Err(Error::page(holder, PageError::Bucket));
        }
        let root = match u64_at(&value, 0) {
            0 => Root::Inline(Page::inline(holder, value.slice(BUCKET_HEADER_BYTES..))?),
            page => Root::Page(page),
        };
        Ok(Self { root })
    }
}

fn meta_at(source: &impl Source, at: u64) -> Result<Meta, MetaError> {
    let mut bytes = [0; META_BYTES];
    source.read_at(at, &mut bytes).map_err(|_| MetaError::Missing)?;
    Meta::decode(&bytes)
}

/// A meta page found by a guess at the page size counts only where that is the size it names.
fn guessed(source: &impl Source, size: u32) -> Result<Meta, MetaError> {
    match meta_at(source, u64::from(size))? {
        meta if meta.page_bytes == size => Ok(meta),
        meta => Err(MetaError::PageSize(meta.page_bytes)),
    }
}

/// Which pages have been met.
struct Seen {
    used: Vec<bool>,
    freed: Vec<bool>,
}

impl Seen {
    fn new(pages: u64) -> Self {
        // As many as the file has room for, which was checked.
        let pages = pages as usize;
        Self { used: vec![false; pages], freed: vec![false; pages] }
    }

    fn take(&mut self, page: u64) -> Result<(), Error> {
        let used = &mut self.used[page as usize];
        if std::mem::replace(used, true) {
            return Err(Error::page(page, PageError::Twice));
        }
        Ok(())
    }

    fn free(&mut self, page: u64) -> Result<(), Error> {
        let beyond = Error::page(page, PageError::Beyond(self.used.len() as u64));
        let at = usize::try_from(page).ok().filter(|at| *at < self.used.len()).ok_or(beyond)?;
        if self.used[at] {
            return Err(Error::page(page, PageError::Freed));
        }
        if std::mem::replace(&mut self.freed[at], true) {
            return Err(Error::page(page, PageError::Twice));
        }
        Ok(())
    }

    fn all(&self) -> Result<(), Error> {
        let lost = self.used.iter().zip(&self.freed).position(|(used, freed)| !used && !freed);
        lost.map_or(Ok(()), |page| Err(Error::page(page as u64, PageError::Lost)))
    }
}
