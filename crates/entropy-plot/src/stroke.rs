//! Strokes of curves: outlines with only the detail that the picture can show; every extreme is kept.
//!
//! Anti-aliased strokes take most of the drawing time. A curve of entropy over steps is the graph of a
//! function, and the stroke of such a graph is exactly the region between two other graphs: the upper and
//! lower envelope of the curve, widened by a disc of the stroke's width. So a dense curve is reduced to its
//! lowest and highest value per narrow column, both are widened, and the region between them is filled
//! once. A sparse curve is stroked by the renderer.

use std::f64::consts::TAU;

use super::canvas::Mark;
use super::geometry::{Xy, clip_x};
use super::theme::{Rgb, Style, Theme};

/// Width of a column in px (1/96 in): about one pixel at 300 dpi.
const COLUMN: f64 = 0.35;
/// Width of a column in px for dense curves, of which only the extremes are visible.
const DENSE_COLUMN: f64 = 0.8;
/// Width of a column in px of a density.
pub(super) const COARSE_COLUMN: f64 = 0.8;
/// Largest error in px when vertices of an outline are dropped.
const TOLERANCE: f64 = 0.04;
/// Points per px: below the first value a curve is stroked, from the second value it is dense.
const DENSITIES: (f64, f64) = (0.7, 4.0);
/// An outline with a mean slope above this is ragged.
const RAGGED: f64 = 1.5;

/// How a curve is stroked.
#[derive(Debug, Clone, Copy)]
pub(super) struct StrokeStyle<'a> {
    /// Width in px.
    pub(super) width: f64,
    pub(super) colour: Rgb,
    /// On and off lengths along x in px; empty for a solid line.
    pub(super) dash: &'a [f64],
}

impl StrokeStyle<'_> {
    pub(super) fn solid(width: f64, colour: Rgb) -> StrokeStyle<'static> {
        StrokeStyle { width, colour, dash: &[] }
    }

    /// The marks of a part of a curve with increasing x. A single point becomes a disc, because a line
    /// without length would be invisible.
    pub(super) fn marks(&self, part: &[Xy]) -> Vec<Mark> {
        if let [point] = part {
            return vec![Mark::Disc(*point, 1.2 + self.width, self.colour)];
        }
        let column = match density(part) {
            density if density < DENSITIES.0 => None,
            density if density < DENSITIES.1 => Some(COLUMN),
            _ => Some(DENSE_COLUMN),
        };
        dashes(part, self.dash).into_iter().map(|piece| self.piece(piece, column)).collect()
    }

    /// One piece without dashes: as a line, or as an outline with columns of that width.
    fn piece(&self, piece: Vec<Xy>, column: Option<f64>) -> Mark {
        let Some(column) = column else { return Mark::Line(piece, self.width, self.colour) };
        filled(outline(&piece, self.width / 2.0, column), self.colour)
    }
}

/// Points per px of a line.
fn density(line: &[Xy]) -> f64 {
    let extent = line[line.len() - 1].0 - line[0].0;
    line.len() as f64 / extent.max(100.0)
}

/// Whether a line is stroked, because it has few points.
pub(super) fn is_stroked(line: &[Xy]) -> bool {
    line.len() < 2 || density(line) < DENSITIES.0
}

/// An outline, filled.
pub(super) fn filled(outline: Vec<Xy>, colour: Rgb) -> Mark {
    let (first, last) =
        outline.iter().fold((f64::MAX, f64::MIN), |(l, r), p| (l.min(p.0), r.max(p.0)));
    let travel: f64 = outline.windows(2).map(|w| (w[1].1 - w[0].1).abs()).sum();
    match travel > RAGGED * 2.0 * (last - first) {
        true => Mark::Ragged(outline, colour),
        false => Mark::Region(outline, colour),
    }
}

/// The smallest and largest y of a line in each column from `left` to `right`; (∞, −∞) in a column without the line.
pub(super) fn column_ranges(line: &[Xy], left: f64, right: f64, width: f64) -> Vec<(f64, f64)> {
    envelope(line, left, right, width)
}

impl Style {
    /// A stroke of this width in px, in the colour and with the dashes of the style.
    pub(super) fn stroke(&self, width: f64) -> StrokeStyle<'static> {
        StrokeStyle { width, colour: self.line, dash: self.dash }
    }
}

