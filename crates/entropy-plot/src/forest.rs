//! Forest plots: one row per pair, with the difference of its means and the interval, over all shared steps
//! and over the last tenth of them.
//!
//! Both panels share one scale in nats. A difference without an interval is drawn as a point with its value;
//! each reason for a missing interval is listed once below the rows.

use super::axis::{Axis, value_axis};
use super::canvas::{Anchor, Mark, TextFormat};
use super::context::ChartContext;
use super::fonts::{Fonts, Weight};
use super::metrics::BODY;
use super::row_chart::RowChart;
use super::stroke::ring;
use super::titles::{ShortNames, footer, quantity};
use super::{ChartOptions, Picture};
use entropy_history::history::{Comparison, ENTROPY};
use entropy_history::label::{shorten_middle, visible};
use entropy_history::number::short;
use entropy_history::stats::Analysis;
use entropy_history::stats::contrast::{Contrast, ContrastUnit, Statistic};

/// Height of a row in px if the user sets no size: in a plot of few rows, and in one of many.
const ROW: f64 = 28.0;
const MANY_ROW: f64 = 20.0;
/// The largest number of drawn pairs; of more, those with the largest differences are drawn.
const MAX_ROWS: usize = 40;
/// The largest number of reasons that are listed.
const MAX_REASONS: usize = 5;
/// Distances in px between the panels, and between a panel and its values.
const PANEL_GAP: f64 = 24.0;
const VALUE_GAP: f64 = 10.0;
/// Line width of an interval in px.
const INTERVAL_WIDTH: f64 = 2.0;
/// Font size of a reason, and height of its line, in px.
const SMALL: f64 = 11.0;
const REASON: f64 = 1.4 * SMALL;
/// Height in px below the rows for the tick labels and the name of the axis.
const AXIS: f64 = 3.8 * BODY;

const PANELS: [(Statistic, &str); 2] =
    [(Statistic::MeanDifference, "all shared steps"), (Statistic::LateDifference, "last tenth")];

/// A pair of runs or groups.
struct PairRow<'a> {
    /// The second name is empty if all pairs have the same: then it stands above the rows.
    names: [String; 2],
    contrasts: &'a [Contrast],
}

impl<'a> PairRow<'a> {
    fn name(&self) -> String {
        match &self.names {
            [a, b] if b.is_empty() => a.clone(),
            names => names.join(" − "),
        }
    }

    fn contrast(&self, statistic: Statistic) -> Option<&'a Contrast> {
        self.contrasts.iter().find(|contrast| contrast.statistic == statistic)
    }

    /// The estimates of both panels.
    fn estimates(&self) -> impl Iterator<Item = f64> {
        PANELS.iter().filter_map(|(statistic, _)| self.contrast(*statistic)?.estimate)
    }

    /// The absolute difference, by which rows are selected if there are too many.
    fn size(&self) -> f64 {
        self.estimates().next().map_or(0.0, f64::abs)
    }

    /// Why the pair has no estimate in either panel.
    fn refusal(&self) -> Option<&'a str> {
        match self.estimates().next() {
            Some(_) => None,
            None => self.contrasts[0].note.as_deref(),
        }
    }
}

/// Whether any pair has a difference to draw.
pub fn has_differences(analysis: &Analysis) -> bool {
    rows(analysis).iter().any(|row| row.estimates().next().is_some())
}

/// One row per pair, in the order of the analysis, without names.
fn rows(analysis: &Analysis) -> Vec<PairRow<'_>> {
    let pairs = analysis.comparisons.chunk_by(|x, y| (&x.a, &x.b) == (&y.a, &y.b));
    pairs.map(|contrasts| PairRow { names: Default::default(), contrasts }).collect()
}

