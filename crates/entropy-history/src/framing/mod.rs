//! Framing: bytes to records and back, independent of what the records mean.

pub mod json;
pub mod leveldb;
pub mod parquet;
pub mod protobuf;
pub mod sqlite;
pub mod tfrecord;
mod window;
pub mod zip;

/// The end of the last complete record of a framed file, and the number of records before it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Position {
    /// Offset in bytes from the start of the file.
    pub offset: u64,
    /// Number of records.
    pub number: usize,
}

/// The damage found in a framed file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Damage {
    /// The first damaged place, and what is wrong there.
    pub first: Option<(String, String)>,
    /// Number of damaged places.
    pub places: usize,
    /// The position of the incomplete record at the end of the file, if there is one.
    pub cut: Option<String>,
}

impl Damage {
    fn add(&mut self, place: String, what: &str) {
        self.places += 1;
        self.first.get_or_insert_with(|| (place, what.to_owned()));
    }
}
