//! SQLite databases that somebody else may be writing to, read so that no trace is left.
//!
//! `mode=ro` leaves one: on a database in WAL mode that nobody has open it creates a `-wal` and a
//! `-shm` file and leaves them there; where it may not create them, it fails. `immutable=1` creates
//! nothing and needs nothing, but takes no lock and does not see a `-wal` file, where the newest
//! rows of a live or killed program lie. So each is used where it does no harm: see [`Way`].

use std::fmt::Write;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, SystemTime};

use rusqlite::{Connection, ErrorCode, OpenFlags};
use tempfile::TempDir;
use thiserror::Error;

/// How long a lock is waited for; loggers hold one for milliseconds.
const PATIENCE: Duration = Duration::from_secs(2);

/// How often a database is read that is written to meanwhile.
const ATTEMPTS: u32 = 5;

/// Why a database could not be read.
#[derive(Debug, Error)]
pub enum DatabaseError {
    /// Another program keeps it to itself.
    #[error("the database is locked by another program (waited {} s)", PATIENCE.as_secs())]
    Locked,
    /// Another program writes all the time.
    #[error("the database was written to each time it was read ({ATTEMPTS} times)")]
    Changing,
    /// SQLite gave up on it.
    #[error("SQLite says: {0}")]
    Sqlite(rusqlite::Error),
    /// It could not be read, or not be copied.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl From<rusqlite::Error> for DatabaseError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => DatabaseError::Locked,
            _ => DatabaseError::Sqlite(error),
        }
    }
}

/// Answers a query, asking again when the database was written to meanwhile; `wal_mode` is what its
/// header says.
///
/// # Errors
/// See [`DatabaseError`].
pub fn ask<T>(
    path: &Path,
    wal_mode: bool,
    query: impl Fn(&Connection) -> rusqlite::Result<T>,
) -> Result<T, DatabaseError> {
    let path = path.canonicalize()?; // SQLite's own files are beside the file, not beside a link
    let mut way = Way::to(&path, wal_mode);
    for attempt in 0..ATTEMPTS {
        let before = stamps(&path);
        let answer = way.open(&path).and_then(|(db, _copy)| Ok(query(&db)?));
        match answer {
            Err(DatabaseError::Sqlite(error)) if way == Way::Locking && needs_writing(&error) => {
                way = Way::Copy;
            }
            answer if way == Way::Locking || stamps(&path) == before => return answer,
            _ => {
                thread::sleep(attempt * Duration::from_millis(50));
                // Whoever writes that often is there: SQLite's files are too, or soon taken away.
                let often = attempt + 2 >= ATTEMPTS;
                way = if often { Way::Locking } else { Way::to(&path, wal_mode) };
            }
        }
    }
    Err(DatabaseError::Changing)
}

/// How to read a database and leave nothing behind.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Way {
    /// `mode=ro`, with locks. The database has a rollback journal, or it has its `-wal` and `-shm`
    /// files, since somebody has it open or was killed: nothing is missing that SQLite would create.
    /// (The last to close a database takes these files away, but not one who may only read.)
    Locking,
    /// `immutable=1`. WAL mode without rows in a `-wal` file: all is in the database. There is no
    /// lock, so the answer counts only if nothing was written meanwhile.
    Immutable,
    /// A copy. A `-wal` file without its `-shm` file came from another place, and in a folder that
    /// may not be written to none can be made. Counts on the same condition.
    Copy,
}

impl Way {
    fn to(path: &Path, wal_mode: bool) -> Way {
        let wal = fs::metadata(beside(path, "-wal")).is_ok_and(|wal| wal.len() > 0);
        match (wal_mode, wal, beside(path, "-shm").exists()) {
            (false, ..) | (true, true, true) => Way::Locking,
            (true, false, _) => Way::Immutable,
            (true, true, false) => Way::Copy,
        }
    }

    /// Opens it; the copy lasts as long as the second value.
    fn open(self, path: &Path) -> Result<(Connection, Option<TempDir>), DatabaseError> {
        let reading = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
        let (db, copy) = match self {
            Way::Locking => (Connection::open_with_flags(uri(path, "mode=ro"), reading)?, None),
            Way::Immutable => {
                (Connection::open_with_flags(uri(path, "immutable=1"), reading)?, None)
            }
            Way::Copy => {
                let folder = tempfile::tempdir()?;
                let copy = folder.path().join("copy.db");
                for end in ["", "-wal", "-journal"] {
                    match fs::copy(beside(path, end), beside(&copy, end)) {
                        Ok(_) => {}
                        Err(e) if e.kind() == io::ErrorKind::NotFound && !end.is_empty() => {}
                        Err(e) => return Err(e.into()),
                    }
                }
                (Connection::open(copy)?, Some(folder))
            }
        };
        db.busy_timeout(PATIENCE)?;
        Ok((db, copy))
    }
}

/// The folder may not be written to, or what a killed writer left must be rolled back first.
fn needs_writing(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly))
}

fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    name.into()
}

/// Sizes and times: whoever writes changes them.
fn stamps(path: &Path) -> [Option<(u64, SystemTime)>; 2] {
    ["", "-wal"].map(|end| {
        let file = fs::metadata(beside(path, end)).ok()?;
        Some((file.len(), file.modified().ok()?))
    })
}

