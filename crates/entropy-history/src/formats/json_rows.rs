//! Adds JSON rows to a [`SeriesBuilder`].
//!
//! The rows that a program writes differ only in their numbers. The text between the numbers is learnt
//! as a template; later rows are compared with it, several times as fast as scanning. A row that does
//! not match is scanned.

use std::collections::BTreeMap;
use std::io::Read;

use crate::formats::error::ReadError;
use crate::formats::log_note::LogNote;
use crate::formats::series_builder::{ColumnId, SeriesBuilder};
use crate::formats::step_keys;
use crate::framing::json::{RowTemplate, ScanError, Scanner, ScannerMark, TextPosition, Value};

/// Maximum number of templates learnt, for logs whose rows all differ.
const MAX_TEMPLATES_LEARNED: usize = 16;
/// Number of templates kept: some trainers log training, validation and timing in separate rows.
const TEMPLATES_KEPT: usize = 4;

/// From 2^53 on, not every integer is a 64-bit float.
const EXACT_INTEGERS_END: f64 = 9_007_199_254_740_992.0;

/// What a number of a row is.
#[derive(Clone, Copy, PartialEq)]
enum NumberRole {
    Step,
    Value(ColumnId),
    Ignored,
}

/// A template with the roles of its numbers, and a buffer for their values.
struct LearnedRow {
    template: RowTemplate,
    roles: Vec<NumberRole>,
    numbers: Vec<f64>,
}

/// A value that may be the step of its row.
struct StepCandidate {
    rank: usize,
    key: String,
    value: Value,
    place: TextPosition,
}

/// Adds JSON rows to a builder.
pub(crate) struct JsonRows<'b, 'w> {
    builder: &'b mut SeriesBuilder<'w>,
    step_key: Option<String>, // `None`: that of the first row that has one
    is_step_requested: bool,  // by the user: it may be anywhere in a row
    candidates: Vec<StepCandidate>, // of the current row, while `step_key` is `None`
    beyond: BTreeMap<u64, i128>, // logged steps from EXACT_INTEGERS_END on, by the bits of the float shown
    expected: Vec<LearnedRow>,   // the last match comes first
    between: Option<Vec<u8>>,    // the text between two rows, once two were seen
    lessons_left: usize,
    roles: Option<Vec<NumberRole>>, // of the current row; `None` if it cannot become a template
    row_end: Option<ScannerMark>,   // end of the previous row
    path: String,                   // path of the object being flattened
    depth: usize,                   // depth of that object
}

impl<'b, 'w> JsonRows<'b, 'w> {
    /// Rows whose step has the key `step_key`.
    pub(crate) fn new(builder: &'b mut SeriesBuilder<'w>, step_key: &str) -> Self {
        let mut rows = JsonRows::with_any_step(builder);
        if rows.step_key.is_none() {
            rows.step_key = Some(step_key.to_owned());
            if step_key != "step" {
                rows.builder.name_step(step_key);
            }
        }
        rows
    }

    /// Sets the step at which the training of the current run will end.
    pub(crate) fn set_total_steps(&mut self, steps: f64) {
        self.builder.set_total_steps(steps);
    }

    /// Rows whose step has the best step key of the first row.
    pub(crate) fn with_any_step(builder: &'b mut SeriesBuilder<'w>) -> Self {
        let requested = builder.selector().step_key().map(str::to_owned);
        if let Some(key) = &requested {
            builder.name_step(key);
        }
        JsonRows {
            builder,
            is_step_requested: requested.is_some(),
            step_key: requested,
            candidates: Vec::new(),
            beyond: BTreeMap::new(),
            expected: Vec::new(),
            between: None,
            lessons_left: MAX_TEMPLATES_LEARNED,
            roles: None,
            row_end: None,
            path: String::new(),
            depth: 0,
        }
    }

    /// Assigns the following rows to another part of the log, which may have another layout.
    pub(crate) fn enter_part(&mut self, name: &str) {
        self.builder.enter_part(name);
        if !self.is_step_requested {
            self.step_key = None;
        }
        self.expected.clear(); // its series belong to the previous part
        (self.between, self.row_end, self.lessons_left) = (None, None, MAX_TEMPLATES_LEARNED);
    }

