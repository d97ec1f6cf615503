//! Line curves over training steps, one a run or one a group of runs, each named at its end or in a legend
//! beside the plot.

use rayon::prelude::*;
use thiserror::Error;

mod bands;
mod curve;
mod events;
mod frame;
mod lines;
mod names;

pub(super) use frame::{Frame, grid, x_ticks};
pub(super) use lines::{ring, stroke};

use curve::{Curve, Line, Part};

use super::axis::{Axis, Scale, step_axis};
use super::canvas::{Drawing, Layer, px_per_inch};
use super::fonts::{Fonts, Weight};
use super::header::{BODY, Names, PAD, footer, header, quantity};
use super::theme::STYLES;
use super::{ChartOptions, Picture, ValueScale, styles_over};
use entropy_history::history::{Comparison, History, Run};
use entropy_history::label::visible;
use entropy_history::number::short;
use entropy_history::stats::Analysis;
use entropy_history::stats::smooth::Smoothing;

pub(super) const DEFAULT_SIZE: (f64, f64) = (11.0, 5.6);
/// Up to so many lines are named at their ends.
pub(super) const NAMED_AT_END: usize = 12;
/// Fewer points than this get a marker each.
const FEW_POINTS: usize = 30;
pub(super) const LINE_HEIGHT: f64 = 1.32 * BODY;
/// From the plot's edge to the names at the line ends.
pub(super) const LEADER: f64 = 34.0;

/// Between the quiet lines and the plot, in a picture of that height.
pub(super) fn air(height: f64) -> f64 {
    if height < 330.0 { 16.0 } else { 26.0 }
}

/// How many ticks a value axis may have in a picture of that height.
pub(super) fn tick_count(height: f64) -> usize {
    ((height - 140.0) / 48.0).clamp(2.0, 8.0) as usize
}

/// The picture without what an analysis adds to it: laying it out and analysing the same runs can go
/// side by side.
pub struct Curves<'a> {
    curves: Vec<Curve<'a>>,
    frame: Frame,
    look: &'a ChartOptions,
    fonts: &'a Fonts,
    drawing: Drawing,
    warnings: Vec<String>,
}

/// Why a picture would be empty.
#[derive(Debug, Error)]
pub enum NothingToDraw {
    /// No point is within the limits, or none has a place on the axis.
    #[error("no value can be drawn within these limits and on this axis")]
    Limits,
    /// No group has a mean; why not.
    #[error("there is no mean to draw: {0}")]
    NoMean(String),
}

impl<'a> Curves<'a> {
    /// Lays the picture out.
    pub fn new(
        comparison: &'a Comparison,
        look: &'a ChartOptions,
        fonts: &'a Fonts,
    ) -> Result<Curves<'a>, NothingToDraw> {
        lay_out(comparison, look, fonts)
    }

    /// The picture, with collapses and explosions marked; `analysis` is that of the same comparison.
    pub fn picture(mut self, analysis: &Analysis) -> Picture {
        // What happens to one run of a group says little of its mean.
        if self.look.groups.is_none() && self.curves.len() <= NAMED_AT_END {
            let events = events::events(&self.curves, analysis, &self.frame, self.look, self.fonts);
            self.drawing.layers.extend(events);
        }
        Picture { drawing: self.drawing, warnings: self.warnings }
    }
}

