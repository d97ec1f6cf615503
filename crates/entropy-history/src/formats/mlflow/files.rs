//! Reads the files of a run of MLflow: a file for each metric.

use std::fs::{self, File};
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use super::{MetricValue, add, number_if_without_steps};
use crate::formats::reader_api::{Head, LogNote, ReadError, SeriesBuilder};
use crate::formats::run_config::LoggedConfig;
use crate::formats::value_lines::ValueLines;
use crate::run_config::{ConfigValue, Tree};

/// Parts of a key deeper than this are not read.
const DEEPEST: usize = 32;

/// Whether the file is the `meta.yaml` of a run, not of an experiment.
pub(super) fn is_run(head: &Head<'_>) -> bool {
    if !head.is_named(|name| name == "meta.yaml") {
        return false;
    }
    let text = String::from_utf8_lossy(head.bytes);
    field(&text, "run_id").is_some() || field(&text, "run_uuid").is_some()
}

/// Whether the file is below the directory `metrics` of a run.
pub(super) fn is_metric_file(path: &Path) -> bool {
    run_directory(path).is_some()
}

/// The directory of the run that a file of metrics belongs to.
fn run_directory(path: &Path) -> Option<PathBuf> {
    let path = std::path::absolute(path).ok()?;
    let of_metrics = path.ancestors().skip(1).take(DEEPEST).find(|directory| {
        directory.file_name().is_some_and(|name| name == "metrics")
            && directory.with_file_name("meta.yaml").is_file()
    });
    Some(of_metrics?.parent()?.to_owned())
}

/// Reads the run whose `meta.yaml` is given, or one file of its metrics.
pub(super) fn read(path: &Path, builder: &mut SeriesBuilder<'_>) -> Result<(), ReadError> {
    let (run, files) = match run_directory(path) {
        Some(run) => {
            let file = std::path::absolute(path)?;
            (run, vec![file])
        }
        None => (path.parent().unwrap_or(Path::new("")).to_owned(), metric_files(path)),
    };
    let meta = start_of(&run.join("meta.yaml"))?;
    if field(&meta, "lifecycle_stage").as_deref() == Some("deleted") {
        return Err(ReadError::Nothing("the run was deleted"));
    }
    builder.name_run(&name(&run, &meta));
    let clock = builder.clock("timestamp");
    let (mut lines, mut is_numbered) = (ValueLines::default(), false);
    for file in files {
        let Some(key) = key(&run.join("metrics"), &file) else { continue };
        let Some(column) = builder.column(&key) else { continue };
        let mut values = Vec::new();
        lines.read(&mut BufReader::new(File::open(&file)?), &file, |_, line| {
            let value = parse(line);
            let is_valid = value.is_some();
            values.extend(value);
            is_valid
        })?;
        is_numbered |= number_if_without_steps(&mut values);
        add(&values, column, clock, builder);
    }
    if is_numbered {
        builder.note(LogNote::RowsNumbered);
    }
    lines.add_notes(builder);
    Ok(())
}

/// The files of all metrics of the run that a `meta.yaml` belongs to, sorted; none for other files.
pub(crate) fn metric_files(meta: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    if meta.file_name().is_some_and(|name| name == "meta.yaml") {
        collect(&meta.with_file_name("metrics"), 0, &mut found);
    }
    found
}

fn collect(directory: &Path, depth: usize, found: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(directory) else { return };
    let mut entries: Vec<_> = entries.flatten().collect();
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        match entry.file_type() {
            Ok(kind) if kind.is_dir() && depth < DEEPEST => {
                collect(&entry.path(), depth + 1, found);
            }
            Ok(kind) if kind.is_file() => found.push(entry.path()),
            _ => {}
        }
    }
}

/// The parameters of the run whose `meta.yaml` or file of metrics is given: a file for each.
pub(super) fn config(path: &Path) -> Result<Vec<LoggedConfig>, ReadError> {
    let above = path.parent().unwrap_or(Path::new("")).to_owned();
    let directory = run_directory(path).unwrap_or(above).join("params");
    let mut files = Vec::new();
    collect(&directory, 0, &mut files);
    let mut parts = Vec::new();
    for file in files {
        let Some(key) = key(&directory, &file) else { continue };
        parts.push((key, Tree::Leaf(ConfigValue::plain(start_of(&file)?.trim_end()))));
    }
    let source = directory.to_string_lossy().into_owned();
    Ok(vec![LoggedConfig::new(None, Tree::Map(parts), source)])
}

/// The name of a metric or a parameter: its path below the directory of all of them.
fn key(directory: &Path, file: &Path) -> Option<String> {
    let parts = file.strip_prefix(directory).ok()?.components();
    let parts: Vec<_> = parts.map(|part| part.as_os_str().to_string_lossy()).collect();
    Some(parts.join("/"))
}

/// The name of a run: of its tag, else of its `meta.yaml`, else its id.
fn name(run: &Path, meta: &str) -> String {
    let tag = start_of(&run.join("tags/mlflow.runName")).unwrap_or_default();
    let named = Some(tag.trim().to_owned()).filter(|name| !name.is_empty());
    let named = named.or_else(|| field(meta, "run_name"));
    named.or_else(|| field(meta, "run_id").or_else(|| field(meta, "run_uuid"))).unwrap_or_default()
}

/// The text of a small file; of a large one, its start.
fn start_of(path: &Path) -> io::Result<String> {
    let mut bytes = Vec::new();
    File::open(path)?.take(1 << 16).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The text of a field of a YAML file with one field in each line; `None` if it is missing or empty.
fn field(yaml: &str, key: &str) -> Option<String> {
    let line = yaml.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))?.trim();
    let quoted = |quote| line.strip_prefix(quote).and_then(|text| text.strip_suffix(quote));
    let text = match (quoted('\''), quoted('"')) {
        (Some(text), _) => text.replace("''", "'"),
        (_, Some(_)) => serde_json::from_str(line).ok()?,
        _ => line.to_owned(),
    };
    Some(text).filter(|text| !text.is_empty() && text != "null")
}

/// A line: `<milliseconds> <value> <step>`, and perhaps the name of a data set. MLflow 0.x had no steps.
fn parse(line: &[u8]) -> Option<MetricValue> {
    let mut words = std::str::from_utf8(line).ok()?.split_ascii_whitespace();
    let mut number = || words.next().map(|word| word.parse::<f64>().ok());
    let (milliseconds, value) = (number()??, number()??);
    let step = number().unwrap_or(Some(0.0))?;
    step.is_finite().then_some(MetricValue { step, value, milliseconds })
}
