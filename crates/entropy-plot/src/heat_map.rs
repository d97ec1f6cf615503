//! A heat map: one column per step, one row per range of positions, the colour a mean, with a legend of the colours.

use super::axis::{Axis, range, value_axis};
use super::canvas::{Anchor, Layer, Mark, TextFormat};
use super::colour_map::colour;
use super::context::ChartContext;
use super::fonts::Fonts;
use super::metrics::{BODY, PictureSize};
use super::plot_area::tick_count;
use super::titles::{footer, header, title_of};
use super::{ChartOptions, Picture};
use entropy_history::label::{shorten_middle, visible};

/// Width of the legend's bar, the gap before it and the gap before its labels, in px.
const BAR_WIDTH: f64 = 14.0;
const BAR_GAP: f64 = 22.0;
const LABEL_GAP: f64 = 7.0;
/// What a cell reaches beyond its upper and right edge, in px: later cells cover it, and no background shines through
/// where edges are anti-aliased.
const SEAM: f64 = 0.6;
/// Number of steps of colour in the legend.
const BAR_STEPS: usize = 64;

/// The numbers of a heat map.
#[derive(Debug, Clone)]
pub struct HeatMap {
    /// Title of the picture.
    pub title: String,
    /// What it is of; added to the title if there is room.
    pub subject: String,
    /// Parts of the line below the title, the most important first; a small picture has only that.
    pub subtitle: Vec<String>,
    /// Names of the columns, such as steps.
    pub columns: Vec<String>,
    /// Upper ends of the rows, from the bottom; the lowest row begins at 0.
    pub rows: Vec<f64>,
    /// The number of each cell, by column and row; `None` for a cell without data.
    pub cells: Vec<Vec<Option<f64>>>,
    /// Name of the x axis.
    pub x_name: String,
    /// Name of the y axis, above it.
    pub y_name: String,
    /// Name of the numbers, above the legend.
    pub value_name: String,
}

/// Draws a heat map with at least one column and one row.
pub fn heat_map(map: &HeatMap, options: &ChartOptions, fonts: &Fonts) -> Picture {
    let chart = ChartContext { options, fonts };
    let size = PictureSize::of(options);
    let (width, height) = (size.width, size.height);
    let theme = chart.theme();
    let metrics = chart.metrics();
    let ticks = tick_count(height, metrics);
    let top_row = map.rows.last().copied().unwrap_or(1.0);
    let y_axis = value_axis(0.0, top_row, (true, true), ticks);
    let (low, high) = range(map.cells.iter().flatten().flatten().copied());
    let scale = colour_axis(low, high, options, ticks);

    let text_width = |text: &str| chart.text_width(text, BODY);
    let widest =
        |axis: &Axis| axis.ticks.iter().map(|(_, text)| text_width(text)).fold(0.0, f64::max);
    let left = (metrics.pad + widest(&y_axis) + 10.0).max(metrics.min_left);
    let legend_width = BAR_GAP + BAR_WIDTH + LABEL_GAP + widest(&scale);
    let right = width - metrics.pad - legend_width.max(text_width(&map.value_name) - 24.0);

    let title = title_of(chart, (&map.title, &map.subject), width - metrics.pad - left);
    let (mut title_marks, below_header) =
        header(chart, &title, &map.subtitle, (left, width - metrics.pad));
    let (footer, above_footer) = footer(chart, (left, width - metrics.pad), height);
    title_marks.extend(footer);
    let top = below_header + metrics.plot_margin + 0.9 * BODY;
    let bottom = above_footer - 3.0 * BODY;

    let column_x = |at: usize| left + (right - left) * at as f64 / map.columns.len() as f64;
    let row_y = |value: f64| bottom - (bottom - top) * value / top_row;
    let share = |value: f64| match scale.high > scale.low {
        true => (value - scale.low) / (scale.high - scale.low),
        false => 0.5,
    };
    let mut cells = vec![Mark::Bar((left, top), (right, bottom), theme.hairline)];
    for (column, values) in map.cells.iter().enumerate() {
        let mut below = 0.0;
        for (end, value) in map.rows.iter().zip(values) {
            if let Some(value) = value {
                let from = (column_x(column), (row_y(*end) - SEAM).max(top));
                let to = ((column_x(column + 1) + SEAM).min(right), row_y(below));
                cells.push(Mark::Bar(from, to, colour(share(*value))));
            }
            below = *end;
        }
    }

    let muted = TextFormat::regular(BODY, theme.muted);
    let mut axes = Vec::new();
    for (value, label) in &y_axis.ticks {
        let y = row_y(*value);
        axes.push(Mark::Line(vec![(left - 4.5, y), (left, y)], 1.1, theme.muted));
        axes.push(chart.text(label, (left - 8.0, y + 0.36 * BODY), Anchor::End, muted));
    }
    axes.extend(column_names(map, chart, (left, right, bottom)));
    let x_name = options.x_label.as_deref().unwrap_or(&map.x_name);
    let y_name = options.y_label.as_deref().unwrap_or(&map.y_name);
    let fits = |text: &str| text_width(text) <= right - left;
    let middle = ((left + right) / 2.0, bottom + 2.95 * BODY);
    axes.push(chart.text(shorten_middle(&visible(x_name), fits), middle, Anchor::Middle, muted));
    let name_fits = |text: &str| text_width(text) <= right - left - text_width(&map.value_name);
    let y_name = shorten_middle(&visible(y_name), name_fits);
    let label_left = left - 8.0 - widest(&y_axis);
    axes.push(chart.text(y_name, (label_left, top - 0.75 * BODY), Anchor::Start, muted));

    let legend = legend(map, &scale, chart, (right, width - metrics.pad), (top, bottom));
    let layers = vec![
        Layer { name: "title".to_owned(), marks: title_marks },
        Layer { name: "cells".to_owned(), marks: cells },
        Layer { name: "axes".to_owned(), marks: axes },
        Layer { name: "legend".to_owned(), marks: legend },
    ];
    Picture { drawing: chart.drawing(size, &title, layers), warnings: Vec::new() }
}