/// An open circle.
pub(super) fn ring(centre: Xy, radius: f64, width: f64, colour: Rgb, theme: &Theme) -> Vec<Mark> {
    if theme.is_opaque() {
        let hole = Mark::Disc(centre, radius - width, theme.background);
        return vec![Mark::Disc(centre, radius, colour), hole];
    }
    // Nothing can cover a disc where the background is not drawn.
    let angles = (0..=CORNERS).map(|corner| TAU * f64::from(corner) / f64::from(CORNERS));
    let middle = radius - width / 2.0;
    let at = |angle: f64| (centre.0 + middle * angle.cos(), centre.1 + middle * angle.sin());
    vec![Mark::Line(angles.map(at).collect(), width, colour)]
}

/// Corners of a circle that is drawn as a line; more cannot be seen in rings of some px.
const CORNERS: u32 = 24;

/// The outline of a curve stroked with a round pen, clockwise.
fn outline(curve: &[Xy], radius: f64, width: f64) -> Vec<Xy> {
    let start = curve[0].0 - radius;
    let columns = envelope(curve, start, curve[curve.len() - 1].0 + radius, width);

    // Widen by the disc: its height at a distance of k columns. Half a column is subtracted from the
    // distance, because the extremes of a column may be anywhere in it.
    let reaches: Vec<f64> = (0..)
        .map(|k| (k as f64 - 0.5).max(0.0) * width)
        .take_while(|distance| *distance < radius)
        .map(|distance| (radius * radius - distance * distance).sqrt())
        .collect();
    let widen =
        |column: usize, pick: fn(f64, f64) -> f64, of: fn(&(f64, f64)) -> f64, side: f64| {
            let near = |k: usize, reach: f64| {
                let left = column.checked_sub(k).map(|c| of(&columns[c]));
                let right = columns.get(column + k).map(of);
                let both = left.into_iter().chain(right).reduce(pick);
                both.map(|y| y + side * reach)
            };
            reaches.iter().enumerate().filter_map(|(k, reach)| near(k, *reach)).reduce(pick)
        };
    let x = |column: usize| start + (column as f64 + 0.5) * width;
    let edge = |pick, of, side| {
        let points = (0..columns.len()).filter_map(|c| Some((x(c), widen(c, pick, of, side)?)));
        // Where no column is near, the envelope is empty and its height infinite.
        simplify(points.filter(|p| p.1.is_finite()))
    };
    let mut outline = edge(f64::min, |c| c.0, -1.0);
    let below = edge(f64::max, |c| c.1, 1.0);
    outline.extend(below.into_iter().rev());
    outline
}

/// The edge of a region, with increasing x: per column the `outermost` y of its points, and no vertices that
/// a straight line passes anyway.
pub(super) fn region_edge(curve: &[Xy], outermost: fn(f64, f64) -> f64) -> Vec<Xy> {
    let column = |x: f64| (x / COLUMN).floor();
    let columns = curve.chunk_by(|a, b| column(a.0) == column(b.0));
    let kept = columns.flat_map(|points| {
        let (first, last) = (points[0].0, points[points.len() - 1].0);
        let y = points.iter().map(|p| p.1).reduce(outermost).unwrap_or(0.0);
        let ends: &[f64] = if last > first { &[first, last] } else { &[first] };
        ends.iter().map(|x| (*x, y)).collect::<Vec<Xy>>()
    });
    simplify(kept)
}

/// The smallest and largest y of the curve in each column from `start` to `end`; (∞, −∞) in a column
/// without a curve.
fn envelope(curve: &[Xy], start: f64, end: f64, width: f64) -> Vec<(f64, f64)> {
    let count = ((end - start) / width).ceil() as usize + 1;
    let mut columns = vec![(f64::INFINITY, f64::NEG_INFINITY); count];
    let column_of = |x: f64| (((x - start) / width) as usize).min(count - 1);
    let mut add = |column: usize, y: f64| {
        let (low, high) = &mut columns[column];
        *low = low.min(y);
        *high = high.max(y);
    };
    let mut at = column_of(curve[0].0);
    add(at, curve[0].1);
    for pair in curve.windows(2) {
        let ((x0, y0), (x1, y1)) = (pair[0], pair[1]);
        let to = column_of(x1);
        if to > at {
            let slope = (y1 - y0) / (x1 - x0);
            for border in at + 1..=to {
                let y = y0 + slope * (start + border as f64 * width - x0);
                let y = y.clamp(y0.min(y1), y0.max(y1));
                add(border - 1, y);
                add(border, y);
            }
            at = to;
        }
        add(at, y1);
    }
    columns
}

