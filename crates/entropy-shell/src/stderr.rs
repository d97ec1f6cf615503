//! Plain output to stderr.

use std::io::{self, Write};

/// Writes to stderr verbatim; write errors are ignored.
pub fn write_stderr(text: &str) {
    let _ = io::stderr().write_all(text.as_bytes());
}
