//! Rows of (step, values) on their way into a [`Log`]: what every JSON format does alike.

use std::collections::{BTreeMap, BTreeSet};

use super::frame::json::{Mark, Place, ScanError, Scanner, Skeleton, Value};
use super::{Log, Note, ReadError};
use crate::history::Point;

/// Keys kept for the message that says what a log has instead.
const KEYS_KEPT: usize = 24;

/// Rows from which a skeleton is learnt before giving up: a log whose rows all differ.
const LESSONS: usize = 16;

/// From here on, 2^53, some integers are no 64-bit floats.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// What a number of a row is.
#[derive(Clone, Copy, PartialEq)]
enum Role {
    Step,
    Metric(usize),
    Ignored,
}

/// How a row looked, and so the next ones most likely will.
struct Expected {
    skeleton: Skeleton,
    roles: Vec<Role>,
    numbers: Vec<f64>,
    between: Option<Vec<u8>>, // what stands between two rows, once two were seen
}

/// What rows without the metric are.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Lacking {
    /// Odd: the user is told.
    Warned,
    /// Normal for the trainer.
    Expected,
}

/// Collects rows for several candidate metrics at once, since which of them a log has is known only
/// at its end.
pub(super) struct Table<'m> {
    metrics: &'m [&'m str],
    series: Vec<Vec<Point>>,
    lacking: Vec<(usize, usize)>, // a metric: rows without it, and the first
    without_step: (usize, usize),
    keys: BTreeSet<String>,
    beyond: BTreeMap<u64, i128>, // steps from EXACT on, by the bits of the float shown
    rows: usize,
    step: Option<f64>,
    values: Vec<Option<f64>>,
    notes: Vec<Note>,
    expected: Option<Expected>,
    lessons: usize,
    roles: Option<Vec<Role>>, // of the row being read; none once it cannot be learnt from
    row_end: Option<Mark>,    // of the row before
}

