//! A walk over one bucket's tree, leaf by leaf. Each page's keys must lie where the page above it
//! says, and all keys ascend, so a file whose pages go in a circle ends the walk with a refusal.

use bytes::Bytes;

use super::error::{Error, PageError};
use super::layout::DEPTH_MAX;
use super::page::{Entry, Page};
use super::reader::{Bucket, Database, Root};
use super::source::Source;

type OnPage<'a> = Box<dyn FnMut(u64, u64) -> Result<(), Error> + 'a>;

/// Yields a bucket's entries in order of key.
pub struct Cursor<'a, S> {
    database: &'a Database<S>,
    /// What is still to be visited, the next one last.
    stack: Vec<Frame>,
    /// The root, until the walk has begun.
    root: Option<Root>,
    last: Option<Bytes>,
    on_page: Option<OnPage<'a>>,
}

struct Frame {
    page: Page,
    next: usize,
    /// Keys on and below the page are below this.
    end: Option<Bytes>,
}

impl<'a, S: Source> Cursor<'a, S> {
    pub(super) fn new(database: &'a Database<S>, bucket: &Bucket) -> Self {
        let root = Some(bucket.root.clone());
        Self { database, stack: Vec::new(), root, last: None, on_page: None }
    }

    /// Calls `visit` with the first page and the number of pages of everything that is read.
    pub(super) fn on_page(&mut self, visit: impl FnMut(u64, u64) -> Result<(), Error> + 'a) {
        self.on_page = Some(Box::new(visit));
    }

    /// The next entry and the page it is on.
    pub(super) fn next_entry(&mut self) -> Result<Option<(u64, Entry)>, Error> {
        if let Some(root) = self.root.take() {
            match root {
                Root::Page(id) => self.descend(id, None, None)?,
                Root::Inline(page) => self.stack.push(Frame { page, next: 0, end: None }),
            }
        }
        loop {
            let Some(frame) = self.stack.last_mut() else { return Ok(None) };
            if frame.next == frame.page.len() {
                self.stack.pop();
                continue;
            }
            let index = frame.next;
            frame.next += 1;
            if frame.page.is_leaf() {
                let (page, entry) = (frame.page.id(), frame.page.entry(index));
                let end = frame.end.clone();
                self.check(page, &entry.key, end.as_ref())?;
                self.last = Some(entry.key.clone());
                return Ok(Some((page, entry)));
            }
            let (key, child) = frame.page.child(index);
            let end = match index + 1 < frame.page.len() {
                true => Some(frame.page.child(index + 1).0),
                false => frame.end.clone(),
            };
            let page = frame.page.id();
            if end.as_ref().is_some_and(|end| key >= *end) {
                return Err(Error::page(page, PageError::Range));
            }
            self.descend(child, Some(key), end)?;
        }
    }

    fn descend(&mut self, id: u64, from: Option<Bytes>, end: Option<Bytes>) -> Result<(), Error> {
        if self.stack.len() == DEPTH_MAX {
            return Err(Error::page(id, PageError::Depth(DEPTH_MAX)));
        }
        let page = self.database.page(id)?;
        if !page.is_leaf() && !page.is_branch() {
            return Err(Error::page(id, PageError::Kind(super::layout::FREELIST)));
        }
        // A bucket may be empty, and then its root is; no page below one is.
        if page.len() == 0 && !(self.stack.is_empty() && page.is_leaf()) {
            return Err(Error::page(id, PageError::Empty));
        }
        if let Some(visit) = &mut self.on_page {
            let (first, count) = self.database.span(&page);
            visit(first, count)?;
        }
        if let Some(from) = from {
            let first = if page.is_leaf() { page.entry(0).key } else { page.child(0).0 };
            if first < from {
                return Err(Error::page(id, PageError::Range));
            }
        }
        self.stack.push(Frame { page, next: 0, end });
        Ok(())
    }

    fn check(&self, page: u64, key: &Bytes, end: Option<&Bytes>) -> Result<(), Error> {
        if self.last.as_ref().is_some_and(|last| last >= key) {
            return Err(Error::page(page, PageError::Order));
        }
        if end.is_some_and(|end| key >= end) {
            return Err(Error::page(page, PageError::Range));
        }
        Ok(())
    }
}

impl<S: Source> Iterator for Cursor<'_, S> {
    type Item = Result<(Bytes, Bytes), Error>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            return match self.next_entry() {
                Ok(Some((_, entry))) if entry.is_bucket => continue,
                Ok(Some((_, entry))) => Some(Ok((entry.key, entry.value))),
                Ok(None) => None,
                Err(error) => {
                    self.stack.clear();
                    Some(Err(error))
                }
            };
        }
    }
}
