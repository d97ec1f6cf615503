//! The two steps between which the entropy changed most.
//!
//! Of all pairs of an earlier and a later step, the one with the largest fall and the one with the largest rise are found;
//! the larger of both decides the direction. A fall over a long plateau and a steep part is then shortened to the steep
//! part: the shortest stretch that has [`MOST`] of it.
//!
//! The pair was chosen because its change is large, so that an ordinary interval would exclude 0 too often. The interval
//! misses with 5 % divided by the number of pairs (Bonferroni), and so holds for all pairs at once.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use super::{
    Change, Direction, Interval, MISS, Step, change_error, entropy_sums, has_same_prompts,
};

/// The share of the largest change that the shortest stretch must have.
const MOST: f64 = 0.9;
/// A change in the other direction is reported from this share of the main one on.
const NOT_SMALL: f64 = 0.25;

/// What was found.
pub(super) struct Found {
    pub(super) main: Change,
    /// Indices of its steps.
    pub(super) main_steps: (usize, usize),
    pub(super) whole: Option<Change>,
    pub(super) opposite: Option<Change>,
}

/// The changes of the steps, which are in order; `None` with fewer than two.
pub(super) fn find(steps: &[Step<'_>]) -> Option<Found> {
    let means: Vec<f64> = steps.iter().map(|step| step.mean.mean).collect();
    let numbers: Vec<u64> = steps.iter().map(|step| step.mean.step).collect();
    let last = steps.len().checked_sub(1).filter(|last| *last > 0)?;
    let pairs = steps.len() * last / 2;
    let change = |(a, b): (usize, usize)| change(&steps[a], &steps[b], pairs);
    let fall = largest(&means, Direction::Fall);
    let rise = largest(&means, Direction::Rise);
    let size = |(a, b): (usize, usize)| (means[b] - means[a]).abs();
    let (direction, widest, other) = match size(fall) >= size(rise) {
        // All means are equal.
        true if fall.0 == fall.1 => (Direction::Fall, (0, last), (0, last)),
        true => (Direction::Fall, fall, rise),
        false => (Direction::Rise, rise, fall),
    };
    let short = match size(widest) > 0.0 {
        true => shortest(&means, &numbers, direction, widest),
        false => widest,
    };
    let (mut main_steps, mut main) = (short, change(short));
    if !main.is_clear && widest != short {
        let wide = change(widest);
        if wide.is_clear {
            (main_steps, main) = (widest, wide);
        }
    }
    let opposite = Some(other)
        .filter(|other| size(*other) > 0.0 && size(*other) >= NOT_SMALL * size(main_steps))
        .map(change)
        .filter(|change| change.is_clear);
    let whole = (main_steps != (0, last)).then(|| change((0, last)));
    Some(Found { main, main_steps, whole, opposite })
}

/// The pair of an earlier and a later step with the largest change in a direction; (0, 0) without a change in it.
fn largest(means: &[f64], direction: Direction) -> (usize, usize) {
    let mut best = (0, 0);
    let mut start = 0;
    for at in 0..means.len() {
        let is_better = |x: f64, y: f64| match direction {
            Direction::Fall => x > y,
            Direction::Rise => x < y,
        };
        if is_better(means[at], means[start]) {
            start = at;
        }
        if (means[at] - means[start]).abs() > (means[best.1] - means[best.0]).abs() {
            best = (start, at);
        }
    }
    best
}

/// The shortest stretch of steps with most of the change of the widest one; of equal ones that with the largest change.
fn shortest(
    means: &[f64],
    numbers: &[u64],
    direction: Direction,
    widest: (usize, usize),
) -> (usize, usize) {
    let signed = |(a, b): (usize, usize)| match direction {
        Direction::Fall => means[a] - means[b],
        Direction::Rise => means[b] - means[a],
    };
    let least = MOST * signed(widest);
    let mut best = widest;
    for a in widest.0..widest.1 {
        for b in a + 1..=widest.1 {
            let pair = (a, b);
            let length = |(a, b): (usize, usize)| numbers[b] - numbers[a];
            let is_shorter = length(pair) < length(best)
                || length(pair) == length(best) && signed(pair) > signed(best);
            if signed(pair) >= least && is_shorter {
                best = pair;
            }
        }
    }
    best
}

fn change(a: &Step<'_>, b: &Step<'_>, pairs: usize) -> Change {
    let (sums_a, sums_b) = entropy_sums(a, b);
    let value = b.mean.mean - a.mean.mean;
    let error = change_error(&sums_a, &sums_b);
    let change = Interval::of(value, error.as_ref(), MISS / pairs as f64);
    Change {
        from: a.mean.clone(),
        to: b.mean.clone(),
        change,
        pairs,
        is_clear: change.excludes(0.0),
        direction: if value < 0.0 { Direction::Fall } else { Direction::Rise },
        same_prompts: has_same_prompts(a, b),
        same_responses: responses_of(a) == responses_of(b),
    }
}

/// The prompts and tokens of all responses, as hashes with counts.
fn responses_of(step: &Step<'_>) -> BTreeMap<u64, usize> {
    let mut found = BTreeMap::new();
    for response in step.view.iter() {
        let mut hasher = DefaultHasher::new(); // SipHash with fixed keys
        (response.group, step.view.table.kinds_of(response)).hash(&mut hasher);
        *found.entry(hasher.finish()).or_default() += 1;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plateaus_around_a_fall_are_not_part_of_it() {
        let means = [0.61, 0.62, 0.60, 0.61, 0.30, 0.12, 0.11, 0.12];
        let numbers = [0, 10, 20, 30, 60, 90, 120, 150];
        let widest = largest(&means, Direction::Fall);
        assert_eq!(widest, (1, 6));
        assert_eq!(shortest(&means, &numbers, Direction::Fall, widest), (3, 5));
    }

    #[test]
    fn fall_and_later_rise_are_both_found() {
        let means = [1.0, 0.2, 0.3, 0.8];
        assert_eq!(largest(&means, Direction::Fall), (0, 1));
        assert_eq!(largest(&means, Direction::Rise), (1, 3));
        assert_eq!(largest(&[1.0, 2.0, 3.0], Direction::Fall), (0, 0), "nothing falls");
    }
}
