//! Reads R-Zero's JSON, and the same rows in other layouts.

use std::io::Read;

use crate::formats::reader_api::{
    ColumnId, Confidence, Growth, Head, JsonRows, ReadError, SeriesBuilder, nothing_follows,
    read_json_lines,
};
use crate::formats::step_keys;
use crate::framing::json::{ScanError, Scanner, Shape, Value, ValueKind};

/// The layout of the rows in the file.
#[derive(Debug, PartialEq)]
enum Layout {
    Array,
    Lines,
    /// An object of arrays of rows.
    Wrapped,
    /// An object with one array per key; this key holds the steps.
    Columns(String),
}

fn layout(shape: &Shape) -> Option<Layout> {
    let keys = match shape {
        Shape::Object(keys) => keys,
        Shape::Rows(_) | Shape::EmptyArray | Shape::Array => return Some(Layout::Array),
        Shape::Blank | Shape::NotJson => return None,
    };
    let holds = |what: ValueKind| keys.iter().filter(move |(_, holds)| *holds == what);
    if keys.iter().any(|(key, holds)| key == "step" && *holds != ValueKind::Array) {
        return Some(Layout::Lines);
    }
    if holds(ValueKind::ArrayOfObjects).next().is_some() {
        return Some(Layout::Wrapped);
    }
    let steps = step_keys::best(holds(ValueKind::Array).map(|(key, _)| key.as_str()));
    Some(steps.map_or(Layout::Lines, |key| Layout::Columns(key.to_owned())))
}

pub(super) fn growth(head: &Head<'_>) -> Growth {
    match layout(&head.shape) {
        Some(Layout::Lines) => Growth::Lines,
        _ => Growth::Rewritten,
    }
}

pub(crate) fn recognise(head: &Head<'_>) -> Confidence {
    match (layout(&head.shape), &head.shape) {
        // A list of events of ClearML.
        (_, Shape::Rows(keys)) if keys.iter().any(|(key, _)| key == "variant") => Confidence::Maybe,
        (Some(Layout::Array), Shape::Rows(_) | Shape::EmptyArray) => Confidence::Likely,
        (Some(Layout::Lines), Shape::Object(keys)) => {
            let named = keys.iter().any(|(key, holds)| {
                *holds == ValueKind::Scalar && key.contains("entropy") && !key.contains('/')
            });
            let steps = head.has("step", ValueKind::Scalar);
            if steps && named { Confidence::Likely } else { Confidence::Maybe }
        }
        (Some(_), _) => Confidence::Maybe,
        (None, _) => Confidence::No,
    }
}

pub(crate) fn read(
    head: &Head<'_>,
    source: &mut dyn Read,
    builder: &mut SeriesBuilder<'_>,
) -> Result<(), ReadError> {
    let layout = layout(&head.shape).unwrap_or(Layout::Array);
    if layout == Layout::Lines {
        let step = step_keys::of_head(head);
        let rows = JsonRows::new(builder, step.as_deref().unwrap_or("step"));
        return read_json_lines(source, rows, |rows, scanner, key| rows.read_field(scanner, key));
    }
    let mut scanner = Scanner::new(source)?;
    match layout {
        Layout::Wrapped => wrapped(&mut scanner, &mut JsonRows::with_any_step(builder)),
        Layout::Columns(steps) => {
            columns(&mut scanner, &mut JsonRows::new(builder, &steps), &steps)
        }
        Layout::Array | Layout::Lines => {
            array(&mut scanner, &mut JsonRows::with_any_step(builder))?;
            nothing_follows(&mut scanner)
        }
    }
}

fn array(scanner: &mut Scanner<'_>, rows: &mut JsonRows<'_, '_>) -> Result<(), ReadError> {
    let comma = scanner.array(|scanner| row(scanner, rows))?;
    rows.end_array(comma);
    Ok(())
}

/// Each array of rows is a part of the log; other values of the object are skipped.
fn wrapped(scanner: &mut Scanner<'_>, rows: &mut JsonRows<'_, '_>) -> Result<(), ReadError> {
    scanner.object::<ReadError>(|scanner, key| {
        if scanner.peek()? != Some(b'[') {
            return Ok(scanner.skip()?);
        }
        let mut holds_rows = None; // decided by its first element
        let comma = scanner.array::<ReadError>(|scanner| {
            if holds_rows.is_none() {
                holds_rows = Some(scanner.peek()? == Some(b'{'));
                if holds_rows == Some(true) {
                    rows.enter_part(key);
                }
            }
            if holds_rows == Some(true) { row(scanner, rows) } else { Ok(scanner.skip()?) }
        })?;
        rows.end_array(comma);
        Ok(())
    })?;
    nothing_follows(scanner)
}

/// Reads one row, and following rows with the same layout.
fn row(scanner: &mut Scanner<'_>, rows: &mut JsonRows<'_, '_>) -> Result<(), ReadError> {
    rows.rows(scanner, |rows, scanner| {
        if scanner.peek()? != Some(b'{') {
            let place = scanner.place();
            let Value::Other(what) = scanner.value()? else {
                return Err(rows.row_error(place, "it is a number or null, not an object"));
            };
            return Err(rows.row_error(place, format!("it is {what}, not an object")));
        }
        scanner.object(|scanner, key| rows.read_field(scanner, key))
    })
}

/// Reads columns. They are kept in memory, because the steps may come after the values.
fn columns(
    scanner: &mut Scanner<'_>,
    rows: &mut JsonRows<'_, '_>,
    step_key: &str,
) -> Result<(), ReadError> {
    let mut steps = Vec::new();
    let mut columns: Vec<(ColumnId, String, Vec<Value>)> = Vec::new();
    scanner.object::<ReadError>(|scanner, key| {
        let column = match rows.column(key) {
            _ if key == step_key => &mut steps,
            Some(id) if scanner.peek()? == Some(b'[') => {
                columns.push((id, key.to_owned(), Vec::new()));
                &mut columns.last_mut().expect("BUG: one was just added").2
            }
            _ => return Ok(scanner.skip()?),
        };
        scanner.array::<ReadError>(|scanner| {
            column.push(scanner.value()?);
            Ok(())
        })?;
        Ok(())
    })?;
    let place = scanner.place();
    for (_, key, values) in columns.iter().filter(|(_, _, values)| !values.is_empty()) {
        if values.len() != steps.len() {
            let (n, m) = (values.len(), steps.len());
            let what = format!("column {key:?} has {n} values and column {step_key:?} has {m}");
            return Err(ScanError::Syntax { place, what }.into());
        }
    }
    for (row, &step) in steps.iter().enumerate() {
        rows.take_step(step, place)?;
        for (column, _, values) in &columns {
            if let Some(&value) = values.get(row) {
                rows.take_value(*column, value, place)?;
            }
        }
        rows.end_row();
    }
    nothing_follows(scanner)
}
