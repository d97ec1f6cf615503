//! The rows of Hugging Face's trainers, whose steps only the progress bar shows.

use super::dict;
use super::line_patterns::Values;

/// The kind of a row that a Trainer logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RowKind {
    Training,
    Evaluation,
    /// The last row, with totals.
    Summary,
}

/// A dictionary that a program prints for a step. Hugging Face's have an `epoch`.
#[derive(Debug, PartialEq)]
pub(crate) struct TrainerRow {
    pub(crate) kind: RowKind,
    /// ms-swift includes it as `'global_step/max_steps': '5/16'`, others as a number.
    pub(crate) step: Option<f64>,
    /// NaN in a row of another program.
    pub(crate) epoch: f64,
    pub(crate) values: Values,
}

impl TrainerRow {
    /// The row with these values.
    pub(crate) fn new(values: Values) -> TrainerRow {
        let is_there = |name: &str| values.iter().any(|(key, _)| key == name);
        let kind = match () {
            () if is_there("train_runtime") => RowKind::Summary,
            () if values.iter().any(|(key, _)| key.starts_with("eval_")) => RowKind::Evaluation,
            () => RowKind::Training,
        };
        let epoch = values.iter().find(|(key, _)| key == "epoch").and_then(|(_, value)| *value);
        let step = dict::own_step(&values);
        TrainerRow { kind, step, epoch: epoch.unwrap_or(f64::NAN), values }
    }

    /// Whether Hugging Face's Trainer printed it.
    pub(crate) fn is_hugging_face(&self) -> bool {
        self.epoch.is_finite()
    }
}
