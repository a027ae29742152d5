//! Runs of whole pages: what is free of them lies in one list in order of addresses, first fit,
//! and neighbours become one. There are few: a guest has some hundred pages.

use std::ptr;

/// A page of linear memory.
pub(super) const PAGE_BYTES: usize = 64 * 1024;

/// Where pages come from.
pub(super) trait Pages {
    /// The address of so many more pages in a row, aligned to a page; none when there are no more.
    fn grow(&mut self, pages: usize) -> Option<*mut u8>;

    /// Where the next ones will begin.
    fn end(&self) -> *mut u8;
}

/// The head of a free run, in its first page.
struct Run {
    bytes: usize,
    next: *mut Run,
}

/// The free runs, and the source of more.
pub(super) struct Runs<P> {
    first: *mut Run,
    source: P,
}

#[allow(unsafe_code, reason = "the list lies in the memory that it is about")]
impl<P: Pages> Runs<P> {
    pub(super) const fn new(source: P) -> Self {
        Self { first: ptr::null_mut(), source }
    }

    /// A run of `bytes`, whole pages; null when there is none.
    pub(super) fn take(&mut self, bytes: usize) -> *mut u8 {
        let found = self.cut(ptr::null_mut(), bytes);
        if found.is_null() { self.grow(self.tail(), bytes) } else { found }
    }

    /// Takes the `bytes` from `start` on, if they are free or memory can grow there.
    pub(super) fn take_at(&mut self, start: *mut u8, bytes: usize) -> bool {
        let found = !self.cut(start, bytes).is_null();
        found || (start == self.tail() && !self.grow(start, bytes).is_null())
    }

    /// Where what is free at the end of memory begins: its end, if nothing is.
    fn tail(&self) -> *mut u8 {
        let (end, mut run) = (self.source.end(), self.first);
        // SAFETY: as in `cut`.
        unsafe {
            while !run.is_null() {
                if run.cast::<u8>().wrapping_add((*run).bytes) == end {
                    return run.cast();
                }
                run = (*run).next;
            }
        }
        end
    }

    /// Takes the `bytes` from `tail` on, which are more than are free there.
    fn grow(&mut self, tail: *mut u8, bytes: usize) -> *mut u8 {
        let missing = bytes - (self.source.end() as usize - tail as usize);
        let Some(grown) = self.source.grow(missing / PAGE_BYTES) else { return ptr::null_mut() };
        // SAFETY: the pages are fresh, so nobody else's.
        unsafe { self.give(grown, missing) };
        self.cut(tail, bytes)
    }

    /// Cuts `bytes` off the front of the first free run that has them, and that begins at `start`
    /// unless that is null.
    fn cut(&mut self, start: *mut u8, bytes: usize) -> *mut u8 {
        let mut link: *mut *mut Run = &raw mut self.first;
        // SAFETY: every link points to a run's head, which lies in free pages and is intact, or is
        // null; what is cut stays within the run that it is cut from.
        unsafe {
            while !(*link).is_null() {
                let run = *link;
                let fits = start.is_null() || start == run.cast();
                if fits && (*run).bytes >= bytes {
                    let (rest, next) = ((*run).bytes - bytes, (*run).next);
                    *link = next;
                    if rest > 0 {
                        let behind: *mut Run = run.cast::<u8>().add(bytes).cast();
                        behind.write(Run { bytes: rest, next });
                        *link = behind;
                    }
                    return run.cast();
                }
                link = &raw mut (*run).next;
            }
        }
        ptr::null_mut()
    }

    /// Takes a run back.
    ///
    /// # Safety
    /// The `bytes` from `start` on are whole pages of the source's that nobody uses any more.
    pub(super) unsafe fn give(&mut self, start: *mut u8, mut bytes: usize) {
        let mut link: *mut *mut Run = &raw mut self.first;
        let mut before: *mut Run = ptr::null_mut();
        // SAFETY: as in `cut`; two runs become one only where the first ends at the second.
        unsafe {
            while !(*link).is_null() && (*link).cast() < start {
                before = *link;
                link = &raw mut (*before).next;
            }
            let mut next = *link;
            if !next.is_null() && start.wrapping_add(bytes) == next.cast() {
                bytes += (*next).bytes;
                next = (*next).next;
            }
            if !before.is_null() && before.cast::<u8>().wrapping_add((*before).bytes) == start {
                (*before).bytes += bytes;
                (*before).next = next;
            } else {
                start.cast::<Run>().write(Run { bytes, next });
                *link = start.cast();
            }
        }
    }
}
