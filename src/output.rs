//! The only place that writes files: whole or not at all.
//!
//! Bytes go to a temporary file in the target's own directory, which is renamed over the target; a
//! process killed at any moment leaves the old file or the new one.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Writes `bytes` to `path`, making its directory if there is none.
///
/// # Errors
/// Whatever the file system says; the file at `path` is then what it was.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = Growing::create(path)?;
    file.write_all(bytes)?;
    file.commit()
}

/// A file that takes its place only when it is complete; until then, and if it never is, the old one
/// stays.
#[derive(Debug)]
pub struct Growing {
    path: PathBuf,
    file: Place,
}

#[derive(Debug)]
enum Place {
    Beside(tempfile::NamedTempFile),
    /// A device or a pipe (/dev/stdout) cannot be replaced, only written to.
    Itself(fs::File),
}

impl Growing {
    /// Begins a file, making its directory if there is none.
    ///
    /// # Errors
    /// Whatever the file system says.
    pub fn create(path: &Path) -> io::Result<Growing> {
        let directory = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        fs::create_dir_all(directory)?;
        if path.is_dir() {
            return Err(io::Error::other("a directory of that name is in the way"));
        }
        let path = path.to_owned();
        if fs::metadata(&path).is_ok_and(|m| !m.is_file()) {
            let file = Place::Itself(fs::OpenOptions::new().write(true).open(&path)?);
            return Ok(Growing { path, file });
        }
        let mut builder = tempfile::Builder::new();
        builder.prefix(".entropy-viz-");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            // The default of temporary files is 0600; the umask takes its share from this.
            builder.permissions(fs::Permissions::from_mode(0o666));
        }
        let file = Place::Beside(builder.tempfile_in(directory)?);
        Ok(Growing { path, file })
    }

    /// Puts the file in its place.
    ///
    /// # Errors
    /// Whatever the file system says; the old file is then still there.
    pub fn commit(self) -> io::Result<()> {
        if let Place::Beside(file) = self.file {
            file.as_file().sync_data()?;
            file.persist(&self.path)?;
        }
        Ok(())
    }
}

impl Write for Growing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.file {
            Place::Beside(file) => file.write(bytes),
            Place::Itself(file) => file.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(()) // neither has a buffer
    }
}

/// Appends `text` to a file that another program owns, such as a CI job's summary.
///
/// # Errors
/// Whatever the file system says.
pub fn append(path: &Path, text: &str) -> io::Result<()> {
    fs::OpenOptions::new().create(true).append(true).open(path)?.write_all(text.as_bytes())
}
