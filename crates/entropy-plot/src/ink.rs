//! From curves to outlines: never more geometry than the picture can show, every extreme kept.
//!
//! Anti-aliased strokes are what drawing spends its time on. A curve of entropy over steps is the
//! graph of a function, and the stroke of such a graph is exactly the region between two other
//! graphs: the curve's upper and lower envelope, widened by the pen's disc. So a dense curve is
//! reduced to its lowest and highest value per narrow column, both are widened, and the region
//! between is filled once. A sparse curve is left to the stroker.

use super::canvas::Mark;
use super::theme::Rgb;

/// A place in px; x grows to the right, y downwards.
pub type Xy = (f64, f64);

/// Width of a column in px (1/96 in): about a pixel at 300 dpi.
const COLUMN: f64 = 0.35;
/// Width of a column where many points share it, so that only its extremes can be seen anyway.
const DENSE_COLUMN: f64 = 0.8;
/// How far an outline may be moved to save vertices, in px.
const TOLERANCE: f64 = 0.04;
/// Fewer points in a px are stroked, more than the second make a dense curve.
const DENSITIES: (f64, f64) = (0.7, 4.0);
/// An edge with a mean slope over this is ragged.
const RAGGED: f64 = 1.5;

/// How a curve of so many points over so many px is best drawn.
#[derive(Debug, Clone, Copy)]
pub struct Pen {
    width: f64,
    column: Option<f64>, // none: stroke
}

impl Pen {
    /// A pen of that width in px.
    pub fn new(width: f64, points: usize, extent: f64) -> Pen {
        let density = points as f64 / extent.max(100.0);
        let column = match density {
            d if d < DENSITIES.0 => None,
            d if d < DENSITIES.1 => Some(COLUMN),
            _ => Some(DENSE_COLUMN),
        };
        Pen { width, column }
    }

    /// The ink of a piece of the curve; its x strictly increase.
    pub fn draw(&self, piece: &[Xy], colour: Rgb) -> Mark {
        let Some(column) = self.column else {
            return Mark::Line(piece.to_vec(), self.width, colour);
        };
        let outline = outline(piece, self.width / 2.0, column);
        let extent = piece[piece.len() - 1].0 - piece[0].0;
        let travel: f64 = outline.windows(2).map(|w| (w[1].1 - w[0].1).abs()).sum();
        if travel > RAGGED * 2.0 * extent {
            Mark::Ragged(outline, colour)
        } else {
            Mark::Region(outline, colour)
        }
    }
}

/// The outline of the curve stroked with a round pen, clockwise.
fn outline(curve: &[Xy], radius: f64, width: f64) -> Vec<Xy> {
    let start = curve[0].0 - radius;
    let columns = envelope(curve, start, curve[curve.len() - 1].0 + radius, width);

    // Widen by the disc: its reach at a distance of k columns. Half a column is taken off the
    // distance, since a column's extremes may lie anywhere in it.
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
        let places = (0..columns.len()).filter_map(|c| Some((x(c), widen(c, pick, of, side)?)));
        // Where no column is near, the envelope is empty and the reduction is not finite.
        simplify(places.filter(|p| p.1.is_finite()))
    };
    let mut outline = edge(f64::min, |c| c.0, -1.0);
    let below = edge(f64::max, |c| c.1, 1.0);
    outline.extend(below.into_iter().rev());
    outline
}

/// The edge of a region: of the places in one column the `outermost` height, and no vertex that a straight
/// line would pass anyway. Its x increase.
pub fn edge(curve: &[Xy], outermost: fn(f64, f64) -> f64) -> Vec<Xy> {
    let column = |x: f64| (x / COLUMN).floor();
    let columns = curve.chunk_by(|a, b| column(a.0) == column(b.0));
    let kept = columns.flat_map(|places| {
        let (first, last) = (places[0].0, places[places.len() - 1].0);
        let y = places.iter().map(|p| p.1).reduce(outermost).unwrap_or(0.0);
        let ends: &[f64] = if last > first { &[first, last] } else { &[first] };
        ends.iter().map(|x| (*x, y)).collect::<Vec<Xy>>()
    });
    simplify(kept)
}

/// The smallest and largest y of the curve in each column from `start` to `end`; infinite the wrong
/// way round where there is no curve.
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

