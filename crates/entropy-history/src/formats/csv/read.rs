//! Reads CSV tables.

use std::io::{self, Read};

use csv::ByteRecord;

use super::fields::{names, number, reader};
use super::header::{delimiter, header, without_mark};
use super::row_lines::RowLines;
use super::unnamed_columns::{base_of_range, columns_as_runs, note_repeated_names};
use crate::formats::csv::column_role::ColumnRole;
use crate::formats::reader_api::{Head, LogNote, MissingMetric, ReadError, SeriesBuilder};
use crate::formats::table::{
    METRIC_COLUMN, SEED_COLUMN, VALUE_COLUMNS, is_over_time, run_column, step_column,
};
use crate::formats::tensorboard_json::value_column;
use crate::formats::timestamps::iso_to_unix_seconds;
use crate::framing::json::TextPosition;

pub(crate) fn read(
    head: &Head<'_>,
    source: &mut dyn Read,
    builder: &mut SeriesBuilder<'_>,
) -> Result<(), ReadError> {
    CsvTable::default().read(head, source, builder)
}

/// The state of reading a table: its header, and the number of rows.
#[derive(Clone, Default)]
pub(crate) struct CsvTable {
    columns: Option<CsvColumns>,
    rows: usize,
}

#[derive(Clone)]
struct CsvColumns {
    delimiter: u8,
    header: ByteRecord,
    names: Vec<String>,
    roles: Vec<ColumnRole>,
    own_steps: Vec<RunColumns>, // empty if a row has one step
}

/// The columns of a run that has its own steps.
#[derive(Clone)]
struct RunColumns {
    run: String,
    step: usize,
    values: Vec<usize>,
}

impl CsvColumns {
    fn new(
        head: &Head<'_>,
        delimiter: u8,
        header: ByteRecord,
        builder: &mut SeriesBuilder<'_>,
    ) -> Result<CsvColumns, ReadError> {
        let names = names(&header);
        let mut roles = roles(head, &names, builder);
        let own_steps = match step_column(&names, builder.selector().step_key()) {
            None if is_over_time(&names) => own_steps(&names, &mut roles, builder)?,
            _ => Vec::new(),
        };
        Ok(CsvColumns { delimiter, header, names, roles, own_steps })
    }
}

/// The runs of a W&B download over time, with their own steps.
fn own_steps(
    names: &[String],
    roles: &mut [ColumnRole],
    builder: &mut SeriesBuilder<'_>,
) -> Result<Vec<RunColumns>, ReadError> {
    let mut runs: Vec<RunColumns> = Vec::new();
    for (i, name) in names.iter().enumerate() {
        let (ColumnRole::Value(column), Some((run, _))) = (&roles[i], name.rsplit_once(" - "))
        else {
            continue;
        };
        if !builder.is_selected(*column)
            && !builder.is_aux(*column)
            && !builder.selector().list_all()
        {
            continue;
        }
        let is_steps = |name: &String| name.rsplit_once(" - ") == Some((run, "_step"));
        let Some(step) = names.iter().position(is_steps) else {
            if builder.is_selected(*column) {
                return Err(ReadError::OverTime(names[0].clone()));
            }
            continue;
        };
        match runs.iter_mut().find(|known| known.run == run) {
            Some(known) => known.values.push(i),
            None => runs.push(RunColumns { run: run.to_owned(), step, values: vec![i] }),
        }
    }
    if runs.is_empty() {
        return Err(ReadError::OverTime(names[0].clone()));
    }
    for run in &mut runs {
        roles[run.step] = ColumnRole::Step;
        run.values.retain(|value| *value != run.step);
    }
    builder.name_step("_step");
    let axis = &names[0];
    builder.note(LogNote::Remark(format!(
        "the table is over {axis:?}; the runs' own \"_step\" counts"
    )));
    Ok(runs)
}

