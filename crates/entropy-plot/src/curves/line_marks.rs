//! The marks of curves: runs, the logged curves behind them, and the means of groups.

use rayon::prelude::*;

use super::curve::{Curve, CurveSource};
use super::{bands, density, named};
use crate::ChartOptions;
use crate::canvas::{Layer, Mark};
use crate::geometry::Xy;
use crate::legend::MAX_NAMED_AT_END;
use crate::plot_area::PlotArea;
use crate::stroke::{StrokeStyle, ring};
use crate::theme::{Rgb, Theme};

/// Line widths in px: a smoothed run, a run as logged, one of many runs, a logged curve behind another line,
/// and a run without a style of its own.
const SMOOTHED_WIDTH: f64 = 2.0;
const LOGGED_WIDTH: f64 = 1.6;
const MANY_WIDTH: f64 = 1.1;
const BACKGROUND_WIDTH: f64 = 0.9;
const UNSTYLED_WIDTH: f64 = 0.9;
/// Line widths in px of the mean of a group: over all of its runs, and over some of them.
const MEAN_WIDTH: f64 = 2.2;
const PARTIAL_WIDTH: f64 = 1.6;
/// On and off lengths along x in px of a mean over some of the runs.
const PARTIAL_DASH: [f64; 2] = [7.0, 3.0];
/// If groups have more runs than this, the runs are drawn with the width and the share of colour below.
const MANY_MEMBERS: usize = 24;
const FAINT_WIDTH: f64 = 0.6;
const FAINT_SHARE: f64 = 0.15;
/// Curves with fewer points than this get a marker per point.
const FEW_POINTS: usize = 30;

/// The layers of all curves, from back to front: runs without a style, logged curves, bands, then one layer
/// per styled curve.
pub(super) fn curve_layers(
    curves: &[Curve<'_>],
    area: &PlotArea,
    options: &ChartOptions,
) -> Vec<Layer> {
    let run_count = curves.iter().map(|curve| curve.runs().len()).sum();
    let count = named(curves);
    let (logged, lines): (Vec<_>, Vec<_>) = curves
        .par_iter()
        .map(|curve| (logged_lines(curve, run_count, area, options), line(curve, count, options)))
        .unzip();
    let bands = curves.iter().flat_map(|curve| bands::marks(curve, area)).collect();
    let is_grey = |curve: &&Curve<'_>| {
        curve.style.is_none() && matches!(curve.source, CurveSource::Run { .. })
    };
    let grey = curves.iter().filter(is_grey).flat_map(|curve| &curve.parts);
    let grey: Vec<&[Xy]> = grey.map(|part| &part.points[..]).collect();
    let mut unstyled = density::marks(&grey, UNSTYLED_WIDTH, area, options.theme);
    let mut styled = Vec::new();
    for (curve, marks) in curves.iter().zip(lines) {
        match curve.style {
            Some(_) => styled.push(Layer { name: curve.label.to_owned(), marks }),
            None => unstyled.extend(marks),
        }
    }
    let back = [("other runs", unstyled), ("as logged", logged.concat()), ("bands", bands)];
    let back = back.map(|(name, marks)| Layer { name: name.to_owned(), marks });
    back.into_iter().chain(styled).filter(|layer| !layer.marks.is_empty()).collect()
}

/// The faint lines behind a curve: a smoothed run as logged, or the runs of a group.
fn logged_lines(
    curve: &Curve<'_>,
    run_count: usize,
    area: &PlotArea,
    options: &ChartOptions,
) -> Vec<Mark> {
    let theme = options.theme;
    let (width, colour) = match (&curve.style, &curve.source) {
        (Some(style), CurveSource::Group { .. }) if run_count > MANY_MEMBERS => {
            (FAINT_WIDTH, style.line.over(theme.background, FAINT_SHARE))
        }
        (Some(style), _) => (BACKGROUND_WIDTH, style.faint),
        (None, CurveSource::Run { .. }) => return Vec::new(),
        (None, CurveSource::Group { .. }) => (FAINT_WIDTH, theme.hairline),
    };
    let width = width * options.look.line_scale;
    let parts = curve.background_parts(area);
    parts.flat_map(|part| StrokeStyle::solid(width, colour).marks(&part)).collect()
}

/// The line of a run or of a mean, one of `count` curves in colour; with few points, each has a marker.
fn line(curve: &Curve<'_>, count: usize, options: &ChartOptions) -> Vec<Mark> {
    let theme = options.theme;
    let is_group = matches!(curve.source, CurveSource::Group { .. });
    let stroke = match curve.style {
        Some(style) if is_group => style.stroke(MEAN_WIDTH),
        Some(style) if curve.is_smoothed() => style.stroke(SMOOTHED_WIDTH),
        Some(style) if count <= MAX_NAMED_AT_END => style.stroke(LOGGED_WIDTH),
        Some(style) => style.stroke(MANY_WIDTH),
        None if is_group => StrokeStyle::solid(MEAN_WIDTH, theme.unstyled),
        None => return Vec::new(), // drawn together
    };
    let scale = options.look.line_scale;
    let stroke = StrokeStyle { width: scale * stroke.width, ..stroke };
    let with_markers = (is_group || curve.style.is_some()) && curve.point_count() < FEW_POINTS;
    let mut marks = Vec::new();
    for part in &curve.parts {
        let stroke = match part.has_all_runs {
            true => stroke,
            false => StrokeStyle { width: scale * PARTIAL_WIDTH, dash: &PARTIAL_DASH, ..stroke },
        };
        marks.extend(stroke.marks(&part.points));
        if with_markers && part.points.len() > 1 {
            marks.extend(markers(&part.points, stroke.colour, theme));
        }
    }
    marks
}

fn markers(points: &[Xy], colour: Rgb, theme: &Theme) -> impl Iterator<Item = Mark> {
    points.iter().flat_map(move |at| ring(*at, 3.0, 1.5, colour, theme))
}
