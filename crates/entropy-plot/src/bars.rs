//! Charts of mean, maximum and minimum: one row per run with its range, or three panels of bars with a shared scale.

use super::canvas::{Anchor, Mark, TextFormat};
use super::context::ChartContext;
use super::fonts::Fonts;
use super::metrics::{BODY, PX_PER_INCH, PictureSize};
use super::ranges::{AXIS_NAME, TICKS, ranges};
use super::row_chart::{BarRow, RowChart};
use super::titles::{ShortNames, alike, footer, quantity, y_title};
use super::{ChartOptions, Picture, StatsChart, XAxis, with_largest_spread};
use entropy_history::history::Comparison;
use entropy_history::label::{shorten_middle, visible};
use entropy_history::number::short;
use entropy_history::stats::{Analysis, RunStats};

/// Height of a row in px, if the user sets no size.
const ROW: f64 = 34.0;
/// Distance between panels in px.
const PANEL_GAP: f64 = 26.0;
const COMPACT_GAP: f64 = 12.0;
/// In px: the smallest width of the bars of a panel, and of a name that is shortened for it.
const MIN_BARS: f64 = 20.0;
const MIN_NAME: f64 = 60.0;
/// Smallest type at 96 px per inch.
const MIN_TYPE: f64 = 7.2;

/// Draws the bar chart; `analysis` must be that of `comparison`.
pub fn bars(
    comparison: &Comparison,
    analysis: &Analysis,
    options: &ChartOptions,
    fonts: &Fonts,
) -> Picture {
    let chart = ChartContext { options, fonts };
    let runs = comparison.runs();
    let names = ShortNames::of(runs.iter().map(|run| run.history.label()));
    let colours = chart.options.run_colours(runs);
    let shown = with_largest_spread(runs, chart.options.steps);
    let rows_to_show = shown.iter().filter(|shown| **shown).count();
    let subtitle = subtitle(comparison, chart.options, &names);

    let given = options.value_label.as_ref().map(|label| visible(label).into_owned());
    let axis_name = given.or_else(|| y_title(comparison, options)).filter(|name| !name.is_empty());
    let axis_height = match (options.stats_chart, &axis_name) {
        (StatsChart::Bars, _) => 0.0,
        (StatsChart::Ranges, None) => TICKS,
        (StatsChart::Ranges, Some(_)) => TICKS + AXIS_NAME,
    };
    let row_height = if rows_to_show > 12 { ROW * 0.62 } else { ROW };
    let layout =
        RowChart::new(chart.options, 132.0 + row_height * rows_to_show as f64 + axis_height);
    let bottom = |above_footer: f64| above_footer - axis_height;
    let pad = chart.metrics().pad;
    let (width, height) = (layout.size.width, layout.size.height);
    let (footer, above_footer) = footer(chart, (pad, width - pad), height);
    let note = |count: usize| {
        let total = runs.len();
        (count < total).then(|| {
            format!("{count} of {total} runs, those with the largest spread; the table has all")
        })
    };
    let what = match options.stats_chart {
        StatsChart::Bars => "mean, max, min",
        StatsChart::Ranges => "mean and range",
    };
    let title = format!("{}: {what}", comparison.subject());
    let texts = (&*title, &subtitle[..]);
    let (mut marks, top, count) =
        layout.fit_rows(chart, texts, bottom(above_footer), rows_to_show, note);

    let mut rows: Vec<BarRow<'_>> = Vec::new();
    for ((index, stats), name) in analysis.runs.iter().enumerate().zip(names.names()) {
        if shown[index] {
            let style = colours.style(&stats.label, chart.theme());
            let colour = match &chart.options.groups {
                Some(grouped) => grouped.colour(index, chart.theme()),
                None => style.map_or(chart.theme().unstyled, |style| style.line),
            };
            rows.push(BarRow { name: name.clone(), colour, stats });
        }
    }
    if rows.len() > count {
        let mut spreads: Vec<f64> = rows.iter().map(BarRow::spread).collect();
        spreads.sort_by(|a, b| b.total_cmp(a));
        rows.retain(|row| row.spread() >= spreads[count - 1]);
        rows.truncate(count);
    }
    marks.extend(footer);
    let mut warnings = Vec::new();
    let place = (width, top, bottom(above_footer));
    match options.stats_chart {
        StatsChart::Bars => marks.extend(panels(&mut rows, chart, place)),
        StatsChart::Ranges => {
            let (drawn, missing) = ranges(&mut rows, chart, place, axis_name.as_deref());
            marks.extend(drawn);
            warnings.extend(missing);
        }
    }
    if runs.len() > rows.len() {
        let (shown, rest) = (rows.len(), runs.len() - rows.len());
        warnings.push(format!(
            "the picture shows the {shown} runs with the largest spread; the table has all runs, also the other {rest}"
        ));
    }
    warnings.extend(alike(rows.iter().map(|row| row.name.as_str())));
    layout.picture(chart, &title, "bars", marks, warnings)
}

fn subtitle(comparison: &Comparison, options: &ChartOptions, names: &ShortNames) -> Vec<String> {
    let x_axis = options.x_axis;
    let mut parts: Vec<String> = quantity(comparison, options).into_iter().collect();
    parts.push(match options.stats_chart {
        StatsChart::Bars => format!("@ {} of the extreme", x_axis.noun()),
        StatsChart::Ranges => "line: min to max, dot: mean".to_owned(),
    });
    match options.steps {
        (from, to) if from.is_finite() && to.is_finite() => parts.push(x_axis.range(from, to)),
        (from, _) if from.is_finite() => parts.push(format!("from {}", x_axis.position(from))),
        (_, to) if to.is_finite() => parts.push(format!("up to {}", x_axis.position(to))),
        _ => {}
    }
    if options.groups.is_some() {
        parts.push("one colour per group".to_owned());
    }
    parts.extend(names.note());
    parts
}

