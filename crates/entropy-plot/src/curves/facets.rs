//! Small multiples: a panel per group of runs, all with the same axes, so that their lines compare.

use rayon::prelude::*;

use super::curve::Curve;
use super::reference_lines::reference_lines;
use super::room::Room;
use super::{
    Curves, curve_names, cut, default_title, line_marks, make_curves, named, step_range, subtitle,
    value_range,
};
use crate::axis::{Axis, step_axis};
use crate::canvas::{Anchor, Layer, Mark, TextFormat};
use crate::context::ChartContext;
use crate::fonts::Weight;
use crate::legend::LINE_HEIGHT;
use crate::metrics::{BODY, PictureSize};
use crate::plot_area::{
    PlotArea, base_line, entropy_axis, grid, left_edge, tick_count, x_tick_count, x_ticks,
    y_axis_title,
};
use crate::titles::{ShortNames, footer, header, y_title};
use crate::{NothingToDraw, ValueScale};
use entropy_history::history::Comparison;
use entropy_history::label::{shorten_middle, visible};
use entropy_history::number::exact;
use entropy_history::stats::group::Group;

/// The preferred ratio of width to height of a panel.
const PANEL_RATIO: f64 = 1.6;
/// How bad a place without a panel is, as the logarithm of a ratio that is off.
const EMPTY_PANEL: f64 = 0.5;
/// Height in px of the title of a panel, and the smallest distance between panels.
const PANEL_TITLE: f64 = 1.7 * BODY;
const GAP: f64 = 18.0;
/// Distance in px from the lines of a panel to their names.
const LEADER: f64 = 14.0;
/// The largest share of the width of a panel that its names take. Type is larger against a small picture.
const NAMES_SHARE: f64 = 0.36;
const COMPACT_NAMES_SHARE: f64 = 0.45;

/// Rows and columns of panels in an area of this size.
fn rows_and_columns(panels: usize, (width, height): (f64, f64)) -> (usize, usize) {
    let misfit = |columns: usize| {
        let rows = panels.div_ceil(columns);
        let ratio = (width / columns as f64) / (height / rows as f64);
        (ratio / PANEL_RATIO).ln().abs() + EMPTY_PANEL * (rows * columns - panels) as f64
    };
    let columns = (1..=panels.max(1)).min_by(|a, b| misfit(*a).total_cmp(&misfit(*b))).unwrap_or(1);
    (panels.div_ceil(columns), columns)
}

/// Lays the panels out. Runs in no panel are not drawn.
///
/// # Errors
/// If there is nothing to draw within the limits of the options.
pub(super) fn lay_out<'a>(
    comparison: &'a Comparison,
    facets: &'a [Group],
    chart: ChartContext<'a>,
) -> Result<Curves<'a>, NothingToDraw> {
    let (options, metrics) = (chart.options, chart.metrics());
    let size = PictureSize::of(options);
    let (width, height) = (size.width, size.height);
    let (all, _, mut warnings) = make_curves(comparison, options)?;
    let mut all: Vec<Option<Curve<'a>>> = all.into_iter().map(Some).collect();
    let mut take = |group: &'a Group| -> Vec<Curve<'a>> {
        let mut curves: Vec<Curve<'a>> =
            group.members.iter().filter_map(|i| all.get_mut(*i)?.take()).collect();
        let names = ShortNames::of(curves.iter().map(|curve| curve.label));
        let names = names.names().iter().cloned();
        curves.iter_mut().zip(names).for_each(|(curve, name)| curve.name = name);
        curves
    };
    let mut panels: Vec<Vec<Curve<'a>>> = facets.iter().map(&mut take).collect();
    let curves = || panels.iter().flatten();

    let steps = step_range(curves(), options);
    let (low, high) =
        value_range(curves(), options, steps, &mut warnings).ok_or(NothingToDraw::Limits)?;
    let title = default_title(comparison, &[], options);
    let counts = (named(curves()), curves().count());
    let range = cut((low, high), options);
    let y_title = y_title(comparison, options);
    let (footer, above_footer) = footer(chart, (metrics.pad, width - metrics.pad), height);

    // The axes are those of the smallest panel, so the grid comes first, with an estimate of the header.
    let (rows, columns) = rows_and_columns(facets.len(), (width, 0.8 * height));
    let row_height = (0.8 * height / rows as f64).max(60.0);
    let values = entropy_axis(low, high, options, tick_count(row_height, metrics), metrics);
    let left = left_edge(&values, y_title.as_deref(), chart);
    let note = Some("names without what their panel shares".to_owned());
    let notes = subtitle(comparison, (&[], counts), options, note, values.low, range);
    let (mut title_marks, below) = header(chart, &title, &notes, (left, width - metrics.pad));
    let below = below + 0.4 * metrics.plot_margin;
    title_marks.extend(footer);
    let mut layers = vec![Layer { name: "title".to_owned(), marks: title_marks }];

    let cell_width = (width - metrics.pad - left - GAP * (columns - 1) as f64) / columns as f64;
    let bottom = above_footer - 3.0 * BODY;
    let row_height = (bottom - below - GAP * (rows - 1) as f64) / rows as f64;
    let share = if metrics.is_compact() { COMPACT_NAMES_SHARE } else { NAMES_SHARE };
    let names_width = fit_names(&mut panels, chart, share * cell_width);
    let plot_width = cell_width - names_width - LEADER;
    let names_that_fit = ((row_height - PANEL_TITLE) / LINE_HEIGHT).max(1.0) as usize;
    let unnamed: usize = panels.iter_mut().map(|panel| limit_names(panel, names_that_fit)).sum();
    if unnamed > 0 {
        warnings.push(format!(
            "{unnamed} more runs have no room for their names in their panels and are grey"
        ));
    }

    let first_width = chart.text_width(&exact(steps.0), BODY);
    let min_gap = (0.5 * first_width + 24.0) / plot_width;
    let x_axis = step_axis(steps.0, steps.1, x_tick_count(plot_width, metrics), min_gap);
    let clips = options.y_min.is_some()
        || options.y_max.is_some()
        || options.steps.0.is_finite()
        || options.steps.1.is_finite()
        || options.scale == ValueScale::Log;
    let mut last = None;
    for (i, (facet, panel)) in facets.iter().zip(&mut panels).enumerate() {
        let (row, column) = (i / columns, i % columns);
        let x = left + column as f64 * (cell_width + GAP);
        let top = below + row as f64 * (row_height + GAP) + PANEL_TITLE;
        let y = ((top, top + row_height - PANEL_TITLE), &values, options.scale);
        let area = PlotArea::new(((x, x + plot_width), &x_axis), y, clips);
        let is_bottom = i + columns >= facets.len();
        layers.extend(axes(&area, (&x_axis, is_bottom), (&values, column == 0), chart));
        layers.push(panel_title(&facet.name, &area, chart));
        panel.par_iter_mut().for_each(|curve| curve.locate(&area));
        layers.extend(line_marks::curve_layers(panel, &area, options));
        let mut room = Room::new(panel, area);
        let mut reference = reference_lines(&mut room, chart);
        if i == 0 {
            warnings.append(&mut reference.warnings);
        }
        layers.extend(reference.layers().into_iter().flatten());
        layers.push(curve_names::end_names(panel, &mut room, LEADER, chart));
        last = Some(area);
    }
    let area = last.ok_or(NothingToDraw::Limits)?;
    let whole = PlotArea { top: below, bottom, ..area };
    layers.extend(y_title.map(|words| y_axis_title(&words, &whole, chart)));
    let drawing = chart.drawing(size, &title, layers);
    let room = Room::new(&[], whole);
    Ok(Curves { curves: Vec::new(), room, chart, drawing, warnings, on_dark: None })
}

