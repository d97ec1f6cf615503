//! Finding room: names pushed apart, notes put where no curve runs.

use super::ink::Xy;

/// Centres for boxes of one height that want to stand at `wanted` (sorted), pushed apart as little
/// as possible within `top..bottom`. The boxes must fit.
///
/// Least squares under order constraints: neighbours that overlap are merged into a block that
/// stands at the mean of what its members want (pool adjacent violators).
pub(super) fn push_apart(wanted: &[f64], height: f64, (top, bottom): (f64, f64)) -> Vec<f64> {
    struct Block {
        members: usize,
        sum: f64, // of each member's wanted centre, less its offset within the block
    }
    let n = wanted.len();
    let clamp = |y: f64, below: usize, from: usize| {
        let low = top + height * (from as f64 + 0.5);
        let high = bottom - height * (below as f64 + 0.5);
        y.clamp(low.min(high), high)
    };
    let mut blocks: Vec<Block> = Vec::new();
    for (i, &y) in wanted.iter().enumerate() {
        let mut block = Block { members: 1, sum: clamp(y, n - 1 - i, i) };
        while let Some(before) = blocks.last() {
            let end = before.sum / before.members as f64 + height * before.members as f64;
            if end <= block.sum / block.members as f64 + 1e-9 {
                break;
            }
            block.sum = before.sum + block.sum - height * (before.members * block.members) as f64;
            block.members += before.members;
            blocks.pop();
        }
        blocks.push(block);
    }
    let centres = |block: &Block| {
        let first = block.sum / block.members as f64;
        (0..block.members).map(move |i| first + height * i as f64).collect::<Vec<_>>()
    };
    blocks.iter().flat_map(centres).collect()
}

/// Left, top, right and bottom of a box.
pub(super) type Bounds = (f64, f64, f64, f64);

/// Whether two boxes share more than an edge.
pub(super) fn overlap(a: Bounds, b: Bounds) -> bool {
    a.0 < b.2 && b.0 < a.2 && a.1 < b.3 && b.1 < a.3
}

/// Whether a straight line passes through a box.
pub(super) fn passes([from, to]: [Xy; 2], (left, top, right, bottom): Bounds) -> bool {
    // The share of the line within the box is narrowed by each side in turn (Liang and Barsky).
    let (dx, dy) = (to.0 - from.0, to.1 - from.1);
    let sides =
        [(-dx, from.0 - left), (dx, right - from.0), (-dy, from.1 - top), (dy, bottom - from.1)];
    let (mut start, mut end) = (0.0f64, 1.0f64);
    for (speed, room) in sides {
        if speed == 0.0 && room < 0.0 {
            return false;
        }
        if speed < 0.0 {
            start = start.max(room / speed);
        } else if speed > 0.0 {
            end = end.min(room / speed);
        }
    }
    start <= end
}

/// Whether two straight lines cross.
pub(super) fn cross([a, b]: [Xy; 2], [c, d]: [Xy; 2]) -> bool {
    let side = |p: Xy, q: Xy, r: Xy| (q.0 - p.0) * (r.1 - p.1) - (q.1 - p.1) * (r.0 - p.0);
    side(a, b, c) * side(a, b, d) < 0.0 && side(c, d, a) * side(c, d, b) < 0.0
}

/// What the curves cover, by column: for finding room for a note among them.
pub(super) struct Occupied {
    left: f64,
    columns: Vec<Vec<(f64, f64)>>,
}

const COLUMN: f64 = 4.0;

impl Occupied {
    pub(super) fn new(left: f64, right: f64) -> Occupied {
        let count = ((right - left) / COLUMN).ceil().max(1.0) as usize;
        Occupied { left, columns: vec![Vec::new(); count] }
    }

    fn column(&self, x: f64) -> usize {
        (((x - self.left) / COLUMN).max(0.0) as usize).min(self.columns.len() - 1)
    }

    /// Adds a curve with increasing x.
    pub(super) fn add(&mut self, curve: &[Xy]) {
        let mut at = self.column(curve[0].0);
        let (mut low, mut high) = (curve[0].1, curve[0].1);
        for pair in curve.windows(2) {
            let ((x0, y0), (x1, y1)) = (pair[0], pair[1]);
            let to = self.column(x1);
            while at < to {
                let border = self.left + (at + 1) as f64 * COLUMN;
                let y = y0 + (y1 - y0) * ((border - x0) / (x1 - x0)).clamp(0.0, 1.0);
                self.columns[at].push((low.min(y), high.max(y)));
                (low, high) = (y, y);
                at += 1;
            }
            (low, high) = (low.min(y1), high.max(y1));
        }
        self.columns[at].push((low, high));
    }

