//! The points of all series in the page, the entropy and other quantities: every one, or buckets of neighbouring steps.
//!
//! ```text
//! {"steps":0,"values":N,"gaps":[50]}                                every point; 0 is the index of a grid
//! {"from":1,"to":2,"counts":N,"mean":N,"low":N,"high":N,"gaps":[]}  buckets: mean, min and max of their steps
//! {…,"time":{"unit":0.1,"ticks":N}}                                 time since the start, −10⁹ where unknown
//! ```
//!
//! N is a list encoded by `numbers.rs`. Most runs share their steps, so each list of steps is stored once, in
//! `grids`. The line breaks before each point or bucket whose index is in `gaps`.

use rayon::prelude::*;
use serde::Serialize;

use super::numbers::Numbers;
use crate::report::budget::longest_within;
use entropy_history::history::{History, Point, Run};

/// Up to this number of points in all series, every point is embedded.
const MAX_EXACT: usize = 200_000;
/// The largest size of the embedded points in characters, so that the page is smaller than 3 MB.
const MAX_SIZE: usize = 2_600_000;
/// The total number of buckets to try first when series are reduced.
const BUCKETS: usize = 140_000;
/// The smallest number of buckets per series.
const MIN_BUCKETS: usize = 40;
/// The time of a point without a known time. Points of another quantity may be before the first entropy, at negative times.
const UNKNOWN_TICK: f64 = -1e9;

/// A series of a run: its entropy, or another quantity.
#[derive(Clone, Copy)]
pub(super) struct SeriesSource<'a> {
    /// The run, whose history is the series.
    pub(super) run: &'a Run,
    /// The entropy of the run, at whose first point its time begins.
    pub(super) entropy: &'a History,
}

/// The points of all series.
pub(super) struct EmbeddedSeries {
    /// The lists of steps, without duplicates.
    pub(super) grids: Vec<Numbers>,
    /// One entry per series.
    pub(super) series: Vec<Series>,
    /// Whether every logged value is included.
    pub(super) exact: bool,
}

/// The points of one series.
#[derive(Debug, Serialize)]
pub(super) struct Series {
    #[serde(flatten)]
    points: SeriesPoints,
    gaps: Vec<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    time: Option<SeriesTime>,
}

/// The points, or buckets of points, of a series. Steps are indices of grids.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum SeriesPoints {
    Exact { steps: usize, values: Numbers },
    Reduced { from: usize, to: usize, counts: Numbers, mean: Numbers, low: Numbers, high: Numbers },
}

/// The time of each point or bucket since the start of the run, in multiples of `unit` seconds.
#[derive(Debug, Serialize)]
struct SeriesTime {
    unit: f64,
    ticks: Numbers,
}

