//! Files that are written before they get their name, so that a process that is killed leaves nothing beside its
//! outputs.
//!
//! On Linux such a file has no name until it is complete, and the kernel removes it with its process, however that
//! ends. Other systems, and file systems without such files (NFS), get a file with a temporary name:
//! [`remove_temporary_files_on_signals`] removes it when a signal ends the process.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tempfile::{Builder, NamedTempFile};

#[cfg(target_os = "linux")]
use crate::links::directory_of;
use crate::lock::{TEMPORARY, machine};

/// The temporary files of this process. They are only renamed, and only removed because of a signal, under this lock:
/// a signal that comes between the two steps of a replacement waits for its end.
static NAMES: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());

fn names() -> MutexGuard<'static, BTreeSet<PathBuf>> {
    NAMES.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A file that gets its name when it is complete. If it is dropped before, it is removed.
#[derive(Debug)]
pub(crate) enum TemporaryFile {
    /// A file without a name.
    #[cfg(target_os = "linux")]
    Unnamed(File),
    /// A file with a temporary name.
    Named(NamedTempFile, Registration),
}

/// The place of a file among [`NAMES`], until it is dropped.
#[derive(Debug)]
pub(crate) struct Registration(PathBuf);

impl Drop for Registration {
    fn drop(&mut self) {
        names().remove(&self.0);
    }
}

impl TemporaryFile {
    /// Opens a file for writing in a directory, with the mode that the umask allows.
    ///
    /// # Errors
    /// Any error of the file system.
    pub(crate) fn create(directory: &Path) -> io::Result<TemporaryFile> {
        #[cfg(target_os = "linux")]
        if let Some(file) = unnamed::create(directory) {
            return Ok(TemporaryFile::Unnamed(file));
        }
        TemporaryFile::with_name(directory)
    }

    /// Opens a file with a temporary name.
    ///
    /// # Errors
    /// Any error of the file system.
    pub(crate) fn with_name(directory: &Path) -> io::Result<TemporaryFile> {
        let mut builder = Builder::new();
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            // Temporary files have mode 0600 by default; the umask is applied to this one.
            builder.permissions(fs::Permissions::from_mode(0o666));
        }
        let mut names = names();
        let file = builder.prefix(&prefix()).tempfile_in(directory)?;
        names.insert(file.path().to_owned());
        let registration = Registration(file.path().to_owned());
        Ok(TemporaryFile::Named(file, registration))
    }

    pub(crate) fn file(&self) -> &File {
        match self {
            #[cfg(target_os = "linux")]
            TemporaryFile::Unnamed(file) => file,
            TemporaryFile::Named(file, _) => file.as_file(),
        }
    }

    /// Gives the file its name, which is in the same directory. A file of that name is replaced.
    ///
    /// # Errors
    /// Any error of the file system.
    pub(crate) fn persist(self, path: &Path) -> io::Result<()> {
        match self {
            #[cfg(target_os = "linux")]
            TemporaryFile::Unnamed(file) => unnamed::persist(&file, path),
            TemporaryFile::Named(file, _registration) => {
                let _no_signal = names();
                file.persist(path)?;
                Ok(())
            }
        }
    }
}

/// The beginning of the names of this machine's temporary files.
fn prefix() -> String {
    format!("{TEMPORARY}{}-", machine())
}

#[cfg(target_os = "linux")]
mod unnamed {
    //! Files without a name: `O_TMPFILE`.

    use std::os::fd::AsRawFd;

    use rustix::fs::{AtFlags, CWD, Mode, OFlags, linkat, openat};
    use rustix::io::Errno;

    use super::{Builder, File, Path, directory_of, io, names, prefix};

    /// The open files of this process by number. Without it, a file cannot be given a name.
    const OPEN_FILES: &str = "/proc/self/fd";

    /// `None` if the file system has no such files; an error of the directory is found again when a file with a name
    /// is created.
    pub(super) fn create(directory: &Path) -> Option<File> {
        let flags = OFlags::TMPFILE | OFlags::WRONLY | OFlags::CLOEXEC;
        let mode = Mode::from_raw_mode(0o666);
        let file = openat(CWD, directory, flags, mode).ok()?;
        Path::new(OPEN_FILES).is_dir().then(|| file.into())
    }

    pub(super) fn persist(file: &File, path: &Path) -> io::Result<()> {
        match link(file, path) {
            Err(Errno::EXIST) => replace(file, path),
            result => Ok(result?),
        }
    }

    /// Names a file that exists already. There is no call that replaces it at once, so the file gets a temporary name
    /// first, for some microseconds.
    fn replace(file: &File, path: &Path) -> io::Result<()> {
        let _no_signal = names();
        let linked = Builder::new()
            .prefix(&prefix())
            .make_in(directory_of(path), |temporary| Ok(link(file, temporary)?))?;
        linked.persist(path)?;
        Ok(())
    }

    fn link(file: &File, path: &Path) -> rustix::io::Result<()> {
        let open = format!("{OPEN_FILES}/{}", file.as_raw_fd());
        linkat(CWD, open, CWD, path, AtFlags::SYMLINK_FOLLOW)
    }
}

