//! Decides which rows of a console log are those of its training, and divides them into trainings.

use std::collections::VecDeque;

use super::fields::holds_entropy;
use super::line_patterns::Values;

/// The shape of rows. All rows that are read from a log have one shape, as a key may mean different
/// quantities, and other programs print too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    Verl,
    /// EasyR1's YAML.
    Yaml,
    HuggingFace,
    /// A dictionary with a step.
    Dict,
    Table,
    /// Fields in a line, with a step.
    Fields,
    /// Fields behind a progress bar.
    Bar,
    /// A dictionary without a step.
    Numbered,
}

impl Shape {
    /// Whether a row of this shape shows that the log consists of such rows. Other programs print such
    /// dictionaries and tables too, but not with an entropy; single fields may be prose.
    fn decides(self, values: &Values) -> bool {
        match self {
            Shape::Verl | Shape::Yaml | Shape::HuggingFace => true,
            Shape::Dict | Shape::Table => holds_entropy(values),
            Shape::Fields | Shape::Bar | Shape::Numbered => false,
        }
    }
}

/// While the shape is not decided, at most this many rows are kept; with more rows of fields it is theirs.
const MOST_UNDECIDED: usize = 1000;

/// A complete row with its step.
#[derive(Debug, PartialEq)]
pub(crate) struct ConsoleRow {
    pub(crate) training: usize,
    pub(crate) step: f64,
    pub(crate) values: Values,
}

/// A row before its training is known.
#[derive(Debug)]
pub(crate) struct FoundRow {
    pub(crate) shape: Shape,
    /// What its step counts.
    pub(crate) counted: String,
    pub(crate) step: f64,
    pub(crate) values: Values,
    pub(crate) line: usize,
    pub(crate) starts_new_training: bool,
}

/// Collects the rows of a log.
#[derive(Default)]
pub(crate) struct RowCollector {
    /// Collected, but not yet taken.
    pub(crate) rows: Vec<ConsoleRow>,
    /// The shape of the rows, once it is known.
    pub(crate) shape: Option<Shape>,
    /// Whether the first row with an entropy decides, whatever its shape.
    pub(crate) is_eager: bool,
    undecided: VecDeque<FoundRow>,
    /// Number of the present training, from 0.
    pub(crate) training: usize,
    /// The line where the last training begins.
    pub(crate) begins: usize,
    counted: Option<String>,   // whose restart begins a training
    has_entropy: bool,         // only rows with an entropy begin a training
    steps: Option<(f64, f64)>, // the first and the last step of this training
}

impl RowCollector {
    /// Ends the log.
    pub(crate) fn finish(&mut self) {
        if self.shape.is_none() {
            self.decide_undecided();
        }
    }

    /// Adds a row of any shape.
    pub(crate) fn push(&mut self, row: FoundRow) {
        let shape = row.shape;
        match self.shape {
            Some(known) if known == shape => self.emit(row),
            Some(_) => {}
            None => {
                let decides =
                    shape.decides(&row.values) || self.is_eager && holds_entropy(&row.values);
                self.undecided.push_back(row);
                if decides {
                    self.decide(shape);
                } else if self.undecided.len() > MOST_UNDECIDED && !self.decide_undecided() {
                    self.undecided.pop_front();
                }
            }
        }
    }

    fn decide(&mut self, shape: Shape) {
        self.shape = Some(shape);
        for row in std::mem::take(&mut self.undecided) {
            if row.shape == shape {
                self.emit(row);
            }
        }
    }

    /// Decides for a shape that other texts have too, if it is all there is.
    fn decide_undecided(&mut self) -> bool {
        let shapes = [Shape::Fields, Shape::Bar, Shape::Numbered];
        let is_there = |shape: &Shape| {
            self.undecided.iter().any(|row| row.shape == *shape && holds_entropy(&row.values))
        };
        let found = shapes.into_iter().find(is_there);
        found.inspect(|shape| self.decide(*shape)).is_some()
    }

    /// Adds a row. A step below the previous one comes from a resumed run, which returns to its
    /// checkpoint; a step that returns to the first one begins another training.
    fn emit(&mut self, row: FoundRow) {
        let FoundRow { shape, counted, step, values, line, starts_new_training } = row;
        if starts_new_training && self.steps.is_some() {
            self.begin_training(line);
        }
        // Some trainers also print rows of other programs, which are ahead or count something else.
        let is_mixed = matches!(shape, Shape::Dict | Shape::Table | Shape::Fields);
        if is_mixed && !self.has_entropy && holds_entropy(&values) {
            (self.has_entropy, self.steps, self.counted) = (true, None, Some(counted.clone()));
        }
        let own = self.counted.get_or_insert_with(|| counted.clone());
        let counts = *own == counted && (!self.has_entropy || holds_entropy(&values));
        if counts || !is_mixed {
            if self.steps.is_some_and(|(first, last)| step <= first && step < last) {
                self.begin_training(line);
            }
            self.steps = Some((self.steps.map_or(step, |(first, _)| first), step));
        }
        self.rows.push(ConsoleRow { training: self.training, step, values });
    }

    fn begin_training(&mut self, line: usize) {
        self.training += 1;
        self.begins = line;
        self.steps = None;
    }
}
