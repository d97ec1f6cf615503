//! The local mode of SwanLab before 0.8: one database for all runs, and files of values.
//!
//! ```text
//! swanlog/runs.swanlab                               SQLite
//!     experiment(id, run_id, name, …)   tag(experiment_id, name, folder, …)
//! swanlog/<run_id>/logs/<folder>/1000.log, 2000.log  a thousand values each
//!     {"index": 12, "data": 0.21, "create_time": "…"}
//! ```
//!
//! `run_id` is `run-<time>-<id>`, and `index` is the step. Without `folder`, the name of the directory is
//! the name of the tag, percent-encoded. (swanlab 0.4.6, `data/run/exp.py`; swanboard 0.1.7, `db/models`.)

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use rusqlite::Connection;

use super::version1::{number, text};
use crate::formats::reader_api::{ColumnId, Head, LogNote, ReadError, SeriesBuilder};
use crate::formats::run_config::{LoggedConfig, of_directory};
use crate::formats::run_names::RunNames;
use crate::formats::timestamps::iso_to_unix_seconds;
use crate::formats::value_lines::ValueLines;
use crate::framing::json::{ScanError, Scanner, ValueKind};
use crate::framing::sqlite::{DatabaseError, query_database};
use crate::text::plural;

/// The names of the database: that of swanboard, and of its later versions.
const DATABASES: [&str; 2] = ["runs.swanlab", "runs.swanlog"];

/// A run, and its tags with their directories.
struct LocalRun {
    id: String,
    name: String,
    tags: Vec<(String, String)>,
}

/// Whether the file holds the values of a tag.
pub(super) fn is_values(head: &Head<'_>) -> bool {
    let above = head.path.and_then(|path| path.parent()?.parent()?.file_name());
    above.is_some_and(|name| name == "logs")
        && ["index", "data", "create_time"].iter().all(|key| head.has(key, ValueKind::Scalar))
}

/// Reads all runs of a database.
pub(super) fn read_all(head: &Head<'_>, builder: &mut SeriesBuilder<'_>) -> Result<(), ReadError> {
    let Some(path) = head.path else { return Err(DatabaseError::NoFile.into()) };
    let mut names = RunNames::default();
    let (mut lines, mut missing) = (ValueLines::default(), 0);
    for run in query_database(path, runs)? {
        builder.enter_run(&names.distinct(&run.name));
        let clock = builder.clock("timestamp");
        let logs = path.with_file_name(&run.id).join("logs");
        missing += usize::from(!run.tags.is_empty() && !logs.is_dir());
        for (tag, folder) in run.tags {
            let Some(column) = builder.column(&tag) else { continue };
            for file in values_of(&logs.join(folder)) {
                read_file(&mut File::open(&file)?, &file, &mut lines, (column, clock), builder)?;
            }
        }
    }
    if missing > 0 {
        let runs = plural(missing, "run has", "runs have");
        builder.note(LogNote::Odd(format!("{runs} no directory next to the database")));
    }
    lines.add_notes(builder);
    Ok(())
}

/// The configurations of all runs of a database: files in the directories of the runs.
pub(super) fn config(path: &Path) -> Result<Vec<LoggedConfig>, ReadError> {
    let (mut names, mut found) = (RunNames::default(), Vec::new());
    for run in query_database(path, runs)? {
        let name = names.distinct(&run.name);
        let (configs, problems) = of_directory(&path.with_file_name(&run.id));
        if let Some(what) = problems.into_iter().next() {
            return Err(ReadError::Record { place: format!("the run {name}"), what });
        }
        let named = |config| LoggedConfig { run: Some(name.clone()), ..config };
        found.extend(configs.into_iter().map(named));
    }
    Ok(found)
}

/// Reads one file of values. The database in the directory above the run has the names of the run and of
/// the tag.
pub(super) fn read_values(
    head: &Head<'_>,
    source: &mut dyn Read,
    builder: &mut SeriesBuilder<'_>,
) -> Result<(), ReadError> {
    let path = std::path::absolute(head.path.unwrap_or(Path::new("")))?;
    let above = |levels| path.ancestors().nth(levels).unwrap_or(Path::new(""));
    let file_name =
        |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let (folder, id) = (file_name(above(1)), file_name(above(3)));
    let database = DATABASES.map(|name| above(4).join(name)).into_iter().find(|db| db.is_file());
    let runs =
        database.and_then(|database| query_database(&database, runs).ok()).unwrap_or_default();
    let run = runs.into_iter().find(|run| run.id == id);
    let tag = run.as_ref().and_then(|run| run.tags.iter().find(|(_, other)| *other == folder));
    let tag = tag.map_or_else(|| percent_decoded(&folder), |(tag, _)| tag.clone());
    builder.name_run(run.as_ref().map_or(&id, |run| &run.name));
    let Some(column) = builder.column(&tag) else { return Ok(()) };
    let mut lines = ValueLines::default();
    let clock = builder.clock("timestamp");
    read_file(source, &path, &mut lines, (column, clock), builder)?;
    lines.add_notes(builder);
    Ok(())
}

