//! Plane geometry of pictures: points, boxes, crossings and clipping. Lengths are in px.

/// A point in px; x grows to the right, y downwards.
pub type Xy = (f64, f64);

/// Left, top, right and bottom of a box in px.
pub type Bounds = (f64, f64, f64, f64);

/// The distance between two points.
pub(super) fn distance(a: Xy, b: Xy) -> f64 {
    (a.0 - b.0).hypot(a.1 - b.1)
}

/// Whether two boxes share more than an edge.
pub(super) fn boxes_overlap(a: Bounds, b: Bounds) -> bool {
    a.0 < b.2 && b.0 < a.2 && a.1 < b.3 && b.1 < a.3
}

/// Whether a line segment passes through a box.
pub(super) fn segment_hits_box([from, to]: [Xy; 2], (left, top, right, bottom): Bounds) -> bool {
    // Liang–Barsky: each side in turn narrows the share of the segment that is inside the box.
    let (dx, dy) = (to.0 - from.0, to.1 - from.1);
    let sides =
        [(-dx, from.0 - left), (dx, right - from.0), (-dy, from.1 - top), (dy, bottom - from.1)];
    let (mut start, mut end) = (0.0f64, 1.0f64);
    for (speed, margin) in sides {
        if speed == 0.0 && margin < 0.0 {
            return false;
        }
        if speed < 0.0 {
            start = start.max(margin / speed);
        } else if speed > 0.0 {
            end = end.min(margin / speed);
        }
    }
    start <= end
}

/// Whether two line segments cross.
pub(super) fn segments_cross([a, b]: [Xy; 2], [c, d]: [Xy; 2]) -> bool {
    let side = |p: Xy, q: Xy, r: Xy| (q.0 - p.0) * (r.1 - p.1) - (q.1 - p.1) * (r.0 - p.0);
    side(a, b, c) * side(a, b, d) < 0.0 && side(c, d, a) * side(c, d, b) < 0.0
}

/// The part of a curve with x in `from..=to`, its ends interpolated; empty if there is none.
pub(super) fn clip_x(curve: &[Xy], from: f64, to: f64) -> Vec<Xy> {
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

/// The parts of a curve with y in `top..=bottom`, cut where the curve crosses these limits.
pub(super) fn clip_y(curve: &[Xy], top: f64, bottom: f64) -> Vec<Vec<Xy>> {
    let mut parts = Vec::new();
    let mut part: Vec<Xy> = Vec::new();
    let inside = |p: Xy| (top..=bottom).contains(&p.1);
    if inside(curve[0]) {
        part.push(curve[0]);
    }
    for pair in curve.windows(2) {
        let (a, b) = (pair[0], pair[1]);
        // Where the segment enters and leaves the limits, as shares of its length.
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

    #[test]
    fn segments_hit_boxes_and_cross_each_other() {
        let unit = (0.0, 0.0, 1.0, 1.0);
        assert!(segment_hits_box([(-1.0, -1.0), (2.0, 2.0)], unit));
        assert!(segment_hits_box([(0.5, 0.5), (0.6, 0.6)], unit));
        assert!(!segment_hits_box([(-1.0, 0.5), (-0.5, 0.5)], unit));
        assert!(!segment_hits_box([(-1.0, 1.0), (1.0, 3.0)], unit));
        assert!(!segment_hits_box([(0.5, -2.0), (0.5, -1.0)], unit));
        assert!(segments_cross([(0.0, 0.0), (1.0, 1.0)], [(0.0, 1.0), (1.0, 0.0)]));
        assert!(!segments_cross([(0.0, 0.0), (1.0, 1.0)], [(0.0, 1.0), (0.4, 0.6)]));
        assert!(
            boxes_overlap(unit, (0.5, 0.5, 2.0, 2.0)) && !boxes_overlap(unit, (1.0, 0.0, 2.0, 1.0))
        );
    }

    #[test]
    fn curve_is_clipped_at_the_limits() {
        let curve = [(0.0, 0.0), (10.0, 10.0), (20.0, 0.0)];
        let parts = clip_y(&curve, 5.0, 20.0);
        assert_eq!(parts, [[(5.0, 5.0), (10.0, 10.0), (15.0, 5.0)]]);
        let parts = clip_y(&curve, -1.0, 5.0);
        assert_eq!(parts, [[(0.0, 0.0), (5.0, 5.0)], [(15.0, 5.0), (20.0, 0.0)]]);
        assert!(clip_y(&curve, 30.0, 40.0).is_empty());
        assert_eq!(clip_x(&curve, 5.0, 15.0), [(5.0, 5.0), (10.0, 10.0), (15.0, 5.0)]);
    }
}