/// Shortens the names to this width, and returns the widest of all panels.
fn fit_names(panels: &mut [Vec<Curve<'_>>], chart: ChartContext<'_>, room: f64) -> f64 {
    let width = |t: &str| chart.fonts.width(t, BODY, Weight::SemiBold);
    let mut widest: f64 = 0.0;
    for curve in panels.iter_mut().flatten().filter(|curve| curve.style.is_some()) {
        curve.fit_name(|t| width(t) <= room);
        widest = widest.max(width(&curve.name));
    }
    widest
}

/// Makes the lines grey whose names do not fit a panel; returns how many.
fn limit_names(panel: &mut [Curve<'_>], most: usize) -> usize {
    let named = panel.iter_mut().filter(|curve| curve.style.is_some());
    named.skip(most).map(|curve| curve.style = None).count()
}

/// The axes of a panel: the labels of the steps below the last row, those of the values left of the first column.
fn axes(
    area: &PlotArea,
    (steps, is_bottom): (&Axis, bool),
    (values, is_first): (&Axis, bool),
    chart: ChartContext<'_>,
) -> [Layer; 2] {
    let mut lines = grid(area, values, chart);
    if !is_first {
        lines.marks.retain(|mark| matches!(mark, Mark::Line(..)));
    }
    let x = if is_bottom {
        let names = [chart.options.x_axis.title(), chart.options.x_axis.noun()];
        x_ticks(area, steps, &names, chart)
    } else {
        base_line(area, chart)
    };
    [lines, x]
}

fn panel_title(name: &str, area: &PlotArea, chart: ChartContext<'_>) -> Layer {
    let width = |t: &str| chart.fonts.width(t, BODY, Weight::SemiBold);
    let room = area.right - area.left;
    let name = shorten_middle(&visible(name), |t| width(t) <= room);
    let format = TextFormat::semi_bold(BODY, chart.theme().text);
    let text = chart.text(name, (area.left, area.top - 0.6 * BODY), Anchor::Start, format);
    Layer { name: "panel".to_owned(), marks: vec![text] }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn panels_fill_the_picture() {
        let grid = |panels| rows_and_columns(panels, (1000.0, 450.0));
        assert_eq!([1, 2, 3, 4].map(grid), [(1, 1), (1, 2), (1, 3), (2, 2)]);
        assert_eq!([6, 7, 12].map(grid), [(2, 3), (2, 4), (3, 4)]);
        for panels in 1..60 {
            let (rows, columns) = grid(panels);
            assert!(rows * columns >= panels && (rows - 1) * columns < panels, "{panels}");
        }
    }
}
