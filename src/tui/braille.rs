//! Curves as braille characters: each has two by four dots and one colour.
//!
//! In each column of dots a curve is drawn from its lowest to its highest value, so that long runs are drawn fast and
//! no peak is lost.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use entropy_history::history::Point;
use entropy_plot::Scale;

/// A curve to draw.
pub struct BrailleCurve<'a> {
    /// The points between gaps.
    pub segments: Vec<&'a [Point]>,
    /// The colour.
    pub style: Style,
    /// Numbers of dots drawn and skipped, alternating; empty for a solid line.
    pub dash: &'static [usize],
    /// The offset of the dash pattern in dots: with different offsets, the gaps of overlapping curves differ.
    pub phase: usize,
    /// In a character that several curves cross, those of the highest rank are drawn: a character has one colour, so the dots of
    /// the others would look like theirs.
    pub rank: Rank,
    /// A letter repeated along the curve, and the column of the first one.
    pub mark: Option<(char, usize)>,
}

/// Which curves are drawn in a character that several cross, the least important first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rank {
    /// Of a grey run.
    #[default]
    Grey,
    /// As logged, behind a smoothed one.
    Faint,
    /// Of a run with a colour.
    Coloured,
    /// Of the selected run.
    Selected,
}

#[cfg(test)]
impl<'a> BrailleCurve<'a> {
    /// A solid line without a colour.
    pub(super) fn solid(points: &'a [Point]) -> BrailleCurve<'a> {
        let (segments, style) = (vec![points], Style::new());
        BrailleCurve { segments, style, dash: &[], phase: 0, rank: Rank::Coloured, mark: None }
    }
}

/// A grid of dots.
pub(super) struct BrailleCanvas {
    /// The width in dots.
    width: usize,
    /// The height in dots.
    height: usize,
    cells: Vec<BrailleCell>,
}

#[derive(Clone, Copy, Default)]
struct BrailleCell {
    dots: u8,
    rank: Rank,
    curve: Option<usize>,
    mark: Option<char>,
}

/// The bit of each dot of a braille character, by column and row.
const BITS: [[u8; 4]; 2] = [[0x01, 0x02, 0x04, 0x40], [0x08, 0x10, 0x20, 0x80]];
/// Characters between two marks of a curve.
const BETWEEN_MARKS: usize = 16;

impl BrailleCanvas {
    pub(super) fn new(width: u16, height: u16) -> BrailleCanvas {
        let cells = vec![BrailleCell::default(); usize::from(width) * usize::from(height)];
        BrailleCanvas { width: 2 * usize::from(width), height: 4 * usize::from(height), cells }
    }

    pub(super) fn draw(&mut self, curve: &BrailleCurve<'_>, layer: usize, x: &Scale, y: &Scale) {
        let mut heights: Vec<Option<(f64, f64)>> = vec![None; self.width];
        for segment in &curve.segments {
            self.trace(segment, x, y, &mut heights);
        }
        let period: usize = curve.dash.iter().sum();
        for (column, span) in heights.iter().enumerate() {
            let Some((top, bottom)) = *span else { continue };
            if period > 0 && is_gap(curve.dash, (column + curve.phase) % period) {
                continue;
            }
            let last = self.height as f64 - 1.0;
            if bottom < 0.0 || top > last {
                continue;
            }
            // A half-open interval, so that a line with slope 1 has one dot per column.
            let first = (top.max(0.0) + 0.5).floor();
            let end = ((bottom.min(last) + 0.5).ceil() - 1.0).max(first);
            let (top, bottom) = (first as usize, end.min(last) as usize);
            for row in top..=bottom {
                let cell = &mut self.cells[row / 4 * (self.width / 2) + column / 2];
                if curve.rank > cell.rank {
                    cell.dots = 0;
                }
                if curve.rank < cell.rank && cell.curve.is_some() {
                    continue;
                }
                cell.rank = curve.rank;
                cell.dots |= BITS[column % 2][row % 4];
                cell.curve = Some(layer);
                cell.mark = None;
            }
            let Some((mark, first)) = curve.mark else { continue };
            if column % 2 == 1 && (column / 2) % BETWEEN_MARKS == first % BETWEEN_MARKS {
                let row = (top + bottom) / 2;
                let cell = &mut self.cells[row / 4 * (self.width / 2) + column / 2];
                cell.mark = Some(mark).filter(|_| cell.curve == Some(layer)).or(cell.mark);
            }
        }
    }

