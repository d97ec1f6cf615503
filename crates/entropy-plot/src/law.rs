//! The reward–entropy law: reward over entropy, with one dot per step and the fitted curve R = b − a·e^H.
//!
//! A curve is thick over the entropies of its run and thin from there to H = 0, where a ring marks the ceiling
//! if the axis starts at 0. With few runs, the curve fitted to the first third of the steps is drawn dashed.

mod names;

use std::collections::HashSet;

use super::axis::{Axis, range, value_axis};
use super::canvas::{Layer, Mark};
use super::context::ChartContext;
use super::fonts::Fonts;
use super::geometry::{Xy, clip_y};
use super::legend::{LINE_HEIGHT, MAX_NAMED_AT_END};
use super::metrics::{BODY, PictureSize};
use super::plot_area::{PlotArea, grid, left_edge, tick_count, x_ticks, y_axis_title};
use super::stroke::{StrokeStyle, dashes, ring};
use super::theme::{STYLES, Style};
use super::titles::{ShortNames, footer, header, kinds};
use super::{ChartOptions, NothingToDraw, Picture, ValueScale, styles_over};
use entropy_history::history::Comparison;
use entropy_history::label::visible;
use entropy_history::stats::law::{Law, LawCurve, LawPair, pairs};
use names::LawNames;

/// Up to this many runs show the curve that was fitted to the first third of their steps.
const MAX_WITH_HOLD_OUT: usize = 3;
/// Line widths in px: a fitted curve, one of many, and an extrapolated one.
const FIT_WIDTH: f64 = 2.0;
const MANY_WIDTH: f64 = 1.3;
const THIN_WIDTH: f64 = 0.9;
/// On and off lengths in px of the curve that was fitted to the first third.
const HOLD_OUT_DASH: [f64; 2] = [6.0, 4.0];
/// Font size in px of the equation under a name, and height of both.
const SMALL: f64 = 11.0;
const ENTRY_HEIGHT: f64 = LINE_HEIGHT + 1.3 * SMALL;
/// Share of a run's colour in the dots of its first and of its last step; the rest is the background.
const FIRST_SHARE: f64 = 0.3;
const LAST_SHARE: f64 = 0.9;
/// Side in px of the cells of which each has at most one dot per run.
const CELL: f64 = 1.5;

/// A run of the chart.
struct LawRow<'a> {
    law: &'a Law,
    pairs: Vec<LawPair>,
    name: String,
    style: Option<Style>,
    /// Right end of the fitted curve in px.
    end: Option<Xy>,
}

impl LawRow<'_> {
    fn entropy_range(&self) -> (f64, f64) {
        range(self.pairs.iter().map(|pair| pair.entropy))
    }
}

