//! Tables of comma-, tab- or semicolon-separated values: W&B's and TensorBoard's downloads, pandas,
//! Stable-Baselines3's and RLlib's `progress.csv`, spreadsheets.
//!
//! ```text
//! "Step","<run> - policy/entropy","<run> - policy/entropy__MIN","<run> - policy/entropy__MAX"    W&B
//! Wall time,Step,Value                                                                   TensorBoard
//! ,_step,_runtime,policy/entropy                                             pandas, of W&B's history
//! run,step,metric,entropy        one row a run and step, as `convert` writes it
//! step,questioner,solver  one column a run
//! "Relative Time (Process)","<run> - _step","<run> - policy/entropy"     W&B, over time
//! ```
//!
//! A download of W&B over time has no step of its own; it is read by the runs' `_step` columns, and refused
//! without them.
//!
//! An empty cell is no value; `nan` is one. The last field of a last line that does not end may be
//! cut in the middle of a number, and is not taken.

mod naming;

use std::io::{self, Read};

use csv::ByteRecord;

use super::beside::{clock_rank, iso_seconds};
use super::book::{Book, ColumnId, Lacking};
use super::note::Note;
use super::tensorboard_json::value_column;
use super::{Confidence, Format, Growth, Head, ReadError, steps};
use naming::{base_of_range, columns_as_runs, say_repeated};

pub(super) const FORMAT: Format = Format {
    name: "csv",
    about: "CSV and TSV: downloads of W&B and TensorBoard, progress.csv, pandas",
    recognised_by: "a header with a step, and numbers below it",
    metrics: &["policy/entropy", "entropy", "Value"],
    recognise,
    read,
    growth: |_| Growth::Table,
};

/// Names of columns that say which run a row is of.
pub(super) const RUNS: [&str; 5] = ["run", "run_name", "experiment", "label", SEED];
/// A column of that name tells repetitions apart, which are runs where there are several.
const SEED: &str = "seed";
/// In a table with a column of this name, it says what the column `entropy` or `value` holds.
pub(super) const METRIC: &str = "metric";
/// Names of columns that hold whatever the column `metric` says.
pub(super) const VALUES: [&str; 2] = ["entropy", "value"];
/// What stands for a value that is not a number.
const NOT_NUMBERS: [&str; 7] = ["nan", "none", "null", "na", "n/a", "<na>", "-nan"];

fn recognise(head: &Head<'_>) -> Confidence {
    let text = without_mark(head.bytes);
    let Some(delimiter) = delimiter(text) else { return Confidence::No };
    let mut records = reader(delimiter, text);
    let mut header = ByteRecord::new();
    if !matches!(records.read_byte_record(&mut header), Ok(true)) || header.len() < 2 {
        return Confidence::No;
    }
    let names: Vec<String> = names(&header);
    let is_number = |field: &[u8]| field.is_empty() || number(field, delimiter).is_some();
    if header.iter().any(|field| !field.is_empty() && number(field, delimiter).is_some()) {
        return Confidence::No; // numbers are no names
    }
    let mut row = ByteRecord::new();
    let has_row = matches!(records.read_byte_record(&mut row), Ok(true)) && !row.is_empty();
    let step = step_column(&names);
    match step {
        Some(_) if !has_row => Confidence::Maybe,
        Some(step) if row.get(step).is_some_and(is_number) => Confidence::Certain,
        None if is_over_time(&names) => Confidence::Certain,
        _ => Confidence::No,
    }
}

/// What a column holds.
#[derive(Clone)]
enum Role {
    Step,
    Run,
    Metric,
    Value(ColumnId),
    Ignored,
}

fn read(head: &Head<'_>, source: &mut dyn Read, book: &mut Book<'_>) -> Result<(), ReadError> {
    Table::default().read(head, source, book)
}

/// A table as read so far: what its header said, and how many rows came below it.
#[derive(Clone, Default)]
pub(super) struct Table {
    columns: Option<Columns>,
    rows: usize,
}

