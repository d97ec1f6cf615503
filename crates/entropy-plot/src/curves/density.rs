//! Many grey lines as a density: the more lines cross a place, the darker it is. Every shade is opaque and drawn once, so
//! the time and the size of a picture do not grow with the number of lines.

use crate::canvas::Mark;
use crate::geometry::Xy;
use crate::plot_area::PlotArea;
use crate::stroke::{COARSE_COLUMN, StrokeStyle, column_ranges, filled, is_stroked};
use crate::theme::Theme;

/// Shares of the lines from which a place has the next shade, and the share of grey in each shade.
const SHADES: [(f64, f64); 4] = [(0.0, 0.38), (0.1, 0.55), (0.25, 0.72), (0.5, 0.9)];

/// The marks of lines without a colour, each in its parts in px: sparse ones as strokes, dense ones as regions.
pub(super) fn marks(lines: &[&[Xy]], width: f64, area: &PlotArea, theme: &Theme) -> Vec<Mark> {
    let shade = |share: f64| theme.unstyled.over(theme.background, share);
    let (sparse, dense): (Vec<&[Xy]>, Vec<&[Xy]>) = lines.iter().partition(|line| is_stroked(line));
    let mut marks = Vec::new();
    let limits = levels(dense.len());
    for (level, regions) in regions(&dense, width / 2.0, area, &limits).into_iter().enumerate() {
        let colour = shade(limits[level].1);
        marks.extend(regions.into_iter().map(|outline| filled(outline, colour)));
    }
    // A single line among many is visible, too.
    let stroke = StrokeStyle::solid(width, shade(SHADES[1].1));
    marks.extend(sparse.into_iter().flat_map(|line| stroke.marks(line)));
    marks
}

/// From how many lines on a place has each shade, with the share of grey.
fn levels(lines: usize) -> Vec<(usize, f64)> {
    let mut levels: Vec<(usize, f64)> = Vec::new();
    for (share, grey) in SHADES {
        let from = ((share * lines as f64).round() as usize).max(1);
        match levels.last_mut() {
            Some(last) if last.0 >= from => {}
            _ => levels.push((from, grey)),
        }
    }
    levels
}

/// For each level, the outlines of the places that at least that number of lines cross.
fn regions(
    lines: &[&[Xy]],
    radius: f64,
    area: &PlotArea,
    levels: &[(usize, f64)],
) -> Vec<Vec<Vec<Xy>>> {
    let columns = ((area.right - area.left) / COARSE_COLUMN).ceil() as usize + 1;
    let mut edges: Vec<Vec<(f64, i32)>> = vec![Vec::new(); columns];
    for line in lines {
        let ranges = column_ranges(line, area.left, area.right, COARSE_COLUMN);
        for (edges, (low, high)) in edges.iter_mut().zip(ranges) {
            if low <= high {
                edges.extend([(low - radius, 1), (high + radius, -1)]);
            }
        }
    }
    edges
        .iter_mut()
        .for_each(|edges| edges.sort_by(|a, b| a.0.total_cmp(&b.0).then(b.1.cmp(&a.1))));
    let outlines = |(from, _): &(usize, f64)| {
        let mut outlines = Outlines::new(area.left);
        for edges in &edges {
            outlines.add(covered(edges, *from as i32));
        }
        outlines.finish()
    };
    levels.iter().map(outlines).collect()
}

/// The ranges of a column that at least `from` lines cover.
fn covered(edges: &[(f64, i32)], from: i32) -> Vec<(f64, f64)> {
    let (mut ranges, mut depth, mut start) = (Vec::new(), 0, 0.0);
    for &(y, change) in edges {
        let before = depth;
        depth += change;
        if before < from && depth >= from {
            start = y;
        } else if before >= from && depth < from {
            ranges.push((start, y));
        }
    }
    ranges
}

/// A region that is being built, column by column: its upper and its lower edge.
struct OpenOutline {
    above: Vec<Xy>,
    below: Vec<Xy>,
    last: (f64, f64),
}

/// Joins the ranges of neighbouring columns to outlines.
struct Outlines {
    left: f64,
    column: usize,
    open: Vec<OpenOutline>,
    closed: Vec<Vec<Xy>>,
}