fn lay_out<'a>(
    comparison: &'a Comparison,
    look: &'a ChartOptions,
    fonts: &'a Fonts,
) -> Result<Curves<'a>, NothingToDraw> {
    let (width, height) = look.size.unwrap_or(DEFAULT_SIZE);
    let px_per_inch = px_per_inch((width, height));
    let (width, height) = (width * px_per_inch, height * px_per_inch);
    let (mut curves, names, mut warnings) = curves_of(comparison, look)?;

    // Values first: the width of their texts decides where the plot begins.
    let steps = step_range(&curves, look);
    let (low, high) =
        value_range(&curves, look, steps, &mut warnings).ok_or(NothingToDraw::Limits)?;
    let values = frame::values_axis(low, high, look, tick_count(height));
    let label_width = |axis: &Axis| {
        let widths = axis.ticks.iter().map(|(_, t)| fonts.width(t, BODY, Weight::Regular));
        widths.fold(0.0, f64::max)
    };
    let left = (PAD + label_width(&values) + 8.0).max(44.0);

    let mut subtitle =
        subtitle(comparison, &curves, look, &names, values.low, cut((low, high), look));
    let title = default_title(&curves, look);
    let (foot, above_footer) = footer(fonts, look, (left, width - PAD), height);
    let (mut words, below_header) = loop {
        let (words, below) = header(fonts, look, &title, &subtitle, (left, width - PAD));
        // In a small picture, what there is to say gives way to the lines, from its end.
        let least = if look.groups.is_some() { 2 } else { 1 };
        if below <= 0.5 * height || subtitle.len() <= least {
            break (words, below);
        }
        subtitle.pop();
    };
    words.extend(foot);
    let top = below_header + air(height);
    let bottom = above_footer - 3.0 * BODY;

    let fits_at_end = (bottom - top + LINE_HEIGHT) / LINE_HEIGHT;
    let at_end = curves.len() <= NAMED_AT_END && curves.len() as f64 <= fits_at_end;
    let legend = if at_end {
        None
    } else {
        Some(names::Legend::new(&mut curves, fonts, width, bottom - top))
    };
    let right = match &legend {
        Some(legend) => width - PAD - legend.width() - 24.0,
        None => {
            let room = 0.3 * width;
            let mut widest: f64 = 0.0;
            for curve in &mut curves {
                let sample = names::sample_width(curve);
                let wide = |t: &str| sample + fonts.width(t, BODY, Weight::SemiBold);
                curve.fit_name(|t| wide(t) <= room);
                widest = widest.max(wide(&curve.name));
            }
            width - PAD - widest - LEADER
        }
    };

    let most = ((right - left) / 70.0).clamp(2.0, 8.0) as usize;
    let first_width = fonts.width(&entropy_history::number::exact(steps.0), BODY, Weight::Regular);
    let x_axis = step_axis(steps.0, steps.1, most, (0.5 * first_width + 24.0) / (right - left));
    let frame = Frame {
        left,
        right,
        top,
        bottom,
        x: Scale::new((x_axis.low, x_axis.high), (left, right), ValueScale::Linear),
        y: Scale::new((values.low, values.high), (bottom, top), look.scale),
        limited: look.y_min.is_some()
            || look.y_max.is_some()
            || look.steps.0.is_finite()
            || look.steps.1.is_finite()
            || look.scale == ValueScale::Log
            || low < values.low
            || high > values.high,
    };

    if look.y_min.is_none() && low < values.low || look.y_max.is_none() && high > values.high {
        warnings.push("values beyond 1e300 are cut off".to_owned());
    }
    let mut layers = vec![
        grid(&frame, &values, look, fonts),
        x_ticks(&frame, &x_axis, &[look.across.axis_name(), look.across.noun()], look, fonts),
        Layer { name: "title".to_owned(), marks: words },
    ];
    curves.par_iter_mut().for_each(|curve| curve.place(&frame));
    if look.scale == ValueScale::Log {
        // What has no line has no name either.
        for curve in curves.iter_mut().filter(|curve| !curve.has_logarithm(steps)) {
            curve.style = None;
            let label = visible(curve.label);
            warnings.push(format!("{label} has no positive value to draw and is left out"));
        }
    }
    layers.extend(lines::lines(&curves, &frame, look));
    match legend {
        Some(legend) => layers.push(legend.layer(&curves, &frame, look, fonts)),
        None => layers.push(names::end_labels(&curves, &frame, look, fonts)),
    }
    let title = look.title.clone().unwrap_or(title);
    let drawing = Drawing { width, height, px_per_inch, ground: look.theme.ground, title, layers };
    Ok(Curves { curves, frame, look, fonts, drawing, warnings })
}

/// The lines, without places, their names and what is to be said of them.
type Drafts<'a> = (Vec<Curve<'a>>, Names, Vec<String>);

fn curves_of<'a>(
    comparison: &'a Comparison,
    look: &'a ChartOptions,
) -> Result<Drafts<'a>, NothingToDraw> {
    let runs = comparison.runs();
    let Some(grouped) = &look.groups else {
        let span = width_in_steps(runs.iter());
        let names = Names::of(runs.iter().map(|run| run.history.label()));
        let lines = runs.iter().zip(styles_over(runs, look.steps)).zip(&names.short);
        let curves = lines.map(|((run, style), name)| Curve {
            line: Line::Run { run, smoothed: smoothed(&run.history, look.smoothing, span) },
            label: run.history.label(),
            name: name.clone(),
            count: String::new(),
            style: style.map(|index| look.theme.style(index)),
            parts: Vec::new(),
        });
        return Ok((curves.collect(), names, Vec::new()));
    };
    let members = grouped.groups.iter().flat_map(|group| &group.members);
    let span = width_in_steps(members.map(|i| &runs[*i]));
    let names = Names::of(grouped.groups.iter().map(|group| group.name.as_str()));
    let (lines, warnings) = bands::groups(comparison, grouped, look, span);
    let hardly = |line: &Line<'_>| match line {
        Line::Run { .. } => false,
        Line::Group { members, stretches } => bands::is_hardly_shared(members, stretches),
    };
    if lines.iter().all(hardly) {
        return Err(NothingToDraw::NoMean(warnings.first().cloned().unwrap_or_default()));
    }
    let lines = lines.into_iter().zip(&grouped.groups).zip(&names.short).enumerate();
    let curves = lines.map(|(index, ((line, group), name))| Curve {
        line,
        label: &group.name,
        name: name.clone(),
        count: format!(", n = {}", group.members.len()),
        style: (index < STYLES).then(|| look.theme.style(index)),
        parts: Vec::new(),
    });
    Ok((curves.collect(), names, warnings))
}

