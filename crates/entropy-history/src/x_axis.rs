//! What the x axis of curves shows, in TensorBoard's terms: the step, the step relative to the run's first,
//! or wall time since the run's first step.
//!
//! [`reindex`] moves the points of a run; it keeps gaps and training stages. Auxiliary series are by step,
//! and are left out.

use thiserror::Error;

use crate::history::{AuxSeries, History, HistoryError, Point, Run, StageBoundary};
use crate::number::{exact, short};

/// Reject a clock that decreases at more than this fraction of steps.
const MAX_DECREASES: f64 = 0.1;

/// What the x axis shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum XAxis {
    /// The training step, as logged.
    #[default]
    Step,
    /// Steps since the first step of each run.
    RelativeStep,
    /// Time since the first step of each run.
    WallTime(TimeUnit),
}

/// A unit of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimeUnit {
    /// Seconds.
    Seconds,
    /// Minutes.
    Minutes,
    /// Hours.
    Hours,
    /// Days.
    Days,
}

impl TimeUnit {
    /// Its length in seconds.
    pub fn seconds(self) -> f64 {
        match self {
            TimeUnit::Seconds => 1.0,
            TimeUnit::Minutes => 60.0,
            TimeUnit::Hours => 3600.0,
            TimeUnit::Days => 86_400.0,
        }
    }

    /// The unit that gives a duration in seconds a small number of at least 3.
    pub fn fitting(seconds: f64) -> TimeUnit {
        match seconds {
            259_200.0.. => TimeUnit::Days,
            10_800.0.. => TimeUnit::Hours,
            180.0.. => TimeUnit::Minutes,
            _ => TimeUnit::Seconds,
        }
    }

    /// Its symbol: `s`, `min`, `h` or `d`.
    pub fn symbol(self) -> &'static str {
        match self {
            TimeUnit::Seconds => "s",
            TimeUnit::Minutes => "min",
            TimeUnit::Hours => "h",
            TimeUnit::Days => "d",
        }
    }
}

impl XAxis {
    /// The title of the axis.
    pub fn title(self) -> &'static str {
        match self {
            XAxis::Step => "training step",
            XAxis::RelativeStep => "steps since the run’s first",
            XAxis::WallTime(TimeUnit::Seconds) => "seconds since the run’s first step",
            XAxis::WallTime(TimeUnit::Minutes) => "minutes since the run’s first step",
            XAxis::WallTime(TimeUnit::Hours) => "hours since the run’s first step",
            XAxis::WallTime(TimeUnit::Days) => "days since the run’s first step",
        }
    }

    /// The noun for a position: `step`.
    pub fn noun(self) -> &'static str {
        match self {
            XAxis::Step => "step",
            XAxis::RelativeStep => "steps since the start",
            XAxis::WallTime(_) => "time",
        }
    }

    /// A position in a sentence, after «at», «from» and «up to»: `step 62`, `3.20 h`.
    pub fn position(self, x: f64) -> String {
        match self {
            XAxis::Step => format!("step {}", exact(x)),
            XAxis::RelativeStep => format!("{} steps in", exact(x)),
            XAxis::WallTime(_) => self.value(x),
        }
    }

    /// A position as a number, with the unit of time.
    pub fn value(self, x: f64) -> String {
        match self {
            XAxis::Step | XAxis::RelativeStep => exact(x),
            XAxis::WallTime(unit) => format!("{} {}", short(x), unit.symbol()),
        }
    }

    /// A range of positions: `steps 5 to 20`.
    pub fn range(self, from: f64, to: f64) -> String {
        match self {
            XAxis::Step => format!("steps {} to {}", exact(from), exact(to)),
            XAxis::RelativeStep => format!("{} to {} steps in", exact(from), exact(to)),
            XAxis::WallTime(_) => format!("{} to {}", self.value(from), self.value(to)),
        }
    }
}

/// How many points could not keep their order.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Reindexed {
    /// Points whose step has no time: left out.
    pub without_time: usize,
    /// Points with an earlier time than the step before; they are sorted by time.
    pub reordered: usize,
    /// Points left out because a later point has the same time.
    pub same_time: usize,
}

