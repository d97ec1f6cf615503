//! Line curves over training steps, one a run, each named at its end or in a legend beside the plot.

use rayon::prelude::*;
use thiserror::Error;

mod events;
mod names;

use super::axis::{Axis, Scale, log_axis, step_axis, value_axis};
use super::canvas::{Anchor, Drawing, Layer, Mark, PX_PER_INCH};
use super::fonts::{Fonts, Weight};
use super::header::{BODY, Names, PAD, footer, header, quantity, text};
use super::ink::{Pen, Xy, between_x, between_y, dashes};
use super::theme::{Rgb, STYLES, Style};
use super::{Look, Picture, ValueScale, named};
use crate::history::{Comparison, History, Point, Run};
use crate::label::shorten_middle;
use crate::stats::Analysis;
use crate::stats::smooth::Smoothing;

pub(super) const DEFAULT_SIZE: (f64, f64) = (11.0, 5.6);
/// Up to so many runs are named at the ends of their lines.
pub(super) const NAMED_AT_END: usize = 12;
/// Fewer points than this get a marker each.
const FEW_POINTS: usize = 30;
pub(super) const LINE_HEIGHT: f64 = 1.32 * BODY;
/// From the plot's edge to the names at the line ends.
pub(super) const LEADER: f64 = 34.0;
/// Pens in px: a smoothed line, a line as logged, one of many, one behind a smoothed one, the crowd.
const SMOOTH_PEN: f64 = 2.0;
const PLAIN_PEN: f64 = 1.6;
const MANY_PEN: f64 = 1.1;
const FAINT_PEN: f64 = 0.9;
const CROWD_PEN: f64 = 0.7;

/// A run on its way into the picture.
struct Curve<'a> {
    run: &'a Run,
    name: String,
    style: Option<Style>,
    smoothed: Option<History>,
    parts: Vec<Vec<Xy>>, // what is shown, in px
}

impl Curve<'_> {
    /// What the line shows: smoothed if that was asked for.
    fn shown(&self) -> &History {
        self.smoothed.as_ref().unwrap_or(&self.run.history)
    }

    /// Where the line ends, if any of it is inside the frame.
    fn end(&self) -> Option<Xy> {
        self.parts.last().and_then(|part| part.last().copied())
    }
}

/// The frame that curves are drawn in.
pub(super) struct Frame {
    pub(super) left: f64,
    pub(super) right: f64,
    pub(super) top: f64,
    pub(super) bottom: f64,
    pub(super) x: Scale,
    pub(super) y: Scale,
    pub(super) limited: bool, // some points may be outside, or have no place
}

impl Frame {
    pub(super) fn contains(&self, (x, y): Xy) -> bool {
        (self.left..=self.right).contains(&x) && (self.top..=self.bottom).contains(&y)
    }

    /// The curve in px, cut into the parts that are inside the frame.
    fn parts(&self, history: &History) -> Vec<Vec<Xy>> {
        let mut parts = Vec::new();
        for segment in history.segments() {
            let place = |p: &Point| (self.x.at(p.step), self.y.at(p.entropy));
            let places: Vec<Xy> = segment.iter().map(place).collect();
            if !self.limited {
                parts.push(places);
                continue;
            }
            // Logarithms of what is not positive are not finite and break the line.
            for part in places.split(|p| !p.1.is_finite()).filter(|part| !part.is_empty()) {
                let inside = between_x(part, self.left, self.right);
                if !inside.is_empty() {
                    parts.extend(between_y(&inside, self.top, self.bottom));
                }
            }
        }
        parts
    }
}

/// The picture without what an analysis adds to it: laying it out and analysing the same runs can go
/// side by side.
pub struct Curves<'a> {
    curves: Vec<Curve<'a>>,
    frame: Frame,
    look: &'a Look,
    fonts: &'a Fonts,
    drawing: Drawing,
    warnings: Vec<String>,
}

/// No point is within the limits, or none has a place on the axis.
#[derive(Debug, Error)]
#[error("no value can be drawn within these limits and on this axis")]
pub struct NothingToDraw;

