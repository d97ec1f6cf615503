//! Where the plot area is free: labels and legends inside it keep clear of curves and of each other.

use super::curve::Curve;
use crate::geometry::{Bounds, Xy, boxes_overlap};
use crate::label_layout::CurveOccupancy;
use crate::plot_area::PlotArea;

/// What the plot area holds: curves, the logged curves behind them, and boxes of texts.
pub(super) struct Room {
    pub(super) area: PlotArea,
    pub(super) lines: CurveOccupancy,
    pub(super) faint: CurveOccupancy,
    taken: Vec<Bounds>,
}

impl Room {
    /// The room that located curves with a colour leave.
    pub(super) fn new(curves: &[Curve<'_>], area: PlotArea) -> Room {
        let mut lines = CurveOccupancy::new(area.left, area.right);
        let in_colour = || curves.iter().filter(|curve| curve.style.is_some());
        for part in in_colour().flat_map(|curve| &curve.parts) {
            lines.add(&part.points);
        }
        let logged = in_colour().flat_map(|curve| curve.background_parts(&area));
        let mut faint = CurveOccupancy::new(area.left, area.right);
        logged.for_each(|part| faint.add(&part));
        Room { area, lines, faint, taken: Vec::new() }
    }

    /// Keeps a box free from now on.
    pub(super) fn take(&mut self, bounds: Bounds) {
        self.taken.push(bounds);
    }

    /// Keeps a line free from now on.
    pub(super) fn take_line(&mut self, line: [Xy; 2]) {
        self.lines.add(&line);
    }

    /// Whether a box overlaps none of those taken.
    pub(super) fn is_untaken(&self, bounds: Bounds) -> bool {
        !self.taken.iter().any(|taken| boxes_overlap(*taken, bounds))
    }

    /// How much a box covers: each column of a curve counts 1, of a logged curve behind another one a quarter.
    pub(super) fn covered(&self, bounds: Bounds) -> f64 {
        self.lines.crossings(bounds) as f64 + 0.25 * self.faint.crossings(bounds) as f64
    }

    /// Whether a box is inside the plot area and covers neither a curve nor another box.
    pub(super) fn is_free(&self, bounds: Bounds) -> bool {
        let (left, top, right, bottom) = bounds;
        let area = &self.area;
        let is_inside =
            left >= area.left && right <= area.right && top >= area.top && bottom <= area.bottom;
        is_inside && self.covered(bounds) == 0.0 && self.is_untaken(bounds)
    }
}