/// Makes SIGINT and SIGTERM remove the temporary files of this process before they end it. For commands that do not
/// handle these signals themselves. Other systems than Unix have no such signals.
///
/// # Errors
/// When the signals cannot be handled.
#[cfg(unix)]
pub fn remove_temporary_files_on_signals() -> io::Result<()> {
    use signal_hook::consts::{SIGINT, SIGTERM};
    let heeded = [SIGINT, SIGTERM].into_iter().filter(|signal| !is_ignored(*signal));
    let mut signals = signal_hook::iterator::Signals::new(heeded)?;
    std::thread::Builder::new().spawn(move || {
        for signal in signals.forever() {
            let names = names();
            for path in names.iter() {
                // Nothing can be done about a file that cannot be removed.
                let _ = fs::remove_file(path);
            }
            // Ends the process, so that no file is created or renamed any more.
            let _ = signal_hook::low_level::emulate_default_handler(signal);
        }
    })?;
    Ok(())
}

/// Does nothing.
///
/// # Errors
/// None.
#[cfg(not(unix))]
pub fn remove_temporary_files_on_signals() -> io::Result<()> {
    Ok(())
}

/// Until this is dropped, a signal that would end the process waits. While it is held, no file can be written.
#[derive(Debug)]
pub struct SignalDelay(
    #[allow(dead_code, reason = "held for its lock")] MutexGuard<'static, BTreeSet<PathBuf>>,
);

impl SignalDelay {
    /// Makes the signals of [`remove_temporary_files_on_signals`] wait, for a moment in which the process must not end.
    pub fn start() -> SignalDelay {
        SignalDelay(names())
    }
}

/// Whether the process was started with a signal ignored, as a shell script starts background jobs. It must stay
/// ignored. Only Linux shows it.
#[cfg(unix)]
fn is_ignored(signal: i32) -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask >> (signal - 1) & 1 == 1)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn entries(directory: &Path) -> Vec<String> {
        let entries = fs::read_dir(directory).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn unfinished_file_has_no_name() {
        let tmp = tempfile::tempdir().unwrap();
        let file = TemporaryFile::create(tmp.path()).unwrap();
        file.file().write_all(b"x").unwrap();
        // Where the file system has no such files, the other test is what there is to test.
        if matches!(file, TemporaryFile::Unnamed(_)) {
            assert!(entries(tmp.path()).is_empty());
        }
    }

    #[test]
    fn file_takes_its_name_and_replaces_an_earlier_one() {
        let tmp = tempfile::tempdir().unwrap();
        let path = tmp.path().join("h.json");
        for make in [TemporaryFile::create, TemporaryFile::with_name] {
            for content in [&b"new"[..], b"replaced"] {
                let file = make(tmp.path()).unwrap();
                file.file().write_all(content).unwrap();
                file.persist(&path).unwrap();
                assert_eq!(fs::read(&path).unwrap(), content);
                assert_eq!(entries(tmp.path()), ["h.json"]);
            }
            fs::remove_file(&path).unwrap();
        }
        assert!(names().iter().all(|name| !name.starts_with(tmp.path())));
    }

    #[test]
    fn dropped_file_is_removed() {
        let tmp = tempfile::tempdir().unwrap();
        for make in [TemporaryFile::create, TemporaryFile::with_name] {
            drop(make(tmp.path()).unwrap());
            assert!(entries(tmp.path()).is_empty());
        }
        let file = TemporaryFile::with_name(tmp.path()).unwrap();
        let name = entries(tmp.path()).remove(0);
        assert!(name.starts_with(&prefix()) && names().contains(&tmp.path().join(name)));
        drop(file);
        assert!(names().iter().all(|name| !name.starts_with(tmp.path())));
    }

    /// What the next test starts as a process of its own: a command that is writing a file.
    #[test]
    #[cfg(unix)]
    fn writing_process() {
        let Some(directory) = std::env::var_os("ENTROPY_VIZ_TEST_DIRECTORY") else { return };
        let directory = Path::new(&directory);
        remove_temporary_files_on_signals().unwrap();
        let _unfinished = TemporaryFile::with_name(directory).unwrap();
        fs::write(directory.join("started"), "").unwrap();
        std::thread::sleep(std::time::Duration::from_secs(60));
    }

    #[test]
    #[cfg(unix)]
    fn signal_removes_the_temporary_file_and_ends_the_process() {
        use std::os::unix::process::ExitStatusExt;
        use std::process::{Command, Stdio};
        for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
            let tmp = tempfile::tempdir().unwrap();
            let mut command = Command::new(std::env::current_exe().unwrap());
            command.args(["--exact", "temporary::tests::writing_process", "--nocapture"]);
            command.env("ENTROPY_VIZ_TEST_DIRECTORY", tmp.path()).stdout(Stdio::null());
            let mut process = command.spawn().unwrap();
            while !tmp.path().join("started").exists() {
                assert!(process.try_wait().unwrap().is_none(), "it ended before it wrote");
                std::thread::sleep(std::time::Duration::from_millis(5));
            }
            assert_eq!(entries(tmp.path()).len(), 2);
            let mut kill = Command::new("kill");
            kill.args([format!("-{signal}"), process.id().to_string()]);
            assert!(kill.status().unwrap().success());
            assert_eq!(process.wait().unwrap().signal(), Some(signal));
            assert_eq!(entries(tmp.path()), ["started"]);
        }
    }
}
