//! The allocator of per-event instances: take from a block that is there from the start.
//!
//! Every event runs on a fresh copy of the snapshot that ends with it, so
//! memory is taken, never given back, but for the last piece. What counts is
//! that an instance does not grow its memory: each growth is a system call
//! under a lock of the host's whole process, and two threads of growing guests
//! are slower than one. A large event grows all the same.
use std::alloc::{GlobalAlloc, Layout};
use std::cell::{Cell, UnsafeCell};
use std::ptr;

/// What an instance has from the start: with its stack and data below 1 MiB, what a pool keeps resident.
const FIRST: usize = 640 * 1024;

/// What is free for an event after `init`, at least.
const ROOM: usize = 512 * 1024;

/// The least that is added at a time: growth costs about the same for any size.
const STEP: usize = 256 * 1024;

const PAGE: usize = 64 * 1024;

#[global_allocator]
static ARENA: Arena =
    Arena { block: Block(UnsafeCell::new([0; FIRST])), next: Cell::new(0), end: Cell::new(0) };

#[repr(align(16))]
struct Block(UnsafeCell<[u8; FIRST]>);

struct Arena {
    block: Block,
    /// The first free address; 0 before the first allocation.
    next: Cell<usize>,
    end: Cell<usize>,
}

// SAFETY: a component's instance has one thread.
unsafe impl Sync for Arena {}

/// Sees to it that an event finds room without growth, however much `init` kept.
pub(crate) fn make_room() {
    if ARENA.end.get() - ARENA.next.get() < ROOM {
        ARENA.grow(ROOM);
    }
}

impl Arena {
    /// Where a piece would begin, and its end; growth where it does not fit.
    fn place(&self, layout: Layout) -> Option<(usize, usize)> {
        if self.next.get() == 0 {
            let start = self.block.0.get() as usize;
            self.next.set(start);
            self.end.set(start + FIRST);
        }
        for _ in 0..2 {
            let start = self.next.get().checked_next_multiple_of(layout.align())?;
            let end = start.checked_add(layout.size())?;
            if end <= self.end.get() {
                return Some((start, end));
            }
            if !self.grow(layout.size().checked_add(layout.align())?) {
                return None;
            }
        }
        None
    }

    /// Adds this much or more at the end of the memory. What is free before stays in
    /// use only where the two meet.
    fn grow(&self, size: usize) -> bool {
        let pages = size.max(STEP).div_ceil(PAGE);
        let before = core::arch::wasm32::memory_grow(0, pages);
        if before == usize::MAX {
            return false;
        }
        let start = before * PAGE;
        if start != self.end.get() {
            self.next.set(start);
        }
        self.end.set(start + pages * PAGE);
        true
    }
}

// SAFETY: every piece is inside memory that is this allocator's alone (a block
// of its own, or pages that it added), aligned, and handed out once: `next`
// only moves back over the last piece, when its owner gives it up.
unsafe impl GlobalAlloc for Arena {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        match self.place(layout) {
            Some((start, end)) => {
                self.next.set(end);
                start as *mut u8
            }
            None => ptr::null_mut(),
        }
    }

    unsafe fn dealloc(&self, piece: *mut u8, layout: Layout) {
        if piece as usize + layout.size() == self.next.get() {
            self.next.set(piece as usize);
        }
    }

    unsafe fn realloc(&self, piece: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let (start, last) = (piece as usize, piece as usize + layout.size() == self.next.get());
        if size <= layout.size() || last && size <= self.end.get() - start {
            if last {
                self.next.set(start + size);
            }
            return piece;
        }
        // SAFETY: the size is the caller's promise, the alignment that of a live layout.
        let moved = unsafe { self.alloc(Layout::from_size_align_unchecked(size, layout.align())) };
        if !moved.is_null() {
            // SAFETY: both pieces are live, at least this long, and apart.
            unsafe { ptr::copy_nonoverlapping(piece, moved, layout.size()) };
        }
        moved
    }
}
