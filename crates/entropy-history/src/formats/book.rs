//! Rows of (step, values) on their way into a [`Log`]: what every format does alike.
//!
//! A reader says what it sees ([`Book::set_step`], [`Book::set_value`], [`Book::end_row`]); the book
//! knows what is wanted, keeps that and counts the rest, so memory is bounded by what is kept.

use std::collections::HashMap;
use std::str::Utf8Error;

use super::beside::{Beside, RawAux, clock_rank, seconds};
use super::log::{Hint, Log, Series, Tally};
use super::note::Note;
use super::wanted::{Rank, SeriesSelector};
use super::{ReadError, frame::json::ScanError};
use crate::history::Point;

/// More keys than any trainer logs; the names of those beyond are not kept.
const MOST_KEYS: usize = 1 << 14;

/// Keys of a row whose order is remembered.
const KEYS_IN_ORDER: usize = 64;

/// What rows without the metric are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lacking {
    /// Odd: the user is told.
    Warned,
    /// Normal for the trainer, which logs other rows too: said when asked for.
    Counted,
    /// Normal for the format, where each value stands alone.
    Meant,
}

/// A series being read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ColumnId(usize);

#[derive(Clone)]
struct Column {
    run: usize,
    key: String,
    rank: Option<Rank>, // none: only counted, unless it stands beside the metric
    beside: Option<Beside>,
    shared: bool, // by all runs of the log
    points: Vec<Point>,
    tally: Tally,
    last_row: usize,
    lacking: (usize, usize), // rows with a step and without a value, and the first of them
}

/// A run of the log: most logs hold one, which need not have a name.
#[derive(Clone, Default)]
struct RunRows {
    name: Option<String>,
    keys: HashMap<String, Option<ColumnId>>, // none: nobody wants it
    order: Vec<(String, Option<ColumnId>)>,  // the first of them, as they came
    next: usize,                             // of these, the one that most likely comes next
    wanted: Vec<ColumnId>,
    rows: usize,
    without_step: (usize, usize), // and the first of them, as rows of the log
    first_with_step: usize,
}

/// Collects the rows of a log, for all series wanted at once: which of them it has is known only at
/// its end.
#[derive(Clone)]
pub(super) struct Book<'w> {
    wanted: &'w SeriesSelector,
    first_choice: &'static [&'static str],
    lacking: Lacking,
    columns: Vec<Column>,
    runs: Vec<RunRows>,
    by_name: HashMap<String, usize>, // a table may have a run for each row
    run: usize,
    rows: usize,
    step: Option<f64>,
    values: Vec<(ColumnId, f64)>,
    step_key: Option<String>,
    hint: Hint,
    taken_back_to: Option<f64>,
    in_parts: bool,
    count_each: bool, // of a row: its values alone do not tell what it lacks
    notes: Vec<Note>,
}

