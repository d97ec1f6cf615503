//! How two runs, or two groups of runs, differ: one line of the table of comparisons.

use serde::Serialize;

/// What is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Between {
    /// Two runs, step by step.
    Runs,
    /// Two groups of runs, a value a run.
    Groups,
}

/// A number that says how two differ. The estimate is of `a` against `b`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Statistic {
    /// Mean of a minus mean of b over the steps they share, in nats.
    MeanDifference,
    /// The same over the last tenth of these steps.
    LateDifference,
    /// Area under a over area under b, over the steps they share.
    AreaRatio,
    /// The step after which the smoothed curves no longer cross.
    SeparationStep,
    /// Mann–Whitney's U of a.
    MannWhitneyU,
    /// Cliff's delta: how much more often a is above b than below, from −1 to 1.
    CliffsDelta,
    /// How often a run of a is above a run of b, ties counting half.
    ProbabilityOfImprovement,
}

/// A statistic of a pair. What does not exist, or is not due, is `None`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Contrast {
    /// The label of the first run or group.
    pub a: String,
    /// The label of the second.
    pub b: String,
    /// Whether these are runs or groups.
    pub between: Between,
    /// What was estimated.
    pub statistic: Statistic,
    /// The estimate.
    pub estimate: Option<f64>,
    /// Lower end of the 95 % interval.
    pub low: Option<f64>,
    /// Upper end of it.
    pub high: Option<f64>,
    /// Two-sided p; none for two single runs.
    pub p: Option<f64>,
    /// The same, adjusted by Holm for all pairs of this statistic.
    pub p_holm: Option<f64>,
    /// How it was computed.
    pub method: String,
    /// What must hold for the interval or the p to mean what it says.
    pub assumption: String,
    /// Why a number is missing, or what limits it.
    pub note: Option<String>,
    /// Steps that both have.
    pub shared_steps: usize,
}
