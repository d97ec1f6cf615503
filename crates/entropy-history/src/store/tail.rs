//! A file of a log: read once, or followed, where it is read only when it changed, and only its new part.
//!
//! A writer appends, replaces the file, or truncates it. Length, inode and time of modification tell which;
//! after an append, reading continues where it ended.

use std::fs::{self, File, Metadata};
use std::path::Path;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use super::load::{LogLoader, ReadMode, open_log};
use crate::discover::Location;
use crate::formats::{self, Format, Log, ReadError, ResumableReader, Source, companion_files};

/// The pause before a file is read again from its start is this many times the duration of the last
/// reading: a large file that changes all the time would otherwise keep a core busy.
const REREAD_REST: u32 = 40;

/// A file of a log.
pub(super) struct FileTail {
    location: Location,
    reader: Option<ResumableReader>, // `None`: it is read once
    stamp: Option<FileStamp>,        // `None` before the first reading
    not_before: Option<Instant>,
    modified: Option<SystemTime>,
}

/// Metadata of a file that shows whether it changed.
#[derive(Debug, Clone, PartialEq)]
enum FileStamp {
    Missing,
    Present {
        inode: u64,
        length: u64,
        modified: Option<SystemTime>,
        others: (u64, Option<SystemTime>), // length and newest time of the other files of the log
    },
}

impl FileStamp {
    fn of(path: &Path, metadata: &Metadata) -> FileStamp {
        let mut others = (0, None);
        for metadata in companion_files(path).iter().filter_map(|path| fs::metadata(path).ok()) {
            others = (others.0 + metadata.len(), others.1.max(metadata.modified().ok()));
        }
        FileStamp::Present {
            inode: inode(metadata),
            length: metadata.len(),
            modified: metadata.modified().ok(),
            others,
        }
    }

    fn now(location: &Location) -> FileStamp {
        let Location::File(path) = location else { return FileStamp::Missing };
        fs::metadata(path).map_or(FileStamp::Missing, |metadata| FileStamp::of(path, &metadata))
    }

    /// Whether a file with this stamp may be the earlier one with something appended.
    fn may_continue(&self, before: &FileStamp) -> bool {
        match (before, self) {
            (
                FileStamp::Present { inode, length, modified, .. },
                FileStamp::Present { inode: new_inode, length: new_length, modified: now, .. },
            ) => {
                let is_overwritten = length == new_length && modified != now;
                inode == new_inode && new_length >= length && !is_overwritten
            }
            _ => false,
        }
    }
}

#[cfg(unix)]
fn inode(metadata: &Metadata) -> u64 {
    use std::os::unix::fs::MetadataExt;
    metadata.ino() ^ metadata.dev().rotate_left(32)
}

#[cfg(not(unix))]
fn inode(_: &Metadata) -> u64 {
    0
}

impl FileTail {
    /// A file that was not read yet.
    pub(super) fn new(location: Location, loader: &LogLoader) -> FileTail {
        let reader = (loader.mode == ReadMode::Follow)
            .then(|| ResumableReader::new(loader.options.format, Arc::clone(&loader.selector)));
        FileTail { location, reader, stamp: None, not_before: None, modified: None }
    }

    /// Where the file is.
    pub(super) fn location(&self) -> &Location {
        &self.location
    }

    /// Whether the file does not exist.
    pub(super) fn is_missing(&self) -> bool {
        matches!(&self.location, Location::File(path) if !path.exists())
    }

