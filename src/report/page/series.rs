//! The points of runs as they are embedded: exactly, or as buckets of neighbouring steps.
//!
//! ```text
//! {"steps":0,"values":N,"gaps":[50]}                                every point; 0 is the number of a grid
//! {"from":1,"to":2,"counts":N,"mean":N,"low":N,"high":N,"gaps":[]}  a bucket a place: mean, min, max of its steps
//! {…,"time":{"unit":0.1,"ticks":N}}                                 time since the start, −1 where there is none
//! ```
//!
//! N is a list of `numbers.rs`. Runs mostly share their steps, so these stand once in a list of grids. The line
//! breaks before the places in `gaps`.

use rayon::prelude::*;
use serde::Serialize;

use super::numbers::Numbers;
use crate::report::tokens::longest_within;
use entropy_history::history::{Comparison, Point, Run};

/// Up to so many points in all are embedded exactly.
pub const EXACT: usize = 200_000;
/// So many letters the points may take; the page is then under 3 MB.
const MOST_LETTERS: usize = 2_600_000;
/// Places of all runs together, if they are reduced.
const PLACES: usize = 140_000;
/// No run is reduced to fewer places.
const FEWEST: usize = 40;

/// The points of all runs.
pub(super) struct Embedded {
    /// Lists of steps, each once.
    pub(super) grids: Vec<Numbers>,
    /// One a run.
    pub(super) series: Vec<Series>,
    /// Whether every logged value is in it.
    pub(super) exact: bool,
}

/// The points of one run.
#[derive(Debug, Serialize)]
pub(super) struct Series {
    #[serde(flatten)]
    places: Places,
    gaps: Vec<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    time: Option<Time>,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Places {
    Exact { steps: usize, values: Numbers },
    Reduced { from: usize, to: usize, counts: Numbers, mean: Numbers, low: Numbers, high: Numbers },
}

/// When its places were, in ticks of so many seconds.
#[derive(Debug, Serialize)]
struct Time {
    unit: f64,
    ticks: Numbers,
}

/// Embeds the points of all runs: exactly if these are at most [`EXACT`] and fit, else reduced as little as
/// makes them fit.
pub(super) fn embed(comparison: &Comparison) -> Embedded {
    let runs = comparison.runs();
    let lengths: Vec<usize> = runs.iter().map(|run| run.history.points().len()).collect();
    if lengths.iter().sum::<usize>() <= EXACT {
        let embedded = embed_at_most(runs, usize::MAX);
        if embedded.size() <= MOST_LETTERS {
            return embedded;
        }
    }
    let mut places = PLACES;
    loop {
        let most = longest_within(&lengths, places).max(FEWEST);
        let embedded = embed_at_most(runs, most);
        let size = embedded.size();
        if size <= MOST_LETTERS || most == FEWEST {
            return embedded;
        }
        places = (places as f64 * MOST_LETTERS as f64 / size as f64 * 0.97) as usize;
    }
}

/// The same with at most so many places a run.
fn embed_at_most(runs: &[Run], most: usize) -> Embedded {
    let drafts: Vec<Draft> = runs.par_iter().map(|run| Draft::of(run, most)).collect();
    let exact = drafts.iter().all(|draft| draft.steps.len() == 1);
    let mut grids: Vec<Vec<f64>> = Vec::new();
    let series = drafts.into_iter().map(|draft| draft.on(&mut grids)).collect();
    let grids = grids.par_iter().map(|steps| Numbers::of(steps)).collect();
    Embedded { grids, series, exact }
}

impl Embedded {
    fn size(&self) -> usize {
        let series = self.series.iter().map(|series| {
            let places = match &series.places {
                Places::Exact { values, .. } => values.size(),
                Places::Reduced { counts, mean, low, high, .. } => {
                    counts.size() + mean.size() + low.size() + high.size()
                }
            };
            let time = series.time.as_ref().map_or(0, |time| time.ticks.size());
            places + 7 * series.gaps.len() + time
        });
        series.chain(self.grids.iter().map(Numbers::size)).sum()
    }
}

/// A series and its lists of steps, which other runs may have too: one, or from and to.
struct Draft {
    series: Series,
    steps: Vec<Vec<f64>>,
}

impl Draft {
    fn of(run: &Run, most: usize) -> Draft {
        let points = run.history.points();
        if points.len() <= most {
            let values: Vec<f64> = points.iter().map(|p| p.entropy).collect();
            let places = Places::Exact { steps: 0, values: Numbers::of(&values) };
            let series = Series { places, gaps: starts(run), time: time(run, points.chunks(1)) };
            return Draft { series, steps: vec![points.iter().map(|p| p.step).collect()] };
        }
        let (buckets, gaps) = buckets(run, most);
        let each = |number: fn(&[Point]) -> f64| {
            let numbers: Vec<f64> = buckets.iter().map(|bucket| short(number(bucket))).collect();
            Numbers::of(&numbers)
        };
        let places = Places::Reduced {
            from: 0,
            to: 0,
            counts: each(|bucket| bucket.len() as f64),
            mean: each(|bucket| bucket.iter().map(|p| p.entropy / bucket.len() as f64).sum()),
            low: each(|bucket| bucket.iter().map(|p| p.entropy).fold(f64::INFINITY, f64::min)),
            high: each(|bucket| bucket.iter().map(|p| p.entropy).fold(-f64::INFINITY, f64::max)),
        };
        let series = Series { places, gaps, time: time(run, buckets.iter().copied()) };
        let from = buckets.iter().map(|bucket| bucket[0].step).collect();
        let to = buckets.iter().map(|bucket| bucket[bucket.len() - 1].step).collect();
        Draft { series, steps: vec![from, to] }
    }

