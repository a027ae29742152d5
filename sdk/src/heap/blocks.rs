//! Blocks of any size: up to half a page they are powers of two, each with a list of its free
//! ones, where a larger one is halved when there is none; above that they are runs of pages.
//!
//! Small blocks do not become one again, and a block keeps its size while it is in use. So a guest
//! that asks for the same sizes again, as each call of a plugin does, finds them in their lists, and
//! memory stays at the sum of what each size needed at most.

use std::alloc::Layout;
use std::ptr;

use super::runs::{PAGE_BYTES, Pages, Runs};

/// Room for a link, and the alignment that a guest's code may count on.
const SMALLEST_BYTES: usize = 16;
const SIZES: usize = (PAGE_BYTES / SMALLEST_BYTES).ilog2() as usize;

/// A free small block.
struct Free {
    next: *mut Free,
}

/// An allocator for one thread.
pub(super) struct Blocks<P> {
    free: [*mut Free; SIZES],
    runs: Runs<P>,
}

/// How a layout is served.
enum Kind {
    /// By a block of this size: 0 is the smallest, each next one has twice as many bytes.
    Small(usize),
    /// By so many bytes of whole pages.
    Pages(usize),
    /// Not at all: more than memory, or aligned to more than a page.
    Never,
}

fn kind(layout: Layout) -> Kind {
    let bytes = layout.size().max(layout.align());
    if bytes <= PAGE_BYTES / 2 {
        let above = (bytes.max(1) - 1) / SMALLEST_BYTES;
        return Kind::Small((usize::BITS - above.leading_zeros()) as usize);
    }
    match layout.size().checked_next_multiple_of(PAGE_BYTES) {
        Some(bytes) if layout.align() <= PAGE_BYTES => Kind::Pages(bytes),
        _ => Kind::Never,
    }
}

fn bytes_of(size: usize) -> usize {
    SMALLEST_BYTES << size
}

#[allow(unsafe_code, reason = "an allocator hands out memory")]
impl<P: Pages> Blocks<P> {
    pub(super) const fn new(source: P) -> Self {
        Self { free: [ptr::null_mut(); SIZES], runs: Runs::new(source) }
    }

    /// Memory of this layout, null if there is no more.
    pub(super) fn alloc(&mut self, layout: Layout) -> *mut u8 {
        match kind(layout) {
            Kind::Small(size) => self.small(size),
            Kind::Pages(bytes) => self.runs.take(bytes),
            Kind::Never => ptr::null_mut(),
        }
    }

    fn small(&mut self, size: usize) -> *mut u8 {
        let mut found = size;
        while found < SIZES && self.free[found].is_null() {
            found += 1;
        }
        let block = match self.free.get_mut(found) {
            Some(free) => {
                let block = *free;
                // SAFETY: what is in a list is a free block with a link in it.
                *free = unsafe { (*block).next };
                block.cast()
            }
            None => self.runs.take(PAGE_BYTES),
        };
        if !block.is_null() {
            // SAFETY: it has the bytes of the size that it was found as.
            unsafe { self.halve(block, found, size) };
        }
        block
    }

    /// Halves a block until it has the size `to`; what is behind that becomes free.
    ///
    /// # Safety
    /// It is the caller's and of size `from`.
    unsafe fn halve(&mut self, block: *mut u8, from: usize, to: usize) {
        for size in (to..from).rev() {
            // SAFETY: the second half of a block that has twice the bytes.
            unsafe { self.push(block.add(bytes_of(size)), size) };
        }
    }

    /// # Safety
    /// The block is of this size and nobody uses it any more.
    unsafe fn push(&mut self, block: *mut u8, size: usize) {
        let block: *mut Free = block.cast();
        // SAFETY: each block has room for a link and is aligned to its size.
        unsafe { block.write(Free { next: self.free[size] }) };
        self.free[size] = block;
    }

    /// # Safety
    /// As for [`std::alloc::GlobalAlloc::dealloc`].
    pub(super) unsafe fn dealloc(&mut self, block: *mut u8, layout: Layout) {
        match kind(layout) {
            // SAFETY: `alloc` made it of this kind, and the caller gives it up.
            Kind::Small(size) => unsafe { self.push(block, size) },
            // SAFETY: the same.
            Kind::Pages(bytes) => unsafe { self.runs.give(block, bytes) },
            Kind::Never => {}
        }
    }

    /// # Safety
    /// As for [`std::alloc::GlobalAlloc::realloc`].
    pub(super) unsafe fn realloc(
        &mut self,
        block: *mut u8,
        layout: Layout,
        new_bytes: usize,
    ) -> *mut u8 {
        let Ok(new) = Layout::from_size_align(new_bytes, layout.align()) else {
            return ptr::null_mut();
        };
        // A small block that shrinks moves too: halved where it lies, as it would never be whole
        // again, each round of a loop would take another.
        // SAFETY: the block is the caller's and is of the kind of its layout; what is given up
        // lies behind what it keeps.
        unsafe {
            match (kind(layout), kind(new)) {
                (Kind::Small(old), Kind::Small(new)) if new == old => return block,
                (Kind::Pages(old), Kind::Pages(new)) => {
                    if new < old {
                        self.runs.give(block.add(new), old - new);
                    }
                    if new <= old || self.runs.take_at(block.add(old), new - old) {
                        return block;
                    }
                }
                _ => {}
            }
            let moved = self.alloc(new);
            if !moved.is_null() {
                moved.copy_from_nonoverlapping(block, layout.size().min(new_bytes));
                self.dealloc(block, layout);
            }
            moved
        }
    }
}