impl CsvTable {
    /// Reads the header, unless it was read before, and the rows.
    pub(crate) fn read(
        &mut self,
        head: &Head<'_>,
        source: &mut dyn Read,
        builder: &mut SeriesBuilder<'_>,
    ) -> Result<(), ReadError> {
        builder.missing_metric(MissingMetric::Expected);
        let found = header(head.bytes);
        let delimiter = match (&found, delimiter(without_mark(head.bytes))) {
            (Some(found), _) => found.delimiter,
            (None, delimiter) => delimiter.unwrap_or(b','),
        };
        let line = found.map_or(1, |found| found.line);
        let fields = self.columns.as_ref().map(|columns| columns.header.len());
        let mut lines = RowLines::new(source, delimiter, line, fields);
        let mut records = reader(delimiter, &mut lines);
        let columns = match self.columns.take() {
            Some(columns) => columns,
            None => {
                let mut header = ByteRecord::new();
                if !records.read_byte_record(&mut header).map_err(broken)? {
                    return Err(ReadError::Nothing("it holds no points"));
                }
                CsvColumns::new(head, delimiter, header, builder)?
            }
        };
        let columns = self.columns.insert(columns);

        // A row is only known to be complete when the next one was read.
        let (mut row, mut next) = (ByteRecord::new(), ByteRecord::new());
        let mut pending = false;
        while records.read_byte_record(&mut next).map_err(broken)? {
            if next == columns.header {
                continue; // a resumed job repeated the header
            }
            if pending {
                take(&row, columns, self.rows, builder)?;
            }
            std::mem::swap(&mut row, &mut next);
            (self.rows, pending) = (self.rows + 1, true);
        }
        drop(records);
        if let Some((lines, first)) = lines.left_out().other_text {
            builder.skip_lines(lines, first);
        }
        if let Some((rows, line)) = lines.left_out().broken_rows {
            let what = format!("it does not have the {} fields of the header", columns.names.len());
            builder.skip_broken_rows(rows, TextPosition { line, column: 1 }, &what);
        }
        builder.end_lines(lines.lines());
        if pending {
            take_last(row, lines.last_byte(), columns, self.rows, builder)
        } else {
            Ok(())
        }
    }
}

/// Adds the complete part of the last row; `last` is the last byte of the log.
fn take_last(
    mut row: ByteRecord,
    last: Option<u8>,
    columns: &mut CsvColumns,
    number: usize,
    builder: &mut SeriesBuilder<'_>,
) -> Result<(), ReadError> {
    let CsvColumns { names, roles, .. } = &*columns;
    let ends = matches!(last, Some(b'\n' | b'\r'));
    if !ends && row.len() < names.len() {
        // A missing field may hold the run or the metric of the values.
        let what = "the last line ends before its last field, so it was ignored".to_owned();
        builder.note(LogNote::Damaged { place: place(&row, number), what });
        return Ok(());
    }
    if !ends && last != Some(b'"') {
        let place = place(&row, number);
        let whole = row.len() - 1;
        let lost = roles.get(whole).is_some_and(|role| !matches!(role, ColumnRole::Ignored));
        row.truncate(whole);
        if lost {
            let what = "the last line does not end, so its last field was ignored".to_owned();
            builder.note(LogNote::Damaged { place, what });
        }
    }
    take(&row, columns, number, builder)
}

/// Decides the role of each column.
fn roles(head: &Head<'_>, names: &[String], builder: &mut SeriesBuilder<'_>) -> Vec<ColumnRole> {
    let step = step_column(names, builder.selector().step_key());
    let run = run_column(names).filter(|run| Some(*run) != step);
    if let Some(step) = step {
        builder.name_step(&names[step]);
    }
    let is_download = matches!(names, [_, _, value] if value == "Value");
    let mut roles: Vec<ColumnRole> = Vec::new();
    for (i, name) in names.iter().enumerate() {
        let base = base_of_range(name);
        let role = match name.rsplit_once(" - ") {
            _ if Some(i) == step => Some(ColumnRole::Step),
            _ if Some(i) == run => Some(ColumnRole::Run),
            _ if name == METRIC_COLUMN => Some(ColumnRole::Metric),
            _ if base.is_some_and(|base| names.iter().any(|name| name == base)) => None,
            _ if name.is_empty() => None,
            _ if is_download && name == "Value" => {
                value_column(head.path, builder).map(ColumnRole::Value)
            }
            Some((of, metric)) => builder.column_of(of, metric, name).map(ColumnRole::Value),
            None => builder.column(name).map(|column| {
                if run.is_none() {
                    builder.share(column); // a column without a run belongs to every run
                }
                ColumnRole::Value(column)
            }),
        };
        roles.push(role.unwrap_or(ColumnRole::Ignored));
    }
    note_repeated_names(names, &roles, builder);
    let has_selected = roles
        .iter()
        .any(|role| matches!(role, ColumnRole::Value(column) if builder.is_known(*column)));
    if !has_selected && run.is_none() && builder.selector().uses_default_keys() {
        columns_as_runs(names, &mut roles, builder);
    }
    roles
}