/// Draws the chart; `laws` must be those of the runs of `comparison`, in the same order.
///
/// # Errors
/// If no step is within the limits of `options`.
pub fn law(
    comparison: &Comparison,
    laws: &[Law],
    options: &ChartOptions,
    fonts: &Fonts,
) -> Result<Picture, NothingToDraw> {
    let chart = ChartContext { options, fonts };
    let size = PictureSize::of(options);
    let (width, height) = (size.width, size.height);
    let runs = comparison.runs();
    let names = ShortNames::of(runs.iter().map(|run| run.history.label()));
    let styles = styles_over(runs, chart.options.steps);
    let mut rows: Vec<LawRow<'_>> = Vec::new();
    for (((run, law), name), style) in runs.iter().zip(laws).zip(names.names()).zip(styles) {
        let style = style.map(|index| chart.theme().style(index));
        rows.push(LawRow { law, pairs: pairs(run), name: name.clone(), style, end: None });
    }
    let (entropies, rewards) = limits(&rows, chart.options).ok_or(NothingToDraw::Limits)?;
    let metrics = chart.metrics();
    let y_fixed = (chart.options.y_min.is_some(), chart.options.y_max.is_some());
    let y_axis = padded_axis(rewards, y_fixed, tick_count(height, metrics));
    let y_title = y_title(&rows, options);
    let left = left_edge(&y_axis, Some(&y_title), chart);

    let many = rows.len() > MAX_NAMED_AT_END;
    let title = match runs {
        [run] => format!("Reward and entropy of {}", visible(run.history.label())),
        _ => "Reward and entropy by run".to_owned(),
    };
    let subtitle = subtitle(&rows, many, &names);
    let (mut title_marks, below_header) =
        header(chart, &title, &subtitle, (left, width - metrics.pad));
    let (footer, above_footer) = footer(chart, (left, width - metrics.pad), height);
    title_marks.extend(footer);
    let (top, bottom) = (below_header + metrics.plot_margin, above_footer - 3.0 * BODY);

    let mut warnings = Vec::new();
    let names = LawNames::place(&mut rows, chart, (width, bottom - top), &mut warnings);
    let right = width - metrics.pad - names.width(chart);

    let max_ticks = ((right - left) / 95.0).clamp(2.0, 8.0) as usize;
    let x_axis = padded_axis(entropies, (false, false), max_ticks);
    let y = ((top, bottom), &y_axis, ValueScale::Linear);
    let area = PlotArea::new(((left, right), &x_axis), y, true);
    let x_names = [&format!("entropy, {}", kinds(comparison)), "entropy"];
    let mut layers = vec![
        grid(&area, &y_axis, chart),
        x_ticks(&area, &x_axis, &x_names, chart),
        Layer { name: "title".to_owned(), marks: title_marks },
    ];
    layers.push(y_axis_title(&y_title, &area, chart));
    let frame = layers.len();
    let dots = rows.iter().flat_map(|row| dots(row, many, &area, chart.options));
    layers.push(Layer { name: "steps".to_owned(), marks: dots.collect() });
    let with_hold_out = rows.len() <= MAX_WITH_HOLD_OUT;
    let mut unstyled = Vec::new();
    let mut curves = Vec::new();
    for row in &mut rows {
        let marks = fitted_curves(row, with_hold_out, many, &area, &x_axis, chart.options);
        match row.style {
            Some(_) => curves.push(Layer { name: row.law.label.clone(), marks }),
            None => unstyled.extend(marks),
        }
    }
    layers.push(Layer { name: "other runs".to_owned(), marks: unstyled });
    layers.extend(curves);
    layers.retain(|layer| !layer.marks.is_empty());
    let marks = names.marks(&rows, &layers[frame..], &area, chart, &mut warnings);
    layers.push(Layer { name: "names".to_owned(), marks });
    Ok(Picture { drawing: chart.drawing(size, &title, layers), warnings })
}