    /// How many curve columns run through the box.
    pub(super) fn crossings(&self, (left, top, right, bottom): Bounds) -> usize {
        let columns = &self.columns[self.column(left)..=self.column(right)];
        let through =
            |c: &Vec<(f64, f64)>| c.iter().filter(|(l, h)| *h > top && *l < bottom).count();
        columns.iter().map(through).sum()
    }

    /// How many curve columns a straight line runs through.
    pub(super) fn met(&self, [from, to]: [Xy; 2]) -> usize {
        let (from, to) = if from.0 <= to.0 { (from, to) } else { (to, from) };
        let (first, last) = (self.column(from.0), self.column(to.0));
        let y_at = |x: f64| match to.0 - from.0 {
            0.0 => from.1,
            run => from.1 + (to.1 - from.1) * ((x - from.0) / run).clamp(0.0, 1.0),
        };
        let met = |column: usize| {
            let left = self.left + column as f64 * COLUMN;
            let (a, b) =
                if first == last { (from.1, to.1) } else { (y_at(left), y_at(left + COLUMN)) };
            self.crossings((left, a.min(b), left, a.max(b)))
        };
        (first..=last).map(met).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_do_not_touch_stay() {
        assert_eq!(push_apart(&[10.0, 50.0], 10.0, (0.0, 100.0)), [10.0, 50.0]);
    }

    #[test]
    fn names_that_touch_share_the_shift() {
        assert_eq!(push_apart(&[50.0, 52.0], 10.0, (0.0, 100.0)), [46.0, 56.0]);
        assert_eq!(push_apart(&[50.0, 50.0, 50.0], 10.0, (0.0, 100.0)), [40.0, 50.0, 60.0]);
    }

    #[test]
    fn names_stay_within_the_picture() {
        let places = push_apart(&[-20.0, 0.0, 99.0, 100.0], 10.0, (0.0, 100.0));
        assert_eq!(places, [5.0, 15.0, 85.0, 95.0]);
        let full = push_apart(&[50.0; 10], 10.0, (0.0, 100.0));
        assert_eq!(full, [5.0, 15.0, 25.0, 35.0, 45.0, 55.0, 65.0, 75.0, 85.0, 95.0]);
    }

    #[test]
    fn lines_pass_through_boxes_and_cross_each_other() {
        let unit = (0.0, 0.0, 1.0, 1.0);
        assert!(passes([(-1.0, -1.0), (2.0, 2.0)], unit));
        assert!(passes([(0.5, 0.5), (0.6, 0.6)], unit));
        assert!(!passes([(-1.0, 0.5), (-0.5, 0.5)], unit));
        assert!(!passes([(-1.0, 1.0), (1.0, 3.0)], unit));
        assert!(!passes([(0.5, -2.0), (0.5, -1.0)], unit));
        assert!(cross([(0.0, 0.0), (1.0, 1.0)], [(0.0, 1.0), (1.0, 0.0)]));
        assert!(!cross([(0.0, 0.0), (1.0, 1.0)], [(0.0, 1.0), (0.4, 0.6)]));
        assert!(overlap(unit, (0.5, 0.5, 2.0, 2.0)) && !overlap(unit, (1.0, 0.0, 2.0, 1.0)));
    }

    #[test]
    fn a_curve_is_in_the_way_where_it_runs() {
        let mut occupied = Occupied::new(0.0, 100.0);
        occupied.add(&[(0.0, 0.0), (100.0, 100.0)]);
        assert_eq!(occupied.crossings((60.0, 0.0, 90.0, 40.0)), 0);
        assert!(occupied.crossings((40.0, 40.0, 60.0, 60.0)) > 3);
        assert_eq!(occupied.met([(60.0, 10.0), (90.0, 40.0)]), 0);
        assert_eq!(occupied.met([(50.0, 10.0), (50.0, 90.0)]), 1);
        assert_eq!(occupied.met([(90.0, 10.0), (30.0, 70.0)]), 1);
    }
}
