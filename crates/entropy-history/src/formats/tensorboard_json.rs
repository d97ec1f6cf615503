//! TensorBoard's JSON download of one tag: `[[wall time, step, value], …]`.
//!
//! Only the file name says which run and tag it is, here and in the CSV download. TensorBoard makes it
//! from both: `run-<run>-tag-<tag>.json`, with underscores for slashes.

use std::io::Read;
use std::path::Path;

use crate::formats::log::NameHint;
use crate::formats::reader_api::{
    ColumnId, Confidence, Format, Head, JsonRows, MissingMetric, ReadError, SeriesBuilder,
    nothing_follows,
};
use crate::framing::json::{Scanner, Shape};
use crate::quantity::KNOWN_KEYS;

pub(crate) const FORMAT: Format = Format {
    name: "tensorboard-json",
    about: "TensorBoard's JSON download of a scalar",
    recognised_by: "an array of arrays of numbers",
    metrics: &["Value"],
    recognise,
    read,
    ..Format::DEFAULTS
};

fn recognise(head: &Head<'_>) -> Confidence {
    let mut significant = head.bytes.iter().filter(|b| !b.is_ascii_whitespace());
    let arrays = significant.next() == Some(&b'[') && significant.next() == Some(&b'[');
    let number = significant.next().is_some_and(|b| b.is_ascii_digit());
    if head.shape == Shape::Array && arrays && number {
        Confidence::Certain
    } else {
        Confidence::No
    }
}

fn read(
    head: &Head<'_>,
    source: &mut dyn Read,
    builder: &mut SeriesBuilder<'_>,
) -> Result<(), ReadError> {
    builder.missing_metric(MissingMetric::Expected);
    let value = value_column(head.path, builder);
    let clock = builder.clock("Wall time");
    let mut scanner = Scanner::new(source)?;
    let mut rows = JsonRows::new(builder, "step");
    let comma = scanner.array::<ReadError>(|scanner| {
        rows.rows(scanner, |rows, scanner| {
            let place = scanner.place();
            let mut fields = 0;
            scanner.array::<ReadError>(|scanner| {
                match (fields, value) {
                    (0, _) => match clock {
                        Some(clock) => rows.read_into(scanner, clock)?,
                        None => scanner.skip()?,
                    },
                    (1, _) => rows.read_step_or_value(scanner, "step")?,
                    (2, Some(value)) => rows.read_into(scanner, value)?,
                    _ => scanner.skip()?,
                }
                fields += 1;
                Ok(())
            })?;
            if fields == 3 {
                return Ok(());
            }
            Err(rows.row_error(
                place,
                format!("it has {fields} numbers, not wall time, step and value"),
            ))
        })
    })?;
    rows.end_array(comma);
    nothing_follows(&mut scanner)
}

/// The series of a download: that of the tag in the file name, or the selected one if the name does not
/// have TensorBoard's form.
pub(crate) fn value_column(
    path: Option<&Path>,
    builder: &mut SeriesBuilder<'_>,
) -> Option<ColumnId> {
    builder.hint(name_hint(path));
    let stem = path.and_then(Path::file_stem).unwrap_or_default().to_string_lossy();
    match run_and_tag(&stem) {
        Some((_, tag)) => builder.column_of_tag("Value", tag),
        None => builder.column("Value"),
    }
}

fn run_and_tag(stem: &str) -> Option<(&str, &str)> {
    stem.strip_prefix("run-")?.split_once("-tag-")
}

/// The run and the tag in the name of a download.
fn name_hint(path: Option<&Path>) -> NameHint {
    let stem = path.and_then(Path::file_stem).unwrap_or_default().to_string_lossy();
    let named = run_and_tag(&stem);
    let (run, tag) = named.map_or((None, stem.as_ref()), |(run, tag)| (Some(run.to_owned()), tag));
    let is_end = |key: &str| {
        let underscored = key.replace('/', "_");
        tag.strip_suffix(&underscored)
            .is_some_and(|before| before.is_empty() || before.ends_with('_'))
    };
    let keys = KNOWN_KEYS.iter().map(|known| known.key.trim_start_matches('*'));
    // A key of one word could be the end of any other key.
    let known = keys
        .filter(|key| if key.contains('/') { is_end(key) } else { named.is_some() && *key == tag });
    let tag = known.max_by_key(|key| key.len()).map(str::to_owned);
    NameHint { run: run.filter(|run| run != "."), tag }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_name_gives_run_and_tag() {
        let hint = |name| name_hint(Some(Path::new(name)));
        let both = NameHint { run: Some("solver_v1".into()), tag: Some("train/entropy".into()) };
        assert_eq!(hint("run-solver_v1-tag-train_entropy.csv"), both);
        let tag = NameHint { run: None, tag: Some("train/entropy".into()) };
        assert_eq!(hint("tensorboard_ui_x_train_entropy.json"), tag);
        let tag = NameHint { run: None, tag: Some("entropy".into()) };
        assert_eq!(hint("run-.-tag-entropy.csv"), tag);
        assert_eq!(hint("entropy.csv"), NameHint { run: None, tag: None });
        assert_eq!(hint("numbers.csv"), NameHint { run: None, tag: None });
    }
}