#[derive(Clone)]
struct Columns {
    delimiter: u8,
    header: ByteRecord,
    names: Vec<String>,
    roles: Vec<Role>,
    own_steps: Vec<RunColumns>, // none: a row has one step
}

/// The columns of a run whose steps are its own.
#[derive(Clone)]
struct RunColumns {
    run: String,
    step: usize,
    values: Vec<usize>,
}

impl Columns {
    fn new(
        head: &Head<'_>,
        delimiter: u8,
        header: ByteRecord,
        book: &mut Book<'_>,
    ) -> Result<Columns, ReadError> {
        let names = names(&header);
        let mut roles = roles(head, &names, book);
        let own_steps = match step_column(&names) {
            None if is_over_time(&names) => own_steps(&names, &mut roles, book)?,
            _ => Vec::new(),
        };
        Ok(Columns { delimiter, header, names, roles, own_steps })
    }
}

/// The runs of a table over time, with their own steps.
fn own_steps(
    names: &[String],
    roles: &mut [Role],
    book: &mut Book<'_>,
) -> Result<Vec<RunColumns>, ReadError> {
    let mut runs: Vec<RunColumns> = Vec::new();
    for (i, name) in names.iter().enumerate() {
        let (Role::Value(column), Some((run, _))) = (&roles[i], name.rsplit_once(" - ")) else {
            continue;
        };
        if !book.is_wanted(*column) && !book.is_beside(*column) && !book.wanted().survey() {
            continue;
        }
        let is_steps = |name: &String| name.rsplit_once(" - ") == Some((run, "_step"));
        let Some(step) = names.iter().position(is_steps) else {
            if book.is_wanted(*column) {
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
        roles[run.step] = Role::Step;
        run.values.retain(|value| *value != run.step);
    }
    book.name_step("_step");
    let axis = &names[0];
    book.note(Note::Remark(format!("the table is over {axis:?}; the runs' own \"_step\" counts")));
    Ok(runs)
}

impl Table {
    /// Reads the header, unless it was read before, and the rows.
    pub(super) fn read(
        &mut self,
        head: &Head<'_>,
        source: &mut dyn Read,
        book: &mut Book<'_>,
    ) -> Result<(), ReadError> {
        book.lacking(Lacking::Meant);
        let delimiter = delimiter(without_mark(head.bytes)).unwrap_or(b',');
        let mut source = LastByte { source, last: None };
        let mut records = reader(delimiter, &mut source);
        let columns = match self.columns.take() {
            Some(columns) => columns,
            None => {
                let mut header = ByteRecord::new();
                if !records.read_byte_record(&mut header).map_err(broken)? {
                    return Err(ReadError::Nothing("it holds no points"));
                }
                Columns::new(head, delimiter, header, book)?
            }
        };
        let columns = self.columns.insert(columns);

        // A row is taken when the next has come: only then is it sure to be whole.
        let (mut row, mut next) = (ByteRecord::new(), ByteRecord::new());
        let mut pending = false;
        while records.read_byte_record(&mut next).map_err(broken)? {
            if next == columns.header {
                continue; // a job that resumed wrote it again
            }
            if pending {
                take(&row, columns, self.rows, book)?;
            }
            std::mem::swap(&mut row, &mut next);
            (self.rows, pending) = (self.rows + 1, true);
        }
        drop(records);
        if pending { take_last(row, source.last, columns, self.rows, book) } else { Ok(()) }
    }
}

/// Takes the last row, as far as it is whole: `last` is the last byte of the log.
fn take_last(
    mut row: ByteRecord,
    last: Option<u8>,
    columns: &mut Columns,
    number: usize,
    book: &mut Book<'_>,
) -> Result<(), ReadError> {
    let Columns { names, roles, .. } = &*columns;
    let ends = matches!(last, Some(b'\n' | b'\r'));
    if !ends && row.len() < names.len() {
        // Whose the values are may stand in a field that is not here.
        let what = "the last line ends before its last field, so it was not taken".to_owned();
        book.note(Note::Damaged { place: place(&row, number), what });
        return Ok(());
    }
    if !ends && last != Some(b'"') {
        let place = place(&row, number);
        let whole = row.len() - 1;
        let lost = roles.get(whole).is_some_and(|role| !matches!(role, Role::Ignored));
        row.truncate(whole);
        if lost {
            let what = "the last line does not end, so its last field was not taken".to_owned();
            book.note(Note::Damaged { place, what });
        }
    }
    take(&row, columns, number, book)
}

/// Decides what each column is.
fn roles(head: &Head<'_>, names: &[String], book: &mut Book<'_>) -> Vec<Role> {
    let step = step_column(names);
    let run = names.iter().position(|name| RUNS.contains(&name.to_lowercase().as_str()));
    let run = run.filter(|run| Some(*run) != step);
    if let Some(step) = step {
        book.name_step(&names[step]);
    }
    let is_download = matches!(names, [_, _, value] if value == "Value");
    let mut roles: Vec<Role> = Vec::new();
    for (i, name) in names.iter().enumerate() {
        let base = base_of_range(name);
        let role = match name.rsplit_once(" - ") {
            _ if Some(i) == step => Some(Role::Step),
            _ if Some(i) == run => Some(Role::Run),
            _ if name == METRIC => Some(Role::Metric),
            _ if base.is_some_and(|base| names.iter().any(|name| name == base)) => None,
            _ if name.is_empty() => None,
            _ if is_download && name == "Value" => value_column(head.path, book).map(Role::Value),
            Some((of, metric)) => book.column_of(of, metric, name).map(Role::Value),
            None => book.column(name).map(|column| {
                if run.is_none() {
                    book.share(column); // a column of no run is every run's
                }
                Role::Value(column)
            }),
        };
        roles.push(role.unwrap_or(Role::Ignored));
    }
    say_repeated(names, &roles, book);
    let some_wanted =
        roles.iter().any(|role| matches!(role, Role::Value(column) if book.is_wanted(*column)));
    if !some_wanted && run.is_none() && book.wanted().is_known() {
        columns_as_runs(names, &mut roles, book);
    }
    roles
}

fn take(
    row: &ByteRecord,
    columns: &mut Columns,
    number_of_row: usize,
    book: &mut Book<'_>,
) -> Result<(), ReadError> {
    let Columns { delimiter, names, roles, own_steps, .. } = columns;
    let delimiter = *delimiter;
    if row.len() > roles.len() {
        let what = format!("it has {} fields, the header has {}", row.len(), roles.len());
        return Err(row_error(row, number_of_row, what));
    }
    let text = |is: fn(&Role) -> bool| {
        let field = row.get(roles.iter().position(is)?)?;
        Some(String::from_utf8_lossy(field).trim().to_owned())
    };
    let run = text(|role| matches!(role, Role::Run));
    let metric = text(|role| matches!(role, Role::Metric));
    if let Some(run) = &run {
        let column = roles.iter().position(|role| matches!(role, Role::Run));
        match column.is_some_and(|column| names[column].eq_ignore_ascii_case(SEED)) {
            true => book.enter_part(&format!("seed {run}")),
            false => book.enter_run(run),
        }
    }
    if run.is_some() || metric.is_some() {
        for (role, name) in roles.iter_mut().zip(&*names) {
            if let Role::Value(_) | Role::Ignored = role {
                let metric = metric.as_ref().filter(|_| VALUES.contains(&name.as_str()));
                *role = book.column(metric.unwrap_or(name)).map_or(Role::Ignored, Role::Value);
            }
        }
    }
    let place = (row, number_of_row);
    if own_steps.is_empty() {
        for ((field, role), name) in row.iter().zip(roles.iter()).zip(&*names) {
            take_field(field, role, name, delimiter, place, book)?;
        }
        book.end_row();
        return Ok(());
    }
    for RunColumns { run, step, values } in own_steps {
        if row.get(*step).is_none_or(|field| field.trim_ascii().is_empty()) {
            continue; // another run logged then
        }
        book.enter_run(run);
        for &i in [&*step].into_iter().chain(&*values) {
            let Some(field) = row.get(i) else { continue };
            take_field(field, &roles[i], &names[i], delimiter, place, book)?;
        }
        book.end_row();
    }
    Ok(())
}

/// Takes a field for what its column is.
#[inline]
fn take_field(
    field: &[u8],
    role: &Role,
    name: &str,
    delimiter: u8,
    (row, number_of_row): (&ByteRecord, usize),
    book: &mut Book<'_>,
) -> Result<(), ReadError> {
    let field = field.trim_ascii();
    if field.is_empty() {
        return Ok(());
    }
    match (role, number(field, delimiter)) {
        (Role::Step, Some(step)) if step.is_finite() => book.set_step(step),
        (Role::Value(column), Some(value)) => book.set(*column, value),
        (Role::Value(column), None) if book.is_clock(*column) => {
            let text = String::from_utf8_lossy(field);
            book.set(*column, iso_seconds(&text).unwrap_or(f64::NAN));
        }
        (Role::Value(column), None) if !book.must_be_number(*column) => {}
        (Role::Step | Role::Value(_), _) => {
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
        other => ReadError::Io(io::Error::other(format!("{other:?}"))), // byte records have no other
    }
}

fn names(header: &ByteRecord) -> Vec<String> {
    let text = |field: &[u8]| {
        String::from_utf8_lossy(field).trim().trim_start_matches('\u{feff}').to_owned()
    };
    header.iter().map(text).collect()
}

/// The column that steps are in: the best known name, else W&B's first.
pub(super) fn step_column(names: &[String]) -> Option<usize> {
    let best = steps::best(names.iter().map(String::as_str));
    let named = best.and_then(|best| names.iter().position(|name| name == best));
    let is_wandb = names.get(1).is_some_and(|name| name.contains(" - "));
    named.or((is_wandb && !is_over_time(names)).then_some(0))
}

/// Whether it is a download of W&B over time: seconds are no steps.
fn is_over_time(names: &[String]) -> bool {
    let [axis, first, ..] = names else { return false };
    let lower = axis.to_lowercase();
    let is_time = lower.starts_with("relative time") || lower.starts_with("wall time");
    first.contains(" - ") && (is_time || clock_rank(axis).is_some())
}

fn without_mark(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes)
}

/// What separates the fields of the first line.
fn delimiter(text: &[u8]) -> Option<u8> {
    let mut lines = text.split(|b| matches!(b, b'\n' | b'\r'));
    let line = lines.find(|line| !line.is_empty() && !line.starts_with(b"#"))?;
    let line = std::str::from_utf8(line).ok()?;
    let mut quoted = false;
    let mut counts = [(b'\t', 0), (b';', 0), (b',', 0)];
    for byte in line.bytes() {
        quoted ^= byte == b'"';
        let count = counts.iter_mut().find(|(delimiter, _)| *delimiter == byte && !quoted);
        if let Some((_, n)) = count {
            *n += 1;
        }
    }
    let (delimiter, n) = counts.into_iter().max_by_key(|(_, n)| *n)?;
    (n > 0).then_some(delimiter)
}

fn reader<R: Read>(delimiter: u8, source: R) -> csv::Reader<R> {
    let mut builder = csv::ReaderBuilder::new();
    builder.delimiter(delimiter).comment(Some(b'#')).has_headers(false).flexible(true);
    builder.from_reader(source)
}

/// The number in a field; semicolons separate where the comma is the decimal point.
fn number(field: &[u8], delimiter: u8) -> Option<f64> {
    let text = std::str::from_utf8(field.trim_ascii()).ok()?;
    match fast_float2::parse(text) {
        Ok(number) => Some(number),
        Err(_) if delimiter == b';' && text.contains(',') => {
            text.replacen(',', ".", 1).parse().ok()
        }
        Err(_) => {
            NOT_NUMBERS.iter().any(|word| text.eq_ignore_ascii_case(word)).then_some(f64::NAN)
        }
    }
}

/// A reader that remembers the last byte.
struct LastByte<'a> {
    source: &'a mut dyn Read,
    last: Option<u8>,
}

impl Read for LastByte<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.source.read(buf)?;
        self.last = buf[..n].last().copied().or(self.last);
        Ok(n)
    }
}
