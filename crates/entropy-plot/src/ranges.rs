//! Mean, maximum and minimum of each run in one row: a line from the minimum to the maximum, a dot at the mean, and the
//! numbers in columns at the right.

use super::axis::{Axis, Scale, range};
use super::canvas::{Anchor, Mark, TextFormat};
use super::context::ChartContext;
use super::metrics::BODY;
use super::plot_area::{entropy_axis, x_tick_count};
use super::row_chart::BarRow;
use super::{ChartOptions, ValueScale, XAxis};
use entropy_history::label::shorten_middle;
use entropy_history::number::short;
use entropy_history::stats::RunStats;

/// Height in px of the tick labels below the rows, and of the name of the axis.
pub(super) const TICKS: f64 = 1.9 * BODY;
pub(super) const AXIS_NAME: f64 = 1.3 * BODY;
/// The smallest share of the width that the lines take; columns that do not fit beside them are left out.
const MIN_LINES: f64 = 0.34;
const COLUMN_GAP: f64 = 16.0;

/// A column of numbers: its heading and the number of a run.
struct Column {
    heading: String,
    cell: fn(&RunStats, XAxis) -> String,
}

fn columns(x_axis: XAxis) -> Vec<Column> {
    let column = |heading: &str, cell| Column { heading: heading.to_owned(), cell };
    let at = format!("at {}", x_axis.noun());
    vec![
        column("mean", |s, _| s.mean.map_or("too large".to_owned(), short)),
        column("max", |s, _| short(s.max)),
        column(&at, |s, x_axis| x_axis.value(s.max_step)),
        column("min", |s, _| short(s.min)),
        column(&at, |s, x_axis| x_axis.value(s.min_step)),
    ]
}

/// The columns that a picture may have, the most first, by their index.
const CHOICES: [&[usize]; 4] = [&[0, 1, 2, 3, 4], &[0, 1, 3], &[0], &[]];

/// The rows between `top` and `bottom`, with an axis below them. `name` is that of the axis. Returns the marks and a
/// warning about columns without room.
pub(super) fn ranges(
    rows: &mut [BarRow<'_>],
    chart: ChartContext<'_>,
    (width, top, bottom): (f64, f64, f64),
    name: Option<&str>,
) -> (Vec<Mark>, Option<String>) {
    let (theme, metrics, x_axis) = (chart.theme(), chart.metrics(), chart.options.x_axis);
    let row_height = ((bottom - top) / rows.len() as f64).min(2.0 * BODY * 1.7);
    let bottom = top + row_height * rows.len() as f64;
    let size = BODY.min(0.82 * row_height);
    let text_width = |t: &str| chart.text_width(t, size);
    let middle = |i: usize| top + (i as f64 + 0.5) * row_height;

    let mut names_width: f64 = 0.0;
    for row in rows.iter_mut() {
        row.name = shorten_middle(&row.name, |t| text_width(t) <= 0.24 * width);
        names_width = names_width.max(text_width(&row.name));
    }
    let left = metrics.pad + names_width + 12.0;
    let all = columns(x_axis);
    let column_width = |column: &Column| {
        let cells = rows.iter().map(|row| text_width(&(column.cell)(row.stats, x_axis)));
        cells.fold(text_width(&column.heading), f64::max)
    };
    let widths: Vec<f64> = all.iter().map(column_width).collect();
    let taken = |choice: &[usize]| choice.iter().map(|i| widths[*i] + COLUMN_GAP).sum::<f64>();
    let fits = |choice: &&[usize]| width - metrics.pad - left - taken(choice) >= MIN_LINES * width;
    let choice = CHOICES.into_iter().find(fits).unwrap_or(&[]);
    let missing = (choice.len() < all.len()).then(|| {
        "the picture is too narrow for all columns of numbers; the table has them".to_owned()
    });
    // The last tick label may be wider than what it marks.
    let right = width - metrics.pad - taken(choice).max(0.5 * text_width("0.00"));

    let axis = axis(rows, chart.options, x_tick_count(right - left, metrics), metrics);
    let scale = Scale::new((axis.low, axis.high), (left, right), ValueScale::Linear);
    let regular = |colour| TextFormat::regular(size, colour);
    let mut marks = Vec::new();
    let mut free_from = f64::NEG_INFINITY;
    for (value, label) in &axis.ticks {
        let x = scale.at(*value);
        let colour = if *value == 0.0 { theme.muted } else { theme.hairline };
        marks.push(Mark::Line(vec![(x, top), (x, bottom)], 1.0, colour));
        let half = text_width(label) / 2.0;
        if x - half > free_from {
            let at = (x, bottom + 1.4 * BODY);
            marks.push(chart.text(label, at, Anchor::Middle, regular(theme.muted)));
            free_from = x + half + 6.0;
        }
    }
    for (i, row) in rows.iter().enumerate() {
        let (y, baseline) = (middle(i), middle(i) + 0.36 * size);
        let ends = [row.stats.min, row.stats.max].map(|value| (scale.at(value), y));
        marks.push(Mark::Line(ends.to_vec(), 2.4, row.colour));
        if let Some(mean) = row.stats.mean {
            marks.push(Mark::Disc((scale.at(mean), y), 4.4_f64.min(0.36 * row_height), row.colour));
        }
        let at = (left - 12.0, baseline);
        marks.push(chart.text(&row.name, at, Anchor::End, regular(theme.text)));
        let mut x = right;
        for index in choice {
            x += COLUMN_GAP + widths[*index];
            let cell = (all[*index].cell)(row.stats, x_axis);
            marks.push(chart.text(cell, (x, baseline), Anchor::End, regular(theme.text)));
        }
    }
    let mut x = right;
    for index in choice {
        x += COLUMN_GAP + widths[*index];
        let at = (x, top - 0.6 * BODY);
        marks.push(chart.text(&all[*index].heading, at, Anchor::End, regular(theme.muted)));
    }
    if let Some(name) = name {
        let name = shorten_middle(name, |t| text_width(t) <= right - left);
        let at = ((left + right) / 2.0, bottom + TICKS + 0.9 * BODY);
        marks.push(chart.text(name, at, Anchor::Middle, regular(theme.muted)));
    }
    (marks, missing)
}

/// The axis of all values. Limits and the scale of the curves do not apply to it.
fn axis(
    rows: &[BarRow<'_>],
    options: &ChartOptions,
    ticks: usize,
    metrics: super::metrics::Metrics,
) -> Axis {
    let (low, high) = range(rows.iter().flat_map(|row| [row.stats.min, row.stats.max]));
    let free =
        ChartOptions { y_min: None, y_max: None, scale: ValueScale::Linear, ..options.clone() };
    entropy_axis(low, high, &free, ticks, metrics)
}
