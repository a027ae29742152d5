//! The allocator in its place: the guest's linear memory, one thread.

use std::alloc::{GlobalAlloc, Layout};
use std::arch::wasm32;
use std::cell::UnsafeCell;

use super::blocks::Blocks;
use super::runs::{PAGE_BYTES, Pages};

/// The memory behind the module's own data and stack.
struct Linear;

impl Pages for Linear {
    fn grow(&mut self, pages: usize) -> Option<*mut u8> {
        match wasm32::memory_grow::<0>(pages) {
            usize::MAX => None,
            before => Some((before * PAGE_BYTES) as *mut u8),
        }
    }

    fn end(&self) -> *mut u8 {
        (wasm32::memory_size::<0>() * PAGE_BYTES) as *mut u8
    }
}

struct Heap(UnsafeCell<Blocks<Linear>>);

#[allow(unsafe_code, reason = "a guest has one thread, and no call of the allocator is in another")]
// SAFETY: see the reason.
unsafe impl Sync for Heap {}

#[allow(unsafe_code, reason = "the trait is")]
// SAFETY: `Blocks` hands out each byte once, and asks for no memory itself.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: one thread, see above.
        unsafe { (*self.0.get()).alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the same, and what the caller promises.
        unsafe { (*self.0.get()).dealloc(block, layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_bytes: usize) -> *mut u8 {
        // SAFETY: the same, and what the caller promises.
        unsafe { (*self.0.get()).realloc(block, layout, new_bytes) }
    }
}

#[global_allocator]
static HEAP: Heap = Heap(UnsafeCell::new(Blocks::new(Linear)));
