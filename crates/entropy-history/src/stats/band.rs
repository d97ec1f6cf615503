//! A group of runs as one line: the mean over its runs and a band around it, step by step.
//!
//! A run stands behind the steps from its first to its last, but for its gaps. A mean is taken where all
//! the runs that stand behind a step have it: over whichever runs happened to log a step it would jump up
//! and down between the grids of the runs. Where a run begins, ends or has a gap the mean is that of other
//! runs, so the line breaks there, and each stretch says how many runs it is of. A stretch of one run of
//! several is no mean, and is left out.

use rayon::prelude::*;
use statrs::statistics::Statistics;

use super::between::FEWEST_RESAMPLED;
use super::bootstrap::{Resampling, below};
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
    /// The 95 % percentile interval of the mean, runs being drawn anew; from
    /// [`FEWEST_RESAMPLED`] runs on, as of fewer there are too few different resamples.
    Ci95,
}

impl Spread {
    /// How many runs a band asks for.
    pub fn fewest_runs(self) -> usize {
        match self {
            Spread::Sd | Spread::Se | Spread::MinMax => 2,
            Spread::Ci95 => FEWEST_RESAMPLED,
        }
    }
}

/// What counts as the value of a run at a step that it did not log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Filling {
    /// Nothing does.
    AsLogged,
    /// The straight line between the points before and after it, which never bridges a gap.
    Interpolated,
}

/// The mean of some runs at a step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Place {
    /// The step.
    pub step: f64,
    /// Mean over the runs.
    pub mean: f64,
    /// Ends of the band, if there are runs enough for one.
    pub band: Option<(f64, f64)>,
}

/// Places that the same runs stand behind, by increasing step; at least one.
#[derive(Debug, Clone, PartialEq)]
pub struct Stretch {
    /// How many runs.
    pub runs: usize,
    /// Where all of them have a value.
    pub places: Vec<Place>,
}

/// The line of a group: its stretches by increasing step. Empty where its runs share no step. The runs are
/// taken to hold the same quantity.
pub fn stretches(
    runs: &[&History],
    spread: Spread,
    filling: Filling,
    resampling: &Resampling,
) -> Vec<Stretch> {
    let mut steps: Vec<f64> =
        runs.iter().flat_map(|run| run.points()).map(|point| point.step).collect();
    steps.sort_unstable_by(f64::total_cmp);
    steps.dedup();
    let mut cursors: Vec<Cursor<'_>> = runs.iter().map(|run| Cursor::of(run)).collect();
    let mut columns: Vec<Column> = Vec::new();
    let mut behind: Vec<Option<usize>> = Vec::new();
    for step in steps {
        let standings: Vec<Option<Standing>> =
            cursors.iter_mut().map(|cursor| cursor.at(step, filling)).collect();
        let segments = standings.iter().map(|s| s.as_ref().map(|s| s.segment)).collect();
        if segments != behind {
            behind = segments;
            columns.push(Column { runs: standings.iter().flatten().count(), rows: Vec::new() });
        }
        let values: Option<Vec<f64>> = standings.iter().flatten().map(|s| s.value).collect();
        if let (Some(values), Some(column)) = (values, columns.last_mut()) {
            column.rows.push((step, values));
        }
    }
    let fewest = runs.len().min(2);
    let kept = columns.into_iter().filter(|c| c.runs >= fewest && !c.rows.is_empty());
    kept.map(|column| column.stretch(spread, resampling)).collect()
}

/// Steps with the values of the same runs.
struct Column {
    runs: usize,
    rows: Vec<(f64, Vec<f64>)>,
}

impl Column {
    fn stretch(&self, spread: Spread, resampling: &Resampling) -> Stretch {
        // The same draws at every step: what is drawn anew are runs, not steps.
        let draws = match spread {
            Spread::Ci95 if self.runs >= FEWEST_RESAMPLED => draws(self.runs, resampling),
            _ => Vec::new(),
        };
        let place = |(step, values): &(f64, Vec<f64>)| Place {
            step: *step,
            mean: mean(values),
            band: band(values, spread, &draws, resampling),
        };
        Stretch { runs: self.runs, places: self.rows.par_iter().map(place).collect() }
    }
}

