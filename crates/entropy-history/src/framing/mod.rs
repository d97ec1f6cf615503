//! Frames turn bytes into records and know nothing of entropy.

pub mod json;
pub mod leveldb;
pub mod parquet;
pub mod protobuf;
pub mod sqlite;
pub mod tfrecord;
mod window;

/// The end of the last whole record of a framed file, and how many stand before it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Position {
    /// Bytes from the start of the file.
    pub offset: u64,
    /// Records.
    pub number: usize,
}

/// What was wrong with a framed file, beside the records that came out of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Damage {
    /// The first damaged place, and what is wrong there.
    pub first: Option<(String, String)>,
    /// How many places are damaged.
    pub places: usize,
    /// Where the file ends inside a record.
    pub cut: Option<String>,
}

impl Damage {
    fn add(&mut self, place: String, what: &str) {
        self.places += 1;
        self.first.get_or_insert_with(|| (place, what.to_owned()));
    }
}