/// Drops vertices that a straight line passes within [`TOLERANCE`] in y: from each kept vertex the
/// cone of slopes that pass all later ones is narrowed until it is empty. One pass.
fn simplify(places: impl Iterator<Item = Xy>) -> Vec<Xy> {
    let mut kept: Vec<Xy> = Vec::new();
    let mut last: Option<Xy> = None;
    let mut cone = (f64::NEG_INFINITY, f64::INFINITY);
    for place in places {
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

/// Cuts a curve into the dashes of a pattern of on and off lengths along x. Along x, not along the
/// curve: on a noisy curve the other kind is too fine to see.
pub fn dashes(curve: &[Xy], pattern: &[f64]) -> Vec<Vec<Xy>> {
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
            dashes.push(between_x(curve, from, to));
        }
        from = to;
    }
    dashes.retain(|dash| dash.len() > 1);
    dashes
}

/// The part of the curve over `from..=to`, its ends interpolated; empty when there is none.
pub fn between_x(curve: &[Xy], from: f64, to: f64) -> Vec<Xy> {
    let first = curve.partition_point(|p| p.0 < from);
    let end = curve.partition_point(|p| p.0 <= to);
    let mut part = Vec::with_capacity(end.saturating_sub(first) + 2);
    if first > 0 && first < curve.len() && curve[first].0 > from {
        part.push((from, y_at(curve[first - 1], curve[first], from)));
    }
    part.extend_from_slice(&curve[first.min(end)..end]);
    if end > 0 && end < curve.len() && curve[end - 1].0 < to {
        part.push((to, y_at(curve[end - 1], curve[end], to)));
    }
    part
}

fn y_at(a: Xy, b: Xy, x: f64) -> f64 {
    a.1 + (b.1 - a.1) * ((x - a.0) / (b.0 - a.0))
}

/// The parts of the curve between the heights `top` and `bottom`, cut where it crosses them.
pub fn between_y(curve: &[Xy], top: f64, bottom: f64) -> Vec<Vec<Xy>> {
    let mut parts = Vec::new();
    let mut part: Vec<Xy> = Vec::new();
    let inside = |p: Xy| (top..=bottom).contains(&p.1);
    if inside(curve[0]) {
        part.push(curve[0]);
    }
    for pair in curve.windows(2) {
        let (a, b) = (pair[0], pair[1]);
        // Where the piece enters and leaves the band, as shares of its length.
        let crossing = |y: f64| (y - a.1) / (b.1 - a.1);
        let (t0, t1) = if a.1 == b.1 {
            if inside(a) { (0.0, 1.0) } else { (1.0, 0.0) }
        } else {
            let (t, u) = (crossing(top), crossing(bottom));
            (t.min(u).max(0.0), t.max(u).min(1.0))
        };
        if t0 > t1 {
            continue;
        }
        let point = |t: f64| (a.0 + (b.0 - a.0) * t, (a.1 + (b.1 - a.1) * t).clamp(top, bottom));
        if t0 > 0.0 {
            part.push(point(t0));
        }
        if t1 < 1.0 {
            part.push(point(t1));
            parts.push(std::mem::take(&mut part));
        } else {
            part.push(b);
        }
    }
    parts.push(part);
    parts.retain(|part| !part.is_empty());
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wave(n: usize, width: f64) -> Vec<Xy> {
        let x = |i: usize| width * i as f64 / (n - 1) as f64;
        (0..n).map(|i| (x(i), 100.0 + 80.0 * (i as f64 * 0.7).sin())).collect()
    }

    #[test]
    fn a_dense_curve_costs_no_more_than_the_picture_can_show() {
        let wave_of = |n| Pen::new(1.5, n, 800.0).draw(&wave(n, 800.0), Rgb(0, 0, 0));
        let Mark::Region(outline, _) = wave_of(1_000_000) else { panic!("not filled") };
        assert!(outline.len() < 2 * (803.0 / DENSE_COLUMN) as usize);
        assert!(matches!(wave_of(100), Mark::Line(..)));
    }

    #[test]
    fn every_extreme_is_kept() {
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
    fn the_outline_of_a_level_line_is_the_pens_width_apart() {
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

    #[test]
    fn a_curve_is_cut_where_it_leaves_the_frame() {
        let curve = [(0.0, 0.0), (10.0, 10.0), (20.0, 0.0)];
        let parts = between_y(&curve, 5.0, 20.0);
        assert_eq!(parts, [[(5.0, 5.0), (10.0, 10.0), (15.0, 5.0)]]);
        let parts = between_y(&curve, -1.0, 5.0);
        assert_eq!(parts, [[(0.0, 0.0), (5.0, 5.0)], [(15.0, 5.0), (20.0, 0.0)]]);
        assert!(between_y(&curve, 30.0, 40.0).is_empty());
        assert_eq!(between_x(&curve, 5.0, 15.0), [(5.0, 5.0), (10.0, 10.0), (15.0, 5.0)]);
    }
}
