//! A chart of braille curves with its axes.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::widgets::{Block, Borders, Widget};
use unicode_width::UnicodeWidthStr;

use super::braille::{BrailleCanvas, BrailleCurve};
use super::marks::{EndName, LevelLine, Reach, draw_end_names, draw_level};
use entropy_history::history::Point;
use entropy_plot::{Axis, Scale, ValueScale, log_axis, step_axis, value_axis};

/// The axes of a chart.
#[derive(Debug, Clone, PartialEq)]
pub struct Axes {
    /// The axis of the steps.
    pub x: Axis,
    /// The axis of the entropies.
    pub y: Axis,
    /// The scale of the y axis.
    pub scale: ValueScale,
}

impl Axes {
    /// Axes for the steps `from` to `to`, for the values of the curves between them, and for the lines that they reach to;
    /// the size is in characters. `None` if the scale can show none of the values.
    pub fn around(
        curves: &[BrailleCurve<'_>],
        levels: &[LevelLine],
        (from, to): (f64, f64),
        scale: ValueScale,
        is_zoomed: bool,
        (width, height): (u16, u16),
    ) -> Option<Axes> {
        let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
        for segment in curves.iter().flat_map(|curve| &curve.segments) {
            for point in within(segment, from, to) {
                if scale == ValueScale::Linear || point.entropy > 0.0 {
                    (low, high) = (low.min(point.entropy), high.max(point.entropy));
                }
            }
        }
        if low > high {
            return None;
        }
        let levels = levels.iter().filter(|line| line.reach == Reach::Extended);
        let levels = levels.map(|line| line.value);
        for value in levels.filter(|value| scale == ValueScale::Linear || *value > 0.0) {
            (low, high) = (low.min(value), high.max(value));
        }
        let rows = usize::from(height / 3).clamp(2, 8);
        let y = match scale {
            ValueScale::Linear if low == high => {
                let room = if low == 0.0 { 1.0 } else { low.abs() / 10.0 };
                value_axis(low - room, high + room, (false, false), rows)
            }
            ValueScale::Linear => value_axis(low, high, (false, false), rows),
            ValueScale::Log => log_axis(low, high * (1.0 + 1e-9), (false, false)),
        };
        let most = usize::from(width / 12).max(2);
        let x = match is_zoomed && from < to {
            true => value_axis(from, to, (true, true), most),
            false => step_axis(from, to, most, 0.08),
        };
        Some(Axes { x, y, scale })
    }
}

/// The points between two steps; if there are none, the two points whose line crosses the range.
fn within(points: &[Point], from: f64, to: f64) -> &[Point] {
    let start = points.partition_point(|p| p.step < from);
    let end = points.partition_point(|p| p.step <= to);
    match start >= end && start > 0 && start < points.len() {
        true => &points[start - 1..=start],
        false => &points[start.min(end)..end],
    }
}

/// A chart that is ready to be drawn.
pub struct Chart<'a> {
    /// The curves; later ones are drawn over earlier ones.
    pub curves: Vec<BrailleCurve<'a>>,
    /// The axes.
    pub axes: Axes,
    /// Lines at values.
    pub levels: Vec<LevelLine>,
    /// Names beside the ends of curves.
    pub end_names: Vec<EndName>,
    /// The step that was pointed at.
    pub pointer: Option<f64>,
}

/// Columns beside the plot of a chart. Charts below each other have the same.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Margins {
    /// For the labels of the y axis.
    pub left: u16,
    /// For the names of curves.
    pub right: u16,
}

impl Margins {
    /// The larger ones of both.
    pub fn max(self, other: Margins) -> Margins {
        Margins { left: self.left.max(other.left), right: self.right.max(other.right) }
    }
}

/// The plot of a chart on the screen, and the steps at its left and right end.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PlotPlace {
    /// The cells with the curves.
    pub area: Rect,
    /// The steps.
    pub steps: (f64, f64),
}

impl PlotPlace {
    /// The step in the middle of a column of the screen.
    pub fn step_at(&self, column: u16) -> f64 {
        let (from, to) = self.steps;
        // The steps are in the middle of the first and the last column of dots, two in each cell.
        let dots = f64::from(column.saturating_sub(self.area.x)) * 2.0 + 0.5;
        let last = f64::from(self.area.width) * 2.0 - 1.0;
        from + (dots / last).min(1.0) * (to - from)
    }
}

/// Whether the steps are written below a chart. Of charts below each other, only the lowest has them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StepLabels {
    /// They are written.
    Shown,
    /// They are left out.
    Hidden,
}

