//! Curves over what has passed since each run began: steps, or time by the clock of its log.
//!
//! A run keeps its points and its gaps; only where they stand changes. What marks a place in it, such as
//! the joints of a chain, moves along. What stands beside its entropy is by step, and is left out.

use thiserror::Error;

use crate::history::{AuxSeries, History, HistoryError, Point, Run, StageBoundary};

/// A clock that goes back at more than this share of the steps is none.
const MOST_BACK: f64 = 0.1;

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum By {
    /// Steps.
    Steps,
    /// Time, in a unit of so many seconds.
    Time(f64),
}

/// What could not be placed as it was logged.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Displaced {
    /// Points whose step has no time: left out.
    pub timeless: usize,
    /// Points that stand before an earlier step by the clock: sorted.
    pub back: usize,
    /// Points with the time of a later one, which counts.
    pub same: usize,
}

/// Why a run has no place in time.
#[derive(Debug, Error, PartialEq)]
pub enum ElapsedError {
    /// Its log does not say when its steps were.
    #[error("the log does not say when its steps were")]
    NoClock,
    /// None of its steps has a time.
    #[error("{0:?} has no value at any of the steps with an entropy")]
    Timeless(String),
    /// What looked like a clock is none.
    #[error("{key:?} is no clock: it goes back at {back} of {steps} steps")]
    GoesBack {
        /// Its key.
        key: String,
        /// How often.
        back: usize,
        /// Of so many.
        steps: usize,
    },
    /// The clock never moves.
    #[error("{0:?} is no clock: it is the same at every step")]
    Stands(String),
    /// What is left is no curve.
    #[error(transparent)]
    History(#[from] HistoryError),
}

/// Seconds from the first step of a run to its last; `None` without a clock.
pub fn seconds(run: &Run) -> Option<f64> {
    let clock = run.clock.as_ref()?;
    let times = run.history.points().iter().filter_map(|p| clock.at(p.step));
    let (first, last) =
        times.fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), t| (l.min(t), h.max(t)));
    (last >= first).then_some(last - first)
}

/// The run over what has passed since its first point.
///
/// # Errors
/// When time is asked for, and its clock is none.
pub fn since_start(run: &Run, by: By) -> Result<(Run, Displaced), ElapsedError> {
    match by {
        By::Steps => {
            let first = run.history.points()[0].step;
            placed(run, |step| Some(step - first)).map(|(run, _)| (run, Displaced::default()))
        }
        By::Time(unit) => {
            let clock = run.clock.as_ref().ok_or(ElapsedError::NoClock)?;
            let start = start(run, clock)?;
            placed(run, |step| clock.at(step).map(|time| (time - start) / unit))
        }
    }
}

/// The earliest time of a run, its clock being one.
fn start(run: &Run, clock: &AuxSeries) -> Result<f64, ElapsedError> {
    let key = || clock.metric().to_owned();
    let times: Vec<f64> = run.history.points().iter().filter_map(|p| clock.at(p.step)).collect();
    let Some(start) = times.iter().copied().reduce(f64::min) else {
        return Err(ElapsedError::Timeless(key()));
    };
    let back = times.windows(2).filter(|w| w[1] < w[0]).count();
    if back as f64 > MOST_BACK * times.len() as f64 {
        return Err(ElapsedError::GoesBack { key: key(), back, steps: times.len() });
    }
    if times.len() > 1 && times.iter().all(|time| *time == start) {
        return Err(ElapsedError::Stands(key()));
    }
    Ok(start)
}

