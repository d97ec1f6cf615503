//! Groups of runs: the mean of each group, and a band around it.
//!
//! Runs are smoothed before they are averaged, so a band is the spread of smoothed runs. Bands are the only
//! transparent marks of a picture: where two overlap, both are visible.

use std::borrow::Cow;

use super::curve::{Curve, CurveSource, smoothed};
use crate::canvas::Mark;
use crate::geometry::{Xy, clip_x};
use crate::plot_area::PlotArea;
use crate::stroke::region_edge;
use crate::{ChartOptions, GroupOptions, XAxis};
use entropy_history::history::{Comparison, History, Run};
use entropy_history::label::visible;
use entropy_history::stats::band::{BandPoint, BandSegment, MissingSteps, Spread, band_segments};
use entropy_history::stats::replicates::copies;
use entropy_history::stats::smooth::Smoothing;

/// Opacity of a band over all runs of a group, and over some of them.
const OPACITY: f64 = 0.18;
const PARTIAL_OPACITY: f64 = 0.09;
/// Half the width in px of a band that has a single point.
const WHISKER: f64 = 3.0;
/// Up to this many groups, the subtitle says where their number of runs changes.
const MAX_COUNT_NOTES: usize = 3;

/// The means of the groups, and warnings about them. `width` is the width of the chart in steps.
pub(super) fn group_means<'a>(
    comparison: &'a Comparison,
    grouped: &'a GroupOptions,
    options: &ChartOptions,
    width: f64,
) -> (Vec<CurveSource<'a>>, Vec<String>) {
    let mut warnings = Vec::new();
    let mut single: Vec<&str> = Vec::new();
    let mut means = Vec::new();
    for group in &grouped.groups {
        let members: Vec<&Run> = group.members.iter().map(|i| &comparison.runs()[*i]).collect();
        let kind = members[0].history.kind();
        let (segments, warning) = if members.iter().any(|run| run.history.kind() != kind) {
            let warning = "its runs hold different quantities and are not averaged";
            (Vec::new(), Some(warning.to_owned()))
        } else {
            let mut segments = mean_segments(&members, grouped, options, width);
            let histories: Vec<&History> = members.iter().map(|run| &run.history).collect();
            let copies = copies(&histories);
            if copies.is_some() {
                let points = segments.iter_mut().flat_map(|segment| &mut segment.points);
                points.for_each(|point| point.band = None);
            }
            let copies = copies.map(|copies| format!("no band: {copies}"));
            let warning = mean_warning(&members, &segments, grouped).or(copies);
            (segments, warning)
        };
        if members.len() == 1 {
            single.push(&group.name);
        }
        warnings.extend(warning.map(|text| format!("group {}: {text}", visible(&group.name))));
        means.push(CurveSource::Group { members, segments });
    }
    match single[..] {
        [] => {}
        [name] => warnings.push(format!("group {}: one run has no band", visible(name))),
        _ => warnings.push(format!("{} groups have one run each and no band", single.len())),
    }
    (means, warnings)
}

fn mean_segments(
    members: &[&Run],
    grouped: &GroupOptions,
    options: &ChartOptions,
    width: f64,
) -> Vec<BandSegment> {
    let smooth = |run: &&'_ Run| smoothed(&run.history, options.smoothing, width);
    let histories: Vec<Cow<'_, History>> = members
        .iter()
        .map(|run| smooth(run).map_or(Cow::Borrowed(&run.history), Cow::Owned))
        .collect();
    let histories: Vec<&History> = histories.iter().map(AsRef::as_ref).collect();
    band_segments(&histories, grouped.spread, grouped.missing_steps)
}

fn shared_points(segments: &[BandSegment]) -> usize {
    segments.iter().map(|segment| segment.points.len()).sum()
}

/// A warning about the mean of a group, if it is limited. Groups of one run are reported together instead.
fn mean_warning(
    members: &[&Run],
    segments: &[BandSegment],
    grouped: &GroupOptions,
) -> Option<String> {
    if members.len() == 1 {
        return None;
    }
    let shared = shared_points(segments);
    let shortest = members.iter().map(|run| run.history.points().len()).min().unwrap_or(0);
    let not_interpolated = match grouped.missing_steps {
        MissingSteps::Skip => "; values between logged points were not interpolated",
        MissingSteps::Interpolate => "",
    };
    match shared {
        0 => Some(format!(
            "its runs share no point of the x axis and have no mean{not_interpolated}"
        )),
        // Runs with the same logging interval share most points of the shortest run.
        _ if 2 * shared < shortest => {
            let points = if shared == 1 { "point" } else { "points" };
            Some(format!(
                "its runs share {shared} {points} of the x axis, and the shortest run has {shortest} points{not_interpolated}"
            ))
        }
        _ if segments.iter().all(|segment| segment.runs < grouped.spread.min_runs()) => {
            let (runs, min) = (members.len(), grouped.spread.min_runs());
            Some(format!("{runs} runs have no such band: it needs {min}"))
        }
        _ => None,
    }
}

/// Whether a group has no useful mean: no point, or only one although its runs have more.
pub(super) fn has_no_mean(members: &[&Run], segments: &[BandSegment]) -> bool {
    let shared = shared_points(segments);
    shared == 0 || shared == 1 && members.iter().all(|run| run.history.points().len() > 1)
}

