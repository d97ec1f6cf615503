//! Finds the steps of Hugging Face's rows, which only the progress bar shows.
//!
//! `tqdm.write` prints a row through the bar: it wipes the bar (`\r`, blanks, `\r`), prints the row,
//! and redraws the bar at the row's step. Python buffers stdout in blocks by default, so in a file rows
//! may come many bars late, but stderr has each wipe and its bar at once:
//!
//! ```text
//! wipe, {'entropy': 2.3}, 1/12, 2/12, wipe, {'entropy': 2.2}, 2/12                python -u
//! wipe, 1/12, 2/12, wipe, 2/12, {'entropy': 2.3}, {'entropy': 2.2}                python
//! ```
//!
//! So the n-th row belongs to the n-th bar after a wipe. Other bars only show progress, and skip steps
//! of a fast run. A new bar flushes stdout, so no rows are pending across it. (tqdm 4.70
//! `external_write_mode`, `status_printer`; transformers 4.57 and 5.23 `ProgressCallback`.)

use std::collections::VecDeque;

use super::line_patterns::{ProgressBar, Values};
use super::trainer_row::{RowKind, TrainerRow};

/// A training row and its step.
#[derive(Debug, PartialEq)]
pub(crate) struct RowWithStep {
    pub(crate) step: f64,
    pub(crate) values: Values,
    /// Whether the previous training had finished, or has another length.
    pub(crate) starts_new_training: bool,
    /// Whether Hugging Face's Trainer printed it.
    pub(crate) is_hugging_face: bool,
}

/// Matches rows with progress bars.
#[derive(Default)]
pub(crate) struct ProgressSteps {
    bar: Option<ProgressBar>,
    wiped: bool,
    ever_wiped: bool,       // since the bar began
    redrawn: VecDeque<u64>, // steps whose rows have not been printed yet
    waiting: VecDeque<TrainerRow>,
    /// The length of the training of the previous row.
    pub(crate) length: Option<u64>,
    epoch: f64,
    finished: bool,
    starts_new_training: bool,
    number: usize,
    /// Number of rows whose step was never shown.
    pub(crate) lost: usize,
    unmatched: bool,
    /// Whether rows were numbered because there are no bars.
    pub(crate) numbered: bool,
}

impl ProgressSteps {
    /// Handles a wiped bar.
    pub(crate) fn wipe(&mut self) {
        (self.wiped, self.ever_wiped) = (true, true);
    }

    /// Handles a drawn bar.
    pub(crate) fn draw(&mut self, bar: ProgressBar) {
        if !bar.is_topmost {
            return;
        }
        let wiped = std::mem::take(&mut self.wiped);
        let begins = bar.done == 0 && !(wiped && self.bar == Some(bar));
        if begins {
            self.unmatched = self.is_unmatched();
            self.lost += self.waiting.len();
            self.waiting.clear();
            self.redrawn.clear();
            self.ever_wiped = false;
        } else if wiped {
            self.redrawn.push_back(bar.done);
        }
        self.bar = Some(bar);
    }

    /// Handles a printed row.
    pub(crate) fn row(&mut self, row: TrainerRow) {
        self.waiting.push_back(row);
        if !self.ever_wiped && self.waiting.len() > 1 {
            self.bar = None; // it is not the Trainer's bar, through which rows are printed
        }
    }

    /// Whether a row waits for its bar.
    pub(crate) fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Whether a finished training redrew its bar more often than it printed rows. Then something else
    /// was printed through the bar, and rows may have got the steps of earlier bars.
    pub(crate) fn is_unmatched(&self) -> bool {
        self.unmatched || self.finished && !self.redrawn.is_empty()
    }

