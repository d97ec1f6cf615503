//! What a reader returns: the selected series of a log, and notes about the file.

use serde::Serialize;

use super::log_note::LogNote;
use crate::history::Point;
use crate::quantity::EntropyKind;
use crate::select::KeyRank;

/// The selected content of a log.
#[derive(Debug)]
pub struct Log {
    /// Every series that matches the selection, in the order in which their keys appear.
    pub series: Vec<LogSeries>,
    /// Every numeric series: its run, its key and its extent. Empty unless
    /// [`SeriesSelector::list_all`](crate::select::SeriesSelector::list_all).
    pub all_series: Vec<(Option<String>, String, SeriesExtent)>,
    /// The keys of the log (a bounded number), sorted.
    pub keys: Vec<String>,
    /// The key that holds the steps, where the log has several candidates.
    pub step_key: Option<String>,
    /// First step this file overrides: earlier segments' points at or after it are discarded
    /// (`purge_step`).
    pub purge_from_step: Option<f64>,
    /// What the user should know about the file.
    pub notes: Vec<LogNote>,
}

/// One series of a log, in log order, unchecked.
#[derive(Debug, Clone, PartialEq)]
pub struct LogSeries {
    /// The name of the run, if the log has one.
    pub run: Option<String>,
    /// The key the values were logged under.
    pub metric: String,
    /// The key according to the file name, where the content has none.
    pub tag: Option<String>,
    /// How well the key matches the selection.
    pub rank: KeyRank,
    /// What the values measure, if the other keys of the log show it.
    pub kind: Option<EntropyKind>,
    /// The points; values may be NaN or infinite, steps may repeat.
    pub points: Vec<Point>,
    /// The series of the same run that match the requested quantities.
    pub quantities: Vec<RawAux>,
    /// The clocks of the same run, if requested.
    pub clocks: Vec<RawAux>,
    /// The step at which the training of the run will end, if the log says so.
    pub total_steps: Option<f64>,
    /// What the user should know about the series.
    pub notes: Vec<LogNote>,
}

/// An auxiliary series of a run (a quantity such as the reward, or a clock), in log order, unchecked.
#[derive(Debug, Clone, PartialEq)]
pub struct RawAux {
    /// The key the values were logged under.
    pub metric: String,
    /// Index of the requested quantity; 0 for a clock.
    pub quantity: usize,
    /// How well the key matches the request.
    pub rank: KeyRank,
    /// Steps and values; values may be NaN, steps may repeat.
    pub rows: Vec<(f64, f64)>,
}

/// The run and the tag according to the name of a file.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct NameHint {
    pub(crate) run: Option<String>,
    pub(crate) tag: Option<String>,
}

/// The size and the range of steps of a series.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct SeriesExtent {
    /// Number of values logged.
    pub rows: usize,
    /// How many of them are NaN or infinite.
    pub not_finite: usize,
    /// Smallest step.
    pub first_step: f64,
    /// Largest step.
    pub last_step: f64,
    /// The value logged last.
    pub last: f64,
}

impl SeriesExtent {
    #[inline]
    pub(crate) fn add(&mut self, point: Point) {
        if self.rows == 0 {
            (self.first_step, self.last_step) = (point.step, point.step);
        }
        self.rows += 1;
        self.not_finite += usize::from(!point.entropy.is_finite());
        self.first_step = self.first_step.min(point.step);
        self.last_step = self.last_step.max(point.step);
        self.last = point.entropy;
    }
}