impl Chart<'_> {
    /// The columns that the widest labels and names need.
    pub fn margins(&self) -> Margins {
        let labels = self.axes.y.ticks.iter().map(|(_, text)| text.width());
        let names = self.end_names.iter().map(|name| name.name.width() + 1);
        Margins { left: labels.max().unwrap_or(0) as u16, right: names.max().unwrap_or(0) as u16 }
    }

    /// Draws the chart into an area. Draws nothing if the area is too small.
    pub fn draw(
        &self,
        margins: Margins,
        steps: StepLabels,
        muted: Style,
        area: Rect,
        buffer: &mut Buffer,
    ) -> Option<PlotPlace> {
        let below = if steps == StepLabels::Shown { 2 } else { 1 };
        if area.height < 2 + below || area.width < margins.left + margins.right + 8 {
            return None;
        }
        let left = area.x + margins.left + 1;
        let plot = Rect {
            x: left + 1,
            width: area.right() - margins.right - left - 1,
            height: area.height - below,
            ..area
        };
        let y = Scale::new(
            (self.axes.y.low, self.axes.y.high),
            (f64::from(plot.height) * 4.0 - 1.0, 0.0),
            self.axes.scale,
        );
        let x = Scale::new(
            (self.axes.x.low, self.axes.x.high),
            (0.0, f64::from(plot.width) * 2.0 - 1.0),
            ValueScale::Linear,
        );
        self.draw_values(&y, plot, muted, buffer);
        let outer = Rect { x: left, width: plot.width + 1, height: plot.height + 1, ..plot };
        let borders = Block::new().borders(Borders::LEFT | Borders::BOTTOM);
        borders.border_style(muted).render(outer, buffer);
        self.draw_steps(&x, steps, (area, plot), muted, buffer);
        self.draw_pointer(&x, plot, muted, buffer);
        let mut dots = BrailleCanvas::new(plot.width, plot.height);
        for (layer, curve) in self.curves.iter().enumerate() {
            dots.draw(curve, layer, &x, &y);
        }
        dots.put(&self.curves, plot, buffer);
        self.levels.iter().for_each(|line| draw_level(line, &y, plot, buffer));
        draw_end_names(&self.end_names, &y, plot, buffer);
        Some(PlotPlace { area: plot, steps: (self.axes.x.low, self.axes.x.high) })
    }

    /// An upright line at the step that was pointed at, behind the curves.
    fn draw_pointer(&self, x: &Scale, plot: Rect, muted: Style, buffer: &mut Buffer) {
        let Some(at) = self.pointer.map(|step| x.at(step).round()) else { return };
        if (0.0..f64::from(plot.width) * 2.0).contains(&at) {
            let column = plot.x + (at / 2.0) as u16;
            (plot.y..plot.bottom()).for_each(|row| buffer.set_string(column, row, "│", muted));
        }
    }

    /// The labels of the y axis, at most one in a row.
    fn draw_values(&self, y: &Scale, plot: Rect, muted: Style, buffer: &mut Buffer) {
        let mut labelled: Option<u16> = None;
        for (value, text) in self.axes.y.ticks.iter().rev() {
            let row = plot.y + (y.at(*value) / 4.0).max(0.0) as u16;
            if row >= plot.bottom() || labelled == Some(row) {
                continue;
            }
            labelled = Some(row);
            buffer.set_string(plot.x - 2 - text.width() as u16, row, text, muted);
        }
    }

    /// The ticks of the x axis, with the labels that do not overlap.
    fn draw_steps(
        &self,
        x: &Scale,
        labels: StepLabels,
        (area, plot): (Rect, Rect),
        muted: Style,
        buffer: &mut Buffer,
    ) {
        let mut free = area.x;
        for (value, text) in &self.axes.x.ticks {
            let column = plot.x + (x.at(*value) / 2.0).max(0.0) as u16;
            let width = text.width() as u16;
            let start = column.saturating_sub(width / 2).min(area.right().saturating_sub(width));
            if column >= plot.right() || start < free {
                continue;
            }
            buffer.set_string(column, plot.bottom(), "┴", muted);
            if labels == StepLabels::Shown {
                buffer.set_string(start, plot.bottom() + 1, text, muted);
            }
            free = start + width + 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn points(values: &[f64]) -> Vec<Point> {
        let at = |(i, &entropy): (usize, &f64)| Point { step: i as f64, entropy };
        values.iter().enumerate().map(at).collect()
    }

    #[test]
    fn zeros_break_the_line_on_a_log_scale_and_do_not_extend_the_axis() {
        let zeros = points(&[0.0, 0.0]);
        let axes = |curves: &[BrailleCurve<'_>], scale| {
            Axes::around(curves, &[], (0.0, 2.0), scale, false, (40, 12))
        };
        assert_eq!(axes(&[BrailleCurve::solid(&zeros)], ValueScale::Log), None);
        assert!(axes(&[BrailleCurve::solid(&zeros)], ValueScale::Linear).is_some());
        let some = points(&[1.0, 0.0, 0.1]);
        let axes = axes(&[BrailleCurve::solid(&some)], ValueScale::Log).unwrap();
        assert!(axes.y.low > 0.0 && axes.y.low <= 0.1);
    }
}