    /// Reads one row: with `general`, or, if it matches a template, at once with all rows after it that
    /// match.
    pub(crate) fn rows(
        &mut self,
        scanner: &mut Scanner<'_>,
        general: impl FnOnce(&mut Self, &mut Scanner<'_>) -> Result<(), ReadError>,
    ) -> Result<(), ReadError> {
        let between = self.row_end.and_then(|end| scanner.text_since(end)).map(<[u8]>::to_vec);
        self.between = self.between.take().or(between);
        for i in 0..self.expected.len() {
            if self.read_expected(scanner, i) {
                self.expected.swap(0, i);
                self.row_end = Some(scanner.mark());
                return Ok(());
            }
        }
        let start = (self.lessons_left > 0).then(|| scanner.start_recording());
        self.roles = start.map(|_| Vec::new());
        general(self, scanner)?;
        self.decide_step()?;
        self.builder.end_row();
        self.row_end = Some(scanner.mark());
        let learnt = start.and_then(|start| scanner.template_since(start));
        if let (Some(mut roles), Some(mut template)) = (self.roles.take(), learnt) {
            self.lessons_left -= 1;
            roles.resize(template.numbers(), NumberRole::Ignored);
            template.ignore(|number| roles[number] == NumberRole::Ignored);
            let numbers = vec![0.0; roles.len()];
            self.expected.truncate(TEMPLATES_KEPT - 1);
            self.expected.insert(0, LearnedRow { template, roles, numbers });
        }
        Ok(())
    }

    /// Reads rows while they match a template; returns whether at least one did.
    #[inline]
    fn read_expected(&mut self, scanner: &mut Scanner<'_>, which: usize) -> bool {
        let LearnedRow { template, roles, numbers } = &mut self.expected[which];
        if !scanner.matches(&[], template, numbers) {
            return false;
        }
        loop {
            for (role, number) in roles.iter().zip(&*numbers) {
                match role {
                    NumberRole::Step => self.builder.set_step(*number),
                    NumberRole::Value(column) => self.builder.set(*column, *number),
                    NumberRole::Ignored => {}
                }
            }
            self.builder.end_row();
            let Some(between) = &self.between else { return true };
            if !scanner.matches(between, template, numbers) {
                return true;
            }
        }
    }

    /// Records the role of the value just read; `before` is how many numbers were recorded before it. A
    /// row with a value that is not a plain number (NaN, null, a list of one number) does not become a template.
    #[inline]
    fn note_role(
        &mut self,
        scanner: &Scanner<'_>,
        before: Option<usize>,
        role: NumberRole,
        value: &Value,
    ) {
        let Some(roles) = &mut self.roles else { return };
        let is_plain = !matches!(value, Value::Other(_));
        match (before, scanner.recorded()) {
            (Some(before), Some(after)) if is_plain && after == before + 1 => {
                roles.resize(before, NumberRole::Ignored);
                roles.push(role);
            }
            _ => self.roles = None,
        }
    }

    /// Chooses the best candidate as the step of this row and the next ones.
    fn decide_step(&mut self) -> Result<(), ReadError> {
        self.candidates.sort_by_key(|candidate| candidate.rank);
        let mut candidates = std::mem::take(&mut self.candidates).into_iter();
        let Some(step) = candidates.next() else { return Ok(()) };
        self.take_step(step.value, step.place)?;
        if step.key != "step" {
            self.builder.name_step(&step.key);
        }
        self.step_key = Some(step.key);
        for other in candidates {
            if let Some(column) = self.builder.column(&other.key) {
                self.take_value(column, other.value, other.place)?;
            }
        }
        Ok(())
    }

    /// An error about the current row.
    pub(crate) fn row_error(&self, place: TextPosition, what: impl Into<String>) -> ReadError {
        ReadError::Row { row: self.builder.rows() + 1, place: place.to_string(), what: what.into() }
    }

    /// Sets the step of the current row.
    #[inline]
    pub(crate) fn take_step(&mut self, value: Value, place: TextPosition) -> Result<(), ReadError> {
        let step = match value {
            Value::Number(step) if step.abs() < EXACT_INTEGERS_END => step,
            Value::Number(step) if step.is_finite() => {
                self.step_beyond_floats(place, step as i128, step)?
            }
            Value::InexactInteger(logged, shown) => {
                self.step_beyond_floats(place, logged, shown)?
            }
            Value::Number(step) => {
                return Err(self.row_error(place, format!("the step is {step}")));
            }
            Value::Null => return Err(self.row_error(place, "the step is null")),
            Value::Other(what) => {
                return Err(self.row_error(place, format!("the step is {what}, not a number")));
            }
        };
        self.builder.set_step(step);
        Ok(())
    }

    /// Rejects two different integers that round to the same float, which would merge their steps.
    fn step_beyond_floats(
        &mut self,
        place: TextPosition,
        logged: i128,
        shown: f64,
    ) -> Result<f64, ReadError> {
        match self.beyond.insert(shown.to_bits(), logged) {
            None if logged != shown as i128 => {
                self.builder.note(LogNote::RoundedStep { logged, shown });
            }
            None => {}
            Some(other) if other != logged => {
                let what = format!("steps {other} and {logged} are the same 64-bit float");
                return Err(self.row_error(place, what));
            }
            Some(_) => {}
        }
        Ok(shown)
    }

    /// Reads `key: value`: the step, a selected metric, or a value to skip.
    #[inline]
    pub(crate) fn read_step_or_value(
        &mut self,
        scanner: &mut Scanner<'_>,
        key: &str,
    ) -> Result<(), ReadError> {
        match &self.step_key {
            Some(step) if step == key => {}
            Some(_) => return self.read_value(scanner, key),
            None => {
                let Some(rank) = step_keys::rank(key) else { return self.read_value(scanner, key) };
                self.roles = None; // the role is known at the end of the row
                let value = step_value(scanner, key)?;
                let (key, place) = (key.to_owned(), scanner.place());
                self.candidates.push(StepCandidate { rank, key, value, place });
                return Ok(());
            }
        }
        self.read_step(scanner, key)
    }

    /// Reads the value of `key` as the step of the row, replacing an earlier one.
    #[inline]
    pub(crate) fn read_step(
        &mut self,
        scanner: &mut Scanner<'_>,
        key: &str,
    ) -> Result<(), ReadError> {
        let before = scanner.recorded();
        let value = step_value(scanner, key)?;
        self.note_role(scanner, before, NumberRole::Step, &value);
        if let Value::Number(step) = value
            && step.abs() < EXACT_INTEGERS_END
        {
            self.builder.set_step(step);
            return Ok(());
        }
        self.take_step(value, scanner.place()) // finding the position is slow
    }

    /// Reads `key: value`, where the value may be an object that contains metrics.
    #[inline]
    pub(crate) fn read_field(
        &mut self,
        scanner: &mut Scanner<'_>,
        key: &str,
    ) -> Result<(), ReadError> {
        let is_step = || match &self.step_key {
            Some(step) => step == key,
            None => step_keys::rank(key).is_some(),
        };
        if scanner.peek()? == Some(b'{') && !is_step() && !self.builder.is_metric(key) {
            return self.read_nested(scanner, key);
        }
        self.read_step_or_value(scanner, key)
    }

    /// Reads the value of `key` if it is selected; skips it if not.
    #[inline]
    pub(crate) fn read_value(
        &mut self,
        scanner: &mut Scanner<'_>,
        key: &str,
    ) -> Result<(), ReadError> {
        if self.is_step_requested && self.step_key.as_deref() == Some(key) {
            return self.read_step(scanner, key);
        }
        match self.builder.column(key) {
            Some(column) => self.read_into(scanner, column),
            None => Ok(scanner.skip()?),
        }
    }

    /// Reads a value of this series.
    #[inline]
    pub(crate) fn read_into(
        &mut self,
        scanner: &mut Scanner<'_>,
        column: ColumnId,
    ) -> Result<(), ReadError> {
        let before = scanner.recorded();
        let value = scanner.value()?;
        self.note_role(scanner, before, NumberRole::Value(column), &value);
        match value {
            Value::Number(value) => self.builder.set(column, value),
            value => self.take_value(column, value, scanner.place())?,
        }
        Ok(())
    }

    /// Reads an object whose keys mean `path/key`, at any depth.
    pub(crate) fn read_nested(
        &mut self,
        scanner: &mut Scanner<'_>,
        key: &str,
    ) -> Result<(), ReadError> {
        let is_value = scanner.peek()? != Some(b'{');
        if is_value || self.builder.selector().has_quantities() {
            let path = std::mem::take(&mut self.path);
            let full = if path.is_empty() { key.to_owned() } else { format!("{path}/{key}") };
            if is_value {
                let outcome = self.read_value(scanner, &full);
                self.path = path;
                return outcome;
            }
            self.path = path;
            if self.builder.set_nested(&full) {
                self.roles = None; // a template would skip the object
            }
        }
        if self.depth == DEEPEST {
            return Err(self.row_error(scanner.place(), "objects are nested too deep"));
        }
        let outside = self.path.len();
        if outside > 0 {
            self.path.push('/');
        }
        self.path.push_str(key);
        self.depth += 1;
        scanner.object::<ReadError>(|scanner, key| self.read_nested(scanner, key))?;
        self.depth -= 1;
        self.path.truncate(outside);
        Ok(())
    }

    /// Sets the value of a series in the current row.
    pub(crate) fn take_value(
        &mut self,
        column: ColumnId,
        value: Value,
        place: TextPosition,
    ) -> Result<(), ReadError> {
        let value = match value {
            Value::Number(value) | Value::InexactInteger(_, value) => value,
            Value::Null => f64::NAN,
            Value::Other(what) if self.builder.must_be_number(column) => {
                let key = self.builder.key(column);
                return Err(self.row_error(place, format!("{key:?} is {what}, not a number")));
            }
            Value::Other(_) if self.builder.is_quantity(column) => f64::NAN,
            Value::Other(_) => return Ok(()),
        };
        self.builder.set(column, value);
        Ok(())
    }

    /// Forgets what was read of a row that is not valid.
    fn abandon_row(&mut self) {
        self.builder.abandon_row();
        self.candidates.clear();
        self.path.clear();
        (self.depth, self.roles, self.row_end) = (0, None, None);
    }

    /// Ends a row that was not read by [`Self::rows`].
    pub(crate) fn end_row(&mut self) {
        self.builder.end_row();
    }

    /// The series with this key; `None` if it is not selected.
    pub(crate) fn column(&mut self, key: &str) -> Option<ColumnId> {
        self.builder.column(key)
    }

    /// Notes a comma before the closing bracket of an array.
    pub(crate) fn end_array(&mut self, comma: bool) {
        if comma {
            self.builder.note(LogNote::TrailingComma);
        }
    }
}

/// Reads the value of a step: a number, or a text that begins with one.
#[inline]
fn step_value(scanner: &mut Scanner<'_>, key: &str) -> Result<Value, ReadError> {
    if !key.eq_ignore_ascii_case(step_keys::OF_MOST) || scanner.peek()? != Some(b'"') {
        return Ok(scanner.value()?);
    }
    let mut text = String::new();
    scanner.string(&mut text)?;
    Ok(step_keys::of_text(&text).map_or(Value::Other("a string"), Value::Number))
}

/// Maximum nesting of objects in a row; trainers nest two or three deep.
const DEEPEST: usize = 32;

/// Reads JSON lines, calling `read_key` behind each `key:` of a row. Other text between rows, and rows that are
/// not valid JSON, are skipped and counted.
pub(crate) fn read_json_lines(
    source: &mut dyn Read,
    mut rows: JsonRows<'_, '_>,
    read_key: impl Fn(&mut JsonRows<'_, '_>, &mut Scanner<'_>, &str) -> Result<(), ReadError>,
) -> Result<(), ReadError> {
    let mut scanner = Scanner::new(source)?;
    loop {
        let (is_row, passed) = scanner.next_object()?;
        if let Some((lines, first)) = passed {
            rows.builder.skip_lines(lines, first);
            rows.row_end = None;
        }
        if !is_row {
            rows.builder.end_lines(scanner.line_breaks());
            return Ok(());
        }
        scanner.hold();
        let outcome = rows.rows(&mut scanner, |rows, scanner| {
            scanner.object(|scanner, key| read_key(rows, scanner, key))
        });
        match outcome {
            Ok(()) => {}
            Err(ReadError::Scan(ScanError::Syntax { place, what })) if scanner.rewind() => {
                rows.abandon_row();
                rows.builder.skip_broken_rows(1, place, &what);
                scanner.skip_line()?;
            }
            Err(error) => return Err(error),
        }
    }
}

/// Checks that only white space follows the document.
pub(crate) fn nothing_follows(scanner: &mut Scanner<'_>) -> Result<(), ReadError> {
    match scanner.peek()? {
        None => Ok(()),
        Some(_) => Err(ScanError::Syntax {
            place: scanner.place(),
            what: "there is more text after the JSON value".to_owned(),
        }
        .into()),
    }
}