/// Drops vertices that a straight line passes within [`TOLERANCE`] in y, in one pass: from each kept vertex,
/// the cone of slopes that pass all later vertices is narrowed until it is empty.
fn simplify(points: impl Iterator<Item = Xy>) -> Vec<Xy> {
    let mut kept: Vec<Xy> = Vec::new();
    let mut last: Option<Xy> = None;
    let mut cone = (f64::NEG_INFINITY, f64::INFINITY);
    for place in points {
        let (Some(anchor), Some(previous)) = (kept.last().copied(), last) else {
            kept.push(place);
            last = Some(place);
            continue;
        };
        let run = place.0 - anchor.0;
        let slope = (place.1 - anchor.1) / run;
        if slope < cone.0 || slope > cone.1 {
            kept.push(previous);
            cone = (f64::NEG_INFINITY, f64::INFINITY);
        }
        let anchor = kept[kept.len() - 1];
        let run = place.0 - anchor.0;
        let down = (place.1 - anchor.1 - TOLERANCE) / run;
        let up = (place.1 - anchor.1 + TOLERANCE) / run;
        cone = (cone.0.max(down), cone.1.min(up));
        last = Some(place);
    }
    kept.extend(last.filter(|place| kept.last() != Some(place)));
    kept
}

/// Cuts a curve into dashes by a pattern of on and off lengths along x. Dashes along the curve itself would
/// be too short to see on a noisy curve.
pub(super) fn dashes(curve: &[Xy], pattern: &[f64]) -> Vec<Vec<Xy>> {
    let period: f64 = pattern.iter().sum();
    if pattern.is_empty() || curve.len() < 2 || period <= 0.0 {
        return vec![curve.to_vec()];
    }
    let (start, end) = (curve[0].0, curve[curve.len() - 1].0);
    let mut dashes = Vec::new();
    let mut from = start;
    for (i, length) in pattern.iter().cycle().enumerate() {
        if from >= end {
            break;
        }
        let to = (from + length).min(end);
        if i % 2 == 0 {
            dashes.push(clip_x(curve, from, to));
        }
        from = to;
    }
    dashes.retain(|dash| dash.len() > 1);
    dashes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wave(n: usize, width: f64) -> Vec<Xy> {
        let x = |i: usize| width * i as f64 / (n - 1) as f64;
        (0..n).map(|i| (x(i), 100.0 + 80.0 * (i as f64 * 0.7).sin())).collect()
    }

    #[test]
    fn dense_curve_has_a_bounded_outline() {
        let style = StrokeStyle::solid(1.5, Rgb(0, 0, 0));
        let wave_of = |n| style.marks(&wave(n, 800.0)).remove(0);
        let Mark::Region(outline, _) = wave_of(1_000_000) else { panic!("not filled") };
        assert!(outline.len() < 2 * (803.0 / DENSE_COLUMN) as usize);
        assert!(matches!(wave_of(100), Mark::Line(..)));
    }

    #[test]
    fn outline_keeps_every_extreme() {
        let mut curve = wave(100_000, 800.0);
        curve[43_210].1 = 3.0;
        curve[87_654].1 = 300.0;
        let outline = outline(&curve, 1.0, COLUMN);
        let top = outline.iter().map(|p| p.1).fold(f64::INFINITY, f64::min);
        let bottom = outline.iter().map(|p| p.1).fold(f64::NEG_INFINITY, f64::max);
        assert!((top - 2.0).abs() < 2.0 * TOLERANCE, "{top}");
        assert!((bottom - 301.0).abs() < 2.0 * TOLERANCE, "{bottom}");
    }

    #[test]
    fn outline_of_a_level_line_has_the_stroke_width() {
        let curve: Vec<Xy> = (0..4000).map(|i| (f64::from(i) * 0.1, 50.0)).collect();
        let outline = outline(&curve, 1.0, COLUMN);
        let inner = outline.iter().filter(|p| (5.0..395.0).contains(&p.0));
        assert!(inner.clone().all(|p| ((p.1 - 50.0).abs() - 1.0).abs() < 1.5 * TOLERANCE));
        assert!(outline.len() < 40, "{}", outline.len());
    }

    #[test]
    fn dashes_cover_their_share() {
        let curve = [(0.0, 0.0), (100.0, 100.0)];
        let dashes = dashes(&curve, &[6.0, 4.0]);
        assert_eq!(dashes.len(), 10);
        assert_eq!(dashes[1], [(10.0, 10.0), (16.0, 16.0)]);
    }
}