impl<'a> Curves<'a> {
    /// Lays the picture out.
    pub fn new(
        comparison: &'a Comparison,
        look: &'a Look,
        fonts: &'a Fonts,
    ) -> Result<Curves<'a>, NothingToDraw> {
        lay_out(comparison, look, fonts)
    }

    /// The picture, with collapses and explosions marked; `analysis` is that of the same comparison.
    pub fn picture(mut self, analysis: &Analysis) -> Picture {
        if self.curves.len() <= NAMED_AT_END {
            let events = events::events(&self.curves, analysis, &self.frame, self.look, self.fonts);
            self.drawing.layers.extend(events);
        }
        Picture { drawing: self.drawing, warnings: self.warnings }
    }
}

fn lay_out<'a>(
    comparison: &'a Comparison,
    look: &'a Look,
    fonts: &'a Fonts,
) -> Result<Curves<'a>, NothingToDraw> {
    let (width, height) = look.size.unwrap_or(DEFAULT_SIZE);
    let (width, height) = (width * PX_PER_INCH, height * PX_PER_INCH);
    let mut warnings = Vec::new();

    let named = named(comparison.runs(), look.steps);
    let names = Names::of(comparison.runs().iter().map(|run| run.history.label()));
    let mut styles = 0..;
    let styles = named.iter().map(|named| if *named { styles.next() } else { None });
    let span = width_in_steps(comparison);
    let runs = comparison.runs().iter().zip(styles).zip(&names.short);
    let mut curves: Vec<Curve<'_>> = runs
        .map(|((run, style), name)| Curve {
            run,
            name: name.clone(),
            style: style.map(|index| look.theme.style(index)),
            smoothed: smoothed(&run.history, look.smoothing, span),
            parts: Vec::new(),
        })
        .collect();

    // Values first: the width of their texts decides where the plot begins.
    let steps = step_range(&curves, look);
    let (low, high) = value_range(&curves, look, steps, &mut warnings).ok_or(NothingToDraw)?;
    let values = values_axis(low, high, look, height);
    let label_width = |axis: &Axis| {
        let widths = axis.ticks.iter().map(|(_, t)| fonts.width(t, BODY, Weight::Regular));
        widths.fold(0.0, f64::max)
    };
    let left = (PAD + label_width(&values) + 8.0).max(44.0);

    let subtitle = subtitle(comparison, look, &names, curves.len(), values.low);
    let title = default_title(comparison);
    let (mut words, below_header) = header(fonts, look, &title, &subtitle, (left, width - PAD));
    let (foot, above_footer) = footer(fonts, look, (left, width - PAD), height);
    words.extend(foot);
    let top = below_header + 26.0;
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
                let wide = |t: &str| fonts.width(t, BODY, Weight::SemiBold);
                curve.name = shorten_middle(&curve.name, |t| wide(t) <= room);
                widest = widest.max(wide(&curve.name));
            }
            width - PAD - widest - LEADER
        }
    };

    let most = ((right - left) / 95.0).clamp(2.0, 8.0) as usize;
    let first_width = fonts.width(&super::exact(steps.0), BODY, Weight::Regular);
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
        x_ticks(&frame, &x_axis, look.across.axis_name(), look, fonts),
        Layer { name: "title".to_owned(), marks: words },
    ];
    curves.par_iter_mut().for_each(|curve| curve.parts = frame.parts(curve.shown()));
    layers.extend(lines(&curves, &frame, look));
    match legend {
        Some(legend) => layers.push(legend.layer(&curves, &frame, look, fonts)),
        None => layers.push(names::end_labels(&curves, &frame, look, fonts)),
    }
    let title = look.title.clone().unwrap_or(title);
    let drawing = Drawing { width, height, ground: look.theme.ground, title, layers };
    Ok(Curves { curves, frame, look, fonts, drawing, warnings })
}