/// The title beside the y axis: the user's, or the keys of the rewards.
fn y_title(rows: &[LawRow<'_>], options: &ChartOptions) -> String {
    match &options.y_label {
        Some(label) => visible(label).into_owned(),
        None => match rewards(rows) {
            keys if keys.contains("reward") => keys,
            keys => format!("reward ({keys})"),
        },
    }
}

/// The keys of the rewards.
fn rewards(rows: &[LawRow<'_>]) -> String {
    let mut rewards: Vec<String> = Vec::new();
    for row in rows {
        let reward = visible(&row.law.reward).into_owned();
        if !rewards.contains(&reward) {
            rewards.push(reward);
        }
    }
    rewards.join(" | ")
}

fn subtitle(rows: &[LawRow<'_>], many: bool, names: &ShortNames) -> Vec<String> {
    let dots = if many { "one dot per step" } else { "one dot per step, paler the earlier" };
    let mut parts = [dots, "line: b − a·e^H, least squares"].map(str::to_owned).to_vec();
    if rows.len() <= MAX_WITH_HOLD_OUT && rows.iter().any(|row| row.law.hold_out.is_some()) {
        parts.push("dashed: fitted to the first third of the steps".to_owned());
    }
    parts.extend(names.note());
    if rows.len() > STYLES {
        parts.push(format!("{} runs, the {STYLES} with the largest spread in colour", rows.len()));
    }
    parts
}

/// The ranges of entropies and rewards to show: those of all pairs, and 0 with the ceilings there unless that
/// would waste two thirds of the width. `None` if no pair is within the user's limits.
fn limits(rows: &[LawRow<'_>], options: &ChartOptions) -> Option<((f64, f64), (f64, f64))> {
    let all = || rows.iter().flat_map(|row| &row.pairs);
    let (mut low, high) = range(all().map(|pair| pair.entropy));
    let (mut min_reward, mut max_reward) = range(all().map(|pair| pair.reward));
    if low > high {
        return None;
    }
    if low > 0.0 && low <= high * 2.0 / 3.0 {
        low = 0.0;
    }
    for row in rows {
        let Some(curve) = row.law.curve() else { continue };
        let (first, last) = row.entropy_range();
        let from = if low == 0.0 { 0.0 } else { first };
        for reward in [curve.at(from), curve.at(last)] {
            (min_reward, max_reward) = (min_reward.min(reward), max_reward.max(reward));
        }
    }
    let shown = (options.y_min.unwrap_or(min_reward), options.y_max.unwrap_or(max_reward));
    let any_inside = all().any(|pair| (shown.0..=shown.1).contains(&pair.reward));
    any_inside.then_some(((low, high), shown))
}

/// A value axis that has some width even if all values are equal.
fn padded_axis((low, high): (f64, f64), fixed: (bool, bool), max_ticks: usize) -> Axis {
    let (low, high) = match (low < high, fixed.1) {
        (true, _) => (low, high),
        (false, true) => (high - 1.0, high),
        (false, false) => (low, low + 1.0),
    };
    value_axis(low, high, fixed, max_ticks)
}

/// One dot per step of a run, paler the earlier unless there are many runs; of dots that cover each other only the
/// latest is drawn.
fn dots(row: &LawRow<'_>, many: bool, area: &PlotArea, options: &ChartOptions) -> Vec<Mark> {
    let theme = options.theme;
    let colour = row.style.map_or(theme.unstyled, |style| style.line);
    let radius = if many { 1.2 } else { 2.0 };
    let (first, last) = range(row.pairs.iter().map(|pair| pair.step));
    let share = |step: f64| match many {
        true => 0.35,
        false if first == last => LAST_SHARE,
        false => {
            let progress = (step - first) / (last - first);
            FIRST_SHARE + (LAST_SHARE - FIRST_SHARE) * progress
        }
    };
    let mut occupied = HashSet::new();
    let mut marks = Vec::new();
    for pair in row.pairs.iter().rev() {
        let at = (area.x.at(pair.entropy), area.y.at(pair.reward));
        let cell = ((at.0 / CELL) as i64, (at.1 / CELL) as i64);
        if area.contains(at) && occupied.insert(cell) {
            marks.push(Mark::Disc(at, radius, colour.over(theme.background, share(pair.step))));
        }
    }
    marks.reverse(); // later steps on top
    marks
}

/// The fitted curve over the entropies of the run, its thin extension to H = 0, and the curve that was fitted
/// to the first third. Sets the end of the row.
fn fitted_curves(
    row: &mut LawRow<'_>,
    with_hold_out: bool,
    many: bool,
    area: &PlotArea,
    x_axis: &Axis,
    options: &ChartOptions,
) -> Vec<Mark> {
    let Some(curve) = row.law.curve() else { return Vec::new() };
    let (from, to) = row.entropy_range();
    let background = options.theme.background;
    let colour = row.style.map_or(options.theme.unstyled, |style| style.line);
    let dash = row.style.filter(|_| many).map_or(&[][..], |style| style.dash);
    let width = match (row.style, many) {
        (None, _) => THIN_WIDTH,
        (_, true) => MANY_WIDTH,
        (_, false) => FIT_WIDTH,
    };
    let thin = colour.over(background, 0.7);
    let starts_at_zero = x_axis.low <= 0.0;
    let mut marks = Vec::new();
    if starts_at_zero && from > 0.0 && !many {
        for part in curve_points(&curve, (0.0, from), area) {
            marks.extend(StrokeStyle::solid(THIN_WIDTH, thin).marks(&part));
        }
        let ceiling = (area.x.at(0.0), area.y.at(curve.at(0.0)));
        if area.contains(ceiling) {
            marks.extend(ring(ceiling, 4.0, 1.6, colour, options.theme));
        }
    }
    if let (true, Some(hold_out)) = (with_hold_out, row.law.hold_out) {
        let low = if starts_at_zero { from.min(0.0) } else { from };
        for part in curve_points(&hold_out.curve(), (low, to), area) {
            let pieces = dashes(&part, &HOLD_OUT_DASH);
            marks.extend(pieces.into_iter().map(|piece| Mark::Line(piece, 1.2, thin)));
        }
    }
    for part in curve_points(&curve, (from, to), area) {
        row.end = part.last().copied();
        for piece in dashes(&part, dash) {
            marks.extend(StrokeStyle::solid(width, colour).marks(&piece));
        }
    }
    marks
}

/// A curve between two entropies in px, clipped to the plot area.
fn curve_points(curve: &LawCurve, (from, to): (f64, f64), area: &PlotArea) -> Vec<Vec<Xy>> {
    const PIECES: usize = 96;
    let point = |i: usize| {
        let entropy = from + (to - from) * i as f64 / PIECES as f64;
        (area.x.at(entropy), area.y.at(curve.at(entropy)))
    };
    let points: Vec<Xy> = (0..=PIECES).map(point).filter(|at| at.1.is_finite()).collect();
    if points.is_empty() { Vec::new() } else { clip_y(&points, area.top, area.bottom) }
}
