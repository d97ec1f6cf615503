//! The only place that writes files: whole or not at all.
//!
//! Bytes go to a temporary file in the target's own directory, which is renamed over the target; a
//! process killed at any moment leaves the old file or the new one.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

/// Writes `bytes` to `path`, making its directory if there is none.
///
/// # Errors
/// Whatever the file system says; the file at `path` is then what it was.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    fs::create_dir_all(directory)?;
    if path.is_dir() {
        return Err(io::Error::other("a directory of that name is in the way"));
    }
    // A device or a pipe (/dev/stdout) cannot be replaced, only written to.
    if fs::metadata(path).is_ok_and(|m| !m.is_file()) {
        return fs::OpenOptions::new().write(true).open(path)?.write_all(bytes);
    }
    let mut builder = tempfile::Builder::new();
    builder.prefix(".entropy-viz-");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        // The default of temporary files is 0600; the umask takes its share from this.
        builder.permissions(fs::Permissions::from_mode(0o666));
    }
    let mut file = builder.tempfile_in(directory)?;
    file.write_all(bytes)?;
    file.as_file().sync_data()?;
    file.persist(path)?;
    Ok(())
}

/// Appends `text` to a file that another program owns, such as a CI job's summary.
///
/// # Errors
/// Whatever the file system says.
pub fn append(path: &Path, text: &str) -> io::Result<()> {
    fs::OpenOptions::new().create(true).append(true).open(path)?.write_all(text.as_bytes())
}
