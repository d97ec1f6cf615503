//! The reward–entropy law: reward over entropy, with one dot per step and the fitted curve R = b − a·e^H.
//!
//! A curve is thick over the entropies of its run and thin from there to H = 0, where a ring marks the ceiling
//! if the axis starts at 0. With few runs, the curve fitted to the first third of the steps is drawn dashed.

use std::collections::HashSet;

use super::axis::{Axis, range, value_axis};
use super::canvas::{Anchor, Layer, Mark, TextFormat};
use super::context::ChartContext;
use super::fonts::{Fonts, Weight};
use super::geometry::{Xy, clip_y};
use super::legend::{
    LEGEND_GAP, LINE_HEIGHT, LegendEntry, LegendGrid, MAX_NAMED_AT_END, leader, spread_labels,
};
use super::metrics::{BODY, PictureSize};
use super::plot_area::{PlotArea, grid, left_edge, tick_count, x_ticks, y_axis_title};
use super::stroke::{StrokeStyle, dashes, ring};
use super::theme::{STYLES, Style};
use super::titles::{ShortNames, footer, header, kinds};
use super::{ChartOptions, NothingToDraw, Picture, ValueScale, styles_over};
use entropy_history::history::Comparison;
use entropy_history::label::{shorten_middle, visible};
use entropy_history::number::short;
use entropy_history::stats::law::{Law, LawCurve, LawPair, pairs};

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

    let at_end = !many && rows.len() as f64 * ENTRY_HEIGHT <= bottom - top + ENTRY_HEIGHT;
    let names = match at_end {
        true => LawNames::fit_at_ends(&mut rows, chart, width),
        false => LawNames::lay_out_legend(&mut rows, chart, width, bottom - top),
    };
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
    let marks = names.marks(&rows, &area, chart);
    layers.push(Layer { name: "names".to_owned(), marks });
    Ok(Picture { drawing: chart.drawing(size, &title, layers), warnings: Vec::new() })
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

/// Descriptions of a fit from long to short, such as `0.83 − 0.021·e^H, R² 0.91, 0.81 at H = 0`.
fn descriptions(law: &Law) -> Vec<String> {
    let (Some(curve), Some(ceiling)) = (law.curve(), law.ceiling) else {
        return vec!["no fit".to_owned()];
    };
    let sign = if curve.a < 0.0 { '+' } else { '−' };
    let r2 = law.r2.map_or(String::new(), |r2| format!(", R² {}", short(r2)));
    let ceiling = short(ceiling.estimate);
    let equation = format!("{} {sign} {}·e^H", short(curve.b), short(curve.a.abs()));
    vec![
        format!("{equation}{r2}, {ceiling} at H = 0"),
        format!("{equation}{r2}"),
        equation,
        format!("{ceiling} at H = 0"),
    ]
}

/// The names of the curves: with equations at the ends of the curves, or in a legend next to the plot.
enum LawNames {
    AtEnds { equations: Vec<String>, width: f64 },
    Legend(LegendGrid),
}

impl LawNames {
    /// Shortens names and equations for the ends of the curves.
    fn fit_at_ends(rows: &mut [LawRow<'_>], chart: ChartContext<'_>, width: f64) -> LawNames {
        let max_width = 0.34 * width;
        let name_width = |t: &str| chart.fonts.width(t, BODY, Weight::SemiBold);
        let equation_width = |t: &str| chart.text_width(t, SMALL);
        let mut equations = Vec::new();
        let mut widest: f64 = 0.0;
        for row in rows {
            row.name = shorten_middle(&row.name, |t| name_width(t) <= max_width);
            let mut texts = descriptions(row.law);
            let fitting = texts.iter().position(|t| equation_width(t) <= max_width);
            let text = texts.swap_remove(fitting.unwrap_or(texts.len() - 1));
            let equation = shorten_middle(&text, |t| equation_width(t) <= max_width);
            widest = widest.max(name_width(&row.name)).max(equation_width(&equation));
            equations.push(equation);
        }
        LawNames::AtEnds { equations, width: widest }
    }

    /// Chooses rows, columns and font size of a legend, and shortens the names to fit.
    fn lay_out_legend(
        rows: &mut [LawRow<'_>],
        chart: ChartContext<'_>,
        width: f64,
        height: f64,
    ) -> LawNames {
        const SWATCH: f64 = 28.0;
        let listed = rows.iter().filter(|row| row.style.is_some()).count();
        let entries = listed + usize::from(rows.len() > listed);
        let mut size = BODY;
        let rows_at = |size: f64| ((height / (1.32 * size)) as usize).max(1);
        while rows_at(size) * 2 < entries && size > 10.0 {
            size -= 0.4;
        }
        let row_count = rows_at(size).min(entries);
        let columns = entries.div_ceil(row_count).min(2);
        let max_width = 0.36 * width / columns as f64 - SWATCH - 12.0;
        let text_width = |t: &str| chart.text_width(t, size);
        let mut widest = text_width(&format!("and {} more", rows.len()));
        for row in rows.iter_mut().filter(|row| row.style.is_some()) {
            row.name = shorten_middle(&row.name, |t| text_width(t) <= max_width);
            widest = widest.max(text_width(&row.name));
        }
        let column_width = SWATCH + widest + 12.0;
        let swatch = SWATCH;
        LawNames::Legend(LegendGrid { rows: row_count, columns, column_width, size, swatch })
    }

    /// The width in px right of the plot area, with the gap.
    fn width(&self, chart: ChartContext<'_>) -> f64 {
        match self {
            LawNames::AtEnds { width, .. } => width + chart.metrics().leader,
            LawNames::Legend(legend) => legend.width() + LEGEND_GAP,
        }
    }

    fn marks(&self, rows: &[LawRow<'_>], area: &PlotArea, chart: ChartContext<'_>) -> Vec<Mark> {
        match self {
            LawNames::AtEnds { equations, .. } => end_names(rows, equations, area, chart),
            LawNames::Legend(legend) => {
                let entries = rows.iter().filter_map(|row| {
                    Some(LegendEntry { name: &row.name, style: row.style?, end: row.end })
                });
                legend.marks(entries.collect(), rows.len(), LegendGrid::beside(area), chart)
            }
        }
    }
}

/// The names with their equations at the ends of the curves, pushed apart where ends are close.
fn end_names(
    rows: &[LawRow<'_>],
    equations: &[String],
    area: &PlotArea,
    chart: ChartContext<'_>,
) -> Vec<Mark> {
    let x = area.right + chart.metrics().leader;
    // A run without a curve inside the plot area has its name at the bottom.
    let label = |(row, equation)| {
        let row: &LawRow<'_> = row;
        Some((row.end.map_or(area.bottom, |end| end.1), (row, row.style?, equation)))
    };
    let labels = rows.iter().zip(equations).filter_map(label).collect();
    let (mut marks, mut names) = (Vec::new(), Vec::new());
    for (y, (row, style, equation)) in spread_labels(labels, ENTRY_HEIGHT, area) {
        if let Some(end) = row.end {
            let colour = style.line.over(chart.theme().background, 0.55);
            let colours = (colour, chart.theme().unstyled);
            marks.extend(leader(end, (x, y), area, colours));
        }
        let format = TextFormat::semi_bold(BODY, style.name);
        names.push(chart.text(&row.name, (x, y - 0.14 * BODY), Anchor::Start, format));
        let format = TextFormat::regular(SMALL, chart.theme().muted);
        names.push(chart.text(equation, (x, y + 1.1 * SMALL), Anchor::Start, format));
    }
    marks.extend(names);
    marks
}