/// The run with its points at other places; those without one are left out.
fn placed(run: &Run, place: impl Fn(f64) -> Option<f64>) -> Result<(Run, Displaced), ElapsedError> {
    let mut displaced = Displaced::default();
    let mut points: Vec<Point> = Vec::with_capacity(run.history.points().len());
    for segment in run.history.segments() {
        let before = points.len();
        for point in segment {
            match place(point.step) {
                // Between the places of two stretches nothing was finite.
                Some(x) => {
                    if points.len() == before
                        && let Some(last) = points.last()
                    {
                        let gap = f64::midpoint(last.step, x);
                        points.push(Point { step: gap, entropy: f64::NAN });
                    }
                    points.push(Point { step: x, entropy: point.entropy });
                }
                None => displaced.timeless += 1,
            }
        }
    }
    let finite = points.iter().filter(|p| p.entropy.is_finite()).count();
    let (history, repairs) = History::from_raw(run.history.label(), run.history.kind(), points)?;
    displaced.back = repairs.reordered;
    displaced.same = finite - history.points().len();
    // A round begins with the first of its points that has a place.
    let joint = |joint: &StageBoundary| {
        let points = run.history.points();
        let from = points.partition_point(|p| p.step < joint.step);
        let x = points[from..].iter().find_map(|p| place(p.step))?;
        Some(StageBoundary { step: x, round: joint.round.clone() })
    };
    let joints = run.joints.iter().filter_map(joint).collect();
    Ok((Run { history, joints, reward: None, clock: None, ..run.clone() }, displaced))
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

    fn places(run: &Run) -> Vec<f64> {
        run.history.points().iter().map(|p| p.step).collect()
    }

    const VALUES: [(f64, f64); 4] = [(5.0, 4.0), (6.0, 3.0), (7.0, 2.0), (9.0, 1.0)];

    #[test]
    fn steps_count_from_the_first_of_the_run() {
        let (moved, displaced) = since_start(&run(&VALUES, &[]), By::Steps).unwrap();
        assert_eq!((places(&moved), displaced), (vec![0.0, 1.0, 2.0, 4.0], Displaced::default()));
    }

    #[test]
    fn time_counts_from_the_first_point_by_its_clock() {
        let times = [(4.0, 0.0), (5.0, 100.0), (6.0, 160.0), (7.0, 220.0), (9.0, 460.0)];
        let run = run(&VALUES, &times);
        assert_eq!(seconds(&run), Some(360.0));
        let (moved, displaced) = since_start(&run, By::Time(60.0)).unwrap();
        assert_eq!((places(&moved), displaced), (vec![0.0, 1.0, 2.0, 6.0], Displaced::default()));
    }

    #[test]
    fn a_gap_and_a_joint_move_along() {
        let mut values = VALUES.to_vec();
        values[1].1 = f64::NAN;
        let mut run = run(&values, &[(5.0, 10.0), (7.0, 30.0), (9.0, 50.0)]);
        run.joints = vec![StageBoundary { step: 6.0, round: "2".to_owned() }];
        let (moved, _) = since_start(&run, By::Time(1.0)).unwrap();
        assert_eq!((places(&moved), moved.history.segments().count()), (vec![0.0, 20.0, 40.0], 2));
        assert_eq!(moved.joints[0].step, 20.0);
    }

    #[test]
    fn what_has_no_time_or_one_that_goes_back_is_counted() {
        let values: Vec<(f64, f64)> = (0..20).map(|i| (f64::from(i), 1.0)).collect();
        let mut times: Vec<(f64, f64)> =
            (0..20).map(|i| (f64::from(i), f64::from(i) * 10.0)).collect();
        times[5].1 = 35.0;
        times[8].1 = 70.0;
        times.pop();
        let (moved, displaced) = since_start(&run(&values, &times), By::Time(1.0)).unwrap();
        assert_eq!(displaced, Displaced { timeless: 1, back: 1, same: 1 });
        assert_eq!(places(&moved)[3..8], [30.0, 35.0, 40.0, 60.0, 70.0]);
    }

    #[test]
    fn what_is_no_clock_is_refused() {
        let values: Vec<(f64, f64)> = (0..20).map(|i| (f64::from(i), 1.0)).collect();
        let refuse = |time: fn(i32) -> f64| {
            let times: Vec<(f64, f64)> = (0..20).map(|i| (f64::from(i), time(i))).collect();
            since_start(&run(&values, &times), By::Time(1.0)).unwrap_err().to_string()
        };
        assert_eq!(
            refuse(|i| f64::from(i % 3)),
            "\"_timestamp\" is no clock: it goes back at 6 of 20 steps"
        );
        assert!(refuse(|_| 7.0).contains("the same at every step"));
        assert!(refuse(|i| f64::from(i).powi(2) + f64::NAN).contains("does not say"));
        let elsewhere = since_start(&run(&values, &[(99.0, 1.0)]), By::Time(1.0)).unwrap_err();
        assert!(elsewhere.to_string().contains("has no value at any"));
    }
}