    /// The series, its steps being numbers of grids.
    fn on(self, grids: &mut Vec<Vec<f64>>) -> Series {
        let numbers = self.steps.into_iter().map(|steps| {
            grids.iter().rposition(|grid| *grid == steps).unwrap_or_else(|| {
                grids.push(steps);
                grids.len() - 1
            })
        });
        let numbers: Vec<usize> = numbers.collect();
        let mut series = self.series;
        match (&mut series.places, &numbers[..]) {
            (Places::Exact { steps, .. }, &[number]) => *steps = number,
            (Places::Reduced { from, to, .. }, &[first, last]) => (*from, *to) = (first, last),
            _ => unreachable!("BUG: one list of steps for points, two for buckets"),
        }
        series
    }
}

/// A number of a bucket: seven digits are more than is shown.
fn short(value: f64) -> f64 {
    let single = value as f32;
    if single.is_finite() { f64::from(single) } else { value }
}

/// The indices of the points before which the line breaks.
fn starts(run: &Run) -> Vec<usize> {
    let lengths = run.history.segments().map(<[Point]>::len);
    let mut ends: Vec<usize> = lengths
        .scan(0, |end, length| {
            *end += length;
            Some(*end)
        })
        .collect();
    ends.pop();
    ends
}

/// The points in at most `most` buckets of neighbours, and before which of these the line breaks. No bucket
/// spans a gap, unless there are so many that this would leave no room.
fn buckets(run: &Run, most: usize) -> (Vec<&[Point]>, Vec<usize>) {
    let points = run.history.points();
    let segments = run.history.segments().count();
    if segments > most / 2 {
        return (points.chunks(points.len().div_ceil(most)).collect(), Vec::new());
    }
    // Each segment may end with a bucket that is not full.
    let size = points.len().div_ceil(most - (segments - 1));
    let (mut buckets, mut gaps) = (Vec::new(), Vec::new());
    for segment in run.history.segments() {
        if !buckets.is_empty() {
            gaps.push(buckets.len());
        }
        buckets.extend(segment.chunks(size));
    }
    (buckets, gaps)
}

/// When the places of a run were, since the first: each the mean of its points, in ticks that are some
/// ten-thousandths of the whole.
fn time<'a>(run: &Run, places: impl Iterator<Item = &'a [Point]>) -> Option<Time> {
    let clock = run.clock.as_ref()?;
    let seconds = |point: &Point| clock.at(point.step);
    let all = run.history.points().iter().filter_map(seconds);
    let (first, last) =
        all.fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), t| (l.min(t), h.max(t)));
    if last <= first {
        return None;
    }
    let unit = 10f64.powf(((last - first) / 20_000.0).log10().floor());
    let tick = |place: &[Point]| {
        let times: Vec<f64> = place.iter().filter_map(seconds).collect();
        let mean = times.iter().map(|t| (t - first) / times.len() as f64).sum::<f64>();
        if times.is_empty() { -1.0 } else { (mean / unit).round() }
    };
    let ticks: Vec<f64> = places.map(tick).collect();
    Some(Time { unit, ticks: Numbers::of(&ticks) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use entropy_history::history::{AuxSeries, History};
    use entropy_history::quantity::EntropyKind;

    fn run(values: &[f64]) -> Run {
        let point = |(i, &entropy): (usize, &f64)| Point { step: i as f64, entropy };
        let points = values.iter().enumerate().map(point).collect();
        let (history, _) = History::from_raw("x", EntropyKind::TokenMean, points).unwrap();
        Run::new(history, "x.json", "rzero", "entropy")
    }

    #[test]
    fn buckets_are_full_and_do_not_span_a_gap() {
        let mut values = vec![1.0; 100];
        values[42] = f64::NAN;
        let run = run(&values);
        let (buckets, gaps) = buckets(&run, 10);
        assert_eq!(buckets.iter().map(|b| b.len()).sum::<usize>(), 99);
        assert_eq!((buckets.len(), &gaps[..]), (10, &[4][..]));
        assert_eq!(buckets[4][0].step, 43.0);
        assert_eq!(starts(&run), [42]);
    }

    #[test]
    fn a_curve_full_of_gaps_is_reduced_all_the_same() {
        let values: Vec<f64> = (0..100).map(|i| if i % 3 == 1 { f64::NAN } else { 1.0 }).collect();
        let run = run(&values);
        let (buckets, gaps) = buckets(&run, 10);
        assert_eq!((buckets.len(), gaps.len()), (10, 0));
    }

    #[test]
    fn a_bucket_has_the_mean_and_the_extremes_of_its_points() {
        let values: Vec<f64> = (0..100).map(f64::from).collect();
        let Draft { series, steps } = Draft::of(&run(&values), 50);
        let Places::Reduced { mean, low, high, counts, .. } = series.places else { panic!() };
        let stretches = |n| Numbers::Stretches { stretches: vec![n] };
        assert_eq!(
            (counts, low, high),
            (stretches([2, 0, 50]), stretches([0, 2, 50]), stretches([1, 2, 50]))
        );
        assert_eq!(
            mean,
            Numbers::of(&(0..50).map(|i| 0.5 + 2.0 * f64::from(i)).collect::<Vec<_>>())
        );
        assert_eq!((steps[0][1], steps[1][1]), (2.0, 3.0));
    }

    #[test]
    fn ticks_of_time_are_fine_enough_to_be_seen_and_a_step_without_has_none() {
        let mut run = run(&[1.0, 1.0, 1.0]);
        run.clock = AuxSeries::from_raw("t", vec![(0.0, 1000.0), (2.0, 4600.0)]);
        let Time { unit, ticks } = time(&run, run.history.points().chunks(1)).unwrap();
        assert_eq!((unit, ticks), (0.1, Numbers::of(&[0.0, -1.0, 36_000.0])));
    }
}