impl<'w> Book<'w> {
    /// An empty book; `first_choice` are the format's own keys, best first.
    pub(super) fn new(
        wanted: &'w SeriesSelector,
        first_choice: &'static [&'static str],
    ) -> Book<'w> {
        Book {
            wanted,
            first_choice,
            lacking: Lacking::Warned,
            columns: Vec::new(),
            runs: vec![RunRows::default()],
            by_name: HashMap::new(),
            run: 0,
            rows: 0,
            step: None,
            values: Vec::new(),
            step_key: None,
            hint: Hint::default(),
            taken_back_to: None,
            in_parts: false,
            count_each: wanted.survey() || wanted.has_rewards() || wanted.has_clock(),
            notes: Vec::new(),
        }
    }

    /// Says what rows without the metric are; odd unless told.
    pub(super) fn lacking(&mut self, lacking: Lacking) {
        self.lacking = lacking;
    }

    /// Names the run that the log is of.
    pub(super) fn name_run(&mut self, name: &str) {
        if !name.is_empty() {
            self.set_name(name);
        }
    }

    fn set_name(&mut self, name: &str) {
        self.runs[self.run].name = Some(name.to_owned());
        self.by_name.insert(name.to_owned(), self.run);
    }

    /// Rows from here on belong to the run of that name.
    pub(super) fn enter_run(&mut self, name: &str) {
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

    /// Rows from here on belong to that part of the log: a run of its own, unless it is the only one.
    pub(super) fn enter_part(&mut self, name: &str) {
        self.in_parts = true;
        self.enter_run(name);
    }

    /// Names the key that steps are taken from, where a log has several clocks.
    pub(super) fn name_step(&mut self, key: &str) {
        self.step_key = Some(key.to_owned());
    }

    /// What is wanted of the log.
    pub(super) fn wanted(&self) -> &SeriesSelector {
        self.wanted
    }

    /// Whether a series of that key would be taken.
    pub(super) fn is_metric(&self, key: &str) -> bool {
        self.wanted.rank(self.first_choice, key).is_some()
    }

    /// Takes what the file's name tells of run and tag.
    pub(super) fn hint(&mut self, hint: Hint) {
        self.hint = hint;
    }

    /// The series of that key in the run being read; `None` if nobody wants it.
    #[inline]
    pub(super) fn column(&mut self, key: &str) -> Option<ColumnId> {
        self.column_of_bytes(key.as_bytes()).ok().flatten()
    }

    /// The same for the bytes of a key; an error if they are no text.
    #[inline]
    pub(super) fn column_of_bytes(&mut self, key: &[u8]) -> Result<Option<ColumnId>, Utf8Error> {
        // Rows have their keys in one order, as a rule: comparing is faster than hashing.
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
            None => self.add_column(key, self.wanted.rank(self.first_choice, key)),
        }
    }

    /// The series of that key in the run of that name; `heading` is what a table calls it, which may
    /// be wanted too.
    pub(super) fn column_of(&mut self, run: &str, key: &str, heading: &str) -> Option<ColumnId> {
        self.enter_run(run);
        let rank = self.wanted.rank(self.first_choice, key);
        let rank = rank.or_else(|| self.wanted.rank(&[], heading));
        self.add_column(key, rank)
    }

    /// A series that is a run of its own.
    pub(super) fn column_as_run(&mut self, name: &str) -> Option<ColumnId> {
        self.column_of_unknown(name, name)
    }

    /// A series of that key in the run of that name, whose key is unknown.
    pub(super) fn column_of_unknown(&mut self, run: &str, key: &str) -> Option<ColumnId> {
        self.enter_run(run);
        self.column_of_file(key)
    }

    /// A series of the run being read whose key is unknown.
    pub(super) fn column_of_file(&mut self, key: &str) -> Option<ColumnId> {
        self.add_column(key, Some(Rank { pattern: usize::MAX, loose: true }))
    }

    /// The series of a file that calls its values `key`, and by its name alone says that they are those of
    /// `tag`, with underscores for slashes.
    pub(super) fn column_of_tag(&mut self, key: &str, tag: &str) -> Option<ColumnId> {
        let by_key = self.wanted.rank(self.first_choice, key);
        match self.wanted.is_known() {
            true if tag.to_lowercase().contains("entropy") => self.add_column(key, by_key),
            true => self.add_column(tag, None),
            false => self.add_column(tag, self.wanted.rank_of_tag(tag).or(by_key)),
        }
    }

    fn add_column(&mut self, key: &str, rank: Option<Rank>) -> Option<ColumnId> {
        let beside = self.wanted.beside(key);
        let run = &mut self.runs[self.run];
        let kept = rank.is_some() || beside.is_some() || self.wanted.survey();
        if !kept && run.keys.len() >= MOST_KEYS || kept && self.columns.len() >= MOST_KEYS {
            return None;
        }
        let column = kept.then_some(ColumnId(self.columns.len()));
        run.keys.insert(key.to_owned(), column);
        if run.order.len() < KEYS_IN_ORDER {
            run.order.push((key.to_owned(), column));
        }
        let (rows, first) = (run.rows - run.without_step.0, run.first_with_step);
        if kept {
            self.columns.push(Column {
                run: self.run,
                key: key.to_owned(),
                rank,
                beside,
                shared: false,
                points: Vec::new(),
                tally: Tally::default(),
                last_row: 0,
                lacking: (rows, first),
            });
        }
        if rank.is_some() {
            run.wanted.extend(column);
        }
        column
    }

    /// The clock that the format keeps apart from its metrics, for the run being read; `None` if nobody
    /// wants to know the time.
    pub(super) fn clock(&mut self, key: &str) -> Option<ColumnId> {
        let rank = clock_rank(key).filter(|_| self.wanted.has_clock())?;
        self.columns.push(Column {
            run: self.run,
            key: key.to_owned(),
            rank: None,
            beside: Some(Beside::Clock(rank)),
            shared: false,
            points: Vec::new(),
            tally: Tally::default(),
            last_row: 0,
            lacking: (0, 0),
        });
        Some(ColumnId(self.columns.len() - 1))
    }

    /// Says that what stands beside the metrics in this column does so for all runs of the log.
    pub(super) fn share(&mut self, column: ColumnId) {
        self.columns[column.0].shared = true;
    }

    /// Whether the column stands beside the metrics.
    pub(super) fn is_beside(&self, column: ColumnId) -> bool {
        self.columns[column.0].beside.is_some()
    }

    /// Whether the column is a clock.
    pub(super) fn is_clock(&self, column: ColumnId) -> bool {
        matches!(self.columns[column.0].beside, Some(Beside::Clock(_)))
    }

    /// Whether the column is a metric that is wanted or a reward that was asked for, so that what is no
    /// number in it is a mistake.
    pub(super) fn must_be_number(&self, column: ColumnId) -> bool {
        let column = &self.columns[column.0];
        column.rank.is_some() || matches!(column.beside, Some(Beside::Reward(_)))
    }

    /// The log says that the run was taken back to this step: what was logged from it on is void.
    pub(super) fn take_back_to(&mut self, step: f64) {
        for column in &mut self.columns {
            column.points.retain(|point| point.step < step);
        }
        self.taken_back_to = Some(step.min(self.taken_back_to.unwrap_or(step)));
    }

    /// The key of a series.
    pub(super) fn key(&self, column: ColumnId) -> &str {
        &self.columns[column.0].key
    }

    /// Whether a series was asked for, and is not only counted.
    pub(super) fn is_wanted(&self, column: ColumnId) -> bool {
        self.columns[column.0].rank.is_some()
    }

    /// Notes something odd.
    pub(super) fn note(&mut self, note: Note) {
        self.notes.push(note);
    }

    /// Rows ended so far.
    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    /// Takes the step of the row being read; the later one counts.
    #[inline]
    pub(super) fn set_step(&mut self, step: f64) {
        self.step = Some(step);
    }

    /// Takes a value of the row being read, NaN for a null; the later one of a key counts.
    #[inline]
    pub(super) fn set_value(&mut self, key: &str, value: f64) {
        if let Some(column) = self.column(key) {
            self.set(column, value);
        }
    }

    /// Takes a value of the row being read.
    #[inline]
    pub(super) fn set(&mut self, column: ColumnId, value: f64) {
        match self.values.iter_mut().find(|(other, _)| *other == column) {
            Some((_, old)) => *old = value, // last wins, as in Python
            None => self.values.push((column, value)),
        }
    }

    /// Ends the row being read.
    #[inline]
    pub(super) fn end_row(&mut self) {
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
        if self.values.len() < run.wanted.len() || self.count_each {
            for column in &run.wanted {
                let column = &mut self.columns[column.0];
                if column.last_row != row {
                    count(&mut column.lacking, row);
                }
            }
        }
        self.values.clear();
    }

    /// Takes a value that stands alone, with its step.
    #[inline]
    pub(super) fn push(&mut self, column: ColumnId, step: f64, value: f64) {
        let column = &mut self.columns[column.0];
        let run = &mut self.runs[column.run];
        if column.rank.is_some() || column.beside.is_none() {
            self.rows += 1;
            run.rows += 1;
        }
        column.push(run.rows, Point { step, entropy: value });
    }

    /// Ends the log, `outcome` being how its reading ended: a cut keeps the whole rows before it.
    pub(super) fn finish(mut self, outcome: Result<(), ReadError>) -> Result<Log, ReadError> {
        match outcome {
            Err(ReadError::Scan(ScanError::Cut(place))) if self.rows > 0 => {
                self.notes.push(Note::Cut {
                    unit: "row",
                    read: self.rows,
                    place: place.to_string(),
                });
            }
            Err(ReadError::Scan(ScanError::Cut(place))) => {
                let what = "the file ends inside its first row".to_owned();
                return Err(ScanError::Syntax { place, what }.into());
            }
            outcome => outcome?,
        }
        let mut keys: Vec<String> = Vec::new();
        for key in self.runs.iter().flat_map(|run| run.keys.keys()) {
            keys.push(key.clone());
        }
        keys.sort_unstable();
        keys.dedup();
        let without_step = self.without_step();
        if self.in_parts {
            self.name_parts();
        }
        let nothing_kept = self.columns.iter().all(|column| column.tally.rows == 0);
        let wanted = self.columns.iter().any(|column| column.rank.is_some());
        if self.rows == 0 && (keys.is_empty() || wanted) {
            return Err(ReadError::Nothing("it holds no points"));
        }
        if nothing_kept && self.rows > 0 && without_step.0 == self.rows {
            return Err(ReadError::NoStep { found: keys });
        }
        let (rows, first) = without_step;
        match (rows, self.lacking) {
            (0, _) => {}
            (_, Lacking::Warned) => {
                self.notes.push(Note::RowsWithout { key: "step".to_owned(), rows, first });
            }
            (_, Lacking::Counted | Lacking::Meant) => self.notes.push(Note::RowsWithoutStep(rows)),
        }
        let besides = self.besides();
        let (mut series, mut survey) = (Vec::new(), Vec::new());
        for column in std::mem::take(&mut self.columns) {
            let run = &self.runs[column.run];
            if self.wanted.survey() && column.tally.rows > 0 {
                survey.push((run.name.clone(), column.key.clone(), column.tally));
            }
            let Some(rank) = column.rank.filter(|_| !column.points.is_empty()) else { continue };
            let mut notes = Vec::new();
            match (column.lacking, self.lacking) {
                ((0, _), _) | (_, Lacking::Meant) => {}
                ((rows, _), Lacking::Counted) => notes.push(Note::OtherRows(rows)),
                ((rows, first), Lacking::Warned) => {
                    notes.push(Note::RowsWithout { key: column.key.clone(), rows, first });
                }
            }
            let beside = |is: fn(&Beside) -> Option<Rank>| -> Vec<RawAux> {
                let of_run = besides.iter().filter(|b| b.shared || b.run == column.run);
                let asides = of_run.filter_map(|b| Some((b, is(&b.beside)?)));
                asides.map(|(b, rank)| b.aside(rank)).collect()
            };
            let (rewards, clocks) = (beside(Beside::reward), beside(Beside::clock));
            let run = run.name.clone().or_else(|| self.hint.run.clone());
            let tag = self.hint.tag.clone();
            let Column { key: metric, points, .. } = column;
            series.push(Series { run, metric, tag, rank, points, rewards, clocks, notes });
        }
        let Book { step_key, taken_back_to, notes, .. } = self;
        Ok(Log { series, survey, keys, step_key, taken_back_to, notes })
    }

    /// Whether the run holds a series that is wanted.
    fn holds_wanted(&self, run: usize) -> bool {
        let wanted = |c: &Column| c.run == run && c.rank.is_some() && !c.points.is_empty();
        self.columns.iter().any(wanted)
    }

    /// Rows without a step, and the first of them; of a log in parts, in those with a series that is
    /// wanted, if there are any.
    fn without_step(&self) -> (usize, usize) {
        let mut parts: Vec<usize> = (0..self.runs.len()).collect();
        if self.in_parts && parts.iter().any(|&run| self.holds_wanted(run)) {
            parts.retain(|&run| self.holds_wanted(run));
        }
        let counts = parts.iter().map(|&run| self.runs[run].without_step);
        let lacking = counts.filter(|(rows, _)| *rows > 0);
        lacking.reduce(|(n, a), (m, b)| (n + m, a.min(b))).unwrap_or_default()
    }

    /// A log whose parts are not runs, but for one, is that run. The others are told.
    fn name_parts(&mut self) {
        let (runs, others): (Vec<usize>, Vec<usize>) =
            (0..self.runs.len()).partition(|&run| self.holds_wanted(run));
        let others: Vec<String> =
            others.iter().filter_map(|&run| self.runs[run].name.clone()).collect();
        if let (false, Some(_)) = (others.is_empty(), runs.first()) {
            let what = format!("parts without the metric: {}", super::quoted(&others));
            self.note(Note::Remark(what));
        }
        match (&runs[..], self.runs.len()) {
            (&[only], _) => self.runs[only].name = None,
            (_, 1) => self.runs[0].name = None,
            _ => {}
        }
    }

    /// What stands beside the metrics, moved out of its columns unless it is a metric too.
    fn besides(&mut self) -> Vec<BesideRows> {
        let mut besides = Vec::new();
        for column in &mut self.columns {
            let Some(beside) = column.beside.filter(|_| !column.points.is_empty()) else {
                continue;
            };
            let points = match column.rank {
                Some(_) => column.points.clone(),
                None => std::mem::take(&mut column.points),
            };
            let is_clock = beside.clock().is_some();
            let value = |p: &Point| if is_clock { seconds(p.entropy) } else { p.entropy };
            besides.push(BesideRows {
                run: column.run,
                shared: column.shared,
                beside,
                metric: column.key.clone(),
                rows: points.iter().map(|p| (p.step, value(p))).collect(),
            });
        }
        besides
    }
}

/// A series beside the metrics of a run, or of all.
struct BesideRows {
    run: usize,
    shared: bool,
    beside: Beside,
    metric: String,
    rows: Vec<(f64, f64)>,
}

impl BesideRows {
    fn aside(&self, rank: Rank) -> RawAux {
        RawAux { metric: self.metric.clone(), rank, rows: self.rows.clone() }
    }
}

impl Column {
    #[inline]
    fn push(&mut self, row: usize, point: Point) {
        self.last_row = row;
        self.tally.add(point);
        if self.rank.is_some() || self.beside.is_some() {
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
