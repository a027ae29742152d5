//! The allocator against a model: what it hands out is aligned, nobody else's and keeps what is
//! written to it; and a plugin that asks for the same again does not make memory grow.

use std::alloc::{self, Layout};

use super::blocks::Blocks;
use super::runs::{PAGE_BYTES, Pages};

/// As much as a plugin has.
const PAGES_MAX: usize = 256;

/// Linear memory of a guest, as a piece of the test's.
struct Piece {
    start: *mut u8,
    pages: usize,
}

impl Piece {
    fn layout() -> Layout {
        Layout::from_size_align(PAGES_MAX * PAGE_BYTES, PAGE_BYTES).expect("a layout")
    }
}

#[allow(unsafe_code, reason = "memory of a test")]
impl Default for Piece {
    fn default() -> Self {
        // SAFETY: the layout is not empty.
        let start = unsafe { alloc::alloc(Self::layout()) };
        assert!(!start.is_null());
        Self { start, pages: 0 }
    }
}

#[allow(unsafe_code, reason = "memory of a test")]
impl Drop for Piece {
    fn drop(&mut self) {
        // SAFETY: made with this layout.
        unsafe { alloc::dealloc(self.start, Self::layout()) };
    }
}

impl Pages for &mut Piece {
    fn grow(&mut self, pages: usize) -> Option<*mut u8> {
        let end = self.end();
        if pages > PAGES_MAX - self.pages {
            return None;
        }
        self.pages += pages;
        Some(end)
    }

    fn end(&self) -> *mut u8 {
        self.start.wrapping_add(self.pages * PAGE_BYTES)
    }
}

/// A block that is in use, and what it is filled with.
struct Held {
    block: *mut u8,
    layout: Layout,
    fill: u8,
}

#[allow(unsafe_code, reason = "memory of a test")]
impl Held {
    fn write(&self) {
        // SAFETY: the block has these bytes.
        unsafe { self.block.write_bytes(self.fill, self.layout.size()) };
    }

    /// The first `bytes` are as they were written.
    fn check(&self, bytes: usize) {
        // SAFETY: the block has these bytes, and they were written.
        let bytes = unsafe { std::slice::from_raw_parts(self.block, bytes) };
        assert!(bytes.iter().all(|byte| *byte == self.fill), "{:?} was written to", self.layout);
        assert_eq!(self.block as usize % self.layout.align(), 0, "{:?}", self.layout);
    }
}

/// Numbers that are the same in each run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (self.0 >> 33) as usize % sides
    }

    /// Mostly small ones, as programs have.
    fn layout(&mut self) -> Layout {
        let bits = self.roll(18);
        let bytes = 1 + self.roll(1 << bits);
        Layout::from_size_align(bytes, 1 << self.roll(5)).expect("a layout")
    }
}

#[test]
#[allow(unsafe_code, reason = "calls the allocator as the standard library does")]
fn blocks_are_aligned_apart_and_keep_their_content() {
    for seed in 0..20 {
        let mut memory = Piece::default();
        let mut heap = Blocks::new(&mut memory);
        let (mut dice, mut held) = (Dice(seed), Vec::<Held>::new());
        for step in 0..4_000 {
            let fill = step as u8;
            match dice.roll(5) {
                0 | 1 if held.len() < 100 => {
                    let layout = dice.layout();
                    let block = heap.alloc(layout);
                    assert!(!block.is_null(), "{} blocks are not all memory", held.len());
                    held.push(Held { block, layout, fill });
                    held.last().expect("one").write();
                }
                2 | 3 if !held.is_empty() => {
                    let at = dice.roll(held.len());
                    let (old, bytes) = (&mut held[at], dice.layout().size());
                    // SAFETY: the block is this allocator's, of this layout.
                    old.block = unsafe { heap.realloc(old.block, old.layout, bytes) };
                    let kept = bytes.min(old.layout.size());
                    old.layout = Layout::from_size_align(bytes, old.layout.align()).expect("one");
                    old.check(kept);
                    old.fill = fill;
                    old.write();
                }
                _ if !held.is_empty() => {
                    let old = held.swap_remove(dice.roll(held.len()));
                    old.check(old.layout.size());
                    // SAFETY: the block is this allocator's, of this layout.
                    unsafe { heap.dealloc(old.block, old.layout) };
                }
                _ => {}
            }
        }
        held.iter().for_each(|held| held.check(held.layout.size()));
    }
}

