//! Locks that keep two processes from writing one output, and the temporary files of processes that were killed.
//!
//! An output is replaced by renaming, so the lock is on a file beside it: `.history.json.lock` for `history.json`, with
//! the process that has it. The operating system releases it when the process ends, in whatever way.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use thiserror::Error;

use crate::links::real_path;

/// The beginning of the names of temporary files; the name of the machine follows.
pub(crate) const TEMPORARY: &str = ".entropy-viz-";
/// How often a lock file is opened again that its last owner has just removed.
const ATTEMPTS: usize = 100;
/// A process locks its temporary file just after creating it; until then the file looks left over.
const MIN_AGE: Duration = Duration::from_secs(10);

/// Why an output cannot be locked.
#[derive(Debug, Error)]
pub enum LockError {
    /// Another process writes the output.
    #[error("{owner} is writing it (lock file {})", .file.display())]
    Held {
        /// The lock file of the other process.
        file: PathBuf,
        /// The other process, such as `process 123 on node7`.
        owner: String,
    },
    /// The lock file cannot be created.
    #[error("cannot open the lock file {}: {}", .file.display(), entropy_history::text::io_message(.error))]
    Io {
        /// The lock file.
        file: PathBuf,
        /// What the file system says.
        error: io::Error,
    },
}

/// The right to write an output; given back when dropped.
#[derive(Debug)]
pub struct OutputLock {
    path: PathBuf,
    /// `None` if the file system has no locks.
    file: Option<File>,
}

impl OutputLock {
    /// Locks the output `path`, which need not exist. Missing directories are created. `None` for a device or a pipe,
    /// which any number of processes may write to.
    ///
    /// # Errors
    /// If another process has the lock, or the lock file cannot be created.
    pub fn acquire(path: &Path) -> Result<Option<OutputLock>, LockError> {
        if fs::metadata(path).is_ok_and(|metadata| !metadata.is_file()) {
            return Ok(None);
        }
        let file = lock_path(path);
        let failed = |error| LockError::Io { file: file.clone(), error };
        for _ in 0..ATTEMPTS {
            let opened = open(&file).map_err(failed)?;
            match opened.try_lock() {
                Ok(()) if is_at(&opened, &file) => {
                    // The content is only for messages.
                    let owner = format!("process {} on {}\n", std::process::id(), machine());
                    let _ = opened.set_len(0).and_then(|()| (&opened).write_all(owner.as_bytes()));
                    return Ok(Some(OutputLock { path: file, file: Some(opened) }));
                }
                // Its last owner removed it after it was opened here.
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => {
                    let owner = fs::read_to_string(&file).unwrap_or_default();
                    let owner = match owner.trim() {
                        "" => "another process".to_owned(),
                        owner => entropy_history::label::visible(owner).into_owned(),
                    };
                    return Err(LockError::Held { file, owner });
                }
                Err(TryLockError::Error(_)) => {
                    return Ok(Some(OutputLock { path: file, file: None }));
                }
            }
        }
        Err(failed(io::Error::other("it changes all the time")))
    }

    /// Whether the output is locked. Some network file systems have no locks.
    pub fn is_effective(&self) -> bool {
        self.file.is_some()
    }
}

impl Drop for OutputLock {
    fn drop(&mut self) {
        // Removed before it is unlocked, so that nobody else has it. What cannot be removed is used again.
        let _ = fs::remove_file(&self.path);
    }
}

/// The lock file of an output; the same for all symbolic links to it, also before it exists.
fn lock_path(path: &Path) -> PathBuf {
    let path = real_path(path);
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.lock"))
}

fn open(path: &Path) -> io::Result<File> {
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory)?;
    }
    // A stranger's directory may have a symbolic link of this name to a file that must not be changed.
    if fs::symlink_metadata(path).is_ok_and(|metadata| !metadata.is_file()) {
        return Err(io::Error::other("it is not a regular file"));
    }
    OpenOptions::new().create(true).truncate(false).read(true).write(true).open(path)
}

#[cfg(unix)]
fn is_at(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let (Ok(a), Ok(b)) = (file.metadata(), fs::metadata(path)) else { return false };
    (a.dev(), a.ino()) == (b.dev(), b.ino())
}

#[cfg(not(unix))]
fn is_at(_: &File, _: &Path) -> bool {
    true // an open file cannot be removed there
}

/// The name of this machine, as far as it is known.
pub(crate) fn machine() -> String {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name: String =
        name.trim().chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').collect();
    if name.is_empty() { "this-machine".to_owned() } else { name }
}

/// Temporary files in a directory whose process has not finished them.
#[derive(Debug, Default, PartialEq)]
pub struct Leftovers {
    /// Files of killed processes of this machine, now removed.
    pub removed: Vec<PathBuf>,
    /// Files whose process is unknown: of other machines or of earlier versions.
    pub unknown: Vec<PathBuf>,
}