/// Which of the runs make up each resample, one after another.
fn draws(runs: usize, resampling: &Resampling) -> Vec<usize> {
    let mut generator = resampling.generator();
    (0..resampling.resamples * runs).map(|_| below(&mut generator, runs)).collect()
}

/// Shares are summed, as a sum of very large values would not be finite.
fn mean(values: &[f64]) -> f64 {
    let n = values.len() as f64;
    values.iter().map(|value| value / n).sum()
}

fn band(
    values: &[f64],
    spread: Spread,
    draws: &[usize],
    resampling: &Resampling,
) -> Option<(f64, f64)> {
    if values.len() < spread.fewest_runs() {
        return None;
    }
    let centre = mean(values);
    let around = |half: f64| (centre - half, centre + half);
    let ends = match spread {
        Spread::Sd => around(values.std_dev()),
        Spread::Se => around(values.std_dev() / (values.len() as f64).sqrt()),
        Spread::MinMax => (values.min(), values.max()),
        Spread::Ci95 => {
            let n = values.len();
            let of_draw =
                |draw: &[usize]| draw.iter().map(|run| values[*run]).sum::<f64>() / n as f64;
            resampling.percentiles(draws.chunks_exact(n).map(of_draw).collect())?
        }
    };
    (ends.0.is_finite() && ends.1.is_finite()).then_some(ends)
}

/// A run on the way through its steps.
struct Cursor<'a> {
    segments: Vec<&'a [Point]>,
    segment: usize,
    point: usize,
}

/// A run behind a step.
struct Standing {
    segment: usize,
    value: Option<f64>, // none: it has no point there
}

impl Cursor<'_> {
    fn of(run: &History) -> Cursor<'_> {
        Cursor { segments: run.segments().collect(), segment: 0, point: 0 }
    }

    /// How the run stands behind a step, if it does; steps must increase from call to call.
    fn at(&mut self, step: f64, filling: Filling) -> Option<Standing> {
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
        let value = match filling {
            _ if point.step == step => Some(point.entropy),
            Filling::AsLogged => None,
            Filling::Interpolated => Some(between(segment[self.point - 1], point, step)),
        };
        Some(Standing { segment: self.segment, value })
    }
}

