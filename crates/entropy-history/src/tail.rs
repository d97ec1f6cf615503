//! Follows a file: detects changes cheaply, reads only when it changed, and parses only the new part.
//!
//! A writer may append to a file, replace it or truncate it. Its length, inode number and modification
//! time tell which; an appended file is resumed, any other is read from its start.

use std::fs::{self, File, Metadata};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use crate::formats::{Format, Log, ReadError, ResumableReader, SeriesSelector};

/// A file that cannot be resumed is read again only after this many times the duration of the last
/// read: a large file that changes all the time would keep a core busy.
const REREAD_BACKOFF: u32 = 40;

/// A followed file.
pub struct FileTail<'w> {
    path: PathBuf,
    reader: ResumableReader<'w>,
    state: Option<FileState>,
    earliest_read: Option<Instant>,
    modified: Option<SystemTime>,
}

/// Whether the file exists, and its stamp.
#[derive(Debug, Clone, PartialEq)]
enum FileState {
    Present(FileStamp),
    Missing,
}

#[derive(Debug, Clone, PartialEq)]
struct FileStamp {
    number: u64,
    length: u64,
    modified: Option<SystemTime>,
    wal: Option<(u64, Option<SystemTime>)>, // size and time of SQLite's `-wal` file
}

impl FileStamp {
    fn of(path: &Path, metadata: &Metadata) -> FileStamp {
        let wal_stamp = path.extension().is_some_and(|e| e == "db" || e == "sqlite").then(|| {
            let mut wal = path.as_os_str().to_owned();
            wal.push("-wal");
            fs::metadata(wal).ok().map(|metadata| (metadata.len(), metadata.modified().ok()))
        });
        FileStamp {
            number: file_number(metadata),
            length: metadata.len(),
            modified: metadata.modified().ok(),
            wal: wal_stamp.flatten(),
        }
    }
}

#[cfg(unix)]
fn file_number(metadata: &Metadata) -> u64 {
    use std::os::unix::fs::MetadataExt;
    metadata.ino() ^ metadata.dev().rotate_left(32)
}

#[cfg(not(unix))]
fn file_number(_: &Metadata) -> u64 {
    0
}

