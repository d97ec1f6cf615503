//! Names of lines: at the line ends, or in a legend next to the plot.

use super::canvas::{Anchor, Mark, TextFormat};
use super::context::ChartContext;
use super::geometry::{Bounds, Xy};
use super::label_layout::push_apart;
use super::metrics::BODY;
use super::plot_area::PlotArea;
use super::stroke::StrokeStyle;
use super::theme::{Rgb, Style};

/// Up to this many lines are named at their ends; more lines get a legend.
pub(super) const MAX_NAMED_AT_END: usize = 12;
/// Height in px of a name at a line end.
pub(super) const LINE_HEIGHT: f64 = 1.32 * BODY;
/// Distance in px from the plot area to a legend next to it.
pub(super) const LEGEND_GAP: f64 = 24.0;

/// Distance in px between two columns of a legend.
pub(super) const SWATCH_MARGIN: f64 = 12.0;
/// A line that ends farther than this from the right edge of the plot, in px, has a leader that is dotted across the plot.
const EARLY: f64 = 12.0;
/// On and off lengths in px of dotted lines.
pub(super) const DOTS: [f64; 2] = [0.5, 3.5];

/// Whether a line ends before the right edge of the plot.
pub(super) fn ends_early(end: Xy, area: &PlotArea) -> bool {
    end.0 < area.right - EARLY
}

/// The thin line from the end of a curve to its name at `name`: in `colour`, but dotted in `grey` across the plot, where a line in the
/// curve's colour would look like data.
pub(super) fn leader(end: Xy, name: Xy, area: &PlotArea, (colour, grey): (Rgb, Rgb)) -> Vec<Mark> {
    let (from, bend) = ((end.0 + 2.0, end.1), (end.0.max(area.right + 4.0), end.1));
    let to = (name.0 - 6.0, name.1);
    if ends_early(end, area) {
        let across = StrokeStyle { width: 1.0, colour: grey, dash: &DOTS }.marks(&[from, bend]);
        return across.into_iter().chain([Mark::Line(vec![bend, to], 0.9, colour)]).collect();
    }
    let line = if bend.0 > end.0 + 6.0 { vec![from, bend, to] } else { vec![from, to] };
    vec![Mark::Line(line, 0.9, colour)]
}

/// Places labels of this height in px as near as possible to the y of their line ends: sorts them by y and pushes
/// them apart within the plot area.
pub(super) fn spread_labels<T>(
    mut labels: Vec<(f64, T)>,
    height: f64,
    area: &PlotArea,
) -> impl Iterator<Item = (f64, T)> {
    labels.sort_by(|a, b| a.0.total_cmp(&b.0));
    let targets: Vec<f64> = labels.iter().map(|(y, _)| *y).collect();
    let limits = (area.top - height / 2.0, area.bottom + height / 2.0);
    let spread = push_apart(&targets, height, limits).into_iter();
    spread.zip(labels).map(|(y, (_, label))| (y, label))
}

/// One line in a legend.
pub(super) struct LegendEntry<'a> {
    pub(super) name: &'a str,
    pub(super) style: Style,
    /// Where the line ends, in px; `None` for a line outside the plot area.
    pub(super) end: Option<Xy>,
}

/// The place of a legend inside a plot area.
pub(super) struct LegendCorner {
    /// The middle of the left end of the first row.
    pub(super) origin: Xy,
    /// The box of the legend.
    pub(super) bounds: Bounds,
    /// The box, if it covers a part of the plot.
    pub(super) covering: Option<Bounds>,
}

impl LegendCorner {
    /// The ground of a legend that covers a part of the plot, which is faint below it so that the names can be read.
    pub(super) fn ground(&self, chart: ChartContext<'_>) -> Option<Mark> {
        const OPACITY: f64 = 0.85;
        let (left, top, right, bottom) = self.covering?;
        let corners = vec![(left, top), (right, top), (right, bottom), (left, bottom)];
        Some(Mark::TranslucentRegion(corners, chart.theme().background, OPACITY))
    }
}