#[test]
#[allow(unsafe_code, reason = "calls the allocator as the standard library does")]
fn memory_does_not_grow_when_the_same_is_asked_for_again() {
    let mut memory = Piece::default();
    let after = |memory: &mut Piece, rounds: u64| {
        memory.pages = 0;
        let mut heap = Blocks::new(&mut *memory);
        for round in 0..rounds {
            // The same sizes in each round, given back in another order.
            let mut dice = Dice(7);
            let layouts = (0..200).map(|_| dice.layout());
            let mut held: Vec<_> = layouts.map(|layout| (heap.alloc(layout), layout)).collect();
            for (block, layout) in &mut held {
                assert!(!block.is_null(), "in round {round}");
                // Some grow, some shrink.
                let bytes = dice.layout().size();
                // SAFETY: the block is this allocator's, of this layout.
                *block = unsafe { heap.realloc(*block, *layout, bytes) };
                *layout = Layout::from_size_align(bytes, layout.align()).expect("one");
                assert!(!block.is_null(), "in round {round}");
            }
            let mut order = Dice(round);
            while !held.is_empty() {
                let (block, layout) = held.swap_remove(order.roll(held.len()));
                // SAFETY: the block is this allocator's, of this layout.
                unsafe { heap.dealloc(block, layout) };
            }
        }
        memory.pages
    };
    let few = after(&mut memory, 3);
    let many = after(&mut memory, 300);
    assert!(many <= few + few / 2, "{few} pages became {many}");
}

#[test]
#[allow(unsafe_code, reason = "calls the allocator as the standard library does")]
fn a_loop_that_shrinks_what_it_has_needs_no_more_each_time() {
    let mut memory = Piece::default();
    let mut heap = Blocks::new(&mut memory);
    let layout = |bytes| Layout::from_size_align(bytes, 1).expect("a layout");
    // Far more than fits, if each time took a block for good.
    for round in 0..PAGES_MAX * PAGE_BYTES / 128 {
        let block = heap.alloc(layout(256));
        assert!(!block.is_null(), "in round {round}");
        // SAFETY: the block is this allocator's, of this layout.
        unsafe {
            let block = heap.realloc(block, layout(256), 48);
            heap.dealloc(block, layout(48));
        }
    }
    assert_eq!(memory.pages, 1);
}

#[test]
#[allow(unsafe_code, reason = "calls the allocator as the standard library does")]
fn what_grows_at_the_end_stays_in_place_and_uses_all_of_memory() {
    let mut memory = Piece::default();
    let mut heap = Blocks::new(&mut memory);
    let layout = |pages: usize| Layout::from_size_align(pages * PAGE_BYTES, 8).expect("a layout");
    let block = heap.alloc(layout(1));
    let mut pages = 1;
    while pages < PAGES_MAX {
        // SAFETY: the block is this allocator's, of this layout.
        assert_eq!(unsafe { heap.realloc(block, layout(pages), layout(pages * 2).size()) }, block);
        pages *= 2;
    }
    assert!(heap.alloc(layout(1)).is_null(), "all of memory is in use");
    // SAFETY: the same.
    assert_eq!(unsafe { heap.realloc(block, layout(pages), PAGE_BYTES) }, block);
    assert_eq!(heap.alloc(layout(PAGES_MAX - 1)), block.wrapping_add(PAGE_BYTES));
}

#[test]
#[allow(unsafe_code, reason = "calls the allocator as the standard library does")]
fn free_neighbours_become_one_run() {
    let mut memory = Piece::default();
    let mut heap = Blocks::new(&mut memory);
    let page = Layout::from_size_align(PAGE_BYTES, 8).expect("a layout");
    for order in [[0, 1, 2, 3], [3, 2, 1, 0], [1, 3, 2, 0], [0, 2, 1, 3]] {
        let blocks = [0; 4].map(|_| heap.alloc(page));
        for at in order {
            // SAFETY: the blocks are this allocator's, of this layout.
            unsafe { heap.dealloc(blocks[at], page) };
        }
        let whole = Layout::from_size_align(4 * PAGE_BYTES, 8).expect("a layout");
        let block = heap.alloc(whole);
        assert_eq!(block, blocks.into_iter().min().expect("four"), "{order:?}");
        // SAFETY: the same.
        unsafe { heap.dealloc(block, whole) };
    }
}

#[test]
fn what_no_memory_can_hold_is_refused() {
    let mut memory = Piece::default();
    let mut heap = Blocks::new(&mut memory);
    let too_large = Layout::from_size_align(isize::MAX as usize - 7, 8).expect("a layout");
    let too_aligned = Layout::from_size_align(8, 2 * PAGE_BYTES).expect("a layout");
    for layout in [too_large, too_aligned] {
        assert!(heap.alloc(layout).is_null(), "{layout:?}");
    }
    assert!(!heap.alloc(Layout::new::<u64>()).is_null());
}
