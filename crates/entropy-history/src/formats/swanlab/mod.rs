//! SwanLab's run files: `swanlog/run-<time>-<id>/run-<id>.swanlab` since 0.8, `backup.swanlab` in 0.6
//! and 0.7.
//!
//! ```text
//! ":SWL" | u16le 0xe1d6 | u8 version | LevelDB log
//! version 2: Record messages   10 start | 11 finish | 13 scalar
//!     Start   4 name | 10 id
//!     Scalar  1 key | 2 step | 4 timestamp {1 seconds | 2 nanos} | 5 value {1 double}
//! version 1: JSON records
//!     {"model_type": "Scalar", "data": {"metric": {"index": 0, "data": 2.5, "create_time": "…"},
//!      "key": "actor/entropy", "step": 1, "epoch": 1}}
//! ```
//!
//! A step or a value of 0 has no field, because proto3 leaves out zeros; version 1 writes NaN and the
//! infinities as texts. Each value has its own step. Nested dictionaries are joined with `/`, in
//! version 1 with `.`. (swanlab 0.10.3, `sdk/internal/core_python/store`, `protos`; 0.7.11,
//! `data/porter`, `proto/v0.py`.)
//!
//! The local mode of earlier versions has neither: [`local`].

use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::formats::databases::{DatabaseOwner, database_owner};
use crate::formats::format::RunIdentity;
use crate::formats::reader_api::{
    Confidence, Format, Growth, Head, LogNote, MissingMetric, ReadError, RecordReader,
    SeriesBuilder,
};
use crate::formats::run_config::LoggedConfig;
use crate::formats::run_file::{RunFileReader, check_header};
use crate::framing::sqlite::MAGIC as SQLITE;

mod local;
mod version1;
mod version2;

pub(crate) use local::value_files;

pub(crate) const FORMAT: Format = Format {
    name: "swanlab",
    about: "SwanLab's run files (.swanlab), and its local mode before 0.8 (runs.swanlab)",
    recognised_by: "the bytes :SWL, or a database with SwanLab's tables",
    metrics: &["actor/entropy", "train/entropy", "policy/entropy"],
    recognise,
    read,
    growth,
    identity: RunIdentity::Id,
    config,
    ..Format::DEFAULTS
};

const MAGIC: &[u8] = b":SWL\xd6\xe1";

fn recognise(head: &Head<'_>) -> Confidence {
    let is_swanlab = match database_owner(head) {
        Some(owner) => owner == DatabaseOwner::SwanLab,
        None => {
            head.bytes.starts_with(b":SWL")
                || head.is_named(|name| name.ends_with(".swanlab"))
                || local::is_values(head)
        }
    };
    if is_swanlab { Confidence::Certain } else { Confidence::No }
}

/// Run files hold the path of `files/config.yaml`, which is read with the files in the directory of the run.
fn config(path: &Path) -> Result<Vec<LoggedConfig>, ReadError> {
    let mut start = Vec::new();
    File::open(path)?.take(SQLITE.len() as u64).read_to_end(&mut start)?;
    if start == SQLITE { local::config(path) } else { Ok(Vec::new()) }
}

fn growth(head: &Head<'_>) -> Growth {
    match head.bytes.starts_with(SQLITE) || local::is_values(head) {
        true => Growth::Rewritten,
        false => Growth::Records(new_reader),
    }
}

fn read(
    head: &Head<'_>,
    source: &mut dyn Read,
    builder: &mut SeriesBuilder<'_>,
) -> Result<(), ReadError> {
    if head.bytes.starts_with(SQLITE) {
        return local::read_all(head, builder);
    }
    if local::is_values(head) {
        return local::read_values(head, source, builder);
    }
    let mut reader = new_reader(head, builder)?;
    let damage = reader.read(source, builder)?;
    reader.finish(&damage, builder);
    Ok(())
}

fn new_reader(
    head: &Head<'_>,
    builder: &mut SeriesBuilder<'_>,
) -> Result<Box<dyn RecordReader>, ReadError> {
    builder.missing_metric(MissingMetric::Expected);
    check_header(head, MAGIC, 1..=2, "SwanLab")?;
    let clock = builder.clock("timestamp");
    Ok(match head.bytes[MAGIC.len()] {
        1 => Box::new(RunFileReader::new(version1::Run::new(clock), "SwanLab")),
        _ => Box::new(RunFileReader::new(version2::Run::new(clock), "SwanLab")),
    })
}

/// Notes that no record says that the run ended.
fn note_running(builder: &mut SeriesBuilder<'_>) {
    builder.note(LogNote::Remark("the run had not ended when the file was written".to_owned()));
}

#[cfg(test)]
mod tests;
