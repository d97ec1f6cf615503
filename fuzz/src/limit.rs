//! An allocator that stops the program where one request is larger than any log needs.
//!
//! A sanitizer would do the same, and needs a nightly compiler; and a length that a damaged file
//! promises is found before the memory is touched, which a limit on the process does not.

use std::alloc::{GlobalAlloc, Layout, System};
use std::io::Write;

/// The largest record that readers hold is as large; inputs here are far smaller.
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

// SAFETY: every call goes to the system's allocator as it is.
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
