//! Reads SQLite databases that another program may be writing to, without leaving a trace.
//!
//! Opening such a database in place may create `-wal` and `-shm` files next to it, wait for a lock, or
//! miss the newest rows, which a live or killed program keeps in the `-wal` file. So the database is
//! copied with these files to a temporary directory. A copy is used only if no file changed meanwhile.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, SystemTime};

use rusqlite::{Connection, OpenFlags};
use thiserror::Error;

/// Number of attempts to copy a database that changes meanwhile.
const ATTEMPTS: u32 = 5;
/// Endings of the files that make up a database: itself, newest rows, and changes to roll back.
const ENDINGS: [&str; 3] = ["", "-wal", "-journal"];

/// Why a database cannot be read.
#[derive(Debug, Error)]
pub enum DatabaseError {
    /// Another program writes all the time.
    #[error("the database was written to each time it was read ({ATTEMPTS} times)")]
    Changing,
    /// The database comes through a pipe or is compressed.
    #[error("an SQLite database is read from its own file, not from a pipe or a compressed file")]
    NoFile,
    /// SQLite reported an error.
    #[error("SQLite says: {0}")]
    Sqlite(#[from] rusqlite::Error),
    /// A file could not be read or copied.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Runs a query on a consistent copy of the database.
///
/// # Errors
/// See [`DatabaseError`].
pub fn query_database<T>(
    path: &Path,
    query: impl Fn(&Connection) -> rusqlite::Result<T>,
) -> Result<T, DatabaseError> {
    let path = path.canonicalize()?; // the other files are next to the file, not next to a link to it
    for attempt in 0..ATTEMPTS {
        thread::sleep(attempt * Duration::from_millis(50));
        let before = stamps(&path);
        let answer = query_copy(&path, &query);
        if stamps(&path) == before {
            return answer;
        }
    }
    Err(DatabaseError::Changing)
}

/// The first bytes of every SQLite database.
pub const MAGIC: &[u8] = b"SQLite format 3\0";

/// Whether the database at `path` has a table with these columns; false if it cannot be read. It is not
/// copied, unless its newest changes are in a second file.
pub fn has_columns(path: &Path, table: &str, columns: &[&str]) -> bool {
    let query = |db: &Connection| -> rusqlite::Result<Vec<String>> {
        let mut statement = db.prepare("SELECT name FROM pragma_table_info(?)")?;
        statement.query_map([table], |row| row.get(0))?.collect()
    };
    let found = match with_ending(path, "-wal").exists() {
        true => query_database(path, query).ok(),
        false => open_in_place(path).and_then(|db| query(&db)).ok(),
    };
    found.is_some_and(|found| columns.iter().all(|name| found.iter().any(|n| n == name)))
}

/// Opens a database as immutable: SQLite takes no locks and creates no files next to it.
fn open_in_place(path: &Path) -> rusqlite::Result<Connection> {
    let mut uri = "file:".to_owned();
    if cfg!(windows) {
        uri.push('/');
    }
    for &byte in path.as_os_str().as_encoded_bytes() {
        match byte {
            b'\\' if cfg!(windows) => uri.push('/'),
            b'/' | b'.' | b'-' | b'_' | b':' => uri.push(char::from(byte)),
            byte if byte.is_ascii_alphanumeric() => uri.push(char::from(byte)),
            byte => uri.push_str(&format!("%{byte:02x}")),
        }
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
    Connection::open_with_flags(uri + "?immutable=1", flags)
}

fn query_copy<T>(
    path: &Path,
    query: impl Fn(&Connection) -> rusqlite::Result<T>,
) -> Result<T, DatabaseError> {
    let tmp = tempfile::tempdir()?;
    let copy = tmp.path().join("copy.db");
    for ending in ENDINGS {
        match fs::copy(with_ending(path, ending), with_ending(&copy, ending)) {
            Err(e) if e.kind() != io::ErrorKind::NotFound || ending.is_empty() => {
                return Err(e.into());
            }
            _ => {}
        }
    }
    Ok(query(&Connection::open(copy)?)?)
}

fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

/// Sizes and modification times of the files, which change when a program writes.
fn stamps(path: &Path) -> [Option<(u64, SystemTime)>; 3] {
    ENDINGS.map(|ending| {
        let file = fs::metadata(with_ending(path, ending)).ok()?;
        Some((file.len(), file.modified().ok()?))
    })
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    /// A database of `rows` rows in a directory of its own, so that files left behind are seen.
    fn database(rows: u32, set_up: &str) -> (TempDir, PathBuf, Connection) {
        let tmp = tempfile::tempdir().unwrap();
        let path = tmp.path().join("a b%?#é.db");
        let db = Connection::open(&path).unwrap();
        db.execute_batch(&format!("{set_up}; CREATE TABLE t (x TEXT)")).unwrap();
        for row in 0..rows {
            db.execute("INSERT INTO t VALUES (?)", [row.to_string()]).unwrap();
        }
        (tmp, path, db)
    }

    fn rows(path: &Path) -> Result<u32, DatabaseError> {
        // Both from the table, not from an index or a header.
        query_database(path, |db| {
            db.query_row("SELECT count(*) + 0 * total(length(x)) FROM t", [], |r| {
                r.get::<_, f64>(0)
            })
        })
        .map(|n| n as u32)
    }

    /// Copies the files with these endings to another directory, as a killed program leaves them.
    fn copied(path: &Path, ends: &[&str]) -> (TempDir, PathBuf) {
        let tmp = tempfile::tempdir().unwrap();
        let copy = tmp.path().join("copy.db");
        for end in ends {
            fs::write(with_ending(&copy, end), fs::read(with_ending(path, end)).unwrap()).unwrap();
        }
        (tmp, copy)
    }

    fn files(tmp: &TempDir) -> Vec<(PathBuf, Vec<u8>)> {
        let mut files: Vec<_> = fs::read_dir(tmp)
            .unwrap()
            .map(|file| file.unwrap().path())
            .map(|path| (path.clone(), fs::read(path).unwrap()))
            .collect();
        files.sort();
        files
    }

    #[test]
    fn all_rows_are_read_and_no_file_is_left_behind() {
        const WAL: &str = "PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0";
        let (live_tmp, live, _writer) = database(7, WAL);
        let (closed_tmp, closed, writer) = database(7, WAL);
        drop(writer);
        let (plain_tmp, plain, writer) = database(7, "");
        drop(writer);
        let (copy_tmp, copy) = copied(&live, &["", "-wal"]);
        let (killed_tmp, killed) = copied(&live, &["", "-wal", "-shm"]);
        for (tmp, path) in [
            (&live_tmp, &live),
            (&closed_tmp, &closed),
            (&plain_tmp, &plain),
            (&copy_tmp, &copy),
            (&killed_tmp, &killed),
        ] {
            let before = files(tmp);
            assert_eq!(rows(path).unwrap(), 7, "{path:?}");
            assert!(files(tmp) == before, "{path:?}");
        }
    }

    #[test]
    fn columns_are_found_and_no_file_is_left_behind() {
        for set_up in ["", "PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0"] {
            let (tmp, path, writer) = database(7, set_up);
            let before = files(&tmp);
            assert!(has_columns(&path, "t", &["x"]), "{set_up}");
            assert!(!has_columns(&path, "t", &["x", "y"]) && !has_columns(&path, "u", &[""]));
            assert!(files(&tmp) == before, "{set_up}");
            drop(writer);
            assert!(has_columns(&path, "t", &["x"]), "{set_up}");
        }
        let tmp = tempfile::tempdir().unwrap();
        assert!(!has_columns(&tmp.path().join("none.db"), "t", &[]));
    }

    #[test]
    #[cfg(unix)]
    fn symbolic_link_is_followed_to_the_wal_file() {
        let (_tmp, path, _writer) = database(3, "PRAGMA journal_mode = WAL");
        let elsewhere = tempfile::tempdir().unwrap();
        let link = elsewhere.path().join("link.db");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        assert_eq!(rows(&link).unwrap(), 3);
    }

    #[test]
    fn locked_database_is_read_from_its_copy() {
        let (_tmp, path, writer) = database(3, "");
        writer.execute_batch("BEGIN EXCLUSIVE").unwrap();
        assert_eq!(rows(&path).unwrap(), 3);
    }

    #[test]
    fn incomplete_transaction_of_a_killed_writer_is_rolled_back() {
        let (_tmp, path, writer) = database(200, "PRAGMA cache_size = 1; PRAGMA page_size = 512");
        writer.execute_batch("BEGIN; DELETE FROM t WHERE rowid > 20").unwrap();
        writer.execute_batch("INSERT INTO t VALUES (zeroblob(90000))").unwrap();
        let (tmp, killed) = copied(&path, &["", "-journal"]);
        let before = files(&tmp);
        assert!(before[1].1.len() > 512, "nothing to undo");
        assert_eq!(rows(&killed).unwrap(), 200);
        assert!(files(&tmp) == before);
    }

    #[test]
    fn rejects_file_that_is_not_a_database() {
        let tmp = tempfile::tempdir().unwrap();
        let path = tmp.path().join("x.db");
        assert!(matches!(rows(&path), Err(DatabaseError::Io(_))));
        for bytes in [&b""[..], b"SQLite format 3\0", &[7; 5000]] {
            fs::write(&path, bytes).unwrap();
            assert!(matches!(rows(&path), Err(DatabaseError::Sqlite(_))));
        }
    }
}