fn take(
    row: &ByteRecord,
    columns: &mut CsvColumns,
    number_of_row: usize,
    builder: &mut SeriesBuilder<'_>,
) -> Result<(), ReadError> {
    let CsvColumns { delimiter, names, roles, own_steps, .. } = columns;
    let delimiter = *delimiter;
    if row.len() > roles.len() {
        let what = format!("it has {} fields, the header has {}", row.len(), roles.len());
        return Err(row_error(row, number_of_row, what));
    }
    let text = |is: fn(&ColumnRole) -> bool| {
        let field = row.get(roles.iter().position(is)?)?;
        Some(String::from_utf8_lossy(field).trim().to_owned())
    };
    let run = text(|role| matches!(role, ColumnRole::Run));
    let metric = text(|role| matches!(role, ColumnRole::Metric));
    if let Some(run) = &run {
        let column = roles.iter().position(|role| matches!(role, ColumnRole::Run));
        match column.is_some_and(|column| names[column].eq_ignore_ascii_case(SEED_COLUMN)) {
            true => builder.enter_part(&format!("seed {run}")),
            false => builder.enter_run(run),
        }
    }
    if run.is_some() || metric.is_some() {
        for (role, name) in roles.iter_mut().zip(&*names) {
            if let ColumnRole::Value(_) | ColumnRole::Ignored = role {
                let metric = metric.as_ref().filter(|_| VALUE_COLUMNS.contains(&name.as_str()));
                *role = builder
                    .column(metric.unwrap_or(name))
                    .map_or(ColumnRole::Ignored, ColumnRole::Value);
            }
        }
    }
    let place = (row, number_of_row);
    if own_steps.is_empty() {
        for ((field, role), name) in row.iter().zip(roles.iter()).zip(&*names) {
            take_field(field, role, name, delimiter, place, builder)?;
        }
        builder.end_row();
        return Ok(());
    }
    for RunColumns { run, step, values } in own_steps {
        if row.get(*step).is_none_or(|field| field.trim_ascii().is_empty()) {
            continue; // this row is of another run
        }
        builder.enter_run(run);
        for &i in [&*step].into_iter().chain(&*values) {
            let Some(field) = row.get(i) else { continue };
            take_field(field, &roles[i], &names[i], delimiter, place, builder)?;
        }
        builder.end_row();
    }
    Ok(())
}

/// Adds a field according to the role of its column.
#[inline]
fn take_field(
    field: &[u8],
    role: &ColumnRole,
    name: &str,
    delimiter: u8,
    (row, number_of_row): (&ByteRecord, usize),
    builder: &mut SeriesBuilder<'_>,
) -> Result<(), ReadError> {
    let field = field.trim_ascii();
    if field.is_empty() {
        return Ok(());
    }
    match (role, number(field, delimiter)) {
        (ColumnRole::Step, Some(step)) if step.is_finite() => builder.set_step(step),
        (ColumnRole::Value(column), Some(value)) => builder.set(*column, value),
        (ColumnRole::Value(column), None) if builder.is_clock(*column) => {
            let text = String::from_utf8_lossy(field);
            builder.set(*column, iso_to_unix_seconds(&text).unwrap_or(f64::NAN));
        }
        (ColumnRole::Value(column), None)
            if builder.is_quantity(*column) && !builder.must_be_number(*column) =>
        {
            builder.set(*column, f64::NAN);
        }
        (ColumnRole::Value(column), None) if !builder.must_be_number(*column) => {}
        (ColumnRole::Step | ColumnRole::Value(_), _) => {
            let text = String::from_utf8_lossy(&field[..field.len().min(40)]).into_owned();
            let what = format!("{name:?} is {text:?}, not a number");
            return Err(row_error(row, number_of_row, what));
        }
        _ => {}
    }
    Ok(())
}

fn place(row: &ByteRecord, number: usize) -> String {
    row.position().map_or(format!("row {number}"), |position| format!("line {}", position.line()))
}

fn row_error(row: &ByteRecord, number: usize, what: String) -> ReadError {
    ReadError::Row { row: number, place: place(row, number), what }
}

fn broken(error: csv::Error) -> ReadError {
    match error.into_kind() {
        csv::ErrorKind::Io(e) => ReadError::Io(e),
        other => ReadError::Io(io::Error::other(format!("{other:?}"))), // byte records have no other errors
    }
}