    /// Extends the vertical range of a segment in each column of dots.
    fn trace(&self, points: &[Point], x: &Scale, y: &Scale, heights: &mut [Option<(f64, f64)>]) {
        let mut before: Option<(f64, f64)> = None;
        let column = |point: &Point| x.at(point.step).round();
        let mut rest = points;
        while let Some(first) = rest.first() {
            let in_column = rest.partition_point(|point| column(point) <= column(first));
            let (group, later) = rest.split_at(in_column);
            for i in outline(group, y) {
                let here = (x.at(group[i].step), y.at(group[i].entropy));
                if !here.1.is_finite() {
                    before = None; // not positive, on a logarithmic scale
                    continue;
                }
                match before {
                    Some(before) => line(before, here, heights),
                    None => line(here, here, heights),
                }
                before = Some(here);
            }
            rest = later;
        }
    }

    pub(super) fn put(&self, curves: &[BrailleCurve<'_>], plot: Rect, buffer: &mut Buffer) {
        let width = usize::from(plot.width);
        for (i, cell) in self.cells.iter().enumerate() {
            let Some(curve) = cell.curve else { continue };
            let braille = char::from_u32(0x2800 + u32::from(cell.dots)).unwrap_or(' ');
            let (column, row) = ((i % width) as u16, (i / width) as u16);
            buffer[(plot.x + column, plot.y + row)]
                .set_char(cell.mark.unwrap_or(braille))
                .set_style(curves[curve].style);
        }
    }
}

/// The indices of the points of one column that determine its drawing: the first, the extremes and the last; or all,
/// if some of them break the line.
fn outline(points: &[Point], y: &Scale) -> Vec<usize> {
    let (mut lowest, mut highest) = (0, 0);
    for (i, point) in points.iter().enumerate() {
        if point.entropy < points[lowest].entropy {
            lowest = i;
        } else if point.entropy > points[highest].entropy {
            highest = i;
        }
    }
    if points.len() <= 4 || !y.at(points[lowest].entropy).is_finite() {
        return (0..points.len()).collect();
    }
    let mut picks = vec![0, lowest, highest, points.len() - 1];
    picks.sort_unstable();
    picks
}

fn is_gap(dash: &[usize], mut at: usize) -> bool {
    for (i, length) in dash.iter().enumerate() {
        if at < *length {
            return i % 2 == 1;
        }
        at -= length;
    }
    false
}

/// Extends the vertical range of each column that a line crosses.
fn line((x0, y0): (f64, f64), (x1, y1): (f64, f64), heights: &mut [Option<(f64, f64)>]) {
    let (first, last) = (x0.round().max(0.0), x1.round().min(heights.len() as f64 - 1.0));
    if first > last {
        return;
    }
    let at = |x: f64| {
        let share = if x1 > x0 { ((x - x0) / (x1 - x0)).clamp(0.0, 1.0) } else { 0.0 };
        y0 + share * (y1 - y0)
    };
    for (i, height) in heights[first as usize..=last as usize].iter_mut().enumerate() {
        let middle = first + i as f64;
        let (mut a, mut b) = (at(middle - 0.5), at(middle + 0.5));
        if x1 <= x0 || (x0.round() == middle && x1.round() == middle) {
            (a, b) = (y0, y1);
        }
        let (low, high) = (a.min(b), a.max(b));
        *height = Some(match *height {
            Some((top, bottom)) => (top.min(low), bottom.max(high)),
            None => (low, high),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use entropy_plot::ValueScale;

    fn points(values: &[f64]) -> Vec<Point> {
        let at = |(i, &entropy): (usize, &f64)| Point { step: i as f64, entropy };
        values.iter().enumerate().map(at).collect()
    }

    /// The rows of characters of the drawn curves.
    fn drawn(
        curves: &[BrailleCurve<'_>],
        from: f64,
        to: f64,
        width: u16,
        height: u16,
    ) -> Vec<String> {
        let mut dots = BrailleCanvas::new(width, height);
        let x = Scale::new((from, to), (0.0, f64::from(width) * 2.0 - 1.0), ValueScale::Linear);
        let y = Scale::new((0.0, 1.0), (f64::from(height) * 4.0 - 1.0, 0.0), ValueScale::Linear);
        curves.iter().enumerate().for_each(|(layer, curve)| dots.draw(curve, layer, &x, &y));
        let area = Rect::new(0, 0, width, height);
        let mut buffer = Buffer::empty(area);
        dots.put(curves, area, &mut buffer);
        let row = |y| (0..width).map(|x| buffer[(x, y)].symbol().to_owned()).collect::<String>();
        (0..height).map(row).collect()
    }

    #[test]
    fn line_is_drawn_from_corner_to_corner() {
        let points = points(&[1.0, 0.0]);
        // Eight columns and eight rows of dots: dot n of column n.
        assert_eq!(drawn(&[BrailleCurve::solid(&points)], 0.0, 1.0, 4, 2), ["⠑⢄  ", "  ⠑⢄"]);
    }

    #[test]
    fn single_peak_among_thousands_of_points_is_visible() {
        let mut values = vec![0.0; 10_000];
        values[5100] = 1.0;
        let points = points(&values);
        let rows = drawn(&[BrailleCurve::solid(&points)], 0.0, 9999.0, 4, 2);
        assert_eq!(rows, ["  ⡇ ", "⣀⣀⣇⣀"]);
    }

    #[test]
    fn reduced_columns_equal_drawing_every_point() {
        let mut values: Vec<f64> =
            (0..5000).map(|i| 0.5 + 0.4 * (f64::from(i) / 300.0).sin()).collect();
        values[1234] = 1.0;
        values[3456] = 0.0;
        let points = points(&values);
        let (x, y) = (
            Scale::new((0.0, 4999.0), (0.0, 39.0), ValueScale::Linear),
            Scale::new((0.0, 1.0), (31.0, 0.0), ValueScale::Linear),
        );
        let mut reduced = vec![None; 40];
        BrailleCanvas::new(20, 8).trace(&points, &x, &y, &mut reduced);
        let mut whole = vec![None; 40];
        let dot = |p: &Point| (x.at(p.step), y.at(p.entropy));
        points.windows(2).for_each(|pair| line(dot(&pair[0]), dot(&pair[1]), &mut whole));
        // In both, the line between columns starts at the last point of one and ends at the first of the next.
        assert_eq!(reduced, whole);
    }

    #[test]
    fn range_without_points_shows_the_line_that_crosses_it() {
        let points = points(&[0.0, 0.0, 1.0, 1.0]);
        // From step 1.25 to 1.75 the line rises from 0.25 to 0.75.
        let rows = drawn(&[BrailleCurve::solid(&points)], 1.25, 1.75, 4, 1);
        assert!(rows[0].chars().all(|c| c != ' '), "{rows:?}");
    }

    #[test]
    fn dash_phases_shift_the_gaps() {
        let points = points(&[0.5, 0.5]);
        let gaps = |phase| {
            let curve = BrailleCurve { dash: &[8, 4], phase, ..BrailleCurve::solid(&points) };
            let rows = drawn(&[curve], 0.0, 1.0, 12, 1);
            rows[0].chars().enumerate().filter(|(_, c)| *c == ' ').map(|(i, _)| i).collect()
        };
        let (a, b): (Vec<usize>, Vec<usize>) = (gaps(0), gaps(6));
        assert!(!a.is_empty() && a.iter().all(|column| !b.contains(column)), "{a:?} {b:?}");
    }

    #[test]
    fn curve_of_a_higher_rank_replaces_the_dots_of_others_in_its_characters() {
        let (low, high) = (points(&[0.0, 0.0]), points(&[1.0, 1.0]));
        let of = |points, rank| BrailleCurve { rank, ..BrailleCurve::solid(points) };
        let rows = |curves: &[BrailleCurve<'_>]| drawn(curves, 0.0, 1.0, 2, 1);
        let both = ["⣉⣉"];
        assert_eq!(rows(&[of(&low, Rank::Grey), of(&high, Rank::Grey)]), both);
        assert_eq!(rows(&[of(&low, Rank::Grey), of(&high, Rank::Coloured)]), ["⠉⠉"]);
        assert_eq!(rows(&[of(&low, Rank::Selected), of(&high, Rank::Faint)]), ["⣀⣀"]);
    }

    #[test]
    fn gaps_stay_open_and_later_curves_are_on_top() {
        let (a, b) = (points(&[0.5, 0.5]), points(&[0.0, 1.0]));
        let late = [Point { step: 3.0, entropy: 0.5 }, Point { step: 4.0, entropy: 0.5 }];
        let gapped = BrailleCurve { segments: vec![&a, &late], ..BrailleCurve::solid(&a) };
        let rows = drawn(&[gapped], 0.0, 4.0, 5, 1);
        assert_eq!(rows[0].chars().nth(2), Some(' '), "{rows:?}");
        let marked = |mark| BrailleCurve { mark: Some((mark, 0)), ..BrailleCurve::solid(&a) };
        assert!(drawn(&[marked('A'), marked('B')], 0.0, 1.0, 4, 1)[0].starts_with('B'));
        assert!(!drawn(&[BrailleCurve::solid(&b)], 0.0, 1.0, 4, 1)[0].contains('A'));
    }
}