impl Outlines {
    fn new(left: f64) -> Outlines {
        Outlines { left, column: 0, open: Vec::new(), closed: Vec::new() }
    }

    /// Adds the ranges of the next column. A range continues an outline if both touch each other and nothing else.
    fn add(&mut self, ranges: Vec<(f64, f64)>) {
        let (left, right) = self.sides();
        let touches = |a: (f64, f64), b: (f64, f64)| a.0 <= b.1 && b.0 <= a.1;
        let mut next = Vec::new();
        let mut open = std::mem::take(&mut self.open);
        let lone = |outline: &OpenOutline, range: (f64, f64), open: &[OpenOutline]| {
            ranges.iter().filter(|other| touches(outline.last, **other)).count() == 1
                && open.iter().filter(|other| touches(other.last, range)).count() == 1
        };
        let continued: Vec<Option<usize>> = ranges
            .iter()
            .map(|range| {
                let at = open.iter().position(|outline| touches(outline.last, *range))?;
                lone(&open[at], *range, &open).then_some(at)
            })
            .collect();
        let middle = (left + right) / 2.0;
        let mut taken: Vec<Option<OpenOutline>> = open.drain(..).map(Some).collect();
        for (range, continued) in ranges.iter().zip(continued) {
            let outline = continued.and_then(|at| taken[at].take());
            let mut outline = outline.unwrap_or_else(|| OpenOutline {
                above: vec![(left, range.0)],
                below: vec![(left, range.1)],
                last: *range,
            });
            outline.above.push((middle, range.0));
            outline.below.push((middle, range.1));
            outline.last = *range;
            next.push(outline);
        }
        self.open = next;
        for outline in taken.into_iter().flatten() {
            self.close(outline, left);
        }
        self.column += 1;
    }

    /// The left and the right side of the current column.
    fn sides(&self) -> (f64, f64) {
        let left = self.left + self.column as f64 * COARSE_COLUMN;
        (left, left + COARSE_COLUMN)
    }

    fn close(&mut self, mut outline: OpenOutline, right: f64) {
        outline.above.push((right, outline.last.0));
        outline.below.push((right, outline.last.1));
        outline.above.extend(outline.below.into_iter().rev());
        self.closed.push(outline.above);
    }

    fn finish(mut self) -> Vec<Vec<Xy>> {
        let right = self.sides().0;
        for outline in std::mem::take(&mut self.open) {
            self.close(outline, right);
        }
        self.closed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_as_dark_as_lines_cross_them() {
        let edges = [(0.0, 1), (2.0, 1), (4.0, -1), (6.0, -1), (8.0, 1), (9.0, -1)];
        assert_eq!(covered(&edges, 1), [(0.0, 6.0), (8.0, 9.0)]);
        assert_eq!(covered(&edges, 2), [(2.0, 4.0)]);
        assert_eq!(covered(&edges, 3), []);
        assert_eq!(levels(200), [(1, 0.38), (20, 0.55), (50, 0.72), (100, 0.9)]);
        assert_eq!(levels(3), [(1, 0.38), (2, 0.9)]);
    }

    #[test]
    fn outlines_split_and_join_without_gaps() {
        let mut outlines = Outlines::new(0.0);
        outlines.add(vec![(0.0, 10.0)]);
        outlines.add(vec![(0.0, 10.0)]);
        outlines.add(vec![(0.0, 4.0), (6.0, 10.0)]); // splits
        outlines.add(vec![(0.0, 4.0)]);
        let outlines = outlines.finish();
        assert_eq!(outlines.len(), 3);
        let spans: Vec<(f64, f64)> = outlines
            .iter()
            .map(|o| o.iter().fold((f64::MAX, f64::MIN), |(l, r), p| (l.min(p.0), r.max(p.0))))
            .collect();
        let c = COARSE_COLUMN;
        assert!(
            spans.contains(&(0.0, 2.0 * c)) && spans.contains(&(2.0 * c, 4.0 * c)),
            "{spans:?}"
        );
        assert!(spans.contains(&(2.0 * c, 3.0 * c)), "{spans:?}");
    }
}