/// An extreme value and where it is.
fn extreme(value: f64, x: f64, x_axis: XAxis) -> String {
    format!("{}  @ {}", short(value), x_axis.value(x))
}

type Value = fn(&RunStats) -> Option<f64>;
type Label = fn(&RunStats, XAxis) -> String;

/// The name of each panel, its value, and the text beside a bar.
const PANELS: [(&str, Value, Label); 3] = [
    ("mean", |s| s.mean, |s, _| s.mean.map_or("too large".to_owned(), short)),
    ("max", |s| Some(s.max), |s, x_axis| extreme(s.max, s.max_step, x_axis)),
    ("min", |s| Some(s.min), |s, x_axis| extreme(s.min, s.min_step, x_axis)),
];

/// The names and the three panels between `top` and `bottom`.
fn panels(
    rows: &mut [BarRow<'_>],
    chart: ChartContext<'_>,
    (width, top, bottom): (f64, f64, f64),
) -> Vec<Mark> {
    let (theme, metrics, x_axis) = (chart.theme(), chart.metrics(), chart.options.x_axis);
    let pad = metrics.pad;
    let gap = if metrics.is_compact() { COMPACT_GAP } else { PANEL_GAP };
    let least = MIN_TYPE * PictureSize::of(chart.options).px_per_inch / PX_PER_INCH;
    let row_height = ((bottom - top) / rows.len() as f64).min(1.6 * ROW);
    let bottom = top + row_height * rows.len() as f64;
    // The largest type with which the names and the numbers leave room for the bars.
    let largest = BODY.min(0.82 * row_height);
    let is_negative = rows.iter().any(|row| row.stats.min < 0.0);
    let label_width = |size: f64| {
        let labels = rows.iter().flat_map(|row| PANELS.iter().map(|p| p.2(row.stats, x_axis)));
        labels.map(|label| chart.text_width(&label, size)).fold(0.0, f64::max) + 6.0
    };
    let fits = |size: &f64| {
        let name = |row: &BarRow<'_>| chart.text_width(&row.name, *size).min(MIN_NAME);
        let names = rows.iter().map(name).fold(0.0, f64::max) + 10.0;
        let labels = label_width(*size) * if is_negative { 2.0 } else { 1.0 };
        names + 3.0 * (labels + MIN_BARS) + 2.0 * gap <= width - 2.0 * pad
    };
    let sizes = (0..).map(|i| largest - 0.4 * f64::from(i)).take_while(|size| *size >= least);
    let size = sizes.clone().find(fits).or(sizes.last()).unwrap_or(largest);
    let format = TextFormat::regular(size, theme.text);
    let text_width = |t: &str| chart.text_width(t, format.size);
    let baseline = 0.36 * format.size;
    let middle = |i: usize| top + (i as f64 + 0.5) * row_height;

    let label_width = label_width(size);
    let labels = label_width * if is_negative { 2.0 } else { 1.0 };
    let room = width - 2.0 * pad - 10.0 - 2.0 * gap - 3.0 * (labels + MIN_BARS);
    let name_room = (0.24 * width).min(room.max(0.0));
    let mut names_width: f64 = 0.0;
    for row in rows.iter_mut() {
        row.name = shorten_middle(&row.name, |t| text_width(t) <= name_room);
        names_width = names_width.max(text_width(&row.name));
    }

    // One scale for all panels: from the smallest value or 0 to the largest value or 0.
    let values = rows.iter().flat_map(|row| PANELS.iter().filter_map(|p| p.1(row.stats)));
    let (low, high) = values.fold((0.0f64, 0.0f64), |(l, h), v| (l.min(v), h.max(v)));
    let span = if high / 2.0 > low / 2.0 { high / 2.0 - low / 2.0 } else { 1.0 };
    let left = pad + names_width + 10.0;
    let panel_width = (width - pad - left - 2.0 * gap) / 3.0;
    // Labels of negative values are left of their bars.
    let left_labels = if low < 0.0 { label_width } else { 0.0 };
    let bars_width = (panel_width - label_width - left_labels).max(MIN_BARS);
    let length = |value: f64| value / 2.0 / span * bars_width;

    let mut marks = Vec::new();
    for (i, row) in rows.iter().enumerate() {
        let at = (left - 8.0, middle(i) + baseline);
        marks.push(chart.text(&row.name, at, Anchor::End, format));
    }
    for (panel, (name, value, label)) in PANELS.iter().enumerate() {
        let start = left + panel as f64 * (panel_width + gap);
        let zero = start + left_labels - length(low);
        let heading = TextFormat::semi_bold(BODY, theme.text);
        marks.push(chart.text(*name, (start, top - 0.75 * BODY), Anchor::Start, heading));
        for (i, row) in rows.iter().enumerate() {
            let (y, half) = (middle(i), 0.31 * row_height);
            let end = zero + value(row.stats).map_or(0.0, length);
            let (from, to) = (zero.min(end), zero.max(end));
            if to > from {
                marks.push(Mark::Bar((from, y - half), (to, y + half), row.colour));
            }
            let (x, anchor) =
                if end < zero { (from - 5.0, Anchor::End) } else { (to + 5.0, Anchor::Start) };
            let label = label(row.stats, x_axis);
            marks.push(chart.text(label, (x, y + baseline), anchor, format));
        }
        marks.push(Mark::Line(vec![(zero, top - 2.0), (zero, bottom + 2.0)], 1.0, theme.muted));
    }
    marks
}
