//! TensorBoard's JSON download of one tag: `[[wall time, step, value], …]`.
//!
//! Neither it nor the CSV download says what it holds but for the file's name, which TensorBoard
//! makes from both: `run-<run>-tag-<tag>.json`, slashes as underscores.

use std::io::Read;
use std::path::Path;

use super::book::{Book, Lacking};
use super::frame::json::{Scanner, Shape};
use super::log::Hint;
use super::rows::{JsonRows, nothing_follows};
use super::{Confidence, Format, Growth, Head, ReadError};
use crate::quantity::KNOWN;

pub(super) const FORMAT: Format = Format {
    name: "tensorboard-json",
    about: "TensorBoard's JSON download of a scalar",
    recognised_by: "an array of arrays of numbers",
    metrics: &["Value"],
    recognise,
    read,
    growth: |_| Growth::Rewritten,
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

fn read(head: &Head<'_>, source: &mut dyn Read, book: &mut Book<'_>) -> Result<(), ReadError> {
    book.lacking(Lacking::Meant);
    book.hint(name_hint(head.path));
    let value = book.column("Value");
    let clock = book.clock("Wall time");
    let mut scanner = Scanner::new(source)?;
    let mut rows = JsonRows::new(book, "step");
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
                    (2, Some(_)) => rows.read_value(scanner, "Value")?,
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

/// What the name of a download tells of run and tag.
pub(super) fn name_hint(path: Option<&Path>) -> Hint {
    let stem = path.and_then(Path::file_stem).unwrap_or_default().to_string_lossy();
    let named = stem.strip_prefix("run-").and_then(|rest| rest.split_once("-tag-"));
    let (run, tag) = named.map_or((None, stem.as_ref()), |(run, tag)| (Some(run.to_owned()), tag));
    let is_end = |key: &str| {
        let underscored = key.replace('/', "_");
        tag.strip_suffix(&underscored)
            .is_some_and(|before| before.is_empty() || before.ends_with('_'))
    };
    let known = KNOWN.iter().filter(|known| known.key.contains('/') && is_end(known.key));
    let tag = known.max_by_key(|known| known.key.len()).map(|known| known.key.to_owned());
    Hint { run: run.filter(|run| run != "."), tag }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_download_tells_run_and_tag() {
        let hint = |name| name_hint(Some(Path::new(name)));
        let both = Hint { run: Some("solver_v1".into()), tag: Some("train/entropy".into()) };
        assert_eq!(hint("run-solver_v1-tag-train_entropy.csv"), both);
        let tag = Hint { run: None, tag: Some("train/entropy".into()) };
        assert_eq!(hint("tensorboard_ui_x_train_entropy.json"), tag);
        assert_eq!(hint("numbers.csv"), Hint { run: None, tag: None });
    }
}
