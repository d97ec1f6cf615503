//! A contrast: one statistic of how two runs, or two groups of runs, differ. One row of the comparison table.

use serde::Serialize;

/// Whether a contrast compares runs or groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ContrastUnit {
    /// Two runs, step by step.
    Runs,
    /// Two groups of runs, with one value per run.
    Groups,
}

/// A statistic of the difference of `a` and `b`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Statistic {
    /// Mean of `a` minus mean of `b` over the shared steps, in nats.
    MeanDifference,
    /// Mean of `a` minus mean of `b` over the last tenth of the shared steps, in nats.
    LateDifference,
    /// Area under `a` divided by the area under `b`, over the shared steps.
    AreaRatio,
    /// The step from which the smoothed curves no longer cross.
    SeparationStep,
    /// Mann–Whitney's U of `a`.
    MannWhitneyU,
    /// Cliff's delta: how often `a` is above `b` minus how often it is below, −1 to 1.
    CliffsDelta,
    /// The probability that a run of `a` is above a run of `b`; ties count half.
    ProbabilityOfImprovement,
}

/// One statistic of a pair of runs or groups. Fields are `None` when undefined or not applicable.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Contrast {
    /// Label of the first run, or name of the first group.
    pub a: String,
    /// Label of the second run, or name of the second group.
    pub b: String,
    /// Whether `a` and `b` are runs or groups.
    pub between: ContrastUnit,
    /// The statistic.
    pub statistic: Statistic,
    /// The estimate of the statistic.
    pub estimate: Option<f64>,
    /// Lower end of the 95 % interval.
    pub low: Option<f64>,
    /// Upper end of the 95 % interval.
    pub high: Option<f64>,
    /// Two-sided p-value; `None` for two single runs.
    pub p: Option<f64>,
    /// The p-value adjusted by Holm for all pairs of this statistic.
    pub p_holm: Option<f64>,
    /// How the estimate and its interval were computed.
    pub method: String,
    /// What must hold for the interval or the p-value to be valid.
    pub assumption: String,
    /// Why a number is missing, or what limits its meaning.
    pub note: Option<String>,
    /// Number of steps that both have.
    pub shared_steps: usize,
    /// For two groups: the smallest difference, in standard deviations of the runs, that Welch's t finds in 80 % of
    /// cases.
    pub detectable_sd: Option<f64>,
}

impl Contrast {
    /// A contrast of `a` and `b` without numbers, to be filled in.
    pub(super) fn empty(unit: ContrastUnit, [a, b]: [&str; 2], shared_steps: usize) -> Contrast {
        Contrast {
            a: a.to_owned(),
            b: b.to_owned(),
            between: unit,
            statistic: Statistic::MeanDifference,
            estimate: None,
            low: None,
            high: None,
            p: None,
            p_holm: None,
            method: String::new(),
            assumption: String::new(),
            note: None,
            shared_steps,
            detectable_sd: None,
        }
    }
}
