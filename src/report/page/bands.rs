//! The means of groups of runs and their bands, as `plot --group` draws them.
//!
//! ```text
//! {"words":"…","factors":[null,null,1],"interpolated":false,"groups":[
//!   {"name":"solver","members":[0,2],"style":0,"has_band":true,"lines":[
//!     {"weight":0,"every":1,"segments":[{"runs":2,"steps":N,"mean":N,"low":N,"high":N}]}]}]}
//! ```
//!
//! N is a list encoded by `numbers.rs`, `members` are indices of the runs. The first line of a group is not smoothed; a
//! second one has the weight that the page opens with. Of a long line every n-th point is embedded. For other weights
//! the page computes the lines: `factors[n]` standard deviations of n runs to either side of the mean; without factors
//! a band reaches from the smallest run to the largest.

use rayon::prelude::*;
use serde::Serialize;

use super::numbers::Numbers;
use entropy_history::history::{Comparison, History};
use entropy_history::label::visible;
use entropy_history::stats::band::{BandPoint, BandSegment, MissingSteps, Spread, band_segments};
use entropy_history::stats::group::Group;
use entropy_history::stats::replicates::copies;
use entropy_history::stats::smooth::Smoothing;
use entropy_history::stats::student::t95;
use entropy_plot::GroupOptions;
use entropy_plot::theme::STYLES;

/// The largest number of points in all lines of a page together.
pub(super) const MAX_POINTS: usize = 20_000;
/// The smallest number of points of a line.
const MIN_POINTS: usize = 100;

/// The groups of a page.
#[derive(Debug, Serialize)]
pub(super) struct Bands {
    /// What a band shows.
    words: &'static str,
    /// Half the width of a band in standard deviations, by the number of runs; `None` for a band between extremes.
    factors: Option<Vec<Option<f64>>>,
    /// Whether runs are interpolated between their points.
    interpolated: bool,
    groups: Vec<BandGroup>,
}

#[derive(Debug, Serialize)]
struct BandGroup {
    name: String,
    members: Vec<usize>,
    /// The index of the line style; `None` for a group without a style of its own.
    style: Option<usize>,
    /// False if the runs are copies of each other, whose spread says nothing.
    has_band: bool,
    lines: Vec<BandLine>,
}

#[derive(Debug, Serialize)]
struct BandLine {
    weight: f64,
    /// Every how many points one is embedded.
    every: usize,
    segments: Vec<Segment>,
}

#[derive(Debug, Serialize)]
struct Segment {
    runs: usize,
    steps: Numbers,
    mean: Numbers,
    low: Option<Numbers>,
    high: Option<Numbers>,
}

/// The groups of the runs, with lines for the weight of the moving average that the page opens with. All lines together
/// have about `max_points`.
pub(super) fn bands(
    comparison: &Comparison,
    grouped: &GroupOptions,
    weight: f64,
    max_points: usize,
) -> Bands {
    let weights = if weight == 0.0 { vec![0.0] } else { vec![0.0, weight] };
    let limit = (max_points / (weights.len() * grouped.groups.len().max(1))).max(MIN_POINTS);
    let groups = grouped.groups.par_iter().enumerate();
    let groups = groups.map(|(index, group)| {
        let runs = members(comparison, group);
        // Numbers of different quantities have no mean.
        let is_alike = runs.iter().all(|run| run.kind() == runs[0].kind());
        let has_band = copies(&runs).is_none();
        let line = |&weight: &f64| {
            let segments = if is_alike { segments(&runs, grouped, weight) } else { Vec::new() };
            BandLine::of(segments, has_band, weight, limit)
        };
        BandGroup {
            name: visible(&group.name).into_owned(),
            members: group.members.clone(),
            style: (index < STYLES).then_some(index),
            has_band,
            lines: weights.iter().map(line).collect(),
        }
    });
    let largest = grouped.groups.iter().map(|group| group.members.len()).max().unwrap_or(0);
    Bands {
        words: words(grouped.spread),
        factors: factors(grouped.spread, largest),
        interpolated: grouped.missing_steps == MissingSteps::Interpolate,
        groups: groups.collect(),
    }
}