/// The files of values of all runs of a database, in the order of their names; none for other files.
pub(crate) fn value_files(database: &Path) -> Vec<PathBuf> {
    let name = database.file_name().unwrap_or_default();
    if !DATABASES.iter().any(|database| name == *database) {
        return Vec::new();
    }
    let runs = directories(database.parent().unwrap_or(Path::new("")));
    let tags = runs.iter().flat_map(|run| directories(&run.join("logs")));
    tags.flat_map(|tag| values_of(&tag)).collect()
}

fn directories(path: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    let directories = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    let mut paths: Vec<_> = directories.map(|entry| entry.path()).collect();
    paths.sort();
    paths
}

/// The files of values in the directory of a tag, in the order in which they were written.
fn values_of(tag: &Path) -> Vec<PathBuf> {
    let files = fs::read_dir(tag).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut files: Vec<_> =
        files.filter(|path| path.extension().is_some_and(|e| e == "log")).collect();
    files.sort_by(|a, b| alphanumeric_sort::compare_path(a, b));
    files
}

fn runs(db: &Connection) -> rusqlite::Result<Vec<LocalRun>> {
    let has_folder = db.prepare("SELECT folder FROM tag").is_ok();
    let folder = if has_folder { "t.folder" } else { "NULL" };
    let mut statement = db.prepare(&format!(
        "SELECT e.run_id, e.name, t.name, {folder} FROM experiment e
         LEFT JOIN tag t ON t.experiment_id = e.id ORDER BY e.id, t.id"
    ))?;
    let mut rows = statement.query([])?;
    let mut runs: Vec<LocalRun> = Vec::new();
    let mut places: BTreeMap<String, usize> = BTreeMap::new();
    while let Some(row) = rows.next()? {
        let (id, name): (String, Option<String>) = (row.get(0)?, row.get(1)?);
        let place = *places.entry(id.clone()).or_insert(runs.len());
        if place == runs.len() {
            let name = name.filter(|name| !name.is_empty()).unwrap_or_else(|| id.clone());
            runs.push(LocalRun { id, name, tags: Vec::new() });
        }
        let (tag, folder): (Option<String>, Option<String>) = (row.get(2)?, row.get(3)?);
        if let Some(tag) = tag {
            let folder = folder.filter(|folder| is_plain_name(folder));
            let folder = folder.unwrap_or_else(|| percent_encoded(&tag));
            runs[place].tags.push((tag, folder));
        }
    }
    runs.retain(|run| is_plain_name(&run.id));
    Ok(runs)
}

/// Whether a name from the database is that of one file, and leads nowhere else.
fn is_plain_name(name: &str) -> bool {
    !name.is_empty() && !name.contains(['/', '\\', '\0']) && name != "." && name != ".."
}

/// As Python's `urllib.parse.quote` with no safe character.
fn percent_encoded(text: &str) -> String {
    let byte = |byte: u8| match byte {
        b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
        byte if byte.is_ascii_alphanumeric() => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    };
    text.bytes().map(byte).collect()
}

fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, behind)) = rest.split_first() {
        let digits = behind.get(..2).filter(|_| first == b'%');
        let digits = digits.and_then(|digits| std::str::from_utf8(digits).ok());
        let byte = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        rest = if byte.is_some() { &behind[2..] } else { behind };
        bytes.push(byte.unwrap_or(first));
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

struct LocalValue {
    step: f64,
    value: f64,
    time: f64, // Unix seconds, or NaN
}

/// Adds the values of a file to a series, and their times to a clock.
fn read_file(
    source: &mut dyn Read,
    path: &Path,
    lines: &mut ValueLines,
    (column, clock): (ColumnId, Option<ColumnId>),
    builder: &mut SeriesBuilder<'_>,
) -> io::Result<()> {
    let clock = clock.filter(|_| builder.is_selected(column));
    lines.read(&mut BufReader::new(source), path, |_, line| {
        let Ok(Some(value)) = parse(line) else { return false };
        builder.push(column, value.step, value.value);
        if let Some(clock) = clock {
            builder.push(clock, value.step, value.time);
        }
        true
    })
}

fn parse(mut json: &[u8]) -> Result<Option<LocalValue>, ScanError> {
    let (mut step, mut value, mut time) = (None, None, String::new());
    Scanner::small(&mut json)?.object::<ScanError>(|scanner, key| {
        match key {
            "index" => step = number(scanner)?.filter(|step| step.is_finite()),
            "data" => value = number(scanner)?,
            "create_time" => text(scanner, &mut time)?,
            _ => scanner.skip()?,
        }
        Ok(())
    })?;
    let time = iso_to_unix_seconds(&time).unwrap_or(f64::NAN);
    Ok(step.zip(value).map(|(step, value)| LocalValue { step, value, time }))
}
