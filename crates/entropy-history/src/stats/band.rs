//! A group of runs as one line: the mean over its runs and a band around it, step by step.
//!
//! A run covers the steps between its first and last point, except its gaps. A mean is computed at the
//! steps where every run that covers the step has a value: a mean over whichever runs happened to log a
//! step would jump between the step grids of the runs. Where a run begins, ends or has a gap, the mean is
//! over other runs, so the line breaks there, and each segment says how many runs it averages. Segments
//! that only one of several runs covers are left out, because they are not a mean.

use rayon::prelude::*;
use statrs::statistics::Statistics;

use super::student::t95;
use crate::history::{History, Point};

/// How far a band reaches around the mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spread {
    /// One sample standard deviation (n − 1) of the runs to either side.
    Sd,
    /// One standard error of the mean, sd / √n, to either side.
    Se,
    /// From the smallest run to the largest.
    MinMax,
    /// The 95 % interval of the mean, by Student's t over the runs.
    Ci95,
}

impl Spread {
    /// The smallest number of runs that gives a band. The t interval of two runs is nine standard deviations wide to
    /// either side, and hides everything else.
    pub fn min_runs(self) -> usize {
        if self == Spread::Ci95 { 3 } else { 2 }
    }
}

/// How steps that a run covers but did not log are treated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MissingSteps {
    /// The step gets no mean.
    Skip,
    /// The value is interpolated linearly between the points before and after the step, never across a
    /// gap.
    Interpolate,
}

/// The mean of some runs at a step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BandPoint {
    /// Training step.
    pub step: f64,
    /// Mean over the runs, in nats.
    pub mean: f64,
    /// Lower and upper end of the band; `None` for too few runs.
    pub band: Option<(f64, f64)>,
}

/// Successive points that average the same runs, by increasing step; at least one point.
#[derive(Debug, Clone, PartialEq)]
pub struct BandSegment {
    /// Number of runs.
    pub runs: usize,
    /// The steps at which all these runs have a value.
    pub points: Vec<BandPoint>,
}

/// The mean line of a group: its segments by increasing step; empty if its runs share no step. The caller
/// makes sure that the runs hold the same quantity.
pub fn band_segments(
    runs: &[&History],
    spread: Spread,
    missing_steps: MissingSteps,
) -> Vec<BandSegment> {
    let points = runs.iter().flat_map(|run| run.points());
    let mut steps: Vec<f64> = points.map(|point| point.step).collect();
    steps.sort_unstable_by(f64::total_cmp);
    steps.dedup();
    let mut cursors: Vec<Cursor<'_>> = runs.iter().map(|run| Cursor::of(run)).collect();
    let mut segments: Vec<SegmentRows> = Vec::new();
    let mut covered: Vec<Option<usize>> = Vec::new();
    for step in steps {
        let coverage: Vec<Option<Coverage>> =
            cursors.iter_mut().map(|cursor| cursor.at(step, missing_steps)).collect();
        let indices = coverage.iter().map(|c| c.as_ref().map(|c| c.segment)).collect();
        if indices != covered {
            covered = indices;
            segments
                .push(SegmentRows { runs: coverage.iter().flatten().count(), rows: Vec::new() });
        }
        let values: Option<Vec<f64>> = coverage.iter().flatten().map(|c| c.value).collect();
        if let (Some(values), Some(segment)) = (values, segments.last_mut()) {
            segment.rows.push((step, values));
        }
    }
    let min_runs = runs.len().min(2);
    let kept = segments.into_iter().filter(|s| s.runs >= min_runs && !s.rows.is_empty());
    kept.map(|segment| segment.summarize(spread)).collect()
}

/// Steps that the same runs cover, each with one value per run.
struct SegmentRows {
    runs: usize,
    rows: Vec<(f64, Vec<f64>)>,
}