/// Draws the forest plot; `analysis` must be that of `comparison`, and [`has_differences`] must be true for it.
pub fn forest(
    comparison: &Comparison,
    analysis: &Analysis,
    options: &ChartOptions,
    fonts: &Fonts,
) -> Picture {
    let chart = ChartContext { options, fonts };
    let mut rows = rows(analysis);
    let pairs = rows.len();
    let labels = rows.iter().flat_map(|row| [&row.contrasts[0].a, &row.contrasts[0].b]);
    let names = ShortNames::of(labels.map(String::as_str));
    for (row, pair) in rows.iter_mut().zip(names.names().chunks_exact(2)) {
        row.names = [pair[0].clone(), pair[1].clone()];
    }
    let baseline = take_common_baseline(&mut rows);
    let by_group = rows.iter().any(|row| row.contrasts[0].between == ContrastUnit::Groups);
    let subject = comparison.subject();
    let (what, axis_names): (_, &[&str]) = match &*subject {
        ENTROPY => ("entropy", &["difference in nats", "nats"]),
        other => (other, &["difference", ""]),
    };
    let unit = if by_group { "groups" } else { "runs" };
    let title = format!("Difference of mean {what} by pair of {unit}");
    let mut subtitle: Vec<String> = quantity(comparison, options).into_iter().collect();
    let pair =
        baseline.as_ref().map_or("a − b".to_owned(), |name| format!("difference to {name}"));
    subtitle.extend([pair + method(by_group)[0], method(by_group)[1].to_owned()]);
    subtitle.extend(names.note());

    let reasons = reasons(&rows);
    let max_rows = pairs.min(MAX_ROWS);
    let row_height = if max_rows > 12 { MANY_ROW } else { ROW };
    let rows_height = row_height * max_rows as f64;
    let layout = RowChart::new(chart.options, 186.0 + REASON * reasons.len() as f64 + rows_height);
    let pad = chart.metrics().pad;
    let (width, height) = (layout.size.width, layout.size.height);
    let (footer, above_footer) = footer(chart, (pad, width - pad), height);
    let bottom = above_footer - AXIS;
    let note = |count: usize| {
        (count < pairs)
            .then(|| format!("{count} of {pairs} pairs, those with the largest difference"))
    };
    let texts = (&*title, &subtitle[..]);
    let (mut marks, top, count) = layout.fit_rows(chart, texts, bottom, max_rows, note);
    keep_largest(&mut rows, count);
    // Rows come first; reasons get the remaining height.
    let spare = bottom - top - layout.min_row * count as f64;
    let shown_reasons = ((spare / REASON).max(0.0) as usize).min(reasons.len());
    let bottom = bottom - REASON * shown_reasons as f64;

    marks.extend(footer);
    let words = (axis_names, baseline.as_deref());
    marks.extend(panels(&mut rows, chart, layout.min_row, words, (width, top, bottom)));
    let mut y = bottom + AXIS + 0.6 * SMALL;
    let format = TextFormat::regular(SMALL, chart.theme().muted);
    for reason in &reasons[..shown_reasons] {
        let fits = |t: &str| chart.text_width(t, SMALL) <= width - 2.0 * pad;
        let reason = shorten_middle(reason, fits);
        marks.push(chart.text(reason, (pad, y), Anchor::Start, format));
        y += REASON;
    }
    let mut warnings = Vec::new();
    if pairs > rows.len() {
        let (shown, rest) = (rows.len(), pairs - rows.len());
        warnings.push(format!(
            "the plot shows the {shown} pairs with the largest difference; the other {rest} are only in the table"
        ));
    }
    layout.picture(chart, &title, "differences", marks, warnings)
}