/// From the first step of any run to the last of any.
fn width_in_steps(comparison: &Comparison) -> f64 {
    let points = || comparison.runs().iter().map(|run| run.history.points());
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

fn default_title(comparison: &Comparison) -> String {
    match comparison.runs() {
        [run] => format!("Policy entropy of {}", crate::label::visible(run.history.label())),
        _ => "Policy entropy by run".to_owned(),
    }
}

fn subtitle(
    comparison: &Comparison,
    look: &Look,
    names: &Names,
    runs: usize,
    low: f64,
) -> Vec<String> {
    let mut parts = vec![quantity(comparison, look)];
    if look.smoothing != Smoothing::None {
        parts.push(format!("line: {}, faint: as logged", look.across.smoothing(look.smoothing)));
    }
    if look.scale == ValueScale::Log {
        parts.push("logarithmic scale".to_owned());
    } else if low > 0.0 && look.y_min.is_none() {
        parts.push("axis does not start at 0".to_owned());
    }
    parts.extend(names.remark());
    if runs > STYLES {
        parts.push(format!("{runs} runs, the {STYLES} with the largest spread in colour"));
    }
    parts
}

/// First and last step shown.
fn step_range(curves: &[Curve<'_>], look: &Look) -> (f64, f64) {
    let ends = curves.iter().map(|curve| {
        let points = curve.run.history.points();
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
    look: &Look,
    steps: (f64, f64),
    warnings: &mut Vec<String>,
) -> Option<(f64, f64)> {
    let mut low = f64::INFINITY;
    let mut high = f64::NEG_INFINITY;
    let mut not_positive = 0;
    for curve in curves {
        let histories = [Some(&curve.run.history), curve.smoothed.as_ref()];
        for (i, history) in histories.into_iter().flatten().enumerate() {
            for point in history.points() {
                if point.step < steps.0 || point.step > steps.1 {
                    continue;
                }
                if look.scale == ValueScale::Log && point.entropy <= 0.0 {
                    not_positive += usize::from(i == 0);
                    continue;
                }
                low = low.min(point.entropy);
                high = high.max(point.entropy);
            }
        }
    }
    if not_positive > 0 {
        let values = if not_positive == 1 { "value is" } else { "values are" };
        warnings.push(format!(
            "{not_positive} {values} not positive and cannot be drawn on a logarithmic axis"
        ));
    }
    (low <= high).then_some((low, high))
}

/// The value axis: from 0 unless that would waste two thirds of the height.
fn values_axis(low: f64, high: f64, look: &Look, height: f64) -> Axis {
    let fixed = (look.y_min.is_some(), look.y_max.is_some());
    let given = (look.y_min.unwrap_or(low), look.y_max.unwrap_or(high));
    if look.scale == ValueScale::Log {
        let (low, high) = given;
        let high = if high > low { high } else { low * 10.0 };
        return log_axis(low, high, fixed);
    }
    let (mut low, mut high) = given;
    let worth = |near: f64, far: f64| near == far || near.abs() <= far.abs() * 2.0 / 3.0;
    if !fixed.0 && low > 0.0 && worth(low, high) {
        low = 0.0;
    }
    if !fixed.1 && high < 0.0 && worth(high, low) {
        high = 0.0;
    }
    if low >= high {
        // All values are 0, or the user's limits leave one value: some height is needed.
        if fixed.1 { low = high - 1.0 } else { high = low + 1.0 }
    }
    value_axis(low, high, fixed, (height / 62.0).clamp(3.0, 8.0) as usize)
}

pub(super) fn grid(frame: &Frame, values: &Axis, look: &Look, fonts: &Fonts) -> Layer {
    let mut marks = Vec::new();
    let base = if values.low <= 0.0 && values.high >= 0.0 { 0.0 } else { values.low };
    for (value, words) in &values.ticks {
        let y = frame.y.at(*value);
        if (y - frame.bottom).abs() > 1.0 {
            let zero = *value == 0.0 && base == 0.0;
            let colour = if zero { look.theme.quiet } else { look.theme.hairline };
            marks.push(Mark::Line(vec![(frame.left, y), (frame.right, y)], 1.0, colour));
        }
        let at = (frame.left - 8.0, y + 0.36 * BODY);
        marks.push(Mark::Text(text(
            fonts,
            words,
            at,
            Anchor::End,
            BODY,
            Weight::Regular,
            look.theme.quiet,
        )));
    }
    Layer { name: "value axis".to_owned(), marks }
}

/// The ticks of the x axis, and its name unless the user gives one.
pub(super) fn x_ticks(frame: &Frame, axis: &Axis, name: &str, look: &Look, fonts: &Fonts) -> Layer {
    let quiet = look.theme.quiet;
    let (left, right, bottom) = (frame.left, frame.right, frame.bottom);
    let mut marks = Vec::new();
    let words = |words: &str, at| {
        Mark::Text(text(fonts, words, at, Anchor::Middle, BODY, Weight::Regular, quiet))
    };
    marks.push(Mark::Line(vec![(left, bottom), (right, bottom)], 1.1, quiet));
    let mut free = f64::NEG_INFINITY;
    for (step, tick) in &axis.ticks {
        let x = frame.x.at(*step);
        marks.push(Mark::Line(vec![(x, bottom), (x, bottom + 4.5)], 1.1, quiet));
        let half = fonts.width(tick, BODY, Weight::Regular) / 2.0;
        let middle = x.max(half + 4.0); // a long first step must not leave the picture
        if middle - half > free {
            marks.push(words(tick, (middle, bottom + 7.0 + BODY)));
            free = middle + half + 6.0;
        }
    }
    let name = look.x_label.as_deref().unwrap_or(name);
    let name = shorten_middle(&crate::label::visible(name), |t| {
        fonts.width(t, BODY, Weight::Regular) <= right - left
    });
    marks.push(words(&name, ((left + right) / 2.0, bottom + 2.95 * BODY)));
    Layer { name: "step axis".to_owned(), marks }
}

/// The lines, a layer a run: first what stands behind all, then the named ones in order.
fn lines(curves: &[Curve<'_>], frame: &Frame, look: &Look) -> Vec<Layer> {
    let faint = |curve: &Curve<'_>| match (&curve.style, &curve.smoothed) {
        (Some(style), Some(_)) => {
            let parts = frame.parts(&curve.run.history);
            parts.iter().flat_map(|part| stroke(part, FAINT_PEN, style.faint, &[])).collect()
        }
        _ => Vec::new(),
    };
    let line = |curve: &Curve<'_>| -> Vec<Mark> {
        let Some(style) = curve.style else {
            let colour = look.theme.crowd;
            return curve.parts.iter().flat_map(|p| stroke(p, CROWD_PEN, colour, &[])).collect();
        };
        let pen = match (&curve.smoothed, curves.len()) {
            (Some(_), _) => SMOOTH_PEN,
            (None, 0..=NAMED_AT_END) => PLAIN_PEN,
            (None, _) => MANY_PEN,
        };
        let few = curve.shown().points().len() < FEW_POINTS;
        let dash = if few { &[] } else { style.dash };
        let mut marks = Vec::new();
        for part in &curve.parts {
            marks.extend(stroke(part, pen, style.line, dash));
            if few && part.len() > 1 {
                let dots = part.iter();
                marks
                    .extend(dots.flat_map(|at| ring(*at, 3.0, 1.5, style.line, look.theme.ground)));
            }
        }
        marks
    };
    let (behind, marks): (Vec<_>, Vec<_>) =
        curves.par_iter().map(|curve| (faint(curve), line(curve))).unzip();
    let mut crowd = Vec::new();
    let mut layers = Vec::new();
    for (curve, marks) in curves.iter().zip(marks) {
        match curve.style {
            Some(_) => {
                layers.push(Layer { name: curve.run.history.label().to_owned(), marks });
            }
            None => crowd.extend(marks),
        }
    }
    let behind = Layer { name: "as logged".to_owned(), marks: behind.concat() };
    let crowd = Layer { name: "other runs".to_owned(), marks: crowd };
    [crowd, behind].into_iter().chain(layers).filter(|layer| !layer.marks.is_empty()).collect()
}

/// One part of a curve; a single point is a disc, or it would not be seen.
pub(super) fn stroke(part: &[Xy], width: f64, colour: Rgb, dash: &[f64]) -> Vec<Mark> {
    if let [point] = part {
        return vec![Mark::Disc(*point, 1.2 + width, colour)];
    }
    let pen = Pen::new(width, part.len(), part[part.len() - 1].0 - part[0].0);
    dashes(part, dash).iter().map(|piece| pen.draw(piece, colour)).collect()
}

/// An open circle.
pub(super) fn ring(at: Xy, radius: f64, pen: f64, colour: Rgb, ground: Rgb) -> [Mark; 2] {
    [Mark::Disc(at, radius, colour), Mark::Disc(at, radius - pen, ground)]
}