impl<'m> Table<'m> {
    pub(super) fn new(metrics: &'m [&'m str]) -> Self {
        Table {
            metrics,
            series: vec![Vec::new(); metrics.len()],
            lacking: vec![(0, 0); metrics.len()],
            without_step: (0, 0),
            keys: BTreeSet::new(),
            beyond: BTreeMap::new(),
            rows: 0,
            step: None,
            values: vec![None; metrics.len()],
            notes: Vec::new(),
            expected: None,
            lessons: LESSONS,
            roles: None,
            row_end: None,
        }
    }

    /// Reads a row, and as many behind it as look like the ones before: those at once, another with
    /// `general`.
    pub(super) fn rows(
        &mut self,
        scanner: &mut Scanner<'_>,
        general: impl FnOnce(&mut Self, &mut Scanner<'_>) -> Result<(), ReadError>,
    ) -> Result<(), ReadError> {
        let between = self.row_end.and_then(|end| scanner.text_since(end)).map(<[u8]>::to_vec);
        if let Some(mut expected) = self.expected.take() {
            expected.between = expected.between.or(between);
            let found = self.read_expected(scanner, &mut expected);
            self.expected = Some(expected);
            if found {
                self.row_end = Some(scanner.mark());
                return Ok(());
            }
        }
        let start = (self.lessons > 0).then(|| scanner.record());
        self.roles = start.map(|_| Vec::new());
        general(self, scanner)?;
        self.end_row();
        self.row_end = Some(scanner.mark());
        let learnt = start.and_then(|start| scanner.skeleton(start));
        if let (Some(mut roles), Some(skeleton)) = (self.roles.take(), learnt) {
            self.lessons -= 1;
            roles.resize(skeleton.numbers(), Role::Ignored);
            let numbers = vec![0.0; roles.len()];
            self.expected = Some(Expected { skeleton, roles, numbers, between: None });
        }
        Ok(())
    }

    /// Reads rows for as long as they are what is expected; whether there was one.
    #[inline]
    fn read_expected(&mut self, scanner: &mut Scanner<'_>, expected: &mut Expected) -> bool {
        if !scanner.matches(&[], &expected.skeleton, &mut expected.numbers) {
            return false;
        }
        loop {
            for (role, number) in expected.roles.iter().zip(&expected.numbers) {
                match role {
                    Role::Step => self.step = Some(*number),
                    Role::Metric(metric) => self.values[*metric] = Some(*number),
                    Role::Ignored => {}
                }
            }
            self.end_row();
            let Some(between) = &expected.between else { return true };
            if !scanner.matches(between, &expected.skeleton, &mut expected.numbers) {
                return true;
            }
        }
    }

    /// Notes the role of the value just taken, `before` numbers having been recorded before it. A row
    /// whose value is no plain number (NaN, null) is not one to expect.
    #[inline]
    fn note_role(&mut self, scanner: &Scanner<'_>, before: Option<usize>, role: Role) {
        let Some(roles) = &mut self.roles else { return };
        match (before, scanner.recorded()) {
            (Some(before), Some(after)) if after == before + 1 => {
                roles.resize(before, Role::Ignored);
                roles.push(role);
            }
            _ => self.roles = None,
        }
    }

    /// An error about the row being read.
    pub(super) fn row_error(&self, place: Place, what: impl Into<String>) -> ReadError {
        ReadError::Row { row: self.rows + 1, place: place.to_string(), what: what.into() }
    }

    /// Takes the step of the row being read.
    #[inline]
    pub(super) fn take_step(&mut self, value: Value, place: Place) -> Result<(), ReadError> {
        self.step = Some(match value {
            Value::Number(step) if step.abs() < EXACT => step,
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
        });
        Ok(())
    }

    /// Two integers may round to one float; that would merge distinct steps, so it is refused.
    fn step_beyond_floats(
        &mut self,
        place: Place,
        logged: i128,
        shown: f64,
    ) -> Result<f64, ReadError> {
        match self.beyond.insert(shown.to_bits(), logged) {
            None if logged != shown as i128 => {
                self.notes.push(Note::RoundedStep { logged, shown });
            }
            None => {}
            Some(other) if other != logged => {
                let what =
                    format!("steps {other} and {logged} cannot be told apart as 64-bit floats");
                return Err(self.row_error(place, what));
            }
            Some(_) => {}
        }
        Ok(shown)
    }

    /// Reads `key: value` of the row: its step, a metric looked for, or something to pass over.
    #[inline]
    pub(super) fn read_step_or_value(
        &mut self,
        scanner: &mut Scanner<'_>,
        key: &str,
    ) -> Result<(), ReadError> {
        if key != "step" {
            return self.read_value(scanner, key);
        }
        let before = scanner.recorded();
        let value = scanner.value()?;
        self.note_role(scanner, before, Role::Step);
        if let Value::Number(step) = value
            && step.abs() < EXACT
        {
            self.step = Some(step);
            return Ok(());
        }
        self.take_step(value, scanner.place()) // finding the place costs a look back
    }

    /// Reads the value of `key` if it is a metric looked for; passes it over if not.
    #[inline]
    pub(super) fn read_value(
        &mut self,
        scanner: &mut Scanner<'_>,
        key: &str,
    ) -> Result<(), ReadError> {
        let Some(metric) = self.metrics.iter().position(|m| *m == key) else {
            if self.keys.len() < KEYS_KEPT && !self.keys.contains(key) {
                self.keys.insert(key.to_owned());
            }
            return Ok(scanner.skip()?);
        };
        let before = scanner.recorded();
        let value = scanner.value()?;
        self.note_role(scanner, before, Role::Metric(metric));
        match value {
            Value::Number(value) => self.values[metric] = Some(value), // last wins, as in Python
            value => self.take_value(metric, value, scanner.place())?,
        }
        Ok(())
    }

    /// Takes the value of the metric of that index in the row being read.
    pub(super) fn take_value(
        &mut self,
        metric: usize,
        value: Value,
        place: Place,
    ) -> Result<(), ReadError> {
        self.values[metric] = Some(match value {
            Value::Number(value) | Value::InexactInteger(_, value) => value,
            Value::Null => f64::NAN,
            Value::Other(what) => {
                let key = self.metrics[metric];
                return Err(self.row_error(place, format!("{key:?} is {what}, not a number")));
            }
        });
        Ok(())
    }

    /// Ends the row being read; [`Self::rows`] does, columns do it themselves.
    #[inline]
    pub(super) fn end_row(&mut self) {
        self.rows += 1;
        let Some(step) = self.step.take() else {
            count(&mut self.without_step, self.rows);
            self.values.fill(None);
            return;
        };
        for (metric, value) in self.values.iter_mut().enumerate() {
            match value.take() {
                Some(entropy) => self.series[metric].push(Point { step, entropy }),
                None => count(&mut self.lacking[metric], self.rows),
            }
        }
    }

    /// Ends a JSON array; `comma` if one stood before its bracket.
    pub(super) fn end_array(&mut self, comma: bool) {
        if comma {
            self.notes.push(Note::TrailingComma);
        }
    }

    /// Ends the log, `outcome` being how its scanning ended: a cut keeps the whole rows before it.
    pub(super) fn finish(
        mut self,
        outcome: Result<(), ReadError>,
        lacking: Lacking,
    ) -> Result<Log, ReadError> {
        match outcome {
            Err(ReadError::Scan(ScanError::Cut(place))) if self.rows > 0 => {
                self.notes.push(Note::Cut { rows: self.rows, place: place.to_string() });
            }
            Err(ReadError::Scan(ScanError::Cut(place))) => {
                let what = "the file ends inside its first row".to_owned();
                return Err(ScanError::Syntax { place, what }.into());
            }
            outcome => outcome?,
        }
        if self.rows == 0 {
            return Err(ReadError::Nothing("it holds no points"));
        }
        let wanted: Vec<String> = self.metrics.iter().map(|&m| m.to_owned()).collect();
        let Some(metric) = self.series.iter().position(|s| !s.is_empty()) else {
            if self.without_step.0 == self.rows {
                let found = self.keys.into_iter().collect();
                return Err(ReadError::NoMetric { wanted: vec!["step".to_owned()], found });
            }
            return Err(ReadError::NoMetric { wanted, found: self.keys.into_iter().collect() });
        };
        let (rows, first) = self.without_step;
        if rows > 0 {
            self.notes.push(Note::RowsWithout { key: "step".to_owned(), rows, first });
        }
        match (self.lacking[metric], lacking) {
            ((0, _), _) => {}
            ((rows, _), Lacking::Expected) => self.notes.push(Note::OtherRows(rows)),
            ((rows, first), Lacking::Warned) => {
                self.notes.push(Note::RowsWithout { key: wanted[metric].clone(), rows, first });
            }
        }
        let points = self.series.swap_remove(metric);
        Ok(Log { metric: wanted[metric].clone(), points, notes: self.notes })
    }
}

fn count((rows, first): &mut (usize, usize), row: usize) {
    if *rows == 0 {
        *first = row;
    }
    *rows += 1;
}