/// Whether a name is that of a temporary file of an output, on any machine.
pub fn is_temporary(name: &str) -> bool {
    name.starts_with(TEMPORARY)
}

/// Removes temporary files that killed processes of this machine left in a directory. A file that a running process
/// writes is locked, and stays.
pub fn remove_leftovers(directory: &Path) -> Leftovers {
    let mut leftovers = Leftovers::default();
    let own = format!("{TEMPORARY}{}-", machine());
    let Ok(entries) = fs::read_dir(directory) else { return leftovers };
    let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.sort();
    for path in paths {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let is_file = fs::symlink_metadata(&path).is_ok_and(|metadata| metadata.is_file());
        if !is_file || !is_temporary(&name) {
            continue;
        }
        if !name.starts_with(&own) {
            leftovers.unknown.push(path);
            continue;
        }
        let Ok(file) = File::open(&path) else { continue };
        let age = file.metadata().and_then(|metadata| metadata.modified()).ok();
        let age = age.and_then(|modified| modified.elapsed().ok()).unwrap_or_default();
        if age >= MIN_AGE && file.try_lock().is_ok() && fs::remove_file(&path).is_ok() {
            leftovers.removed.push(path);
        }
    }
    leftovers
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;
    use crate::temporary::TemporaryFile;

    #[test]
    fn output_has_one_writer_at_a_time() {
        let tmp = tempfile::tempdir().unwrap();
        let path = tmp.path().join("deeper/h.json");
        let lock = OutputLock::acquire(&path).unwrap().unwrap();
        assert!(lock.is_effective());
        let refused = OutputLock::acquire(&path).unwrap_err().to_string();
        let owner = format!("process {} on {}", std::process::id(), machine());
        let file = tmp.path().join("deeper/.h.json.lock");
        assert_eq!(refused, format!("{owner} is writing it (lock file {})", file.display()));
        drop(OutputLock::acquire(&path.with_file_name("other.json")).unwrap());
        drop(lock);
        assert!(!file.exists());
        assert!(OutputLock::acquire(&path).unwrap().is_some());
    }

    #[test]
    #[cfg(unix)]
    fn lock_follows_links_to_the_output_but_none_of_its_own() {
        use std::os::unix::fs::symlink;
        let tmp = tempfile::tempdir().unwrap();
        let at = |name: &str| tmp.path().join(name);
        fs::write(at("h.json"), "[]").unwrap();
        symlink("h.json", at("link.json")).unwrap();
        let lock = OutputLock::acquire(&at("h.json")).unwrap();
        assert!(matches!(OutputLock::acquire(&at("link.json")), Err(LockError::Held { .. })));
        drop(lock);
        // A link to a file that does not exist yet is another name of it too.
        symlink("new.json", at("to_new.json")).unwrap();
        let lock = OutputLock::acquire(&at("to_new.json")).unwrap();
        assert!(matches!(OutputLock::acquire(&at("new.json")), Err(LockError::Held { .. })));
        drop(lock);
        fs::write(at("precious"), "content").unwrap();
        symlink("precious", at(".h.json.lock")).unwrap();
        assert!(matches!(OutputLock::acquire(&at("h.json")), Err(LockError::Io { .. })));
        assert_eq!(fs::read(at("precious")).unwrap(), b"content");
        assert!(OutputLock::acquire(Path::new("/dev/null")).unwrap().is_none());
    }

    #[test]
    fn temporary_files_of_killed_processes_are_removed() {
        let tmp = tempfile::tempdir().unwrap();
        let at = |name: &str| tmp.path().join(name);
        let own = format!("{TEMPORARY}{}-Ab12Cd", machine());
        for name in [&own[..], ".entropy-viz-Ab12Cd", ".entropy-viz-elsewhere-Ab12Cd", "h.json"] {
            fs::write(at(name), "").unwrap();
        }
        let young = format!("{own}-young");
        fs::write(at(&young), "").unwrap();
        let running = TemporaryFile::with_name(tmp.path()).unwrap();
        running.file().try_lock().unwrap();
        for path in fs::read_dir(tmp.path()).unwrap().map(|entry| entry.unwrap().path()) {
            if ![at(&young), at("h.json")].contains(&path) {
                let file = File::options().write(true).open(path).unwrap();
                file.set_modified(SystemTime::now() - 2 * MIN_AGE).unwrap();
            }
        }
        let leftovers = remove_leftovers(tmp.path());
        let expected = Leftovers {
            removed: vec![at(&own)],
            unknown: vec![at(".entropy-viz-Ab12Cd"), at(".entropy-viz-elsewhere-Ab12Cd")],
        };
        assert_eq!(leftovers, expected);
        assert!(at(&young).exists());
        assert!(!at(&own).exists() && at(".entropy-viz-Ab12Cd").exists() && at("h.json").exists());
        running.file().write_all(b"[]").unwrap();
        running.persist(&at("new.json")).unwrap();
        assert_eq!(fs::read(at("new.json")).unwrap(), b"[]");
    }
}