impl SegmentRows {
    fn summarize(&self, spread: Spread) -> BandSegment {
        let point = |(step, values): &(f64, Vec<f64>)| BandPoint {
            step: *step,
            mean: mean(values),
            band: band(values, spread),
        };
        BandSegment { runs: self.runs, points: self.rows.par_iter().map(point).collect() }
    }
}

/// The mean, without overflow: each value is divided before the sum.
fn mean(values: &[f64]) -> f64 {
    let n = values.len() as f64;
    values.iter().map(|value| value / n).sum()
}

/// The ends of the band around one step's values.
fn band(values: &[f64], spread: Spread) -> Option<(f64, f64)> {
    if values.len() < spread.min_runs() {
        return None;
    }
    let n = values.len();
    let around = |half: f64| (mean(values) - half, mean(values) + half);
    let (low, high) = match spread {
        Spread::Sd => around(values.std_dev()),
        Spread::Se => around(values.std_dev() / (n as f64).sqrt()),
        Spread::MinMax => (values.min(), values.max()),
        Spread::Ci95 => around(t95((n - 1) as f64) * values.std_dev() / (n as f64).sqrt()),
    };
    (low.is_finite() && high.is_finite()).then_some((low, high))
}

/// A position in a run that moves forward step by step.
struct Cursor<'a> {
    segments: Vec<&'a [Point]>,
    segment: usize,
    point: usize,
}

/// A run that covers a step: in which of its segments, and with which value if it has one there.
struct Coverage {
    segment: usize,
    value: Option<f64>,
}

impl Cursor<'_> {
    fn of(run: &History) -> Cursor<'_> {
        Cursor { segments: run.segments().collect(), segment: 0, point: 0 }
    }

    /// Moves to `step`; `None` if the run does not cover it. Steps must increase from call to call.
    fn at(&mut self, step: f64, missing_steps: MissingSteps) -> Option<Coverage> {
        let ends_before = |segment: &&[Point]| segment[segment.len() - 1].step < step;
        while self.segments.get(self.segment).is_some_and(ends_before) {
            self.segment += 1;
            self.point = 0;
        }
        let segment = self.segments.get(self.segment)?;
        if step < segment[0].step {
            return None;
        }
        while segment[self.point].step < step {
            self.point += 1;
        }
        let point = segment[self.point];
        let value = match missing_steps {
            _ if point.step == step => Some(point.entropy),
            MissingSteps::Skip => None,
            MissingSteps::Interpolate => Some(interpolate(segment[self.point - 1], point, step)),
        };
        Some(Coverage { segment: self.segment, value })
    }
}

