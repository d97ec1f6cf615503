//! The only place that writes files: whole or not at all.
//!
//! Bytes go to a temporary file in the target's own directory, which is renamed over the target; a
//! process killed at any moment leaves the old file or the new one. Symbolic links stay, and so does the mode
//! of the old file.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Writes `bytes` to `path`, making its directory if there is none.
///
/// # Errors
/// Whatever the file system says; the file at `path` is then what it was.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = AtomicFile::create(path)?;
    file.write_all(bytes)?;
    file.commit()
}

/// A file that takes its place only when it is complete; until then, and if it never is, the old one
/// stays.
#[derive(Debug)]
pub struct AtomicFile {
    path: PathBuf,
    file: Target,
}

#[derive(Debug)]
enum Target {
    Rename(tempfile::NamedTempFile),
    /// A device or a pipe (/dev/stdout) cannot be replaced, only written to.
    InPlace(fs::File),
}

impl AtomicFile {
    /// Begins a file, making its directory if there is none.
    ///
    /// # Errors
    /// Whatever the file system says.
    pub fn create(path: &Path) -> io::Result<AtomicFile> {
        if path.is_dir() {
            return Err(io::Error::other("a directory of that name is in the way"));
        }
        if fs::metadata(path).is_ok_and(|m| !m.is_file()) {
            let file = Target::InPlace(fs::OpenOptions::new().write(true).open(path)?);
            return Ok(AtomicFile { path: path.to_owned(), file });
        }
        let path = behind_links(path)?;
        let directory = directory_of(&path);
        fs::create_dir_all(directory)?;
        let mut builder = tempfile::Builder::new();
        builder.prefix(".entropy-viz-");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            // The default of temporary files is 0600; the umask takes its share from this.
            builder.permissions(fs::Permissions::from_mode(0o666));
        }
        let file = builder.tempfile_in(directory)?;
        if let Ok(old) = fs::metadata(&path) {
            // What nobody else could read stays so.
            file.as_file().set_permissions(old.permissions())?;
        }
        Ok(AtomicFile { path, file: Target::Rename(file) })
    }

    /// Puts the file in its place.
    ///
    /// # Errors
    /// Whatever the file system says; the old file is then still there.
    pub fn commit(self) -> io::Result<()> {
        if let Target::Rename(file) = self.file {
            file.as_file().sync_data()?;
            file.persist(&self.path)?;
        }
        Ok(())
    }
}

impl Write for AtomicFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.file {
            Target::Rename(file) => file.write(bytes),
            Target::InPlace(file) => file.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(()) // neither has a buffer
    }
}

fn directory_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// The file that a symbolic link leads to, which need not be there yet: the link stays one.
fn behind_links(path: &Path) -> io::Result<PathBuf> {
    const MOST: usize = 40; // as Linux has it
    let mut path = path.to_owned();
    for _ in 0..MOST {
        let Ok(target) = fs::read_link(&path) else { return Ok(path) };
        path = directory_of(&path).join(target);
    }
    Err(io::Error::other("too many symbolic links lead from one to the next"))
}

/// Appends `text` to a file that another program owns, such as a CI job's summary.
///
/// # Errors
/// Whatever the file system says.
pub fn append(path: &Path, text: &str) -> io::Result<()> {
    fs::OpenOptions::new().create(true).append(true).open(path)?.write_all(text.as_bytes())
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn a_link_stays_a_link_and_its_target_is_written() {
        let desk = tempfile::tempdir().unwrap();
        let at = |name: &str| desk.path().join(name);
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
    fn what_nobody_else_could_read_stays_so() {
        let desk = tempfile::tempdir().unwrap();
        let path = desk.path().join("private");
        fs::write(&path, "before").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        write_atomically(&path, b"after").unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read(&path).unwrap(), b"after");
    }
}