    /// The next training row whose step is known.
    pub(crate) fn next_row(&mut self) -> Option<RowWithStep> {
        loop {
            let own = self.waiting.front()?.step;
            let bar = self.bar.filter(|_| own.is_none());
            let shown = if bar.is_some() { Some(self.redrawn.pop_front()? as f64) } else { None };
            let row = self.waiting.pop_front()?;

            let length = bar.map(|bar| bar.total);
            let is_resized = length.is_some() && self.length.is_some() && length != self.length;
            self.starts_new_training |= self.finished || is_resized;
            if self.finished || row.epoch < self.epoch {
                self.number = 0;
            }
            (self.length, self.epoch, self.finished) = (length, row.epoch, false);

            match row.kind {
                RowKind::Evaluation => {}
                RowKind::Summary => self.finished = true,
                RowKind::Training => {
                    self.number += 1;
                    let known = own.or(shown);
                    self.numbered |= known.is_none();
                    let step = known.unwrap_or(self.number as f64);
                    let starts_new_training = std::mem::take(&mut self.starts_new_training);
                    let is_hugging_face = row.is_hugging_face();
                    let values = row.values;
                    return Some(RowWithStep {
                        step,
                        values,
                        starts_new_training,
                        is_hugging_face,
                    });
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each word is a drawn bar (`3/12`), a wipe (`-`), or a row (`row`, `eval`, `sum`).
    fn steps(log: &str) -> (Vec<(f64, bool)>, ProgressSteps) {
        let mut bars = ProgressSteps::default();
        let mut steps = Vec::new();
        for (at, word) in log.split_whitespace().enumerate() {
            let kind = match word {
                "row" => RowKind::Training,
                "eval" => RowKind::Evaluation,
                "sum" => RowKind::Summary,
                "-" => {
                    bars.wipe();
                    continue;
                }
                _ => {
                    let (done, total) = word.split_once('/').unwrap();
                    let (done, total) = (done.parse().unwrap(), total.parse().unwrap());
                    bars.draw(ProgressBar { done, total, is_topmost: true });
                    RowKind::Training
                }
            };
            if !word.contains('/') {
                let (epoch, values) = (at as f64, Vec::new());
                bars.row(TrainerRow { kind, step: None, epoch, values });
            }
            while let Some(placed) = bars.next_row() {
                steps.push((placed.step, placed.starts_new_training));
            }
        }
        (steps, bars)
    }

    fn of_one_training(log: &str) -> Vec<f64> {
        let (steps, bars) = steps(log);
        assert!(!bars.is_unmatched() && !bars.numbered && bars.lost == 0, "{log}");
        assert!(steps.iter().all(|(_, starts_new_training)| !starts_new_training), "{log}");
        steps.into_iter().map(|(step, _)| step).collect()
    }

    #[test]
    fn row_has_step_of_the_bar_drawn_after_it() {
        assert_eq!(of_one_training("0/9 1/9 - row 1/9 2/9 - row 2/9"), [1.0, 2.0]);
        assert_eq!(of_one_training("0/9 - row 0/9 - row 1/9 7/9 - row 8/9"), [0.0, 1.0, 8.0]);
    }

    #[test]
    fn buffered_rows_get_steps_of_their_own_bars() {
        assert_eq!(of_one_training("0/9 - 2/9 3/9 - 4/9 - row row 6/9 row 7/9"), [2.0, 4.0, 6.0]);
        assert_eq!(of_one_training("0/9 row - 1/9 row - 2/9"), [1.0, 2.0]);
    }

    #[test]
    fn evaluation_and_summary_rows_have_bars_too() {
        assert_eq!(of_one_training("0/9 - 4/9 - 4/9 - 8/9 - 9/9 row eval row sum"), [4.0, 8.0]);
    }

    #[test]
    fn requeued_job_continues_and_other_length_is_new_training() {
        assert_eq!(of_one_training("0/9 - row 3/9 - 4/9 0/9 4/9 - 4/9 row"), [3.0, 4.0]);
        let (other, _) = steps("0/9 - row 1/9 0/8 - row 1/8");
        assert_eq!(other, [(1.0, false), (1.0, true)]);
        let (done, _) = steps("0/9 - row 9/9 - sum 9/9 0/9 - eval 0/9 - row 1/9");
        assert_eq!(done, [(9.0, false), (1.0, true)]);
    }

    #[test]
    fn unmatched_rows_are_reported() {
        assert!(steps("0/9 - 1/9 - row 2/9 - sum 9/9").1.is_unmatched());
        assert_eq!(steps("0/9 - row 0/9 - row 1/9 - row 0/9 - row").1.lost, 1);
        assert!(steps("0/9 - row").1.is_waiting());
    }

    #[test]
    fn rows_are_numbered_without_a_progress_bar() {
        let (numbered, bars) = steps("0/9 9/9 row row row sum row");
        assert!(bars.numbered);
        assert_eq!(numbered, [(1.0, false), (2.0, false), (3.0, false), (1.0, true)]);
    }
}