/// The value at a step on the straight line between two points.
fn interpolate(a: Point, b: Point, step: f64) -> f64 {
    let share = (step - a.step) / (b.step - a.step);
    a.entropy * (1.0 - share) + b.entropy * share
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::quantity::EntropyKind;

    fn history(points: impl Iterator<Item = (f64, f64)>) -> History {
        let points = points.map(|(step, entropy)| Point { step, entropy });
        History::from_raw("x", EntropyKind::TokenMean, points.collect()).unwrap().0
    }

    fn line(runs: &[History], spread: Spread, missing_steps: MissingSteps) -> Vec<BandSegment> {
        let runs: Vec<&History> = runs.iter().collect();
        band_segments(&runs, spread, missing_steps)
    }

    /// Values computed by NumPy. tests/stats/make_band_values.py wrote them and names the version.
    fn fixture() -> Value {
        serde_json::from_str(include_str!("../../../../tests/fixtures/expected/bands.json"))
            .unwrap()
    }

    fn runs_of(case: &Value) -> Vec<History> {
        let pairs = |run: &Value| {
            let pair = |pair: &Value| {
                (pair[0].as_f64().unwrap(), pair[1].as_f64().unwrap_or(f64::NAN)) // null: not finite
            };
            history(run.as_array().unwrap().iter().map(pair))
        };
        case["runs"].as_array().unwrap().iter().map(pairs).collect()
    }

    fn close(got: f64, expected: &Value, what: &str) {
        let expected = expected.as_f64().unwrap();
        assert!((got - expected).abs() < 1e-12, "{what}: {got} is not {expected}");
    }

    #[test]
    fn means_and_bands_match_numpy_and_scipy() {
        let spreads = [
            ("sd", Spread::Sd),
            ("se", Spread::Se),
            ("minmax", Spread::MinMax),
            ("ci95", Spread::Ci95),
        ];
        let missing_steps =
            [("as_logged", MissingSteps::Skip), ("interpolated", MissingSteps::Interpolate)];
        for case in fixture()["lines"].as_array().unwrap() {
            let runs = runs_of(case);
            for (key, missing_steps) in missing_steps {
                let expected = case[key].as_array().unwrap();
                for (name, spread) in spreads {
                    let what = format!("{}, {key}, {name}", case["name"]);
                    let found = line(&runs, spread, missing_steps);
                    let points =
                        found.iter().flat_map(|s| s.points.iter().map(|point| (s.runs, point)));
                    let points: Vec<(usize, &BandPoint)> = points.collect();
                    assert_eq!(points.len(), expected.len(), "{what}");
                    for ((n, point), expected) in points.into_iter().zip(expected) {
                        let what = format!("{what}, step {}", point.step);
                        close(point.step, &expected["step"], &what);
                        close(point.mean, &expected["mean"], &what);
                        assert_eq!(n as u64, expected["runs"].as_u64().unwrap(), "{what}");
                        match point.band {
                            Some((low, high)) => {
                                close(low, &expected[name][0], &what);
                                close(high, &expected[name][1], &what);
                            }
                            None => assert!(expected[name].is_null(), "{what}"),
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn single_run_has_a_line_without_a_band() {
        let run = history([(1.0, 2.0), (2.0, f64::NAN), (3.0, 4.0)].into_iter());
        for spread in [Spread::Sd, Spread::Se, Spread::MinMax, Spread::Ci95] {
            let found = line(std::slice::from_ref(&run), spread, MissingSteps::Skip);
            assert_eq!(found.len(), 2, "the gap splits the line");
            assert!(found.iter().all(|s| s.runs == 1 && s.points[0].band.is_none()));
        }
    }

    #[test]
    fn gap_without_a_step_of_another_run_breaks_the_line() {
        let a = history([(4.0, 1.0), (5.0, f64::NAN), (6.0, 1.0)].into_iter());
        let b = history([(4.0, 3.0), (6.0, 3.0)].into_iter());
        assert_eq!(line(&[a, b], Spread::Sd, MissingSteps::Interpolate).len(), 2);
    }

    #[test]
    fn runs_without_shared_steps_have_no_line() {
        let a = history((0..5).map(|i| (f64::from(2 * i), 1.0)));
        let b = history((0..5).map(|i| (f64::from(2 * i + 1), 3.0)));
        let apart = history([(100.0, 1.0)].into_iter());
        assert!(line(&[a.clone(), b.clone()], Spread::Sd, MissingSteps::Skip).is_empty());
        assert!(line(&[a.clone(), apart], Spread::Sd, MissingSteps::Interpolate).is_empty());
        let filled = line(&[a, b], Spread::Sd, MissingSteps::Interpolate);
        let steps: Vec<f64> = filled[0].points.iter().map(|point| point.step).collect();
        assert_eq!(steps, (1..=8).map(f64::from).collect::<Vec<_>>());
        assert!(filled[0].points.iter().all(|point| point.mean == 2.0));
    }

    #[test]
    fn huge_values_have_a_mean_and_no_infinite_band() {
        let run = |value| history([(1.0, value)].into_iter());
        let found = line(&[run(f64::MAX), run(-f64::MAX)], Spread::Sd, MissingSteps::Skip);
        assert_eq!((found[0].points[0].mean, found[0].points[0].band), (0.0, None));
    }
}
