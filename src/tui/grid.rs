//! The places of panels in an area: columns of panels, the entropy first.
//!
//! A later column has at most one panel more than the first, so that no place stays empty and the panel of the entropy
//! is the largest. If not all panels fit, fewer are shown: a smaller panel would say nothing.

use std::cmp::Ordering;

use ratatui::layout::Rect;

/// The smallest width of a panel beside another one, and the smallest height with and without the steps below.
const MIN_WIDTH: u16 = 38;
const MIN_HEIGHT: u16 = 7;
const MIN_INNER_HEIGHT: u16 = MIN_HEIGHT - 1;
/// The proportion of width and height in characters that shows a curve best; a character is twice as high as wide.
const BEST_PROPORTION: f64 = 4.5;

/// The places of panels in columns; those of a column are below each other.
#[derive(Debug, Clone, PartialEq)]
pub struct Grid {
    /// The columns from left to right, each from top to bottom.
    pub columns: Vec<Vec<Rect>>,
}

impl Grid {
    /// Places for as many of the panels as fit.
    pub fn within(area: Rect, panels: usize) -> Grid {
        let most = usize::from(area.width / MIN_WIDTH).clamp(1, panels.max(1));
        let grids = (1..=most).map(|columns| Grid::of_columns(area, panels, columns));
        grids.max_by(Grid::compare).unwrap_or(Grid { columns: Vec::new() })
    }

    /// The better grid is the greater: it has more panels, or better proportions.
    pub fn compare(&self, other: &Grid) -> Ordering {
        let by_count = self.count().cmp(&other.count());
        by_count.then(other.distortion().total_cmp(&self.distortion()))
    }

    fn of_columns(area: Rect, panels: usize, columns: usize) -> Grid {
        let steps = MIN_HEIGHT - MIN_INNER_HEIGHT;
        let highest = area.height.saturating_sub(steps) / MIN_INNER_HEIGHT;
        let panels = panels.min(columns * usize::from(highest));
        let columns = columns.min(panels);
        let gaps = columns.saturating_sub(1) as u16;
        let widths = shares(area.width.saturating_sub(gaps), columns);
        let mut x = area.x;
        let mut places = Vec::new();
        for (at, width) in widths.enumerate() {
            // The later columns have the panels that are left over.
            let count = panels / columns + usize::from(at >= columns - panels % columns);
            let mut y = area.y;
            let heights = shares(area.height, count);
            places.push(
                heights
                    .map(|height| {
                        y += height;
                        Rect { x, y: y - height, width, height }
                    })
                    .collect(),
            );
            x += width + 1;
        }
        Grid { columns: places }
    }

    /// The number of places.
    pub fn count(&self) -> usize {
        self.columns.iter().map(Vec::len).sum()
    }

    /// How far the proportions of the panels are from the best one.
    fn distortion(&self) -> f64 {
        let panels = self.columns.iter().flatten();
        let of = |panel: &Rect| {
            let proportion = f64::from(panel.width) / f64::from(panel.height.max(1));
            (proportion / BEST_PROPORTION).ln().abs()
        };
        panels.map(of).sum()
    }
}

/// Divides a length into parts that differ by at most one; the last are the larger ones, which have the steps below.
fn shares(length: u16, parts: usize) -> impl Iterator<Item = u16> {
    let parts = parts as u16;
    (0..parts).map(move |at| length / parts + u16::from(at >= parts - length % parts))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The number of panels in each column.
    fn columns(width: u16, height: u16, panels: usize) -> Vec<usize> {
        let grid = Grid::within(Rect::new(0, 0, width, height), panels);
        grid.columns.iter().map(Vec::len).collect()
    }

    #[test]
    fn panels_are_beside_each_other_in_a_low_area_and_below_each_other_in_a_narrow_one() {
        assert_eq!(columns(80, 14, 2), [1, 1]);
        assert_eq!(columns(60, 40, 3), [3]);
        assert_eq!(columns(133, 58, 4), [2, 2]);
        assert_eq!(columns(133, 58, 5), [2, 3]);
        assert_eq!(columns(200, 12, 4), [1, 1, 1, 1]);
    }

    #[test]
    fn panels_that_would_be_too_small_have_no_place() {
        assert_eq!(columns(60, 8, 4), [1]);
        assert_eq!(columns(60, 13, 4), [2]);
        assert_eq!(columns(80, 12, 6), [1, 1]);
        assert_eq!(columns(80, 13, 6), [2, 2]);
        assert_eq!(columns(80, 6, 3), [0; 0]);
    }

    #[test]
    fn places_fill_the_area_and_do_not_overlap() {
        for (width, height) in [(38, 7), (77, 14), (80, 13), (133, 58), (200, 60), (301, 97)] {
            for panels in 1..=9 {
                let area = Rect::new(3, 2, width, height);
                let grid = Grid::within(area, panels);
                let places: Vec<Rect> = grid.columns.iter().flatten().copied().collect();
                assert!(!places.is_empty() && places.len() <= panels);
                for (i, place) in places.iter().enumerate() {
                    assert!(area.intersection(*place) == *place, "{place:?} in {area:?}");
                    assert!(places[i + 1..].iter().all(|other| !place.intersects(*other)));
                    assert!(place.height >= MIN_INNER_HEIGHT && place.width >= MIN_WIDTH);
                }
                for column in &grid.columns {
                    let heights: u16 = column.iter().map(|place| place.height).sum();
                    assert_eq!(heights, height);
                    assert!(column.last().unwrap().height >= MIN_HEIGHT);
                }
            }
        }
    }
}