impl Bands {
    /// The approximate length of its JSON in characters.
    pub(super) fn size(&self) -> usize {
        let lines = self.groups.iter().flat_map(|group| &group.lines);
        let segments = lines.flat_map(|line| &line.segments);
        let lists = segments.flat_map(|segment| {
            [Some(&segment.steps), Some(&segment.mean), segment.low.as_ref(), segment.high.as_ref()]
        });
        lists.flatten().map(|list| list.size() + 8).sum()
    }

    /// Gives each group the style of the group with its name in `other`.
    pub(super) fn with_styles_of(mut self, other: &Bands) -> Bands {
        for group in &mut self.groups {
            let same = other.groups.iter().find(|other| other.name == group.name);
            group.style = same.and_then(|same| same.style);
        }
        self
    }

    /// The style of each of `runs` runs: that of its group, so that a group has one colour on the whole page.
    pub(super) fn styles(&self, runs: usize) -> Vec<Option<usize>> {
        let mut styles = vec![None; runs];
        for group in &self.groups {
            group.members.iter().for_each(|member| styles[*member] = group.style);
        }
        styles
    }
}

fn members<'a>(comparison: &'a Comparison, group: &Group) -> Vec<&'a History> {
    group.members.iter().map(|index| &comparison.runs()[*index].history).collect()
}

/// The segments of the mean over the runs, each smoothed first.
fn segments(runs: &[&History], grouped: &GroupOptions, weight: f64) -> Vec<BandSegment> {
    let (spread, missing_steps) = (grouped.spread, grouped.missing_steps);
    if weight == 0.0 {
        return band_segments(runs, spread, missing_steps);
    }
    // A moving average by points does not depend on the width of the chart.
    let smooth = |run: &&History| {
        run.with_values(&Smoothing::Ema(weight).apply(run.points(), f64::INFINITY))
    };
    let smoothed: Vec<History> = runs.iter().map(smooth).collect();
    band_segments(&smoothed.iter().collect::<Vec<_>>(), spread, missing_steps)
}

impl BandLine {
    fn of(segments: Vec<BandSegment>, has_band: bool, weight: f64, limit: usize) -> BandLine {
        let points: usize = segments.iter().map(|segment| segment.points.len()).sum();
        let every = points.div_ceil(limit).max(1);
        let segments = segments.iter().map(|segment| Segment::of(segment, has_band, every));
        BandLine { weight, every, segments: segments.collect() }
    }
}

impl Segment {
    /// Every n-th point of a segment, and its last one.
    fn of(segment: &BandSegment, has_band: bool, every: usize) -> Segment {
        let last = segment.points.len() - 1;
        let points: Vec<&BandPoint> = segment
            .points
            .iter()
            .enumerate()
            .filter(|(i, _)| i % every == 0 || *i == last)
            .map(|(_, point)| point)
            .collect();
        let list = |of: &dyn Fn(&BandPoint) -> f64| {
            Numbers::of(&points.iter().map(|point| of(point)).collect::<Vec<_>>())
        };
        let bands: Option<Vec<(f64, f64)>> = points.iter().map(|point| point.band).collect();
        let bands = bands.filter(|_| has_band);
        let end = |of: fn(&(f64, f64)) -> f64| {
            bands.as_ref().map(|bands| Numbers::of(&bands.iter().map(of).collect::<Vec<_>>()))
        };
        Segment {
            runs: segment.runs,
            steps: list(&|point| point.step),
            mean: list(&|point| point.mean),
            low: end(|band| band.0),
            high: end(|band| band.1),
        }
    }
}

fn words(spread: Spread) -> &'static str {
    match spread {
        Spread::Sd => "± standard deviation of runs",
        Spread::Se => "± standard error of the mean",
        Spread::MinMax => "smallest to largest run",
        Spread::Ci95 => "95 % interval of the mean, Student’s t over runs",
    }
}

/// [`Bands::factors`] for up to `largest` runs.
fn factors(spread: Spread, largest: usize) -> Option<Vec<Option<f64>>> {
    let factor = |runs: usize| {
        if runs < spread.min_runs() {
            return None;
        }
        let root = (runs as f64).sqrt();
        match spread {
            Spread::Sd => Some(1.0),
            Spread::Se => Some(1.0 / root),
            Spread::Ci95 => Some(t95((runs - 1) as f64) / root),
            Spread::MinMax => None,
        }
    };
    (spread != Spread::MinMax).then(|| (0..=largest).map(factor).collect())
}
