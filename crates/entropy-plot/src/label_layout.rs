//! Label layout: pushes names apart, and finds room where no curve runs.

use super::geometry::{Bounds, Xy};

/// Pushes boxes of equal height apart, as little as possible: returns their centres within `top..bottom`, in
/// the order of the sorted target centres `targets`. All boxes together must fit.
///
/// This is least squares under order constraints: overlapping neighbours are merged into a cluster at the
/// mean of the targets of its members (pool adjacent violators).
pub(super) fn push_apart(targets: &[f64], height: f64, (top, bottom): (f64, f64)) -> Vec<f64> {
    struct Cluster {
        members: usize,
        sum: f64, // of the target of each member, minus its offset within the cluster
    }
    let n = targets.len();
    let clamp = |y: f64, below: usize, from: usize| {
        let low = top + height * (from as f64 + 0.5);
        let high = bottom - height * (below as f64 + 0.5);
        y.clamp(low.min(high), high)
    };
    let mut clusters: Vec<Cluster> = Vec::new();
    for (i, &y) in targets.iter().enumerate() {
        let mut cluster = Cluster { members: 1, sum: clamp(y, n - 1 - i, i) };
        while let Some(before) = clusters.last() {
            let end = before.sum / before.members as f64 + height * before.members as f64;
            if end <= cluster.sum / cluster.members as f64 + 1e-9 {
                break;
            }
            cluster.sum =
                before.sum + cluster.sum - height * (before.members * cluster.members) as f64;
            cluster.members += before.members;
            clusters.pop();
        }
        clusters.push(cluster);
    }
    let centres = |cluster: &Cluster| {
        let first = cluster.sum / cluster.members as f64;
        (0..cluster.members).map(move |i| first + height * i as f64).collect::<Vec<_>>()
    };
    clusters.iter().flat_map(centres).collect()
}

/// The y ranges that curves cover, per column of the plot area.
pub(super) struct CurveOccupancy {
    left: f64,
    columns: Vec<Vec<(f64, f64)>>,
}

const COLUMN: f64 = 4.0;

impl CurveOccupancy {
    pub(super) fn new(left: f64, right: f64) -> CurveOccupancy {
        let count = ((right - left) / COLUMN).ceil().max(1.0) as usize;
        CurveOccupancy { left, columns: vec![Vec::new(); count] }
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

    /// How often curves cross a box, counted per column and curve.
    pub(super) fn crossings(&self, (left, top, right, bottom): Bounds) -> usize {
        let columns = &self.columns[self.column(left)..=self.column(right)];
        let through =
            |c: &Vec<(f64, f64)>| c.iter().filter(|(l, h)| *h > top && *l < bottom).count();
        columns.iter().map(through).sum()
    }

    /// How often curves cross a line segment, counted per column and curve.
    pub(super) fn segment_crossings(&self, [from, to]: [Xy; 2]) -> usize {
        let (from, to) = if from.0 <= to.0 { (from, to) } else { (to, from) };
        let (first, last) = (self.column(from.0), self.column(to.0));
        let y_at = |x: f64| match to.0 - from.0 {
            0.0 => from.1,
            run => from.1 + (to.1 - from.1) * ((x - from.0) / run).clamp(0.0, 1.0),
        };
        let in_column = |column: usize| {
            let left = self.left + column as f64 * COLUMN;
            let (a, b) =
                if first == last { (from.1, to.1) } else { (y_at(left), y_at(left + COLUMN)) };
            self.crossings((left, a.min(b), left, a.max(b)))
        };
        (first..=last).map(in_column).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn separate_names_stay() {
        assert_eq!(push_apart(&[10.0, 50.0], 10.0, (0.0, 100.0)), [10.0, 50.0]);
    }

    #[test]
    fn touching_names_are_shifted_evenly() {
        assert_eq!(push_apart(&[50.0, 52.0], 10.0, (0.0, 100.0)), [46.0, 56.0]);
        assert_eq!(push_apart(&[50.0, 50.0, 50.0], 10.0, (0.0, 100.0)), [40.0, 50.0, 60.0]);
    }

    #[test]
    fn names_stay_within_the_picture() {
        let points = push_apart(&[-20.0, 0.0, 99.0, 100.0], 10.0, (0.0, 100.0));
        assert_eq!(points, [5.0, 15.0, 85.0, 95.0]);
        let full = push_apart(&[50.0; 10], 10.0, (0.0, 100.0));
        assert_eq!(full, [5.0, 15.0, 25.0, 35.0, 45.0, 55.0, 65.0, 75.0, 85.0, 95.0]);
    }

    #[test]
    fn curve_occupies_the_boxes_it_runs_through() {
        let mut occupied = CurveOccupancy::new(0.0, 100.0);
        occupied.add(&[(0.0, 0.0), (100.0, 100.0)]);
        assert_eq!(occupied.crossings((60.0, 0.0, 90.0, 40.0)), 0);
        assert!(occupied.crossings((40.0, 40.0, 60.0, 60.0)) > 3);
        assert_eq!(occupied.segment_crossings([(60.0, 10.0), (90.0, 40.0)]), 0);
        assert_eq!(occupied.segment_crossings([(50.0, 10.0), (50.0, 90.0)]), 1);
        assert_eq!(occupied.segment_crossings([(90.0, 10.0), (30.0, 70.0)]), 1);
    }
}
