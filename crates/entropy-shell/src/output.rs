//! Atomic output files.
//!
//! Bytes go to a file without a name, or with a temporary one, in the directory of the target, which then takes the
//! place of the target. A process that is killed at any moment leaves either the old file or the new one. Symbolic
//! links and the mode of the old file are kept.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use crate::links::{directory_of, follow_links};
use crate::temporary::TemporaryFile;
pub use crate::temporary::{SignalDelay, remove_temporary_files_on_signals};

/// The files that this process reads: no output may replace them.
static INPUTS: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());

/// Protects a file that is read from being replaced by an output of this process, under any name.
pub fn protect_input(path: &Path) {
    if let Ok(path) = fs::canonicalize(path) {
        INPUTS.lock().unwrap_or_else(PoisonError::into_inner).insert(path);
    }
}

/// Whether a path leads to a protected file, also through symbolic or hard links.
fn is_input(path: &Path) -> bool {
    let inputs = INPUTS.lock().unwrap_or_else(PoisonError::into_inner);
    if inputs.is_empty() {
        return false;
    }
    let Ok(path) = fs::canonicalize(path) else { return false };
    inputs.contains(&path) || inputs.iter().any(|input| is_same_file(input, &path))
}

#[cfg(unix)]
fn is_same_file(a: &Path, b: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let (Ok(a), Ok(b)) = (fs::metadata(a), fs::metadata(b)) else { return false };
    a.nlink() > 1 && (a.dev(), a.ino()) == (b.dev(), b.ino())
}

#[cfg(not(unix))]
fn is_same_file(_: &Path, _: &Path) -> bool {
    false
}

/// Replaces the file at `path` by `bytes`, creating missing directories.
///
/// # Errors
/// Any error of the file system; the file at `path` is then unchanged.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = AtomicFile::create(path)?;
    file.write_all(bytes)?;
    file.commit()
}

/// A file that replaces the one at its path when it is committed. If it is dropped without a commit, the old file
/// is unchanged.
#[derive(Debug)]
pub struct AtomicFile {
    path: PathBuf,
    file: Target,
}

#[derive(Debug)]
enum Target {
    Replaced(TemporaryFile),
    /// A device or a pipe (/dev/stdout) cannot be replaced, only written to.
    InPlace(fs::File),
}

impl AtomicFile {
    /// Opens a temporary file for `path`, creating missing directories.
    ///
    /// # Errors
    /// Any error of the file system, or `path` is a directory or an input ([`protect_input`]).
    pub fn create(path: &Path) -> io::Result<AtomicFile> {
        if path.is_dir() {
            return Err(io::Error::other("it is a directory"));
        }
        if is_input(path) {
            return Err(io::Error::other("it is an input of this command"));
        }
        if fs::metadata(path).is_ok_and(|m| !m.is_file()) {
            let file = Target::InPlace(fs::OpenOptions::new().write(true).open(path)?);
            return Ok(AtomicFile { path: path.to_owned(), file });
        }
        let path = follow_links(path)?;
        let directory = directory_of(&path);
        fs::create_dir_all(directory)?;
        let file = TemporaryFile::create(directory)?;
        // Marks it as that of a running process. Where there are no locks, no temporary file is removed as a leftover.
        let _ = file.file().try_lock();
        if let Ok(old) = fs::metadata(&path) {
            // A private file stays private.
            file.file().set_permissions(old.permissions())?;
        }
        Ok(AtomicFile { path, file: Target::Replaced(file) })
    }

    /// Replaces the old file.
    ///
    /// # Errors
    /// Any error of the file system; the old file is then unchanged.
    pub fn commit(self) -> io::Result<()> {
        if let Target::Replaced(file) = self.file {
            file.file().sync_data()?;
            file.persist(&self.path)?;
        }
        Ok(())
    }

    /// Replaces the old file, and waits until its directory is on the disk too: after a power failure, files that are
    /// written later never exist without this one.
    ///
    /// # Errors
    /// Any error of the file system.
    pub fn commit_durably(self) -> io::Result<()> {
        let directory = directory_of(&self.path).to_owned();
        self.commit()?;
        // The directory may be new itself.
        sync_directory(&directory)?;
        sync_directory(directory_of(&directory))
    }
}

impl Write for AtomicFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.file {
            Target::Replaced(file) => file.file().write(bytes),
            Target::InPlace(file) => file.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(()) // neither is buffered
    }
}

/// Waits until the entries of a directory are on the disk.
#[cfg(unix)]
fn sync_directory(directory: &Path) -> io::Result<()> {
    match fs::File::open(directory)?.sync_all() {
        // Some network file systems cannot; they write entries at once.
        Err(error)
            if matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported) =>
        {
            Ok(())
        }
        result => result,
    }
}

#[cfg(not(unix))]
fn sync_directory(_: &Path) -> io::Result<()> {
    Ok(()) // a directory cannot be opened there
}

/// Appends `text` to a file of another program, such as the summary of a CI job.
///
/// # Errors
/// Any error of the file system.
pub fn append(path: &Path, text: &str) -> io::Result<()> {
    fs::OpenOptions::new().create(true).append(true).open(path)?.write_all(text.as_bytes())
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn symbolic_link_is_kept_and_its_target_is_written() {
        let tmp = tempfile::tempdir().unwrap();
        let at = |name: &str| tmp.path().join(name);
        fs::create_dir(at("there")).unwrap();
        for target in ["there/old", "there/new"] {
            fs::write(at("there/old"), "before").unwrap();
            let link = at("link");
            symlink(target, &link).unwrap();
            write_atomically(&link, b"after").unwrap();
            assert_eq!(fs::read_link(&link).unwrap(), Path::new(target));
            assert_eq!(fs::read(at(target)).unwrap(), b"after");
            fs::remove_file(&link).unwrap();
        }
        symlink("b", at("a")).unwrap();
        symlink("a", at("b")).unwrap();
        assert!(write_atomically(&at("a"), b"x").is_err());
    }

    #[test]
    fn private_file_mode_is_kept() {
        let tmp = tempfile::tempdir().unwrap();
        let path = tmp.path().join("private");
        fs::write(&path, "before").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        write_atomically(&path, b"after").unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read(&path).unwrap(), b"after");
    }
}