/// The straight line through two points, at a step between them.
fn between(a: Point, b: Point, step: f64) -> f64 {
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

    fn line(runs: &[History], spread: Spread, filling: Filling) -> Vec<Stretch> {
        let runs: Vec<&History> = runs.iter().collect();
        stretches(&runs, spread, filling, &Resampling::default())
    }

    /// What NumPy says, written by tests/stats/make_band_values.py, which names the version.
    fn expected() -> Value {
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

    fn close(got: f64, wanted: &Value, what: &str) {
        let wanted = wanted.as_f64().unwrap();
        assert!((got - wanted).abs() < 1e-12, "{what}: {got} is not {wanted}");
    }

    #[test]
    fn means_and_bands_are_numpys() {
        let spreads = [("sd", Spread::Sd), ("se", Spread::Se), ("minmax", Spread::MinMax)];
        let fillings = [("as_logged", Filling::AsLogged), ("interpolated", Filling::Interpolated)];
        for case in expected()["lines"].as_array().unwrap() {
            let runs = runs_of(case);
            for (key, filling) in fillings {
                let wanted = case[key].as_array().unwrap();
                for (name, spread) in spreads {
                    let what = format!("{}, {key}, {name}", case["name"]);
                    let found = line(&runs, spread, filling);
                    let places =
                        found.iter().flat_map(|s| s.places.iter().map(|place| (s.runs, place)));
                    let places: Vec<(usize, &Place)> = places.collect();
                    assert_eq!(places.len(), wanted.len(), "{what}");
                    for ((n, place), wanted) in places.into_iter().zip(wanted) {
                        let what = format!("{what}, step {}", place.step);
                        close(place.step, &wanted["step"], &what);
                        close(place.mean, &wanted["mean"], &what);
                        assert_eq!(n as u64, wanted["runs"].as_u64().unwrap(), "{what}");
                        match place.band {
                            Some((low, high)) => {
                                close(low, &wanted[name][0], &what);
                                close(high, &wanted[name][1], &what);
                            }
                            None => assert!(wanted[name].is_null(), "{what}"),
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn resampled_means_of_runs_lie_where_all_possible_resamples_do() {
        for case in expected()["resampled"].as_array().unwrap() {
            let values: Vec<f64> =
                case["values"].as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect();
            let runs: Vec<History> =
                values.iter().map(|value| history([(1.0, *value)].into_iter())).collect();
            let runs: Vec<&History> = runs.iter().collect();
            let many = Resampling { resamples: 100_000, ..Resampling::default() };
            let found = stretches(&runs, Spread::Ci95, Filling::AsLogged, &many);
            let (low, high) = found[0].places[0].band.unwrap();
            // 100,000 draws place a quantile of 2.5 % within 0.05 % of its rank in one standard deviation.
            for (got, wanted) in [(low, &case["low"]), (high, &case["high"])] {
                let (least, most) = (wanted[0].as_f64().unwrap(), wanted[1].as_f64().unwrap());
                assert!((least..=most).contains(&got), "{got} is not in {least}..{most}");
            }
        }
    }

    #[test]
    fn a_band_of_resampled_runs_asks_for_four() {
        let runs: Vec<History> =
            (0..4).map(|i| history([(1.0, f64::from(i)), (2.0, 1.0)].into_iter())).collect();
        assert!(line(&runs[..3], Spread::Ci95, Filling::AsLogged)[0].places[0].band.is_none());
        let (low, high) = line(&runs, Spread::Ci95, Filling::AsLogged)[0].places[0].band.unwrap();
        assert!(0.0 < low && low < 1.5 && 1.5 < high && high < 3.0, "{low} {high}");
    }

    #[test]
    fn one_run_is_its_own_line_without_a_band() {
        let run = history([(1.0, 2.0), (2.0, f64::NAN), (3.0, 4.0)].into_iter());
        for spread in [Spread::Sd, Spread::Se, Spread::MinMax, Spread::Ci95] {
            let found = line(std::slice::from_ref(&run), spread, Filling::AsLogged);
            assert_eq!(found.len(), 2, "the gap stays one");
            assert!(found.iter().all(|s| s.runs == 1 && s.places[0].band.is_none()));
        }
    }

    #[test]
    fn a_gap_that_no_other_run_has_a_step_in_breaks_the_line_too() {
        let a = history([(4.0, 1.0), (5.0, f64::NAN), (6.0, 1.0)].into_iter());
        let b = history([(4.0, 3.0), (6.0, 3.0)].into_iter());
        assert_eq!(line(&[a, b], Spread::Sd, Filling::Interpolated).len(), 2);
    }

    #[test]
    fn runs_that_share_no_step_have_no_line() {
        let a = history((0..5).map(|i| (f64::from(2 * i), 1.0)));
        let b = history((0..5).map(|i| (f64::from(2 * i + 1), 3.0)));
        let apart = history([(100.0, 1.0)].into_iter());
        assert!(line(&[a.clone(), b.clone()], Spread::Sd, Filling::AsLogged).is_empty());
        assert!(line(&[a.clone(), apart], Spread::Sd, Filling::Interpolated).is_empty());
        let filled = line(&[a, b], Spread::Sd, Filling::Interpolated);
        let steps: Vec<f64> = filled[0].places.iter().map(|place| place.step).collect();
        assert_eq!(steps, (1..=8).map(f64::from).collect::<Vec<_>>());
        assert!(filled[0].places.iter().all(|place| place.mean == 2.0));
    }

    #[test]
    fn values_near_the_largest_have_a_mean_and_no_band_that_is_not_finite() {
        let run = |value| history([(1.0, value)].into_iter());
        let found = line(&[run(f64::MAX), run(-f64::MAX)], Spread::Sd, Filling::AsLogged);
        assert_eq!((found[0].places[0].mean, found[0].places[0].band), (0.0, None));
    }
}
