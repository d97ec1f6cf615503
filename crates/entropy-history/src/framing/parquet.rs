//! Shared by all readers of Parquet files: catches panics of the library, and shortens its error messages.

use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;

use parquet::errors::ParquetError;

/// Runs work that may panic: the Parquet library asserts some of what a damaged file violates.
/// `None` if it panicked; the panic message is not printed.
pub fn catch_panics<T>(work: impl FnOnce() -> T) -> Option<T> {
    thread_local!(static QUIET: Cell<bool> = const { Cell::new(false) });
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let usual = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            if !QUIET.get() {
                usual(panic);
            }
        }));
    });
    QUIET.set(true);
    let result = panic::catch_unwind(AssertUnwindSafe(work)).ok();
    QUIET.set(false);
    result
}

/// The message of a Parquet error, without the library's prefix.
pub fn error_text(error: ParquetError) -> String {
    match error {
        ParquetError::General(what) | ParquetError::EOF(what) | ParquetError::NYI(what) => what,
        other => other.to_string(),
    }
}
