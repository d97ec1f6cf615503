//! Reads small files of a checkpoint with a limit on their size, so that neither a huge file nor a device without an
//! end, such as /dev/zero behind a symbolic link, takes all memory.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// Maximum size of a JSON file or a template; the largest published index of shards has 10 MB. Parsed, a list of digits
/// takes 40 times its size.
pub(crate) const MAX_JSON: u64 = 32 << 20;

/// Reads a file of at most `limit` bytes.
///
/// # Errors
/// If the file cannot be read, or is larger.
pub(crate) fn read(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(limit + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        return Err(io::Error::other(format!("it is larger than {} MiB", limit >> 20)));
    }
    Ok(bytes)
}

/// The existing content of an output file; empty if it does not exist, or is a device or a pipe.
pub(crate) fn read_output(path: &Path) -> io::Result<Vec<u8>> {
    match std::fs::metadata(path) {
        Ok(metadata) if metadata.is_file() => std::fs::read(path),
        Ok(_) => Ok(Vec::new()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}