/// The bands of a curve; none for a run or for a group without a style.
pub(super) fn marks(curve: &Curve<'_>, area: &PlotArea) -> Vec<Mark> {
    let Some(style) = curve.style else { return Vec::new() };
    let mut marks = Vec::new();
    for segment in curve.segments() {
        let has_all_runs = segment.runs == curve.runs().len();
        let opacity = if has_all_runs { OPACITY } else { PARTIAL_OPACITY };
        let ends = segment.points.chunk_by(|a, b| a.band.is_some() == b.band.is_some());
        for points in ends {
            let outline = outline(points, area);
            if outline.len() > 2 {
                marks.push(Mark::TranslucentRegion(outline, style.line, opacity));
            }
        }
    }
    marks
}

/// The outline of the band in px, clipped to the plot area; empty if there is no band.
fn outline(points: &[BandPoint], area: &PlotArea) -> Vec<Xy> {
    let side = |end: fn((f64, f64)) -> f64| -> Vec<Xy> {
        let at = |point: &BandPoint| {
            let y = area.y.at(end(point.band?));
            // A value without a logarithm is below the axis.
            Some((area.x.at(point.step), if y.is_finite() { y } else { area.bottom }))
        };
        let line: Vec<Xy> = points.iter().filter_map(at).collect();
        clamp_y(&clip_x(&line, area.left, area.right), area.top, area.bottom)
    };
    let (below, above) = (side(|band| band.0), side(|band| band.1));
    let (Some(low), Some(high)) = (below.first(), above.first()) else { return Vec::new() };
    if let ([low], [high]) = (&below[..], &above[..]) {
        let (left, right) = (low.0 - WHISKER, low.0 + WHISKER);
        return vec![(left, high.1), (right, high.1), (right, low.1), (left, low.1)];
    }
    if low.1 == high.1 && below.iter().zip(&above).all(|(b, a)| b == a) {
        return Vec::new(); // no spread, or all of it is outside
    }
    let mut outline = region_edge(&above, f64::min);
    outline.extend(region_edge(&below, f64::max).into_iter().rev());
    outline
}

/// The line with y limited to `top..=bottom`, and points added where it crosses these limits.
fn clamp_y(line: &[Xy], top: f64, bottom: f64) -> Vec<Xy> {
    let mut moved: Vec<Xy> = Vec::with_capacity(line.len());
    for (i, &(x, y)) in line.iter().enumerate() {
        if let Some(&(x0, y0)) = i.checked_sub(1).and_then(|before| line.get(before)) {
            let crossing = |at: f64| (at - y0) / (y - y0);
            let mut crossings: Vec<f64> = [crossing(top), crossing(bottom)]
                .into_iter()
                .filter(|t| *t > 0.0 && *t < 1.0)
                .collect();
            crossings.sort_unstable_by(f64::total_cmp);
            let at = |t: f64| (x0 + (x - x0) * t, (y0 + (y - y0) * t).clamp(top, bottom));
            moved.extend(crossings.into_iter().map(at));
        }
        moved.push((x, y.clamp(top, bottom)));
    }
    moved
}

/// The parts of the subtitle about groups.
pub(super) fn subtitle_parts(
    curves: &[Curve<'_>],
    grouped: &GroupOptions,
    options: &ChartOptions,
) -> Vec<String> {
    let mut parts = Vec::new();
    parts.push(match options.smoothing {
        Smoothing::None => "line: mean over runs".to_owned(),
        smoothing => {
            format!(
                "line: mean over runs, each smoothed by {} first",
                options.smoothing_name(smoothing)
            )
        }
    });
    if curves.iter().any(Curve::has_band) {
        parts.push(match grouped.spread {
            Spread::Sd => "band: ± standard deviation of runs".to_owned(),
            Spread::Se => "band: ± standard error of the mean".to_owned(),
            Spread::MinMax => "band: smallest to largest run".to_owned(),
            Spread::Ci95 => "band: 95 % interval of the mean, Student’s t over runs".to_owned(),
        });
    }
    if options.smoothing != Smoothing::None || curves.iter().any(|curve| curve.runs().len() > 1) {
        parts.push("faint: runs as logged".to_owned());
    }
    if grouped.missing_steps == MissingSteps::Interpolate {
        parts.push("interpolated between logged points".to_owned());
    }
    let changes: Vec<String> = curves
        .iter()
        .filter_map(|curve| count_changes(curve, options.x_axis, options.steps))
        .collect();
    match changes.len() {
        0 => {}
        1..=MAX_COUNT_NOTES => {
            parts.push(format!("dashed, lighter: fewer runs ({})", changes.join("; ")));
        }
        _ => parts.push("dashed, lighter: fewer runs than n".to_owned()),
    }
    parts
}

/// Where the number of averaged runs changes, in parts; `None` if all runs are averaged everywhere.
fn count_changes(curve: &Curve<'_>, x_axis: XAxis, (from, to): (f64, f64)) -> Option<String> {
    let shown = curve.segments().iter().filter_map(|segment| {
        let first = segment.points.iter().find(|point| (from..=to).contains(&point.step))?;
        Some((segment.runs, first.step))
    });
    let mut counts: Vec<(usize, f64)> = shown.collect();
    counts.dedup_by_key(|(runs, _)| *runs);
    if counts.iter().all(|(runs, _)| *runs == curve.runs().len()) {
        return None;
    }
    let name = &curve.name;
    let counts = match &counts[..] {
        [(first, _), rest @ ..] if rest.len() <= 2 => {
            let later = rest.iter().map(|(n, at)| format!(", {n} from {}", x_axis.position(*at)));
            format!("{first}{}", later.collect::<String>())
        }
        many => {
            let counts = || many.iter().map(|(runs, _)| *runs);
            format!("{} to {}", counts().min().unwrap_or(0), counts().max().unwrap_or(0))
        }
    };
    Some(format!("{name}: n\u{a0}=\u{a0}{counts}")) // in one line
}
