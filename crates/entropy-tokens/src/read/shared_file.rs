//! A file that several threads read at places of their own.
//!
//! The `parquet` library's reader of a [`File`] clones the handle, and clones share one position: columns that are read at
//! once would get each other's bytes. Here each read sets the position first, under a lock.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::sync::{Arc, Mutex, PoisonError};

use ::parquet::errors::{ParquetError, Result};
use ::parquet::file::reader::{ChunkReader, Length};
use bytes::Bytes;

/// A file with its length in bytes.
pub(super) struct SharedFile {
    file: Arc<Mutex<File>>,
    length: u64,
}

/// Reads from a place of a shared file.
pub(super) struct PlaceReader {
    file: Arc<Mutex<File>>,
    at: u64,
}

impl SharedFile {
    pub(super) fn new(file: File) -> io::Result<SharedFile> {
        let length = file.metadata()?.len();
        Ok(SharedFile { file: Arc::new(Mutex::new(file)), length })
    }

    fn reader(&self, at: u64) -> PlaceReader {
        PlaceReader { file: self.file.clone(), at }
    }
}

impl Read for PlaceReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        // A thread that panicked left no state but the position, which is set here.
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.seek(SeekFrom::Start(self.at))?;
        let read = file.read(buffer)?;
        self.at += read as u64;
        Ok(read)
    }
}

impl Length for SharedFile {
    fn len(&self) -> u64 {
        self.length
    }
}

impl ChunkReader for SharedFile {
    type T = BufReader<PlaceReader>;

    fn get_read(&self, start: u64) -> Result<Self::T> {
        Ok(BufReader::new(self.reader(start)))
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes> {
        if start.checked_add(length as u64).is_none_or(|end| end > self.length) {
            return Err(ParquetError::EOF("a column ends after the end of the file".to_owned()));
        }
        let mut bytes = Vec::with_capacity(length);
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.seek(SeekFrom::Start(start))?;
        (&mut *file).take(length as u64).read_to_end(&mut bytes)?;
        if bytes.len() < length {
            return Err(ParquetError::EOF("the file has become shorter".to_owned()));
        }
        Ok(Bytes::from(bytes))
    }
}