    /// Whether the file changed since it was last read, and may be read at this time.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.not_before.is_none_or(|time| now >= time) && self.is_modified()
    }

    /// Whether the file changed since it was last read.
    pub(super) fn is_modified(&self) -> bool {
        self.stamp.as_ref().is_none_or(|stamp| *stamp != FileStamp::now(&self.location))
    }

    /// When the file had last been written to when it was read.
    pub(super) fn modified(&self) -> Option<SystemTime> {
        self.modified
    }

    /// Takes the file as read without reading it: it is not a log yet.
    pub(super) fn skip(&mut self) {
        self.stamp = Some(FileStamp::now(&self.location));
        if let Some(reader) = &mut self.reader {
            reader.reset();
        }
    }

    /// Reads the file, or what was appended to it, and returns all that it holds.
    ///
    /// # Errors
    /// As [`crate::formats::read`]. The file is read again once it has changed.
    pub(super) fn read(
        &mut self,
        loader: &LogLoader,
        now: Instant,
    ) -> Result<(&'static Format, Log), ReadError> {
        let (Some(reader), Location::File(path)) = (&mut self.reader, &self.location) else {
            let (mut reader, path) = open_log(&self.location)?;
            let source = Source { reader: &mut *reader, path };
            return formats::read(source, loader.options.format, &loader.selector);
        };
        let mut file = match File::open(path) {
            Ok(file) => file,
            Err(error) => {
                self.stamp = Some(FileStamp::Missing);
                reader.reset();
                return Err(error.into());
            }
        };
        let start = Instant::now();
        // Taken before reading: what is written meanwhile counts as a change.
        let metadata = file.metadata()?;
        let stamp = FileStamp::of(path, &metadata);
        if !self.stamp.as_ref().is_some_and(|before| stamp.may_continue(before)) {
            reader.reset();
        }
        if let FileStamp::Present { modified, others, .. } = stamp {
            self.modified = modified.max(others.1);
        }
        self.stamp = Some(stamp);
        let read = reader.read(&mut file, Some(path), metadata.len());
        self.not_before = (!reader.is_incremental()).then(|| now + start.elapsed() * REREAD_REST);
        read
    }

    /// Whether the next reading continues where the last one ended.
    pub(super) fn is_resumable(&self) -> bool {
        self.reader.as_ref().is_some_and(ResumableReader::is_incremental)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::time::Duration;

    use super::*;
    use crate::store::LoadOptions;

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

    fn loader() -> LogLoader {
        LogLoader::new(LoadOptions::default(), ReadMode::Follow).unwrap()
    }

    fn values(tail: &mut FileTail) -> Vec<f64> {
        let (_, log) = tail.read(&loader(), Instant::now()).unwrap();
        log.series[0].points.iter().map(|p| p.entropy).collect()
    }

    #[test]
    fn reads_appended_truncated_and_replaced_file() {
        let tmp = tempfile::tempdir().unwrap();
        let path = tmp.path().join("q.jsonl");
        write(&path, &rows(&[3.0, 2.5]));
        let mut tail = FileTail::new(Location::File(path.clone()), &loader());
        assert!(tail.is_due(Instant::now()));
        assert_eq!(values(&mut tail), [3.0, 2.5]);
        assert!(!tail.is_due(Instant::now()) && tail.is_resumable());

        write(&path, &rows(&[3.0, 2.5, 2.0]));
        assert!(tail.is_due(Instant::now()));
        assert_eq!(values(&mut tail), [3.0, 2.5, 2.0]);

        write(&path, &rows(&[1.5]));
        assert_eq!(values(&mut tail), [1.5]);

        let other = tmp.path().join("other");
        write(&other, &rows(&[9.5, 8.5, 7.5, 6.5]));
        fs::rename(&other, &path).unwrap();
        assert!(tail.is_due(Instant::now()));
        assert_eq!(values(&mut tail), [9.5, 8.5, 7.5, 6.5]);

        fs::remove_file(&path).unwrap();
        assert!(tail.is_due(Instant::now()));
        assert!(tail.read(&loader(), Instant::now()).is_err());
        assert!(!tail.is_due(Instant::now()));
        write(&path, &rows(&[4.5]));
        assert_eq!(values(&mut tail), [4.5]);
    }

    #[test]
    fn rewritten_document_is_not_read_again_at_once() {
        let tmp = tempfile::tempdir().unwrap();
        let path = tmp.path().join("q.json");
        let row = |i: usize| format!("{{\"step\": {i}, \"entropy\": 2.5}}");
        let rows: Vec<String> = (1..100_000).map(row).collect();
        write(&path, &format!("[{}]", rows.join(",")));
        let mut tail = FileTail::new(Location::File(path.clone()), &loader());
        let now = Instant::now();
        assert_eq!(values(&mut tail).len(), 99_999);
        assert!(!tail.is_resumable());
        let rest = tail.not_before.unwrap() - now;
        assert!(rest > Duration::from_millis(10), "{rest:?}");
        write(&path, "[{\"step\": 1, \"entropy\": 2.5}]");
        assert!(!tail.is_due(now));
        assert!(tail.is_due(now + rest + Duration::from_secs(60)));
    }
}
