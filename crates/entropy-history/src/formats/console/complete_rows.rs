//! Finds the steps and the values of rows whose text is complete.

use memchr::{memmem, memrchr};

use super::dict;
use super::fields::{fields, holds_entropy};
use super::label::StepLabel;
use super::line_patterns::{ProgressBar, Values};
use super::open_row::DictLabel;
use super::progress_steps::{ProgressSteps, RowWithStep};
use super::row_ends::RowEnds;
use super::rows::{FoundRow, RowCollector, Shape};
use super::table::Table;
use super::trainer_row::TrainerRow;
use super::verl_row;
use crate::formats::log_note::LogNote;

/// A table belongs to a step that was named at most this many lines before it.
const LABEL_REACH: usize = 6;

/// A line that may name the step of the lines below it.
#[derive(Debug, Default)]
struct LabelLine {
    text: String,
    prefix: String,
    line: usize,
}

/// The rows of a log whose texts are complete.
#[derive(Default)]
pub(crate) struct CompleteRows {
    pub(crate) collector: RowCollector,
    pub(crate) progress: ProgressSteps,
    label: Option<LabelLine>,
    /// Number of complete lines.
    pub(crate) lines: usize,
    /// Number of texts that look like rows and cannot be read.
    pub(crate) unreadable: usize,
    ends: RowEnds,
    numbered: usize,
    last_bar: Option<u64>,
}

impl CompleteRows {
    /// Number of the present line, from 1.
    pub(crate) fn line(&self) -> usize {
        self.lines + 1
    }

    /// Takes a bar and the fields behind it: `| 3/40 [00:10<02:00, 3.2s/it, entropy=1.2]`.
    pub(crate) fn take_bar(&mut self, bar: ProgressBar, text: &[u8]) {
        self.progress.draw(bar);
        self.take_rows();
        let Some(at) = memmem::find(text, b"ntropy").and_then(|at| memrchr(b'[', &text[..at]))
        else {
            return;
        };
        let text = String::from_utf8_lossy(&text[at + 1..]);
        let values = fields(text.trim_end_matches(']'));
        let step = bar.done as f64;
        if holds_entropy(&values) && self.last_bar != Some(bar.done) {
            self.last_bar = Some(bar.done);
            self.collect(Shape::Bar, String::new(), step, values);
        }
    }

    /// Remembers a line that may name the step of the lines below it.
    pub(crate) fn keep_label(&mut self, prefix: &str, text: &str) {
        let line = self.line();
        let label = self.label.get_or_insert_default();
        text.clone_into(&mut label.text);
        prefix.clone_into(&mut label.prefix);
        label.line = line;
    }

    /// The step that the line above names, if it ends with it: `Step 3:`.
    pub(crate) fn label_above(&self, prefix: &str) -> Option<DictLabel> {
        let above = self.label.as_ref()?;
        if above.line + 2 < self.line() || above.prefix != prefix {
            return None;
        }
        let label = StepLabel::find(&above.text)?;
        let is_adjacent = label.ends(&above.text) && above.text[label.end..].contains(':');
        is_adjacent.then_some(DictLabel { label, is_adjacent })
    }

    /// Takes EasyR1's row.
    pub(crate) fn take_yaml(&mut self, step: f64, values: Values) {
        self.collect(Shape::Yaml, String::new(), step, values);
    }

    /// Counts a dictionary that is not complete, if it looks like a row.
    pub(crate) fn count_cut(&mut self, text: &str) {
        self.unreadable += usize::from(dict::names_entropy(text));
    }

    /// Takes a complete dictionary; `false` if it is not a row.
    pub(crate) fn take_dict(
        &mut self,
        text: &str,
        label: Option<DictLabel>,
        is_first: bool,
    ) -> bool {
        let may_be_row = ["ntropy", "epoch", "tep"].iter().any(|word| text.contains(word));
        if label.is_none() && !may_be_row {
            return false; // before it is taken apart
        }
        let Some(values) = dict::parse(text) else {
            self.unreadable += usize::from(dict::names_entropy(text));
            return false;
        };
        if values.iter().all(|(_, value)| value.is_none()) && !holds_entropy(&values) {
            return false;
        }
        let adjacent = label.as_ref().filter(|label| label.is_adjacent);
        let row = TrainerRow::new(values);
        let is_row = row.is_hugging_face() && (is_first || row.values.len() > 2)
            || row.step.is_none() && is_first && holds_entropy(&row.values);
        let step = adjacent.map(|label| label.label.step).or(row.step);
        let step = step.or(label.as_ref().map(|label| label.label.step));
        match step {
            _ if row.is_hugging_face() && adjacent.is_none() && is_row => self.progress.row(row),
            Some(step) => {
                let counted = label.map_or_else(String::new, |label| label.label.counted);
                self.collect(Shape::Dict, counted, step, row.values);
                return true;
            }
            None if is_row => self.progress.row(row),
            None => return false,
        }
        self.take_rows();
        true
    }