impl<'w> FileTail<'w> {
    /// A file that was not read yet.
    pub fn new(
        path: PathBuf,
        format: Option<&'static Format>,
        selector: &'w SeriesSelector,
    ) -> FileTail<'w> {
        FileTail {
            path,
            reader: ResumableReader::new(format, selector),
            state: None,
            earliest_read: None,
            modified: None,
        }
    }

    /// The path of the file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the file changed since the last read, and may be read again now.
    pub fn has_changed(&self, now: Instant) -> bool {
        self.earliest_read.is_none_or(|time| now >= time) && self.is_another()
    }

    /// Whether the file changed since the last read.
    pub fn is_another(&self) -> bool {
        let state = match fs::metadata(&self.path) {
            Ok(metadata) => FileState::Present(FileStamp::of(&self.path, &metadata)),
            Err(_) => FileState::Missing,
        };
        self.state.as_ref() != Some(&state)
    }

    /// The time of the last change, if known.
    pub fn modified(&self) -> Option<SystemTime> {
        self.modified
    }

    /// Records the present state of the file without reading it, because it is not a log yet.
    pub fn pass_over(&mut self) {
        let state = fs::metadata(&self.path).map(|metadata| FileStamp::of(&self.path, &metadata));
        self.state = Some(state.map_or(FileState::Missing, FileState::Present));
        self.reader.reset();
    }

    /// Reads the file.
    ///
    /// # Errors
    /// As [`crate::formats::read`]. The file is read again once it has changed.
    pub fn read(&mut self, now: Instant) -> Result<(&'static Format, Log), ReadError> {
        let mut file = match File::open(&self.path) {
            Ok(file) => file,
            Err(error) => {
                self.state = Some(FileState::Missing);
                self.reader.reset();
                return Err(error.into());
            }
        };
        let start = Instant::now();
        // Taken before reading, so that writes during the read count as a change.
        let stamp = FileStamp::of(&self.path, &file.metadata()?);
        if self.was_rewritten(&stamp) {
            self.reader.reset();
        }
        let length = stamp.length;
        self.modified = stamp.modified.max(stamp.wal.and_then(|(_, modified)| modified));
        self.state = Some(FileState::Present(stamp));
        let read = self.reader.read(&mut file, Some(&self.path), length);
        self.earliest_read =
            (!self.reader.is_incremental()).then(|| now + start.elapsed() * REREAD_BACKOFF);
        read
    }

    /// Whether the file was rewritten instead of appended to.
    fn was_rewritten(&self, stamp: &FileStamp) -> bool {
        let Some(FileState::Present(before)) = &self.state else { return true };
        let same_length = before.length == stamp.length && before.modified != stamp.modified;
        before.number != stamp.number || stamp.length < before.length || same_length
    }

    /// Whether the next read will parse only what is appended.
    pub fn is_incremental(&self) -> bool {
        self.reader.is_incremental()
    }

    /// The longest pause before the file is read again.
    pub fn rest(&self, now: Instant) -> Duration {
        self.earliest_read.map_or(Duration::ZERO, |time| time.saturating_duration_since(now))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn rows(entropies: &[f64]) -> String {
        let row = |(i, e): (usize, &f64)| format!("{{\"step\":{},\"entropy\":{e}}}\n", i + 1);
        entropies.iter().enumerate().map(row).collect()
    }

    fn write(path: &Path, text: &str) {
        fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .open(path)
            .unwrap()
            .write_all(text.as_bytes())
            .unwrap();
    }

    fn values(tail: &mut FileTail<'_>) -> Vec<f64> {
        let (_, log) = tail.read(Instant::now()).unwrap();
        log.series[0].points.iter().map(|p| p.entropy).collect()
    }

    #[test]
    fn appended_truncated_and_replaced_files_are_read_correctly() {
        let tmp = tempfile::tempdir().unwrap();
        let path = tmp.path().join("q.jsonl");
        let selector = SeriesSelector::default_keys();
        write(&path, &rows(&[3.0, 2.5]));
        let mut tail = FileTail::new(path.clone(), None, &selector);
        assert!(tail.has_changed(Instant::now()));
        assert_eq!(values(&mut tail), [3.0, 2.5]);
        assert!(!tail.has_changed(Instant::now()) && tail.reader.is_incremental());

        write(&path, &rows(&[3.0, 2.5, 2.0]));
        assert!(tail.has_changed(Instant::now()));
        assert_eq!(values(&mut tail), [3.0, 2.5, 2.0]);

        write(&path, &rows(&[1.5]));
        assert_eq!(values(&mut tail), [1.5]);

        let other = tmp.path().join("other");
        write(&other, &rows(&[9.5, 8.5, 7.5, 6.5]));
        fs::rename(&other, &path).unwrap();
        assert!(tail.has_changed(Instant::now()));
        assert_eq!(values(&mut tail), [9.5, 8.5, 7.5, 6.5]);

        fs::remove_file(&path).unwrap();
        assert!(tail.has_changed(Instant::now()));
        assert!(tail.read(Instant::now()).is_err());
        assert!(!tail.has_changed(Instant::now()));
        write(&path, &rows(&[4.5]));
        assert_eq!(values(&mut tail), [4.5]);
    }

    #[test]
    fn rewritten_document_is_read_again_after_a_pause() {
        let tmp = tempfile::tempdir().unwrap();
        let path = tmp.path().join("q.json");
        let row = |i: usize| format!("{{\"step\": {i}, \"entropy\": 2.5}}");
        let rows: Vec<String> = (1..100_000).map(row).collect();
        write(&path, &format!("[{}]", rows.join(",")));
        let selector = SeriesSelector::default_keys();
        let mut tail = FileTail::new(path.clone(), None, &selector);
        let now = Instant::now();
        assert_eq!(values(&mut tail).len(), 99_999);
        assert!(!tail.reader.is_incremental());
        let rest = tail.rest(now);
        assert!(rest > Duration::from_millis(10), "{rest:?}");
        write(&path, "[{\"step\": 1, \"entropy\": 2.5}]");
        assert!(!tail.has_changed(now));
        assert!(tail.has_changed(now + rest + Duration::from_secs(60)));
    }
}