/// The ends of the colours are round numbers, or the user's limits. They begin at 0 unless that would waste two thirds.
fn colour_axis(low: f64, high: f64, options: &ChartOptions, ticks: usize) -> Axis {
    let (low, high) = if low <= high { (low, high) } else { (0.0, 1.0) };
    let fixed = (options.y_min.is_some(), options.y_max.is_some());
    let low = options.y_min.unwrap_or(if low > 0.0 && low <= high * 2.0 / 3.0 { 0.0 } else { low });
    let high = options.y_max.unwrap_or(high);
    let high = if high > low { high } else { low + 1.0 };
    value_axis(low, high, fixed, ticks)
}

/// The names of as many columns as fit, the first and evenly spaced ones.
fn column_names(
    map: &HeatMap,
    chart: ChartContext<'_>,
    (left, right, bottom): (f64, f64, f64),
) -> Vec<Mark> {
    let muted = chart.theme().muted;
    let count = map.columns.len();
    let column = (right - left) / count as f64;
    let widest = map.columns.iter().map(|name| chart.text_width(name, BODY)).fold(0.0, f64::max);
    let stride = ((widest + 10.0) / column).ceil().max(1.0) as usize;
    let mut marks = Vec::new();
    for at in (0..count).step_by(stride) {
        let x = left + column * (at as f64 + 0.5);
        let half = chart.text_width(&map.columns[at], BODY) / 2.0;
        marks.push(Mark::Line(vec![(x, bottom), (x, bottom + 4.5)], 1.1, muted));
        let format = TextFormat::regular(BODY, muted);
        let at = &map.columns[at];
        marks.push(chart.text(
            at,
            (x.max(half + 4.0), bottom + 7.0 + BODY),
            Anchor::Middle,
            format,
        ));
    }
    marks
}

/// A bar with the colours, its labels and the name of the numbers.
fn legend(
    map: &HeatMap,
    scale: &Axis,
    chart: ChartContext<'_>,
    (left, right): (f64, f64),
    (top, bottom): (f64, f64),
) -> Vec<Mark> {
    let theme = chart.theme();
    let muted = TextFormat::regular(BODY, theme.muted);
    let x = left + BAR_GAP;
    let y = |share: f64| bottom - (bottom - top) * share;
    let bar = |step: usize| {
        let (from, to) = (step as f64 / BAR_STEPS as f64, (step + 1) as f64 / BAR_STEPS as f64);
        let upper = (y(to) - SEAM).max(top);
        Mark::Bar((x, upper), (x + BAR_WIDTH, y(from)), colour((from + to) / 2.0))
    };
    let mut marks: Vec<Mark> = (0..BAR_STEPS).map(bar).collect();
    for (value, label) in &scale.ticks {
        let y = y((value - scale.low) / (scale.high - scale.low));
        let from = x + BAR_WIDTH;
        marks.push(Mark::Line(vec![(from, y), (from + 3.0, y)], 1.1, theme.muted));
        marks.push(chart.text(label, (from + LABEL_GAP, y + 0.36 * BODY), Anchor::Start, muted));
    }
    marks.push(chart.text(&map.value_name, (right, top - 0.75 * BODY), Anchor::End, muted));
    marks
}