    /// Takes the rows of a line of verl's.
    pub(crate) fn take_verl(&mut self, text: &str) {
        let mut start = 0;
        while start < text.len() {
            let end = verl_row::find(text, start + 1).unwrap_or(text.len());
            if let Some((step, mut values)) = verl_row::parse(&text[start..end]) {
                self.ends.doubt_end(&mut values);
                self.collect(Shape::Verl, String::new(), step, values);
            } else {
                self.unreadable += usize::from(text[start..end].contains("ntropy"));
            }
            start = end;
        }
    }

    /// Takes the row of fields that a line is, or several.
    pub(crate) fn take_fields(&mut self, text: &str) {
        let mut starts = StepLabel::starts(text);
        starts.retain(|start| *start > 0);
        let ends = starts.iter().copied().chain([text.len()]);
        let begins = [0].into_iter().chain(starts.iter().copied());
        let pieces: Vec<&str> = begins.zip(ends).map(|(begin, end)| &text[begin..end]).collect();
        let is_row = |piece: &&str| holds_entropy(&fields(piece));
        match pieces.iter().filter(|piece| is_row(piece)).count() {
            0 | 1 => self.take_one_of_fields(text),
            _ => pieces.into_iter().filter(is_row).for_each(|piece| self.take_one_of_fields(piece)),
        }
    }

    fn take_one_of_fields(&mut self, text: &str) {
        let mut values = fields(text);
        self.ends.doubt_end(&mut values);
        if let Some(label) = StepLabel::find(text) {
            self.collect(Shape::Fields, label.counted, label.step, values);
        } else {
            self.progress.row(TrainerRow::new(values));
            self.take_rows();
        }
    }

    pub(crate) fn take_table(&mut self, table: Table) {
        if table.values.is_empty() {
            return;
        }
        let above = self.label.as_ref().filter(|above| {
            above.line + LABEL_REACH >= table.line
                && above.line <= table.line
                && above.prefix == table.prefix
        });
        let above = above.and_then(|above| StepLabel::find(&above.text)).map(|label| label.step);
        let label = table.label.or_else(|| dict::own_step(&table.values)).or(above);
        self.take_table_row(table.values, label);
    }

    /// Takes a row of a table; it is numbered if neither it nor the lines before it name the step.
    pub(crate) fn take_table_row(&mut self, values: Values, label: Option<f64>) {
        let step = label.or_else(|| dict::own_step(&values)).or_else(|| {
            let is_row = holds_entropy(&values);
            self.numbered += usize::from(is_row);
            is_row.then_some(self.numbered as f64)
        });
        if let Some(step) = step {
            self.collect(Shape::Table, String::new(), step, values);
        }
    }

    /// Takes the rows whose steps the bars have shown.
    pub(crate) fn take_rows(&mut self) {
        while let Some(row) = self.progress.next_row() {
            let RowWithStep { step, values, starts_new_training, is_hugging_face } = row;
            let shape = if is_hugging_face { Shape::HuggingFace } else { Shape::Numbered };
            let (counted, line) = (String::new(), self.line());
            let row = FoundRow { shape, counted, step, values, line, starts_new_training };
            self.collector.push(row);
        }
    }

    fn collect(&mut self, shape: Shape, counted: String, step: f64, values: Values) {
        let line = self.line();
        let starts_new_training = false;
        let row = FoundRow { shape, counted, step, values, line, starts_new_training };
        self.collector.push(row);
    }

    /// Whether the rows have no steps of their own.
    fn has_numbers(&self) -> bool {
        matches!(self.collector.shape, Some(Shape::HuggingFace | Shape::Numbered))
    }

    /// Whether rows were numbered because nothing shows their steps.
    pub(crate) fn is_numbered(&self) -> bool {
        let is_table = self.collector.shape == Some(Shape::Table);
        self.has_numbers() && self.progress.numbered || is_table && self.numbered > 0
    }

    /// What the user should know about the log, of which `rows` rows were read.
    pub(crate) fn notes(&self, rows: usize, ends_inside: bool, too_long: usize) -> Vec<LogNote> {
        let mut notes = Vec::new();
        let is_hugging_face = self.collector.shape == Some(Shape::HuggingFace);
        if ends_inside || is_hugging_face && self.progress.is_waiting() {
            let place = format!("line {}", self.line());
            notes.push(LogNote::Cut { unit: "row", read: rows, place });
        }
        let by_rows = self.has_numbers();
        if self.is_numbered() {
            notes.push(LogNote::RowsNumbered);
        }
        let mut odd = |what: String| notes.push(LogNote::Odd(what));
        if self.collector.training > 0 {
            let (n, line) = (self.collector.training + 1, self.collector.begins);
            odd(format!("it holds {n} trainings; the last begins at line {line}"));
        }
        if is_hugging_face && self.progress.is_unmatched() {
            odd("its progress bar was redrawn more often than rows were printed; steps may be too small".to_owned());
        }
        if by_rows && self.progress.lost > 0 {
            odd(format!("rows whose step was never shown were skipped: {}", self.progress.lost));
        }
        if self.unreadable > 0 {
            odd(format!("rows that are cut or cannot be read were skipped: {}", self.unreadable));
        }
        if too_long > 0 {
            odd(format!("lines longer than 1 MiB were skipped: {too_long}"));
        }
        notes
    }
}