/// Embeds all points of all series if there are at most [`MAX_EXACT`] and they fit into [`MAX_SIZE`] without the characters
/// that are `taken` by other parts of the page; otherwise embeds as many buckets as fit.
pub(super) fn embed(sources: &[SeriesSource<'_>], taken: usize) -> EmbeddedSeries {
    let max_size = MAX_SIZE.saturating_sub(taken);
    let lengths: Vec<usize> = sources.iter().map(|s| s.run.history.points().len()).collect();
    if lengths.iter().sum::<usize>() <= MAX_EXACT {
        let embedded = embed_at_most(sources, usize::MAX);
        if embedded.size() <= max_size {
            return embedded;
        }
    }
    let mut total = BUCKETS;
    loop {
        let limit = longest_within(&lengths, total).max(MIN_BUCKETS);
        let embedded = embed_at_most(sources, limit);
        let size = embedded.size();
        if size <= max_size || limit == MIN_BUCKETS {
            return embedded;
        }
        total = (total as f64 * max_size as f64 / size as f64 * 0.97) as usize;
    }
}

/// Embeds each series with at most `limit` points or buckets.
fn embed_at_most(sources: &[SeriesSource<'_>], limit: usize) -> EmbeddedSeries {
    let reduced = sources.par_iter().map(|source| ReducedSeries::of(*source, limit));
    let reduced: Vec<ReducedSeries> = reduced.collect();
    let exact = reduced.iter().all(|series| series.steps.len() == 1);
    let mut grids: Vec<Vec<f64>> = Vec::new();
    let series = reduced.into_iter().map(|series| series.share_steps(&mut grids)).collect();
    let grids = grids.par_iter().map(|steps| Numbers::of(steps)).collect();
    EmbeddedSeries { grids, series, exact }
}

impl EmbeddedSeries {
    /// The approximate length of its JSON in characters.
    fn size(&self) -> usize {
        let series = self.series.iter().map(|series| {
            let points = match &series.points {
                SeriesPoints::Exact { values, .. } => values.size(),
                SeriesPoints::Reduced { counts, mean, low, high, .. } => {
                    counts.size() + mean.size() + low.size() + high.size()
                }
            };
            let time = series.time.as_ref().map_or(0, |time| time.ticks.size());
            points + 7 * series.gaps.len() + time
        });
        series.chain(self.grids.iter().map(Numbers::size)).sum()
    }
}

/// A series before its steps are replaced by indices of grids.
struct ReducedSeries {
    series: Series,
    /// The steps of all points; or the first and the last steps of all buckets.
    steps: Vec<Vec<f64>>,
}

impl ReducedSeries {
    fn of(source: SeriesSource<'_>, limit: usize) -> ReducedSeries {
        let run = source.run;
        let points = run.history.points();
        if points.len() <= limit {
            let values: Vec<f64> = points.iter().map(|p| p.entropy).collect();
            let time = time(source, points.chunks(1));
            let steps = vec![points.iter().map(|p| p.step).collect()];
            let points = SeriesPoints::Exact { steps: 0, values: Numbers::of(&values) };
            return ReducedSeries { series: Series { points, gaps: gaps(run), time }, steps };
        }
        let (buckets, gaps) = buckets(run, limit);
        let each = |statistic: fn(&[Point]) -> f64| {
            let values: Vec<f64> = buckets.iter().map(|b| single_precision(statistic(b))).collect();
            Numbers::of(&values)
        };
        let points = SeriesPoints::Reduced {
            from: 0,
            to: 0,
            counts: each(|bucket| bucket.len() as f64),
            mean: each(|bucket| bucket.iter().map(|p| p.entropy / bucket.len() as f64).sum()),
            low: each(|bucket| bucket.iter().map(|p| p.entropy).fold(f64::INFINITY, f64::min)),
            high: each(|bucket| bucket.iter().map(|p| p.entropy).fold(-f64::INFINITY, f64::max)),
        };
        let series = Series { points, gaps, time: time(source, buckets.iter().copied()) };
        let from = buckets.iter().map(|bucket| bucket[0].step).collect();
        let to = buckets.iter().map(|bucket| bucket[bucket.len() - 1].step).collect();
        ReducedSeries { series, steps: vec![from, to] }
    }

    /// The series with its steps as indices of `grids`, which is extended where necessary.
    fn share_steps(self, grids: &mut Vec<Vec<f64>>) -> Series {
        let mut index_of = |steps: Vec<f64>| {
            grids.iter().rposition(|grid| *grid == steps).unwrap_or_else(|| {
                grids.push(steps);
                grids.len() - 1
            })
        };
        let indices: Vec<usize> = self.steps.into_iter().map(&mut index_of).collect();
        let mut series = self.series;
        match (&mut series.points, &indices[..]) {
            (SeriesPoints::Exact { steps, .. }, &[index]) => *steps = index,
            (SeriesPoints::Reduced { from, to, .. }, &[first, last]) => {
                (*from, *to) = (first, last)
            }
            _ => unreachable!("BUG: points have one list of steps, buckets have two"),
        }
        series
    }
}

/// Rounds to a 32-bit float, which has more digits than the page shows; unchanged if it is out of range.
fn single_precision(value: f64) -> f64 {
    let single = value as f32;
    if single.is_finite() { f64::from(single) } else { value }
}

/// The indices of the points before which the line breaks.
fn gaps(run: &Run) -> Vec<usize> {
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

/// Divides the points into at most `limit` buckets of neighbours; also returns the indices of the buckets before
/// which the line breaks. No bucket spans a gap; with more than `limit / 2` segments, gaps are ignored and none is
/// returned.
fn buckets(run: &Run, limit: usize) -> (Vec<&[Point]>, Vec<usize>) {
    let points = run.history.points();
    let segments = run.history.segments().count();
    if segments > limit / 2 {
        return (points.chunks(points.len().div_ceil(limit)).collect(), Vec::new());
    }
    // The last bucket of each segment may be smaller.
    let size = points.len().div_ceil(limit - (segments - 1));
    let (mut buckets, mut gaps) = (Vec::new(), Vec::new());
    for segment in run.history.segments() {
        if !buckets.is_empty() {
            gaps.push(buckets.len());
        }
        buckets.extend(segment.chunks(size));
    }
    (buckets, gaps)
}

/// The mean time of each bucket since the first entropy. The unit is a power of ten between 1/200,000 and 1/20,000
/// of the whole duration. `None` if the run has no clock or no duration.
fn time<'a>(
    source: SeriesSource<'_>,
    buckets: impl Iterator<Item = &'a [Point]>,
) -> Option<SeriesTime> {
    let clock = source.run.clock.as_ref()?;
    let seconds = |point: &Point| clock.at(point.step);
    let all = source.entropy.points().iter().filter_map(seconds);
    let (first, last) =
        all.fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), t| (l.min(t), h.max(t)));
    if last <= first {
        return None;
    }
    let unit = 10f64.powf(((last - first) / 20_000.0).log10().floor());
    let tick = |bucket: &[Point]| {
        let times: Vec<f64> = bucket.iter().filter_map(seconds).collect();
        let mean = times.iter().map(|t| (t - first) / times.len() as f64).sum::<f64>();
        if times.is_empty() { UNKNOWN_TICK } else { (mean / unit).round().max(UNKNOWN_TICK) }
    };
    let ticks: Vec<f64> = buckets.map(tick).collect();
    Some(SeriesTime { unit, ticks: Numbers::of(&ticks) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use entropy_history::history::AuxSeries;
    use entropy_history::quantity::EntropyKind;

    fn run(values: &[f64]) -> Run {
        let point = |(i, &entropy): (usize, &f64)| Point { step: i as f64, entropy };
        let points = values.iter().enumerate().map(point).collect();
        let (history, _) = History::from_raw("x", EntropyKind::TokenMean, points).unwrap();
        Run::new(history, "x.json", "rzero", "entropy")
    }

    #[test]
    fn buckets_do_not_span_gaps() {
        let mut values = vec![1.0; 100];
        values[42] = f64::NAN;
        let run = run(&values);
        let (buckets, gaps) = buckets(&run, 10);
        assert_eq!(buckets.iter().map(|b| b.len()).sum::<usize>(), 99);
        assert_eq!((buckets.len(), &gaps[..]), (10, &[4][..]));
        assert_eq!(buckets[4][0].step, 43.0);
        assert_eq!(super::gaps(&run), [42]);
    }

    #[test]
    fn curve_with_many_gaps_is_reduced() {
        let values: Vec<f64> = (0..100).map(|i| if i % 3 == 1 { f64::NAN } else { 1.0 }).collect();
        let run = run(&values);
        let (buckets, gaps) = buckets(&run, 10);
        assert_eq!((buckets.len(), gaps.len()), (10, 0));
    }

    #[test]
    fn bucket_has_mean_min_and_max_of_its_points() {
        let values: Vec<f64> = (0..100).map(f64::from).collect();
        let run = run(&values);
        let source = SeriesSource { run: &run, entropy: &run.history };
        let ReducedSeries { series, steps } = ReducedSeries::of(source, 50);
        let SeriesPoints::Reduced { mean, low, high, counts, .. } = series.points else { panic!() };
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
    fn time_ticks_are_fine_and_unknown_times_are_negative() {
        let mut run = run(&[1.0, 1.0, 1.0]);
        run.clock = AuxSeries::from_raw("t", vec![(0.0, 1000.0), (2.0, 4600.0)]);
        let source = SeriesSource { run: &run, entropy: &run.history };
        let SeriesTime { unit, ticks } = time(source, run.history.points().chunks(1)).unwrap();
        assert_eq!((unit, ticks), (0.1, Numbers::of(&[0.0, UNKNOWN_TICK, 36_000.0])));
    }
}
