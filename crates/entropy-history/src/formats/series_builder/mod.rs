//! Collects the rows of a log into the series of a [`Log`](crate::formats::Log), for every format.
//!
//! A reader reports what it parses ([`SeriesBuilder::set_step`], [`SeriesBuilder::set_value`],
//! [`SeriesBuilder::end_row`]). The builder keeps the selected series and counts the others, so that
//! memory is bounded by what is selected.

mod finish;
mod quantities;

use std::borrow::Cow;
use std::collections::HashMap;
use std::str::Utf8Error;

use crate::formats::log::{NameHint, SeriesExtent};
use crate::formats::log_note::LogNote;
use crate::framing::json::TextPosition;
use crate::history::Point;
use crate::select::{AuxKind, KeyRank, SeriesSelector, clock_rank};

/// Maximum number of keys kept; more than any trainer logs.
const MAX_KEYS: usize = 1 << 14;

/// Number of keys per row whose order is remembered.
const KEYS_IN_ORDER: usize = 64;

/// How rows without the selected metric are treated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MissingMetric {
    /// Unusual: warn.
    Warn,
    /// Normal for the trainer, which logs other rows too: count them for `--verbose`.
    Count,
    /// Normal for the format, where each value has its own step.
    Expected,
}

/// Identifies a series while a log is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ColumnId(usize);

#[derive(Clone)]
struct SeriesColumn {
    run: usize,
    key: String,
    rank: Option<KeyRank>, // `None`: only counted, unless it is auxiliary
    aux: Option<AuxKind>,
    shared: bool, // by all runs of the log
    points: Vec<Point>,
    extent: SeriesExtent,
    last_row: usize,
    missing: (usize, usize), // number of rows with a step and without a value, and the first such row
    has_nested: bool,        // whether points stand for objects or tensors
}

/// The rows of one run; most logs hold a single, unnamed run.
#[derive(Clone, Default)]
struct RunRows {
    name: Option<String>,
    keys: HashMap<String, Option<ColumnId>>, // `None`: not selected
    order: Vec<(String, Option<ColumnId>)>,  // the first keys in the order of a row
    next: usize,                             // index in `order` of the key expected next
    selected: Vec<ColumnId>,
    rows: usize,
    without_step: (usize, usize), // number of rows, and the first of them, counted over the log
    first_with_step: usize,
    total_steps: Option<f64>,
}

/// Lines of a text that were skipped: how many, and the first of them, from 1.
#[derive(Clone, Default)]
struct SkippedLines {
    other_text: (usize, usize),
    broken_rows: usize,
    first_broken: String, // its place, and what is wrong
}

/// Collects the rows of a log for all selected series.
#[derive(Clone)]
pub(crate) struct SeriesBuilder<'w> {
    selector: Cow<'w, SeriesSelector>,
    format_keys: &'static [&'static str],
    missing_metric: MissingMetric,
    columns: Vec<SeriesColumn>,
    runs: Vec<RunRows>,
    by_name: HashMap<String, usize>, // a table may switch runs on each row
    run: usize,
    rows: usize,
    step: Option<f64>,
    values: Vec<(ColumnId, f64)>,
    step_key: Option<String>,
    hint: NameHint,
    purge_from_step: Option<f64>,
    in_parts: bool,
    lines: u64, // of the parts of a log that were read before
    skipped: SkippedLines,
    count_each: bool, // the number of values in a row does not show whether one is missing
    notes: Vec<LogNote>,
}

