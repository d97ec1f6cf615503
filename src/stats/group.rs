//! Runs with one key as one line: the mean over runs at the steps they share, and a band around it.

use serde::Serialize;

/// What `stats` says of a group. Entropies are in nats; a number that does not exist is `None`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct GroupStats {
    /// Its name.
    pub name: String,
    /// The labels of its runs.
    pub runs: Vec<String>,
    /// Steps that all its runs have.
    pub shared_steps: usize,
    /// Mean over its runs of each run's mean over these steps.
    pub mean: Option<f64>,
    /// Sample standard deviation of these means over runs (n − 1).
    pub std: Option<f64>,
    /// Interquartile mean of them, from four runs on.
    pub iqm: Option<f64>,
    /// Lower end of the 95 % interval of the mean, by a bootstrap over runs.
    pub low: Option<f64>,
    /// Upper end of it.
    pub high: Option<f64>,
    /// Why a number is missing.
    pub note: Option<String>,
}

/// What the band around the mean of a group shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BandKind {
    /// Mean ± sample standard deviation over runs.
    Sd,
    /// Mean ± standard error.
    Se,
    /// From the smallest to the largest run.
    MinMax,
    /// 95 % interval of the mean, by a bootstrap over runs.
    Ci95,
}

/// The mean of a group at a step, with its band; without one the ends are the mean.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BandPoint {
    /// Training step.
    pub step: f64,
    /// Mean over the runs.
    pub mean: f64,
    /// Lower end of the band.
    pub low: f64,
    /// Upper end of the band.
    pub high: f64,
}

/// Successive points of a group's mean behind which the same runs stand; at least one point.
#[derive(Debug, Clone, PartialEq)]
pub struct Stretch {
    /// How many runs.
    pub runs: usize,
    /// The points, by strictly increasing step.
    pub points: Vec<BandPoint>,
}

/// A group of a comparison: its name and the indices of its runs, at least one.
#[derive(Debug, Clone, PartialEq)]
pub struct Group {
    /// Its name.
    pub name: String,
    /// Which runs of the comparison.
    pub members: Vec<usize>,
}