fn uri(path: &Path, how: &str) -> String {
    let mut uri = "file:".to_owned();
    for &byte in path.as_os_str().as_encoded_bytes() {
        match byte {
            b'/' | b'.' | b'-' | b'_' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' => {
                uri.push(byte.into());
            }
            _ => write!(uri, "%{byte:02X}").expect("a string takes everything"),
        }
    }
    uri + "?" + how
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A database of `rows` rows in a folder of its own, so that what is left beside it shows.
    fn database(rows: u32, set_up: &str) -> (TempDir, PathBuf, Connection) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a b%?#é.db");
        let db = Connection::open(&path).unwrap();
        db.execute_batch(&format!("{set_up}; CREATE TABLE t (x TEXT)")).unwrap();
        for row in 0..rows {
            db.execute("INSERT INTO t VALUES (?)", [row.to_string()]).unwrap();
        }
        (folder, path, db)
    }

    fn rows(path: &Path) -> Result<u32, DatabaseError> {
        let wal_mode = fs::read(path)?.get(18) == Some(&2);
        // Both from the table, not from an index or a header.
        ask(path, wal_mode, |db| {
            db.query_row("SELECT count(*) + 0 * total(length(x)) FROM t", [], |r| {
                r.get::<_, f64>(0)
            })
        })
        .map(|n| n as u32)
    }

    /// The same files in another folder, as a killed program or a copy leaves them.
    fn copied(path: &Path, ends: &[&str]) -> (TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let copy = folder.path().join("copy.db");
        for end in ends {
            fs::write(beside(&copy, end), fs::read(beside(path, end)).unwrap()).unwrap();
        }
        (folder, copy)
    }

    fn files(folder: &TempDir) -> Vec<(PathBuf, Vec<u8>)> {
        let mut files: Vec<_> = fs::read_dir(folder)
            .unwrap()
            .map(|file| file.unwrap().path())
            .map(|path| (path.clone(), fs::read(path).unwrap()))
            .collect();
        files.sort();
        files
    }

    #[test]
    fn nothing_is_left_behind_and_nothing_is_missed() {
        const WAL: &str = "PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0";
        let (_folder, live, _writer) = database(7, WAL);
        let (closed_folder, closed, writer) = database(7, WAL);
        drop(writer);
        let (plain_folder, plain, writer) = database(7, "");
        drop(writer);
        let (copy_folder, copy) = copied(&live, &["", "-wal"]);
        let (killed_folder, killed) = copied(&live, &["", "-wal", "-shm"]);
        for (folder, path, way) in [
            (&closed_folder, &closed, Way::Immutable),
            (&plain_folder, &plain, Way::Locking),
            (&copy_folder, &copy, Way::Copy),
        ] {
            let before = files(folder);
            assert_eq!(Way::to(path, way != Way::Locking), way);
            assert_eq!(rows(path).unwrap(), 7, "{way:?}");
            assert!(files(folder) == before, "{way:?}");
        }
        let before = files(&killed_folder);
        for path in [&live, &killed] {
            assert_eq!(Way::to(path, true), Way::Locking);
            assert_eq!(rows(path).unwrap(), 7);
        }
        let after = files(&killed_folder); // its -shm is rebuilt, as any reader does
        assert!(after.len() == 3 && after[0] == before[0] && after[2] == before[2]);
    }

    #[test]
    #[cfg(unix)]
    fn a_link_is_followed_to_where_the_wal_file_lies() {
        let (_folder, path, _writer) = database(3, "PRAGMA journal_mode = WAL");
        let elsewhere = tempfile::tempdir().unwrap();
        let link = elsewhere.path().join("link.db");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        assert_eq!(rows(&link).unwrap(), 3);
    }

    #[test]
    fn a_locked_database_is_waited_for_and_then_named_so() {
        let (_folder, path, writer) = database(3, "");
        writer.execute_batch("BEGIN EXCLUSIVE").unwrap();
        let error = rows(&path).unwrap_err().to_string();
        assert_eq!(error, "the database is locked by another program (waited 2 s)");
        writer.execute_batch("COMMIT").unwrap();
        assert_eq!(rows(&path).unwrap(), 3);
    }

    #[test]
    fn what_a_killed_writer_did_by_half_is_undone_in_a_copy() {
        let (_folder, path, writer) =
            database(200, "PRAGMA cache_size = 1; PRAGMA page_size = 512");
        writer.execute_batch("BEGIN; DELETE FROM t WHERE rowid > 20").unwrap();
        writer.execute_batch("INSERT INTO t VALUES (zeroblob(90000))").unwrap();
        let (folder, killed) = copied(&path, &["", "-journal"]);
        let before = files(&folder);
        assert!(before[1].1.len() > 512, "nothing to undo");
        assert_eq!(rows(&killed).unwrap(), 200);
        assert!(files(&folder) == before);
    }

    #[test]
    fn a_file_that_is_no_database_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.db");
        assert!(matches!(rows(&path), Err(DatabaseError::Io(_))));
        for bytes in [&b""[..], b"SQLite format 3\0", &[7; 5000]] {
            fs::write(&path, bytes).unwrap();
            assert!(matches!(rows(&path), Err(DatabaseError::Sqlite(_))));
        }
    }
}
