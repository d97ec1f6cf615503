//! The plot area of line charts: its position in the picture, its scales and its axes.

use crate::axis::{Axis, MIN_USED, Scale, close_axis, log_axis};
use crate::canvas::{Anchor, Layer, Mark, Text, TextFormat};
use crate::context::ChartContext;
use crate::geometry::{Xy, clip_x, clip_y};
use crate::metrics::{BODY, Metrics};
use crate::{ChartOptions, ValueScale};
use entropy_history::history::{History, Point};
use entropy_history::label::{shorten_middle, visible};

/// Tolerance in px for rounding errors of scales; too small to see.
const ROUNDING: f64 = 1e-3;

/// Distance in px from the left edge of the picture to the tick labels, if the y axis has a title.
const Y_TITLE: f64 = 1.6 * BODY;

/// The largest number of ticks of a value axis, in a picture of this height in px.
pub(crate) fn tick_count(height: f64, metrics: Metrics) -> usize {
    match metrics.is_compact() {
        true => ((height - 90.0) / 36.0).clamp(3.0, 8.0) as usize,
        false => ((height - 140.0) / 48.0).clamp(2.0, 8.0) as usize,
    }
}

/// The largest number of ticks of an x axis of this width in px.
pub(crate) fn x_tick_count(width: f64, metrics: Metrics) -> usize {
    let tick = if metrics.is_compact() { 42.0 } else { 70.0 };
    (width / tick).clamp(2.0, 8.0) as usize
}

/// The x at which a plot area begins, right of the tick labels of its value axis and of the title of the axis.
pub(crate) fn left_edge(values: &Axis, y_title: Option<&str>, chart: ChartContext<'_>) -> f64 {
    let widths = values.ticks.iter().map(|(_, text)| chart.text_width(text, BODY));
    let title = if y_title.is_some() { Y_TITLE } else { 0.0 };
    let metrics = chart.metrics();
    (metrics.pad + title + widths.fold(0.0, f64::max) + 8.0).max(metrics.min_left)
}

/// The title of the y axis, beside its tick labels.
pub(crate) fn y_axis_title(words: &str, area: &PlotArea, chart: ChartContext<'_>) -> Layer {
    let muted = chart.theme().muted;
    // The title may be a little longer than the axis, but not leave the picture.
    let room = (area.bottom - area.top + 3.0 * BODY).min(area.top + area.bottom);
    let words = shorten_middle(words, |t| chart.text_width(t, BODY) <= room);
    let at = (chart.metrics().pad + 0.8 * BODY, (area.top + area.bottom) / 2.0);
    let format = TextFormat::regular(BODY, muted);
    let text = Text::new(chart.fonts, words, at, Anchor::Middle, format).upwards();
    Layer { name: "title of the value axis".to_owned(), marks: vec![Mark::Text(text)] }
}

/// The rectangle that curves are drawn in, in px, and its scales.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PlotArea {
    pub(crate) left: f64,
    pub(crate) right: f64,
    pub(crate) top: f64,
    pub(crate) bottom: f64,
    pub(crate) x: Scale,
    pub(crate) y: Scale,
    /// Whether points may be outside or have no position, so that curves must be clipped.
    pub(crate) clips: bool,
}

impl PlotArea {
    /// The area `left..right` by `top..bottom` for these axes. It clips if `clips` is set.
    pub(crate) fn new(
        ((left, right), x_axis): ((f64, f64), &Axis),
        ((top, bottom), y_axis, y_scale): ((f64, f64), &Axis, ValueScale),
        clips: bool,
    ) -> PlotArea {
        let x = Scale::new((x_axis.low, x_axis.high), (left, right), ValueScale::Linear);
        let y = Scale::new((y_axis.low, y_axis.high), (bottom, top), y_scale);
        PlotArea { left, right, top, bottom, x, y, clips }
    }

    /// Whether a point is inside, up to rounding errors.
    pub(crate) fn contains(&self, (x, y): Xy) -> bool {
        let within =
            |low: f64, value: f64, high: f64| (low - ROUNDING..=high + ROUNDING).contains(&value);
        within(self.left, x, self.right) && within(self.top, y, self.bottom)
    }

    /// The curve of a history in px, clipped and split at gaps.
    pub(crate) fn curve(&self, history: &History) -> Vec<Vec<Xy>> {
        let point = |p: &Point| (self.x.at(p.step), self.y.at(p.entropy));
        let segments = history.segments();
        segments.flat_map(|segment| self.clip(segment.iter().map(point).collect())).collect()
    }

    /// The parts of a line in px that are inside the area.
    pub(crate) fn clip(&self, line: Vec<Xy>) -> Vec<Vec<Xy>> {
        if !self.clips {
            return vec![line];
        }
        let mut parts = Vec::new();
        // Logarithms of values that are not positive are not finite and split the line.
        for part in line.split(|p| !p.1.is_finite()).filter(|part| !part.is_empty()) {
            let inside = clip_x(part, self.left, self.right);
            if !inside.is_empty() {
                parts.extend(clip_y(&inside, self.top, self.bottom));
            }
        }
        parts
    }
}

