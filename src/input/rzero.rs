//! R-Zero's `entropy_history_<run>.json`: one JSON array, written once, when a run ends.
//!
//! ```json
//! [{"step": 1, "entropy": 4.532}, {"step": 2, "entropy": NaN}]
//! ```
//!
//! Python's `json.dump` writes it, so a NaN stands bare, which JSON proper refuses; and a resumed
//! run starts its list anew, so the first step need not be 1. People also keep the same rows as JSON
//! lines, wrapped in an object (`{"entropy_history": [...]}`), or as columns (pandas'
//! `to_dict("list")`); there is one way to read each, so they are read.

use std::io::Read;

use super::frame::json::{Holds, ScanError, Scanner, Shape, Value};
use super::table::{Lacking, Table};
use super::{Confidence, Format, Head, Log, ReadError};

pub(super) const FORMAT: Format = Format {
    name: "rzero",
    about: "R-Zero's entropy_history_<run>.json; the same rows as JSON lines",
    recognised_by: "an array of objects, or objects with a step",
    metrics: &["entropy", "policy/entropy"],
    recognise,
    read,
};

/// How the rows stand in the file.
#[derive(Debug, PartialEq)]
enum Layout {
    Array,
    Lines,
    Wrapped(String),
    Columns,
}

fn layout(shape: &Shape) -> Option<Layout> {
    let keys = match shape {
        Shape::Object(keys) => keys,
        Shape::Rows(_) | Shape::EmptyArray | Shape::Array => return Some(Layout::Array),
        Shape::Blank | Shape::NotJson => return None,
    };
    match keys.iter().find(|(key, _)| key == "step") {
        Some((_, Holds::Array)) => return Some(Layout::Columns),
        Some(_) => return Some(Layout::Lines),
        None => {}
    }
    let wrapped = keys.iter().find(|(_, holds)| *holds == Holds::Objects);
    Some(wrapped.map_or(Layout::Lines, |(key, _)| Layout::Wrapped(key.clone())))
}

fn recognise(head: &Head) -> Confidence {
    match layout(&head.shape) {
        Some(Layout::Array) => Confidence::Likely,
        Some(_) => Confidence::Maybe,
        None => Confidence::No,
    }
}

fn read(head: &Head, source: &mut dyn Read, metrics: &[&str]) -> Result<Log, ReadError> {
    let mut scanner = Scanner::new(source)?;
    let layout = layout(&head.shape).unwrap_or(Layout::Array);
    let mut table = Table::new(metrics);
    let outcome = match layout {
        Layout::Wrapped(rows) => wrapped(&mut scanner, &mut table, &rows),
        Layout::Lines => lines(&mut scanner, &mut table),
        Layout::Columns => columns(&mut scanner, &mut table, metrics),
        Layout::Array => {
            array(&mut scanner, &mut table).and_then(|()| nothing_follows(&mut scanner))
        }
    };
    table.finish(outcome, Lacking::Warned)
}

fn array(scanner: &mut Scanner<'_>, table: &mut Table<'_>) -> Result<(), ReadError> {
    let comma = scanner.array(|scanner| row(scanner, table))?;
    table.end_array(comma);
    Ok(())
}

fn lines(scanner: &mut Scanner<'_>, table: &mut Table<'_>) -> Result<(), ReadError> {
    while scanner.peek()?.is_some() {
        row(scanner, table)?;
    }
    Ok(())
}

fn wrapped(scanner: &mut Scanner<'_>, table: &mut Table<'_>, rows: &str) -> Result<(), ReadError> {
    scanner.object(
        |scanner, key| {
            if key == rows { array(scanner, table) } else { Ok(scanner.skip()?) }
        },
    )?;
    nothing_follows(scanner)
}

/// Takes the row here, and may take rows behind it.
fn row(scanner: &mut Scanner<'_>, table: &mut Table<'_>) -> Result<(), ReadError> {
    table.rows(scanner, |table, scanner| {
        if scanner.peek()? != Some(b'{') {
            let place = scanner.place();
            let Value::Other(what) = scanner.value()? else {
                return Err(table.row_error(place, "it is a number or null, not an object"));
            };
            return Err(table.row_error(place, format!("it is {what}, not an object")));
        }
        scanner.object(|scanner, key| table.read_step_or_value(scanner, key))
    })
}

fn nothing_follows(scanner: &mut Scanner<'_>) -> Result<(), ReadError> {
    match scanner.peek()? {
        None => Ok(()),
        Some(_) => Err(ScanError::Syntax {
            place: scanner.place(),
            what: "more follows behind the end of the JSON value".to_owned(),
        }
        .into()),
    }
}

/// Columns are held whole, since all steps come before the first value.
fn columns(
    scanner: &mut Scanner<'_>,
    table: &mut Table<'_>,
    metrics: &[&str],
) -> Result<(), ReadError> {
    let mut steps = Vec::new();
    let mut series = vec![Vec::new(); metrics.len()];
    scanner.object::<ReadError>(|scanner, key| {
        let column = match metrics.iter().position(|m| *m == key) {
            Some(metric) => &mut series[metric],
            None if key == "step" => &mut steps,
            None => return Ok(scanner.skip()?),
        };
        scanner.array::<ReadError>(|scanner| {
            column.push(scanner.value()?);
            Ok(())
        })?;
        Ok(())
    })?;
    let place = scanner.place();
    for (metric, values) in series.iter().enumerate().filter(|(_, values)| !values.is_empty()) {
        if values.len() != steps.len() {
            let (key, n, m) = (metrics[metric], values.len(), steps.len());
            let what = format!("column {key:?} has {n} values and column \"step\" has {m}");
            return Err(ScanError::Syntax { place, what }.into());
        }
    }
    for (row, &step) in steps.iter().enumerate() {
        table.take_step(step, place)?;
        for (metric, values) in series.iter().enumerate() {
            if let Some(&value) = values.get(row) {
                table.take_value(metric, value, place)?;
            }
        }
        table.end_row();
    }
    nothing_follows(scanner)
}
