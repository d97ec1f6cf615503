//! How logs are read and their runs labelled.

use regex::Regex;

use super::error::LoadError;
use crate::formats::{Format, SeriesSelector};
use crate::run_config::ConfigKeys;

/// The largest vocabulary in use in 2026 has 262,144 tokens.
const LARGEST_VOCABULARY: u32 = 262_144;

/// How logs are read and their runs labelled.
#[derive(Debug, Clone)]
pub struct LoadOptions {
    /// The format of all logs; `None` to recognise each.
    pub format: Option<&'static Format>,
    /// Keys or globs of the entropy series; empty for the best-known key of each log.
    pub metrics: Vec<String>,
    /// The key of the steps; `None` for the best-known key of each log.
    pub step_key: Option<String>,
    /// Series to read in addition to the entropy.
    pub aux: AuxRequest,
    /// Vocabulary size; a mean entropy above its logarithm is a warning.
    pub vocabulary: u32,
    /// One label per log, or one per run; empty for the names that logs and files have.
    pub labels: Vec<String>,
    /// What labels are made from; logs that were given a label keep it. `None` for the names that logs and files have.
    pub label_from: Option<LabelFrom>,
    /// Joins runs whose labels match into training stages: its first group names the joined run, its
    /// second orders the stages.
    pub stages: Option<Regex>,
}

impl Default for LoadOptions {
    fn default() -> LoadOptions {
        LoadOptions {
            format: None,
            metrics: Vec::new(),
            step_key: None,
            aux: AuxRequest::default(),
            vocabulary: LARGEST_VOCABULARY,
            labels: Vec::new(),
            label_from: None,
            stages: None,
        }
    }
}

impl LoadOptions {
    /// Whether the configurations of runs are needed.
    pub(super) fn needs_config(&self) -> bool {
        self.aux.config == ConfigRequest::Read
            || matches!(self.label_from, Some(LabelFrom::Config(_)))
    }

    /// Which series of a log to read.
    ///
    /// # Errors
    /// When a metric or another quantity is not a valid glob.
    pub fn selector(&self) -> Result<SeriesSelector, LoadError> {
        let selector = SeriesSelector::metrics(&self.metrics)
            .map_err(|(pattern, reason)| LoadError::MetricPattern { pattern, reason })?
            .with_quantities(&self.aux.quantities)
            .map_err(|(pattern, reason)| LoadError::QuantityPattern { pattern, reason })?;
        let selector = selector.with_step_key(self.step_key.clone());
        let has_clock = self.aux.clock != ClockRequest::Skip;
        Ok(if has_clock { selector.with_clock() } else { selector })
    }
}

/// What the labels of runs are made from.
#[derive(Debug, Clone)]
pub enum LabelFrom {
    /// The absolute path of the log: the capture groups joined with `_`, or the whole match.
    Path(Regex),
    /// Keys of the configuration, with their values.
    Config(ConfigKeys),
}

/// What to read in addition to the entropy of each run.
#[derive(Debug, Clone, Default)]
pub struct AuxRequest {
    /// Other quantities, such as the reward: of each, keys or globs, the first of which that a log has is read.
    pub quantities: Vec<Vec<String>>,
    /// Whether a run without one of the quantities cannot be used.
    pub requires_quantities: bool,
    /// When each step was logged.
    pub clock: ClockRequest,
    /// The configurations of the runs.
    pub config: ConfigRequest,
}

/// Whether the configuration of each run is read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ConfigRequest {
    /// It is not read.
    #[default]
    Skip,
    /// It is read where there is one.
    Read,
}

/// Whether the wall-clock time of each step is read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ClockRequest {
    /// It is not read.
    #[default]
    Skip,
    /// It is read where a log has one.
    Optional,
    /// A run without one cannot be used.
    Required,
}