/// The value axis of curves. It starts at 0 unless that would waste two thirds of the height, or a quarter of a
/// compact picture.
pub(crate) fn entropy_axis(
    low: f64,
    high: f64,
    options: &ChartOptions,
    max_ticks: usize,
    metrics: Metrics,
) -> Axis {
    let wasted = if metrics.is_compact() { 0.25 } else { 2.0 / 3.0 };
    let fixed = (options.y_min.is_some(), options.y_max.is_some());
    let (mut low, mut high) = (options.y_min.unwrap_or(low), options.y_max.unwrap_or(high));
    if options.scale == ValueScale::Log {
        // A single value is in the middle of the axis.
        let (low, high) = match high > low {
            true => (low, high),
            false if fixed.1 => (high / 2.0, high),
            false if fixed.0 => (low, low * 2.0),
            false => (low / 1.5, low * 1.5),
        };
        return log_axis(low, high, fixed);
    }
    let (data_low, data_high) = (low, high);
    let near_zero = |near: f64, far: f64| near == far || near.abs() <= far.abs() * wasted;
    if !fixed.0 && low > 0.0 && near_zero(low, high) {
        low = 0.0;
    }
    if !fixed.1 && high < 0.0 && near_zero(high, low) {
        high = 0.0;
    }
    if low >= high {
        // All values are 0, or the user's limits leave one value: give the axis some height.
        if fixed.1 { low = high - 1.0 } else { high = low + 1.0 }
    }
    // The way from 0 to the data is not filled by them.
    let data = (data_high - data_low) / (high - low);
    let min_used = if metrics.is_compact() && data > 0.0 { MIN_USED / data } else { MIN_USED };
    close_axis((low, high), fixed, max_ticks, min_used)
}

/// The horizontal grid lines with the tick labels of the value axis.
pub(crate) fn grid(area: &PlotArea, values: &Axis, chart: ChartContext<'_>) -> Layer {
    let theme = chart.theme();
    let mut marks = Vec::new();
    let mut free_above = f64::INFINITY;
    for (value, label) in &values.ticks {
        let y = area.y.at(*value);
        if (y - area.bottom).abs() > 1.0 {
            let colour = if *value == 0.0 { theme.muted } else { theme.hairline };
            marks.push(Mark::Line(vec![(area.left, y), (area.right, y)], 1.0, colour));
        }
        if y + 0.5 * BODY > free_above {
            continue;
        }
        free_above = y - 0.5 * BODY;
        let (at, format) =
            ((area.left - 8.0, y + 0.36 * BODY), TextFormat::regular(BODY, theme.muted));
        marks.push(chart.text(label, at, Anchor::End, format));
    }
    Layer { name: "value axis".to_owned(), marks }
}

/// The x axis of a panel above another: a line without ticks.
pub(crate) fn base_line(area: &PlotArea, chart: ChartContext<'_>) -> Layer {
    let line = vec![(area.left, area.bottom), (area.right, area.bottom)];
    let marks = vec![Mark::Line(line, 1.1, chart.theme().muted)];
    Layer { name: "step axis".to_owned(), marks }
}

/// The x axis with its ticks and its name: the user's, or the first of `names` that fits.
pub(crate) fn x_ticks(
    area: &PlotArea,
    axis: &Axis,
    names: &[&str],
    chart: ChartContext<'_>,
) -> Layer {
    let muted = chart.theme().muted;
    let (left, right, bottom) = (area.left, area.right, area.bottom);
    let width = |t: &str| chart.text_width(t, BODY);
    let text =
        |words: &str, at| chart.text(words, at, Anchor::Middle, TextFormat::regular(BODY, muted));
    let mut marks = vec![Mark::Line(vec![(left, bottom), (right, bottom)], 1.1, muted)];
    let mut free_from = f64::NEG_INFINITY;
    for (step, tick) in &axis.ticks {
        let x = area.x.at(*step);
        marks.push(Mark::Line(vec![(x, bottom), (x, bottom + 4.5)], 1.1, muted));
        let half = width(tick) / 2.0;
        let middle = x.max(half + 4.0); // keeps a long first label inside the picture
        if middle - half > free_from {
            marks.push(text(tick, (middle, bottom + 7.0 + BODY)));
            free_from = middle + half + 6.0;
        }
    }
    let fits = |t: &str| width(t) <= right - left;
    let name = match &chart.options.x_label {
        Some(name) => Some(shorten_middle(&visible(name), fits)),
        None => names.iter().find(|name| fits(name)).map(|name| (*name).to_owned()),
    };
    if let Some(name) = name {
        marks.push(text(&name, ((left + right) / 2.0, bottom + 2.95 * BODY)));
    }
    Layer { name: "step axis".to_owned(), marks }
}