/// Why a run has no wall time.
#[derive(Debug, Clone, Error, PartialEq)]
pub enum XAxisError {
    /// The log has no clock.
    #[error("the log has no times for its steps")]
    NoClock,
    /// The clock has no value at the steps of the entropy.
    #[error("{0:?} has no value at any of the steps with an entropy")]
    NoTime(String),
    /// The series decreases too often to be a clock.
    #[error("{key:?} is not a clock: it decreases at {decreases} of {steps} steps")]
    Decreases {
        /// The key of the series.
        key: String,
        /// At how many steps it decreases.
        decreases: usize,
        /// How many steps it has.
        steps: usize,
    },
    /// The series is constant.
    #[error("{0:?} is not a clock: it is the same at every step")]
    Constant(String),
    /// The points with a time are not a history.
    #[error(transparent)]
    History(#[from] HistoryError),
}

/// Seconds between the earliest and the latest point of a run; `None` without a clock.
pub fn duration(run: &Run) -> Option<f64> {
    let clock = run.clock.as_ref()?;
    let times = run.history.points().iter().filter_map(|p| clock.at(p.step));
    let (first, last) =
        times.fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), t| (l.min(t), h.max(t)));
    (last >= first).then_some(last - first)
}

/// The run with its points at their positions on the axis.
///
/// # Errors
/// When the axis shows wall time and the run has no usable clock.
pub fn reindex(run: &Run, x_axis: XAxis) -> Result<(Run, Reindexed), XAxisError> {
    match x_axis {
        XAxis::Step => Ok((run.clone(), Reindexed::default())),
        XAxis::RelativeStep => {
            let first = run.history.points()[0].step;
            let (run, _) = reindex_by(run, |step| Some(step - first))?;
            Ok((run, Reindexed::default()))
        }
        XAxis::WallTime(unit) => {
            let clock = run.clock.as_ref().ok_or(XAxisError::NoClock)?;
            let start = start_time(run, clock)?;
            reindex_by(run, |step| clock.at(step).map(|time| (time - start) / unit.seconds()))
        }
    }
}

/// The earliest time of a run, in seconds of its clock.
fn start_time(run: &Run, clock: &AuxSeries) -> Result<f64, XAxisError> {
    let key = || clock.metric().to_owned();
    let times: Vec<f64> = run.history.points().iter().filter_map(|p| clock.at(p.step)).collect();
    let Some(start) = times.iter().copied().reduce(f64::min) else {
        return Err(XAxisError::NoTime(key()));
    };
    let decreases = times.windows(2).filter(|w| w[1] < w[0]).count();
    if decreases as f64 > MAX_DECREASES * times.len() as f64 {
        return Err(XAxisError::Decreases { key: key(), decreases, steps: times.len() });
    }
    if times.len() > 1 && times.iter().all(|time| *time == start) {
        return Err(XAxisError::Constant(key()));
    }
    Ok(start)
}