impl<'w> SeriesBuilder<'w> {
    /// An empty builder; `format_keys` are the keys of the format, best first.
    pub(crate) fn new(
        selector: Cow<'w, SeriesSelector>,
        format_keys: &'static [&'static str],
    ) -> SeriesBuilder<'w> {
        let count_each = selector.list_all() || selector.has_quantities() || selector.has_clock();
        SeriesBuilder {
            selector,
            format_keys,
            missing_metric: MissingMetric::Warn,
            columns: Vec::new(),
            runs: vec![RunRows::default()],
            by_name: HashMap::new(),
            run: 0,
            rows: 0,
            step: None,
            values: Vec::new(),
            step_key: None,
            hint: NameHint::default(),
            purge_from_step: None,
            in_parts: false,
            lines: 0,
            skipped: SkippedLines::default(),
            count_each,
            notes: Vec::new(),
        }
    }

    /// Sets how rows without the metric are treated; by default with a warning.
    pub(crate) fn missing_metric(&mut self, missing: MissingMetric) {
        self.missing_metric = missing;
    }

    /// Names the current run.
    pub(crate) fn name_run(&mut self, name: &str) {
        if !name.is_empty() {
            self.set_name(name);
        }
    }

    fn set_name(&mut self, name: &str) {
        self.runs[self.run].name = Some(name.to_owned());
        self.by_name.insert(name.to_owned(), self.run);
    }

    /// Assigns the following rows to the run of this name.
    pub(crate) fn enter_run(&mut self, name: &str) {
        if let Some(run) = self.by_name.get(name) {
            self.run = *run;
            return;
        }
        if self.runs.len() == 1 && self.runs[0].name.is_none() && self.rows == 0 {
            self.run = 0;
        } else {
            self.run = self.runs.len();
            self.runs.push(RunRows::default());
        }
        self.set_name(name);
    }

    /// Assigns the following rows to this part of the log: a run of its own, unless it is the only
    /// part.
    pub(crate) fn enter_part(&mut self, name: &str) {
        self.in_parts = true;
        self.enter_run(name);
    }

    /// Records the key that holds the steps, where a log has several candidates.
    pub(crate) fn name_step(&mut self, key: &str) {
        self.step_key = Some(key.to_owned());
    }

    /// The selection.
    pub(crate) fn selector(&self) -> &SeriesSelector {
        &self.selector
    }

    /// Whether a series with this key is selected as a metric.
    pub(crate) fn is_metric(&self, key: &str) -> bool {
        self.selector.rank(self.format_keys, key).is_some_and(|rank| !rank.is_guess())
    }

    /// Sets the run and the tag that the file name gives.
    pub(crate) fn hint(&mut self, hint: NameHint) {
        self.hint = hint;
    }

    /// The series with this key in the current run; `None` if it is not selected.
    #[inline]
    pub(crate) fn column(&mut self, key: &str) -> Option<ColumnId> {
        self.column_of_bytes(key.as_bytes()).ok().flatten()
    }

    /// The series with this key, given as bytes. An error if they are not UTF-8.
    #[inline]
    pub(crate) fn column_of_bytes(&mut self, key: &[u8]) -> Result<Option<ColumnId>, Utf8Error> {
        // Most rows have their keys in the same order, and comparing is faster than hashing.
        let run = &mut self.runs[self.run];
        if let Some((next, column)) = run.order.get(run.next)
            && next.as_bytes() == key
        {
            run.next = if run.next + 1 == run.order.len() { 0 } else { run.next + 1 };
            return Ok(*column);
        }
        Ok(self.column_by_hash(std::str::from_utf8(key)?))
    }

    fn column_by_hash(&mut self, key: &str) -> Option<ColumnId> {
        let run = &mut self.runs[self.run];
        match run.keys.get(key).copied() {
            Some(column) => {
                let at = run.order.iter().position(|(known, _)| known == key);
                run.next = at.map_or(0, |at| (at + 1) % run.order.len());
                column
            }
            None => self.add_column(key, self.selector.rank(self.format_keys, key)),
        }
    }

    /// The series with this key in the named run. `heading` is the full heading of the column, which
    /// the selection may match too.
    pub(crate) fn column_of(&mut self, run: &str, key: &str, heading: &str) -> Option<ColumnId> {
        self.enter_run(run);
        let rank = self.selector.rank(self.format_keys, key);
        let rank = rank.or_else(|| self.selector.rank(&[], heading));
        self.add_column(key, rank)
    }

    /// A series that is a run of its own.
    pub(crate) fn column_as_run(&mut self, name: &str) -> Option<ColumnId> {
        self.column_of_unknown(name, name)
    }

    /// A series with an unknown key in the named run.
    pub(crate) fn column_of_unknown(&mut self, run: &str, key: &str) -> Option<ColumnId> {
        self.enter_run(run);
        self.column_of_file(key)
    }

    /// A series with an unknown key in the current run.
    pub(crate) fn column_of_file(&mut self, key: &str) -> Option<ColumnId> {
        self.add_column(key, Some(KeyRank { pattern: usize::MAX, matched_dotted: true }))
    }

    /// The series of a file that calls its values `key`, and whose name gives the `tag` with
    /// underscores for slashes.
    pub(crate) fn column_of_tag(&mut self, key: &str, tag: &str) -> Option<ColumnId> {
        let by_key = self.selector.rank(self.format_keys, key);
        match self.selector.uses_default_keys() {
            true if tag.to_lowercase().contains("entropy") => self.add_column(key, by_key),
            true => self.add_column(tag, None),
            false => self.add_column(tag, self.selector.rank_of_tag(tag).or(by_key)),
        }
    }

    fn add_column(&mut self, key: &str, rank: Option<KeyRank>) -> Option<ColumnId> {
        let aux = self.selector.aux_kind(key);
        let run = &mut self.runs[self.run];
        let kept = rank.is_some() || aux.is_some() || self.selector.list_all();
        if !kept && run.keys.len() >= MAX_KEYS || kept && self.columns.len() >= MAX_KEYS {
            return None;
        }
        let column = kept.then_some(ColumnId(self.columns.len()));
        run.keys.insert(key.to_owned(), column);
        if run.order.len() < KEYS_IN_ORDER {
            run.order.push((key.to_owned(), column));
        }
        let (rows, first) = (run.rows - run.without_step.0, run.first_with_step);
        if kept {
            self.columns.push(SeriesColumn {
                run: self.run,
                key: key.to_owned(),
                rank,
                aux,
                shared: false,
                points: Vec::new(),
                extent: SeriesExtent::default(),
                last_row: 0,
                missing: (rows, first),
                has_nested: false,
            });
        }
        if rank.is_some() {
            run.selected.extend(column);
        }
        column
    }

    /// A clock that the format stores outside its metrics, for the current run; `None` if no clock is
    /// requested.
    pub(crate) fn clock(&mut self, key: &str) -> Option<ColumnId> {
        let rank = clock_rank(key).filter(|_| self.selector.has_clock())?;
        let aux = Some(AuxKind::Clock(rank));
        let is_same = |c: &SeriesColumn| c.run == self.run && c.key == key && c.aux == aux;
        if let Some(known) = self.columns.iter().position(is_same) {
            return Some(ColumnId(known));
        }
        self.columns.push(SeriesColumn {
            run: self.run,
            key: key.to_owned(),
            rank: None,
            aux,
            shared: false,
            points: Vec::new(),
            extent: SeriesExtent::default(),
            last_row: 0,
            missing: (0, 0),
            has_nested: false,
        });
        Some(ColumnId(self.columns.len() - 1))
    }

    /// Marks an auxiliary series as one of all runs of the log.
    pub(crate) fn share(&mut self, column: ColumnId) {
        self.columns[column.0].shared = true;
    }

    /// Whether the series is auxiliary.
    pub(crate) fn is_aux(&self, column: ColumnId) -> bool {
        self.columns[column.0].aux.is_some()
    }

    /// Whether the series is a clock.
    pub(crate) fn is_clock(&self, column: ColumnId) -> bool {
        matches!(self.columns[column.0].aux, Some(AuxKind::Clock(_)))
    }

    /// Whether the series is a selected metric, so that a value that is not a number is an error.
    pub(crate) fn must_be_number(&self, column: ColumnId) -> bool {
        self.columns[column.0].rank.is_some_and(|rank| !rank.is_guess())
    }

    /// Sets the step at which the training of the current run will end. Trainers write 0 or −1 for a run without a limit.
    pub(crate) fn set_total_steps(&mut self, steps: f64) {
        if steps.is_finite() && steps > 0.0 {
            self.runs[self.run].total_steps = Some(steps);
        }
    }

    /// Discards the points from `step` on: the log says that the run was resumed there (`purge_step`).
    pub(crate) fn purge_from(&mut self, step: f64) {
        for column in &mut self.columns {
            column.points.retain(|point| point.step < step);
        }
        self.purge_from_step = Some(step.min(self.purge_from_step.unwrap_or(step)));
    }

    /// Numbers the points of series that have several, all of them at step 0: they were logged without a step.
    pub(crate) fn number_points_without_steps(&mut self) {
        let mut is_numbered = false;
        for column in &mut self.columns {
            if column.points.len() < 2 || column.points.iter().any(|point| point.step != 0.0) {
                continue;
            }
            for (number, point) in (1_u32..).zip(&mut column.points) {
                point.step = f64::from(number);
            }
            (column.extent.first_step, column.extent.last_step) = (1.0, column.points.len() as f64);
            is_numbered |= column.rank.is_some();
        }
        if is_numbered {
            self.note(LogNote::RowsNumbered);
        }
    }

    /// The key of a series.
    pub(crate) fn key(&self, column: ColumnId) -> &str {
        &self.columns[column.0].key
    }

    /// Whether a series is selected as a metric, and not only counted.
    pub(crate) fn is_selected(&self, column: ColumnId) -> bool {
        self.columns[column.0].rank.is_some()
    }

    /// Whether a selected series has a point.
    pub(crate) fn has_selected_points(&self) -> bool {
        self.columns.iter().any(|column| column.rank.is_some() && !column.points.is_empty())
    }

    /// Whether a series is selected by a known or a requested key, and not only by its likeness to one.
    pub(crate) fn is_known(&self, column: ColumnId) -> bool {
        self.columns[column.0].rank.is_some_and(|rank| !rank.is_guess())
    }

    /// Adds a note.
    pub(crate) fn note(&mut self, note: LogNote) {
        self.notes.push(note);
    }

    /// Adds several notes.
    pub(crate) fn notes(&mut self, notes: Vec<LogNote>) {
        self.notes.extend(notes);
    }

    /// Counts lines with other text than rows; `first` is the number of the first in this part of the log.
    pub(crate) fn skip_lines(&mut self, lines: usize, first: u64) {
        let first = (self.lines + first) as usize;
        let (count, known) = self.skipped.other_text;
        self.skipped.other_text = (count + lines, if count == 0 { first } else { known });
    }

    /// Counts rows that are not valid; `place` is that of the first in this part of the log.
    pub(crate) fn skip_broken_rows(&mut self, rows: usize, place: TextPosition, what: &str) {
        if self.skipped.broken_rows == 0 {
            let place = TextPosition { line: self.lines + place.line, ..place };
            self.skipped.first_broken = format!("{place}: {what}");
        }
        self.skipped.broken_rows += rows;
    }

    /// Ends a part of the log, which has this number of line breaks.
    pub(crate) fn end_lines(&mut self, line_breaks: u64) {
        self.lines += line_breaks;
    }

    /// Forgets the values of the current row.
    pub(crate) fn abandon_row(&mut self) {
        self.step = None;
        self.values.clear();
    }

    /// Number of rows ended so far.
    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    /// Sets the step of the current row, replacing an earlier one.
    #[inline]
    pub(crate) fn set_step(&mut self, step: f64) {
        self.step = Some(step);
    }

    /// Sets a value of the current row (NaN for null), replacing an earlier one.
    #[inline]
    pub(crate) fn set_value(&mut self, key: &str, value: f64) {
        if let Some(column) = self.column(key) {
            self.set(column, value);
        }
    }

    /// Sets a value of the current row by its series.
    #[inline]
    pub(crate) fn set(&mut self, column: ColumnId, value: f64) {
        match self.values.iter_mut().find(|(other, _)| *other == column) {
            Some((_, old)) => *old = value, // as in Python, the last one counts
            None => self.values.push((column, value)),
        }
    }

    /// Ends the current row.
    #[inline]
    pub(crate) fn end_row(&mut self) {
        self.rows += 1;
        let run = &mut self.runs[self.run];
        run.rows += 1;
        let row = run.rows;
        let Some(step) = self.step.take() else {
            count(&mut run.without_step, self.rows);
            self.values.clear();
            return;
        };
        if run.first_with_step == 0 {
            run.first_with_step = row;
        }
        for &(column, value) in &self.values {
            self.columns[column.0].push(row, Point { step, entropy: value });
        }
        if self.values.len() < run.selected.len() || self.count_each {
            for column in &run.selected {
                let column = &mut self.columns[column.0];
                if column.last_row != row {
                    count(&mut column.missing, row);
                }
            }
        }
        self.values.clear();
    }

    /// Adds a value with its own step.
    #[inline]
    pub(crate) fn push(&mut self, column: ColumnId, step: f64, value: f64) {
        let column = &mut self.columns[column.0];
        let run = &mut self.runs[column.run];
        if column.rank.is_some() || column.aux.is_none() {
            self.rows += 1;
            run.rows += 1;
        }
        column.push(run.rows, Point { step, entropy: value });
    }
}

impl SeriesColumn {
    #[inline]
    fn push(&mut self, row: usize, point: Point) {
        self.last_row = row;
        self.extent.add(point);
        if self.rank.is_some() || self.aux.is_some() {
            self.points.push(point);
        }
    }
}

fn count((rows, first): &mut (usize, usize), row: usize) {
    if *rows == 0 {
        *first = row;
    }
    *rows += 1;
}
