//! An allocator that aborts the program if one request is larger than any log needs.
//!
//! A sanitizer could do this too, but needs a nightly compiler. The allocator finds a length claimed by a damaged
//! file before the memory is touched, unlike a memory limit for the process.

use std::alloc::{GlobalAlloc, Layout, System};
use std::io::Write;

/// The size of the largest record that readers accept; fuzz inputs are far smaller.
const LARGEST: usize = 1 << 26;

struct Limited;

#[global_allocator]
static ALLOCATOR: Limited = Limited;

fn check(size: usize) {
    if size > LARGEST {
        let _ = std::io::stderr().write_all(b"BUG: more than 64 MiB are asked for at once\n");
        std::process::abort();
    }
}

// SAFETY: every call is passed on unchanged to the system's allocator.
unsafe impl GlobalAlloc for Limited {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        check(layout.size());
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        check(layout.size());
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        check(size);
        unsafe { System.realloc(block, layout, size) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        unsafe { System.dealloc(block, layout) }
    }
}