/// The run with its points at the positions that `position` gives for steps; the others are left out.
fn reindex_by(
    run: &Run,
    position: impl Fn(f64) -> Option<f64>,
) -> Result<(Run, Reindexed), XAxisError> {
    let mut without_time = 0;
    let mut points: Vec<Point> = Vec::with_capacity(run.history.points().len());
    for segment in run.history.segments() {
        let before = points.len();
        for point in segment {
            let Some(x) = position(point.step) else {
                without_time += 1;
                continue;
            };
            // A gap stays a gap: a value that is not finite between two segments.
            if points.len() == before
                && let Some(last) = points.last()
            {
                let gap = f64::midpoint(last.step, x);
                points.push(Point { step: gap, entropy: f64::NAN });
            }
            points.push(Point { step: x, entropy: point.entropy });
        }
    }
    let finite = points.iter().filter(|p| p.entropy.is_finite()).count();
    let (history, repairs) = History::from_raw(run.history.label(), run.history.kind(), points)?;
    let same_time = finite - history.points().len();
    let reindexed = Reindexed { without_time, reordered: repairs.reordered, same_time };
    // A stage begins at its first point that has a position.
    let boundary = |boundary: &StageBoundary| {
        let points = run.history.points();
        let from = points.partition_point(|p| p.step < boundary.step);
        let step = points[from..].iter().find_map(|p| position(p.step))?;
        Some(StageBoundary { step, stage: boundary.stage.clone() })
    };
    let stages = run.stages.iter().filter_map(boundary).collect();
    let moved = |series: &AuxSeries| {
        let rows = series.rows().into_iter();
        let rows = rows.filter_map(|(step, value)| Some((position(step)?, value)));
        AuxSeries::from_raw(series.metric(), rows.collect())
    };
    let quantities = run.quantities.iter().map(|series| series.as_ref().and_then(moved)).collect();
    Ok((Run { history, stages, quantities, clock: None, ..run.clone() }, reindexed))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quantity::EntropyKind;

    fn run(values: &[(f64, f64)], times: &[(f64, f64)]) -> Run {
        let points = values.iter().map(|&(step, entropy)| Point { step, entropy }).collect();
        let (history, _) = History::from_raw("x", EntropyKind::TokenMean, points).unwrap();
        let clock = AuxSeries::from_raw("_timestamp", times.to_vec());
        Run { clock, ..Run::new(history, "x.json", "wandb", "entropy") }
    }

    fn positions(run: &Run) -> Vec<f64> {
        run.history.points().iter().map(|p| p.step).collect()
    }

    const VALUES: [(f64, f64); 4] = [(5.0, 4.0), (6.0, 3.0), (7.0, 2.0), (9.0, 1.0)];

    #[test]
    fn relative_steps_count_from_the_first_of_the_run() {
        let (moved, reindexed) = reindex(&run(&VALUES, &[]), XAxis::RelativeStep).unwrap();
        assert_eq!(
            (positions(&moved), reindexed),
            (vec![0.0, 1.0, 2.0, 4.0], Reindexed::default())
        );
    }

    #[test]
    fn wall_time_counts_from_the_first_point() {
        let times = [(4.0, 0.0), (5.0, 100.0), (6.0, 160.0), (7.0, 220.0), (9.0, 460.0)];
        let run = run(&VALUES, &times);
        assert_eq!(duration(&run), Some(360.0));
        let (moved, reindexed) = reindex(&run, XAxis::WallTime(TimeUnit::Minutes)).unwrap();
        assert_eq!(
            (positions(&moved), reindexed),
            (vec![0.0, 1.0, 2.0, 6.0], Reindexed::default())
        );
    }

    #[test]
    fn reindex_keeps_gaps_and_stages() {
        let mut values = VALUES.to_vec();
        values[1].1 = f64::NAN;
        let mut run = run(&values, &[(5.0, 10.0), (7.0, 30.0), (9.0, 50.0)]);
        run.stages = vec![StageBoundary { step: 6.0, stage: "2".to_owned() }];
        let (moved, _) = reindex(&run, XAxis::WallTime(TimeUnit::Seconds)).unwrap();
        assert_eq!(
            (positions(&moved), moved.history.segments().count()),
            (vec![0.0, 20.0, 40.0], 2)
        );
        assert_eq!(moved.stages[0].step, 20.0);
    }

    #[test]
    fn points_without_time_and_out_of_order_are_counted() {
        let values: Vec<(f64, f64)> = (0..20).map(|i| (f64::from(i), 1.0)).collect();
        let mut times: Vec<(f64, f64)> =
            (0..20).map(|i| (f64::from(i), f64::from(i) * 10.0)).collect();
        times[5].1 = 35.0;
        times[8].1 = 70.0;
        times.pop();
        let (moved, reindexed) =
            reindex(&run(&values, &times), XAxis::WallTime(TimeUnit::Seconds)).unwrap();
        assert_eq!(reindexed, Reindexed { without_time: 1, reordered: 1, same_time: 1 });
        assert_eq!(positions(&moved)[3..8], [30.0, 35.0, 40.0, 60.0, 70.0]);
    }

    #[test]
    fn rejects_unusable_clock() {
        let values: Vec<(f64, f64)> = (0..20).map(|i| (f64::from(i), 1.0)).collect();
        let reject = |time: fn(i32) -> f64| {
            let times: Vec<(f64, f64)> = (0..20).map(|i| (f64::from(i), time(i))).collect();
            reindex(&run(&values, &times), XAxis::WallTime(TimeUnit::Seconds))
                .unwrap_err()
                .to_string()
        };
        assert_eq!(
            reject(|i| f64::from(i % 3)),
            "\"_timestamp\" is not a clock: it decreases at 6 of 20 steps"
        );
        assert!(reject(|_| 7.0).contains("the same at every step"));
        assert!(reject(|i| f64::from(i).powi(2) + f64::NAN).contains("has no times"));
        let elsewhere =
            reindex(&run(&values, &[(99.0, 1.0)]), XAxis::WallTime(TimeUnit::Seconds)).unwrap_err();
        assert!(elsewhere.to_string().contains("has no value at any"));
    }

    #[test]
    fn positions_have_the_unit_of_the_axis() {
        let hours = XAxis::WallTime(TimeUnit::Hours);
        assert_eq!(XAxis::Step.position(62.0), "step 62");
        assert_eq!(XAxis::RelativeStep.position(61.0), "61 steps in");
        assert_eq!(hours.position(3.2049), "3.20 h");
        let minutes = XAxis::WallTime(TimeUnit::Minutes);
        assert_eq!(minutes.range(0.5, 12.0), "0.500 min to 12.00 min");
    }

    #[test]
    fn time_unit_fits_the_duration() {
        let cases = [(0.0, "s"), (179.0, "s"), (180.0, "min"), (3.0 * 3600.0, "h")];
        for (seconds, unit) in cases.into_iter().chain([(86_400.0, "h"), (1e7, "d")]) {
            assert_eq!(TimeUnit::fitting(seconds).symbol(), unit, "{seconds}");
        }
    }
}
