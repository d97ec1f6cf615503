//! A curve of the chart: a run or the mean of a group, with its name, its style and its points in px.

use crate::geometry::Xy;
use crate::plot_area::PlotArea;
use crate::theme::Style;
use entropy_history::history::{History, Run};
use entropy_history::label::shorten_middle;
use entropy_history::stats::band::{BandPoint, BandSegment};
use entropy_history::stats::smooth::Smoothing;

/// What a curve shows.
pub(super) enum CurveSource<'a> {
    /// A run, smoothed if the user asked for smoothing.
    Run { run: &'a Run, smoothed: Option<History> },
    /// The mean of a group; no segments if it has no mean.
    Group { members: Vec<&'a Run>, segments: Vec<BandSegment> },
}

/// A curve of the chart.
pub(super) struct Curve<'a> {
    pub(super) source: CurveSource<'a>,
    /// Label of the run, or name of the group.
    pub(super) label: &'a str,
    /// The label as the picture shows it.
    pub(super) name: String,
    /// Text after the name of a group that gives its number of runs.
    pub(super) count: String,
    pub(super) style: Option<Style>,
    /// The parts inside the plot area, once [`Curve::locate`] was called.
    pub(super) parts: Vec<CurvePart>,
}

/// A part of a curve inside the plot area.
pub(super) struct CurvePart {
    /// Points in px.
    pub(super) points: Vec<Xy>,
    /// Whether the mean is over all runs of the group; true for a run.
    pub(super) has_all_runs: bool,
}

/// The x in px of the rules of a run: halfway between the last step of a round and the first of the next one.
pub(super) fn rules(run: &Run, area: &PlotArea) -> Vec<f64> {
    let points = run.history.points();
    let rule = |first: f64| {
        let next = points.partition_point(|point| point.step < first);
        let before = points[next.saturating_sub(1)].step;
        (area.x.at(before) + area.x.at(first)) / 2.0
    };
    run.stages.iter().map(|stage| rule(stage.step)).collect()
}

/// The smoothed history; `None` without smoothing. `width` is the width of the chart in steps.
pub(super) fn smoothed(history: &History, smoothing: Smoothing, width: f64) -> Option<History> {
    (smoothing != Smoothing::None)
        .then(|| history.with_values(&smoothing.apply(history.points(), width)))
}

/// The parts of a run in px, broken where a round begins.
fn by_round(run: &Run, parts: Vec<Vec<Xy>>, area: &PlotArea) -> Vec<Vec<Xy>> {
    rules(run, area).into_iter().fold(parts, |parts, rule| {
        let broken = parts.into_iter().flat_map(|mut part| {
            let later = part.split_off(part.partition_point(|point| point.0 < rule));
            [part, later]
        });
        broken.filter(|part| !part.is_empty()).collect()
    })
}

impl<'a> Curve<'a> {
    /// The run, or the runs of the group.
    pub(super) fn runs(&self) -> &[&'a Run] {
        match &self.source {
            CurveSource::Run { run, .. } => std::slice::from_ref(run),
            CurveSource::Group { members, .. } => members,
        }
    }

    /// The segments of the mean of a group; none for a run.
    pub(super) fn segments(&self) -> &[BandSegment] {
        match &self.source {
            CurveSource::Run { .. } => &[],
            CurveSource::Group { segments, .. } => segments,
        }
    }

    /// The points of the mean of a group; none for a run.
    fn band_points(&self) -> impl Iterator<Item = &BandPoint> {
        self.segments().iter().flat_map(|segment| &segment.points)
    }

    /// The history that the curve of a run shows, smoothed or not.
    pub(super) fn shown(&self) -> Option<&History> {
        match &self.source {
            CurveSource::Run { run, smoothed } => Some(smoothed.as_ref().unwrap_or(&run.history)),
            CurveSource::Group { .. } => None,
        }
    }

    /// The parts in px of the logged histories that are drawn faintly behind the curve.
    pub(super) fn background_parts(&self, area: &PlotArea) -> impl Iterator<Item = Vec<Xy>> {
        let runs = match &self.source {
            CurveSource::Run { smoothed: None, .. } => &[],
            _ => self.runs(),
        };
        runs.iter().flat_map(|run| by_round(run, area.curve(&run.history), area))
    }

    pub(super) fn is_smoothed(&self) -> bool {
        matches!(self.source, CurveSource::Run { smoothed: Some(_), .. })
    }

    pub(super) fn has_band(&self) -> bool {
        self.band_points().any(|point| point.band.is_some())
    }

    /// Number of points of the curve.
    pub(super) fn point_count(&self) -> usize {
        match &self.source {
            CurveSource::Run { run, .. } => run.history.points().len(),
            CurveSource::Group { .. } => self.band_points().count(),
        }
    }

    /// The last value of the curve up to a step; for a group without a mean, that of its first run.
    pub(super) fn last_value(&self, limit: f64) -> Option<f64> {
        let mean = self.band_points().filter(|point| point.step <= limit).last();
        let points = self.shown().unwrap_or(&self.runs()[0].history).points();
        let point = || points.iter().rfind(|point| point.step <= limit);
        mean.map(|point| point.mean).or_else(|| Some(point()?.entropy))
    }

    /// Where the curve ends in px; `None` if all of it is outside the plot area.
    pub(super) fn end(&self) -> Option<Xy> {
        self.parts.last().and_then(|part| part.points.last().copied())
    }

    /// The name with the number of runs.
    pub(super) fn full_name(&self) -> String {
        format!("{}{}", self.name, self.count)
    }

    /// Shortens the name until it fits together with the number of runs, which becomes part of it.
    pub(super) fn fit_name(&mut self, fits: impl Fn(&str) -> bool) {
        let mut count = std::mem::take(&mut self.count);
        // A picture that is too small for both keeps the name.
        if !fits(&format!("…{count}")) {
            count.clear();
        }
        self.name = shorten_middle(&self.name, |t| fits(&format!("{t}{count}"))) + &count;
    }

    /// Whether any value within the steps shown can be drawn on a logarithmic axis.
    pub(super) fn has_logarithm(&self, (from, to): (f64, f64)) -> bool {
        let points = self.runs().iter().flat_map(|run| run.history.points());
        points.filter(|p| (from..=to).contains(&p.step)).any(|p| p.entropy > 0.0)
    }

    /// Computes the points of the curve in px.
    pub(super) fn locate(&mut self, area: &PlotArea) {
        self.parts = match &self.source {
            CurveSource::Run { run, smoothed } => {
                let history = smoothed.as_ref().unwrap_or(&run.history);
                let parts = by_round(run, area.curve(history), area).into_iter();
                parts.map(|points| CurvePart { points, has_all_runs: true }).collect()
            }
            CurveSource::Group { members, segments } => {
                let point = |point: &BandPoint| (area.x.at(point.step), area.y.at(point.mean));
                let parts = segments.iter().flat_map(|segment| {
                    let has_all_runs = segment.runs == members.len();
                    let inside = area.clip(segment.points.iter().map(point).collect());
                    inside.into_iter().map(move |points| CurvePart { points, has_all_runs })
                });
                parts.collect()
            }
        };
    }

    /// Both ends of the band at each of the steps shown.
    pub(super) fn band_ends(&self, (from, to): (f64, f64)) -> impl Iterator<Item = f64> {
        let shown = self.band_points().filter(move |point| (from..=to).contains(&point.step));
        shown.filter_map(|point| point.band).flat_map(|(low, high)| [low, high])
    }
}