/// From the first step of any run to the last of any.
fn width_in_steps<'a>(runs: impl Iterator<Item = &'a Run> + Clone) -> f64 {
    let points = || runs.clone().map(|run| run.history.points());
    let first = points().map(|points| points[0].step).fold(f64::INFINITY, f64::min);
    let last = points().map(|points| points[points.len() - 1].step);
    last.fold(f64::NEG_INFINITY, f64::max) - first
}

fn smoothed(history: &History, smoothing: Smoothing, width: f64) -> Option<History> {
    if smoothing == Smoothing::None {
        return None;
    }
    Some(history.with_values(&smoothing.apply(history.points(), width)))
}

fn default_title(curves: &[Curve<'_>], look: &ChartOptions) -> String {
    match curves {
        [curve] => format!("Policy entropy of {}", visible(curve.label)),
        _ if look.groups.is_some() => "Policy entropy by group".to_owned(),
        _ => "Policy entropy by run".to_owned(),
    }
}

fn subtitle(
    comparison: &Comparison,
    curves: &[Curve<'_>],
    look: &ChartOptions,
    names: &Names,
    low: f64,
    cut: Option<String>,
) -> Vec<String> {
    let mut parts = vec![quantity(comparison, look)];
    if let Some(grouped) = &look.groups {
        parts.extend(bands::words(curves, grouped, look));
    } else if look.smoothing != Smoothing::None {
        parts.push(format!("line: {}, faint: as logged", look.across.smoothing(look.smoothing)));
    }
    if look.scale == ValueScale::Log {
        parts.push("logarithmic scale".to_owned());
    } else if low > 0.0 {
        parts.push("axis does not start at 0".to_owned());
    }
    parts.extend(cut);
    parts.extend(names.remark());
    if curves.len() > STYLES {
        let count = curves.len();
        parts.push(match look.groups {
            Some(_) => format!("{count} groups, the first {STYLES} in colour"),
            None => format!("{count} runs, the {STYLES} with the largest spread in colour"),
        });
    }
    parts
}

/// What the user's limits cut off of the values shown.
fn cut((low, high): (f64, f64), look: &ChartOptions) -> Option<String> {
    let below = look.y_min.filter(|least| low < *least).map(short);
    let above = look.y_max.filter(|most| high > *most).map(short);
    match (below, above) {
        (Some(below), Some(above)) => Some(format!("cut below {below} and above {above}")),
        (Some(below), None) => Some(format!("cut below {below}")),
        (None, Some(above)) => Some(format!("cut above {above}")),
        (None, None) => None,
    }
}

/// First and last step shown.
fn step_range(curves: &[Curve<'_>], look: &ChartOptions) -> (f64, f64) {
    let ends = curves.iter().flat_map(Curve::runs).map(|run| {
        let points = run.history.points();
        (points[0].step, points[points.len() - 1].step)
    });
    let (first, last) =
        ends.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1))).expect("BUG: a comparison has a run");
    let first = if look.steps.0.is_finite() { look.steps.0 } else { first };
    let last = if look.steps.1.is_finite() { look.steps.1 } else { last };
    (first, last.max(first))
}

/// Smallest and largest value shown, among the steps shown; `None` if there is none.
fn value_range(
    curves: &[Curve<'_>],
    look: &ChartOptions,
    steps: (f64, f64),
    warnings: &mut Vec<String>,
) -> Option<(f64, f64)> {
    let mut low = f64::INFINITY;
    let mut high = f64::NEG_INFINITY;
    let mut not_positive = 0;
    let log = look.scale == ValueScale::Log;
    for curve in curves {
        let logged = curve.runs().iter().map(|run| &run.history);
        let smoothed = curve.shown().filter(|_| curve.is_smoothed());
        for (history, is_logged) in logged.map(|h| (h, true)).chain(smoothed.map(|h| (h, false))) {
            for point in history.points() {
                if point.step < steps.0 || point.step > steps.1 {
                    continue;
                }
                if log && point.entropy <= 0.0 {
                    not_positive += usize::from(is_logged);
                    continue;
                }
                low = low.min(point.entropy);
                high = high.max(point.entropy);
            }
        }
    }
    // A band may reach below 0, where no entropy is: it ends at an axis that starts there.
    let floor = if low >= 0.0 { 0.0 } else { f64::NEG_INFINITY };
    let mut is_cut = false;
    for end in curves.iter().flat_map(|curve| curve.band_ends(steps)) {
        if log && end <= 0.0 {
            is_cut = true;
            continue;
        }
        low = low.min(end.max(floor));
        high = high.max(end);
    }
    if is_cut {
        warnings.push("a band that reaches 0 or less ends at the foot of the axis".to_owned());
    }
    if not_positive > 0 {
        let values = if not_positive == 1 { "value is" } else { "values are" };
        warnings.push(format!(
            "{not_positive} {values} not positive and cannot be drawn on a logarithmic axis"
        ));
    }
    (low <= high).then_some((low, high))
}