/// The grid of a legend: entries fill one column after the other. Lengths are in px.
pub(super) struct LegendGrid {
    pub(super) rows: usize,
    pub(super) columns: usize,
    pub(super) column_width: f64,
    /// Font size.
    pub(super) size: f64,
    /// Width of the line sample before a name, with the gap between them.
    pub(super) swatch: f64,
}

impl LegendGrid {
    pub(super) fn width(&self) -> f64 {
        self.column_width * self.columns as f64
    }

    /// Height from the top of the first row to the bottom of the last one.
    pub(super) fn height(&self) -> f64 {
        1.32 * self.size * self.rows as f64
    }

    /// The middle of the left end of the first row of a legend right of a plot area.
    pub(super) fn beside(area: &PlotArea) -> Xy {
        (area.right + LEGEND_GAP, area.top)
    }

    /// The corner of a plot area where the legend covers the least, which `covered` measures.
    pub(super) fn emptiest_corner(
        &self,
        area: &PlotArea,
        covered: impl Fn(Bounds) -> f64,
    ) -> LegendCorner {
        const MARGIN: f64 = 6.0;
        let (width, height) = (self.width() - SWATCH_MARGIN, self.height());
        let lefts = [area.right - MARGIN - width, area.left + MARGIN];
        let tops = [area.top + MARGIN, area.bottom - MARGIN - height];
        let corners = tops.iter().flat_map(|top| lefts.map(|left| (left.max(area.left), *top)));
        let bounds = |(left, top): Xy| (left, top, left + width, top + height);
        let covers = |corner: &Xy| covered(bounds(*corner));
        let best = corners.min_by(|a, b| covers(a).total_cmp(&covers(b)));
        let best = best.unwrap_or((area.left, area.top));
        LegendCorner {
            origin: (best.0, best.1 + height / (2.0 * self.rows as f64)),
            bounds: bounds(best),
            covering: (covers(&best) > 0.0).then_some(bounds(best)),
        }
    }

    /// The marks of the legend whose first row begins at `origin`, in the order in which the lines end. `total` counts all lines; those without
    /// an entry are summed up in the last one.
    pub(super) fn marks(
        &self,
        mut entries: Vec<LegendEntry<'_>>,
        total: usize,
        origin: Xy,
        chart: ChartContext<'_>,
    ) -> Vec<Mark> {
        let end_y = |entry: &LegendEntry<'_>| entry.end.map_or(f64::INFINITY, |end| end.1);
        entries.sort_by(|a, b| end_y(a).total_cmp(&end_y(b)));
        let slots = self.rows * self.columns;
        let has_rest = total > entries.len() || entries.len() > slots;
        let shown = entries.len().min(slots - usize::from(has_rest));

        let slot = |i: usize| {
            let x = origin.0 + (i / self.rows) as f64 * self.column_width;
            (x, origin.1 + (i % self.rows) as f64 * 1.32 * self.size)
        };
        let text = |words: &str, (x, y): Xy, colour| {
            let at = (x + self.swatch, y + 0.36 * self.size);
            chart.text(words, at, Anchor::Start, TextFormat::regular(self.size, colour))
        };
        let sample = |(x, y): Xy, stroke: StrokeStyle<'_>| {
            stroke.marks(&[(x, y), (x + self.swatch - 6.0, y)])
        };
        let mut marks = Vec::new();
        for (i, LegendEntry { name, style, .. }) in entries[..shown].iter().enumerate() {
            marks.extend(sample(slot(i), style.stroke(2.4)));
            marks.push(text(name, slot(i), style.name));
        }
        if total > shown {
            marks.extend(sample(slot(shown), StrokeStyle::solid(1.0, chart.theme().unstyled)));
            let rest = format!("and {} more", total - shown);
            marks.push(text(&rest, slot(shown), chart.theme().muted));
        }
        marks
    }
}