/// The second name of all pairs, if it is the same; the rows do not repeat it then.
fn take_common_baseline(rows: &mut [PairRow<'_>]) -> Option<String> {
    let [first, rest @ ..] = &*rows else { return None };
    let common = first.names[1].clone();
    if rest.is_empty() || rest.iter().any(|row| row.names[1] != common) {
        return None;
    }
    rows.iter_mut().for_each(|row| row.names[1].clear());
    Some(common)
}

/// The parts of the subtitle that say what the intervals are.
fn method(by_group: bool) -> [&'static str; 2] {
    match by_group {
        true => [", 95 % intervals by Welch’s t over runs", "open circle: the interval contains 0"],
        false => {
            [", 95 % intervals by equal-weighted cosines", "of these curves, not of other seeds"]
        }
    }
}

/// Keeps the `count` rows with the largest differences, in their order.
fn keep_largest(rows: &mut Vec<PairRow<'_>>, count: usize) {
    if rows.len() <= count {
        return;
    }
    let mut order: Vec<usize> = (0..rows.len()).collect();
    order.sort_by(|a, b| rows[*b].size().total_cmp(&rows[*a].size()).then(a.cmp(b)));
    let mut index = 0;
    rows.retain(|_| {
        index += 1;
        order[..count].contains(&(index - 1))
    });
}

/// Why rows with a value have no interval, or what limits their interval; each reason once, with its panels.
fn reasons(rows: &[PairRow<'_>]) -> Vec<String> {
    let mut reasons: Vec<(&str, Vec<&str>, usize)> = Vec::new();
    for row in rows.iter().filter(|row| row.refusal().is_none()) {
        let mut noted_in_row = Vec::new();
        for (statistic, panel) in PANELS {
            let Some(note) = row.contrast(statistic).and_then(|c| c.note.as_deref()) else {
                continue;
            };
            let index = reasons.iter().position(|(known, ..)| *known == note);
            let index = index.unwrap_or_else(|| {
                reasons.push((note, Vec::new(), 0));
                reasons.len() - 1
            });
            let (_, panels, pairs) = &mut reasons[index];
            if !panels.contains(&panel) {
                panels.push(panel);
            }
            if !noted_in_row.contains(&note) {
                noted_in_row.push(note);
                *pairs += 1;
            }
        }
    }
    let more = reasons.len().saturating_sub(MAX_REASONS);
    let line = |(note, panels, pairs): &(&str, Vec<&str>, usize)| {
        let pairs = if *pairs == 1 { "1 pair".to_owned() } else { format!("{pairs} pairs") };
        format!("{}, {pairs}: {note}", panels.join(" and "))
    };
    let mut lines: Vec<String> = reasons.iter().take(MAX_REASONS).map(line).collect();
    if more > 0 {
        lines.push(format!("and {more} more, listed below the table"));
    }
    lines
}

/// Names, both panels and their values, between `top` and `bottom`.
fn panels(
    rows: &mut [PairRow<'_>],
    chart: ChartContext<'_>,
    min_row: f64,
    (axis_names, baseline_name): (&[&str], Option<&str>),
    (width, top, bottom): (f64, f64, f64),
) -> Vec<Mark> {
    let theme = chart.theme();
    let row_height = ((bottom - top) / rows.len() as f64).clamp(min_row, 1.6 * ROW);
    let bottom = top + row_height * rows.len() as f64;
    let size = BODY.min(0.82 * row_height);
    let baseline = 0.36 * size;
    let text_width = |t: &str| chart.text_width(t, size);
    let middle = |i: usize| top + (i as f64 + 0.5) * row_height;

    let max_width = 0.3 * width;
    let mut names_width: f64 = 0.0;
    for row in rows.iter_mut() {
        // Each name is shortened separately, because names mostly differ at their ends.
        let whole = text_width(&row.name());
        let [a, b] = &mut row.names;
        if b.is_empty() {
            *a = shorten_middle(a, |t| text_width(t) <= max_width);
        } else if whole > max_width {
            let half = 0.5 * (max_width - text_width(" − "));
            let (spare_a, spare_b) =
                ((half - text_width(a)).max(0.0), (half - text_width(b)).max(0.0));
            *a = shorten_middle(a, |t| text_width(t) <= half + spare_b);
            *b = shorten_middle(b, |t| text_width(t) <= half + spare_a);
        }
        names_width = names_width.max(text_width(&row.name()));
    }
    let heading = baseline_name.map(|name| {
        let words = |name: &str| format!("minus {name}");
        let heading_width = |t: &str| chart.fonts.width(&words(t), BODY, Weight::SemiBold);
        words(&shorten_middle(name, |t| heading_width(t) <= max_width))
    });
    if let Some(heading) = &heading {
        names_width = names_width.max(chart.fonts.width(heading, BODY, Weight::SemiBold));
    }
    let pad = chart.metrics().pad;
    let left = pad + names_width + 14.0;
    let values = rows.iter().flat_map(|row| PANELS.map(|(s, _)| row.contrast(s).map(value)));
    let values_width = values.flatten().map(|words| text_width(&words)).fold(0.0, f64::max);
    let panel_width = (width - pad - left - PANEL_GAP) / 2.0;
    // A narrow picture has no values, to leave room for the points.
    let with_values = panel_width - VALUE_GAP - values_width >= 60.0;
    let plot_width = if with_values { panel_width - VALUE_GAP - values_width } else { panel_width };
    let axis = axis(rows, plot_width);

    let mut marks = Vec::new();
    if let Some(heading) = heading {
        let (at, format) =
            ((left - 14.0, top - 0.75 * BODY), TextFormat::semi_bold(BODY, theme.text));
        marks.push(chart.text(heading, at, Anchor::End, format));
    }
    for (i, row) in rows.iter().enumerate() {
        let colour = if row.refusal().is_some() { theme.muted } else { theme.text };
        let (at, format) = ((left - 14.0, middle(i) + baseline), TextFormat::regular(size, colour));
        marks.push(chart.text(row.name(), at, Anchor::End, format));
    }
    for (panel, (statistic, name)) in PANELS.iter().enumerate() {
        let start = left + panel as f64 * (panel_width + PANEL_GAP);
        let end = start + plot_width;
        let at = |value: f64| start + (value - axis.low) / (axis.high - axis.low) * plot_width;
        let fits = |t: &str| chart.fonts.width(t, BODY, Weight::SemiBold) <= panel_width;
        let name = shorten_middle(name, fits);
        let heading = TextFormat::semi_bold(BODY, theme.text);
        marks.push(chart.text(name, (start, top - 0.75 * BODY), Anchor::Start, heading));
        marks.extend(ticks(&axis, axis_names, (start, end), (top, bottom), chart));
        for (i, row) in rows.iter().enumerate() {
            let Some(contrast) = row.contrast(*statistic) else { continue };
            let Some(estimate) = contrast.estimate else { continue };
            let y = middle(i);
            marks.extend(point(contrast, estimate, y, at, row_height, chart.options));
            if with_values {
                let (at, format) =
                    ((end + VALUE_GAP, y + baseline), TextFormat::regular(size, theme.text));
                marks.push(chart.text(value(contrast), at, Anchor::Start, format));
            }
        }
    }
    // The reason why a pair has no point is written where its points would be.
    for (i, row) in rows.iter().enumerate() {
        let Some(why) = row.refusal() else { continue };
        let fits = |t: &str| text_width(t) <= width - pad - left - VALUE_GAP;
        let why = shorten_middle(why, fits);
        let (y, from) = (middle(i), left + 4.0);
        let behind =
            ((from - 3.0, y - 0.5 * size), (from + text_width(&why) + 3.0, y + 0.5 * size));
        marks.push(Mark::Bar(behind.0, behind.1, theme.background));
        let format = TextFormat::regular(size, theme.muted);
        marks.push(chart.text(why, (from, y + baseline), Anchor::Start, format));
    }
    marks
}

/// The axis of both panels: it spans all intervals and 0.
fn axis(rows: &[PairRow<'_>], plot_width: f64) -> Axis {
    let contrasts = rows.iter().flat_map(|row| PANELS.map(|(s, _)| row.contrast(s))).flatten();
    let ends = contrasts.flat_map(|c| [c.estimate, c.low, c.high]).flatten();
    let (low, high) = ends.fold((0.0f64, 0.0f64), |(l, h), v| (l.min(v), h.max(v)));
    let (low, high) = if low < high { (low, high) } else { (-1.0, 1.0) };
    let margin = 0.03 * (high - low);
    let low = if low < 0.0 { low - margin } else { low };
    let high = if high > 0.0 { high + margin } else { high };
    // Between fixed ends there may be few round numbers: allow more ticks until there are three.
    let max_ticks = (plot_width / 50.0).clamp(3.0, 6.0) as usize;
    let axes = (max_ticks..12).map(|max_ticks| value_axis(low, high, (true, true), max_ticks));
    let mut enough = axes.filter(|axis| axis.ticks.len() >= 3);
    enough.next().unwrap_or_else(|| value_axis(low, high, (true, true), max_ticks))
}

/// The vertical grid lines, the tick labels below them, and the first of the names of the axis that fits.
fn ticks(
    axis: &Axis,
    names: &[&str],
    (start, end): (f64, f64),
    (top, bottom): (f64, f64),
    chart: ChartContext<'_>,
) -> Vec<Mark> {
    let mut marks = Vec::new();
    let format = TextFormat::regular(BODY, chart.theme().muted);
    let mut free_from = f64::NEG_INFINITY;
    for (value, label) in &axis.ticks {
        let x = start + (value - axis.low) / (axis.high - axis.low) * (end - start);
        let zero = *value == 0.0;
        let colour = if zero { chart.theme().muted } else { chart.theme().hairline };
        marks.push(Mark::Line(vec![(x, top - 2.0), (x, bottom + 2.0)], 1.0, colour));
        let half = chart.text_width(label, BODY) / 2.0;
        if x - half > free_from {
            let at = (x, bottom + 6.0 + BODY);
            marks.push(chart.text(label, at, Anchor::Middle, format));
            free_from = x + half + 6.0;
        }
    }
    let fits = |t: &str| chart.text_width(t, BODY) <= end - start;
    let name = match &chart.options.x_label {
        Some(name) => shorten_middle(&visible(name), fits),
        None => names.iter().find(|name| fits(name)).map_or(String::new(), |n| (*n).to_owned()),
    };
    let at = ((start + end) / 2.0, bottom + 2.9 * BODY);
    marks.push(chart.text(name, at, Anchor::Middle, format));
    marks
}

/// A point with its interval; a small disc for a pair without an interval. For groups, an open circle if the interval contains 0.
/// Two single runs are not a test, so their points are all alike.
fn point(
    contrast: &Contrast,
    estimate: f64,
    y: f64,
    at: impl Fn(f64) -> f64,
    row_height: f64,
    options: &ChartOptions,
) -> Vec<Mark> {
    let theme = options.theme;
    let radius = (0.24 * row_height).clamp(2.0, 4.5);
    let (Some(low), Some(high)) = (contrast.low, contrast.high) else {
        return vec![Mark::Disc((at(estimate), y), 0.6 * radius, theme.muted)];
    };
    let colour = theme.style(0).line;
    let mut marks = vec![Mark::Line(vec![(at(low), y), (at(high), y)], INTERVAL_WIDTH, colour)];
    let is_open = contrast.between == ContrastUnit::Groups && low <= 0.0 && 0.0 <= high;
    match is_open {
        true => marks.extend(ring((at(estimate), y), radius, 1.6, colour, theme)),
        false => marks.push(Mark::Disc((at(estimate), y), radius, colour)),
    }
    marks
}

/// The value with its interval, as in `0.937 [0.850, 1.02]`.
fn value(contrast: &Contrast) -> String {
    let Some(estimate) = contrast.estimate else { return String::new() };
    match (contrast.low, contrast.high) {
        (Some(low), Some(high)) => {
            format!("{} [{}, {}]", short(estimate), short(low), short(high))
        }
        _ => format!("{}, no interval", short(estimate)),
    }
}
