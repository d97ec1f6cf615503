//! Run files of LevelDB records behind a header of seven bytes: W&B's and SwanLab's.
//!
//! The header is a magic of six bytes and a version. Each format says what its records mean; reading on
//! after the file has grown, and the notes about damage, are here.

use std::io::Read;
use std::ops::RangeInclusive;

use super::error::ReadError;
use super::format::{Head, RecordReader};
use super::log_note::damage_notes;
use super::series_builder::SeriesBuilder;
use crate::framing::leveldb::LevelDbReader;
use crate::framing::protobuf::Malformed;
use crate::framing::{Damage, Position};

/// The bytes before the first record: magic and version.
pub(crate) const HEADER: u64 = 7;

/// What the records of a run file mean.
pub(crate) trait RunRecords: Send {
    /// Adds a record to the builder.
    fn record(&mut self, record: &[u8], builder: &mut SeriesBuilder<'_>) -> Result<(), Malformed>;

    /// Called after each record with the number of damaged places so far.
    fn after_record(&mut self, _damaged_places: usize) {}

    /// Adds the notes about the whole run.
    fn finish(&self, builder: &mut SeriesBuilder<'_>);
}

/// Checks the magic and the version at the start of a run file of `program`.
pub(crate) fn check_header(
    head: &Head<'_>,
    magic: &[u8],
    versions: RangeInclusive<u8>,
    program: &str,
) -> Result<(), ReadError> {
    let (place, what) = match head.bytes.strip_prefix(magic) {
        Some([version, ..]) if versions.contains(version) => return Ok(()),
        Some([version, ..]) => {
            let (first, last) = (versions.start(), versions.end());
            let readable = format!("{first} and {last} can be read");
            ("byte 6", format!("it has version {version} of {program}'s format; {readable}"))
        }
        _ => ("byte 0", format!("it does not begin as a {program} file does")),
    };
    Err(ReadError::Record { place: place.to_owned(), what })
}

/// Reads a run file, of which a part may have been read before.
pub(crate) struct RunFileReader<R> {
    run: R,
    program: &'static str,
    read: usize,
    malformed: usize,
    position: Option<Position>, // `None` before the header of the file
}

impl<R: RunRecords> RunFileReader<R> {
    /// A reader at the start of a run file of `program`.
    pub(crate) fn new(run: R, program: &'static str) -> RunFileReader<R> {
        RunFileReader { run, program, read: 0, malformed: 0, position: None }
    }
}

impl<R: RunRecords> RecordReader for RunFileReader<R> {
    fn read(
        &mut self,
        source: &mut dyn Read,
        builder: &mut SeriesBuilder<'_>,
    ) -> Result<Damage, ReadError> {
        let mut records = match self.position {
            Some(position) => LevelDbReader::resume(source, position),
            None => LevelDbReader::new(source, HEADER)?,
        };
        while let Some(record) = records.next_record()? {
            self.malformed += usize::from(self.run.record(record, builder).is_err());
            self.run.after_record(records.damage().places);
        }
        self.read += records.read();
        self.position = Some(records.position());
        Ok(records.damage().clone())
    }

    fn offset(&self) -> u64 {
        self.position.map_or(0, |position| position.offset)
    }

    fn finish(&self, damage: &Damage, builder: &mut SeriesBuilder<'_>) {
        let wrong = format!("with a valid checksum that are not records of {}", self.program);
        builder.notes(damage_notes(damage, self.read, (self.malformed, &wrong)));
        self.run.finish(builder);
    }
}
