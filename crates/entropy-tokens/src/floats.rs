//! Numbers of tokens, exact or rounded to 32 bits, and loops over them that the compiler turns into vector instructions.

use std::ops::Range;

/// Numbers of tokens, exact or rounded to 32 bits.
#[derive(Debug, Clone)]
pub(crate) enum Values {
    Exact(Vec<f64>),
    Rounded(Vec<f32>),
}

/// How a table keeps its numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Precision {
    /// As they were read.
    Exact,
    /// Rounded to 32 bits.
    Rounded,
}

impl Values {
    pub(crate) fn new(precision: Precision) -> Values {
        match precision {
            Precision::Exact => Values::Exact(Vec::new()),
            Precision::Rounded => Values::Rounded(Vec::new()),
        }
    }

    pub(crate) fn round(&mut self) {
        if let Values::Exact(values) = self {
            *self = Values::Rounded(values.iter().map(|value| *value as f32).collect());
        }
    }

    /// Adds numbers, rounded if the others are.
    pub(crate) fn extend(&mut self, numbers: impl Iterator<Item = f64>) {
        match self {
            Values::Exact(values) => values.extend(numbers),
            Values::Rounded(values) => values.extend(numbers.map(|number| number as f32)),
        }
    }

    pub(crate) fn shrink_to_fit(&mut self) {
        match self {
            Values::Exact(values) => values.shrink_to_fit(),
            Values::Rounded(values) => values.shrink_to_fit(),
        }
    }

    pub(crate) fn slice(&self, range: Range<usize>) -> Floats<'_> {
        match self {
            Values::Exact(values) => Floats::Exact(&values[range]),
            Values::Rounded(values) => Floats::Rounded(&values[range]),
        }
    }
}

/// Numbers of the tokens of a response.
#[derive(Debug, Clone, Copy)]
pub enum Floats<'a> {
    /// As they were read.
    Exact(&'a [f64]),
    /// Rounded to 32 bits.
    Rounded(&'a [f32]),
}

/// Numbers that are added up side by side, so that no addition waits for the one before it.
const LANES: usize = 8;

/// The sum of what `number` makes of each value, in [`LANES`] lanes.
#[inline]
pub(crate) fn sum_of<T: Copy>(values: &[T], number: impl Fn(T) -> f64) -> f64 {
    let (chunks, rest) = values.as_chunks::<LANES>();
    let mut lanes = [0.0; LANES];
    for chunk in chunks {
        for (lane, value) in lanes.iter_mut().zip(chunk) {
            *lane += number(*value);
        }
    }
    lanes.iter().sum::<f64>() + rest.iter().map(|value| number(*value)).sum::<f64>()
}

/// The largest value; −∞ of none.
pub(crate) fn max_of(values: &[f64]) -> f64 {
    let (chunks, rest) = values.as_chunks::<LANES>();
    let mut lanes = [f64::NEG_INFINITY; LANES];
    for chunk in chunks {
        for (lane, value) in lanes.iter_mut().zip(chunk) {
            *lane = if *value > *lane { *value } else { *lane };
        }
    }
    lanes.iter().chain(rest).copied().fold(f64::NEG_INFINITY, f64::max)
}

impl<'a> Floats<'a> {
    /// How many there are.
    pub fn len(&self) -> usize {
        match self {
            Floats::Exact(values) => values.len(),
            Floats::Rounded(values) => values.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Calls `visit` with each number, in order.
    #[inline]
    pub fn each(&self, mut visit: impl FnMut(f64)) {
        match self {
            Floats::Exact(values) => values.iter().for_each(|value| visit(*value)),
            Floats::Rounded(values) => values.iter().for_each(|value| visit(f64::from(*value))),
        }
    }

    /// The sum of what `number` makes of each.
    #[inline]
    pub fn sum_of(&self, number: impl Fn(f64) -> f64) -> f64 {
        match self {
            Floats::Exact(values) => sum_of(values, number),
            Floats::Rounded(values) => sum_of(values, |value| number(f64::from(value))),
        }
    }

    /// How many there are of a kind.
    #[inline]
    pub fn count(&self, is: impl Fn(f64) -> bool) -> u64 {
        let count = match self {
            Floats::Exact(values) => values.iter().filter(|value| is(**value)).count(),
            Floats::Rounded(values) => values.iter().filter(|value| is(f64::from(**value))).count(),
        };
        count as u64
    }

    /// Replaces the content of `found` by what `number` makes of each.
    #[inline]
    pub(crate) fn map_into(&self, found: &mut Vec<f64>, number: impl Fn(f64) -> f64) {
        found.clear();
        match self {
            Floats::Exact(values) => found.extend(values.iter().map(|value| number(*value))),
            Floats::Rounded(values) => {
                found.extend(values.iter().map(|value| number(f64::from(*value))));
            }
        }
    }

    /// The numbers of a range.
    pub fn part(&self, range: Range<usize>) -> Floats<'a> {
        match self {
            Floats::Exact(values) => Floats::Exact(&values[range]),
            Floats::Rounded(values) => Floats::Rounded(&values[range]),
        }
    }

    /// The number at an index.
    #[inline]
    pub fn get(&self, at: usize) -> f64 {
        match self {
            Floats::Exact(values) => values[at],
            Floats::Rounded(values) => f64::from(values[at]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_and_counts_are_over_all_numbers_of_every_length() {
        for length in 0..40 {
            let exact: Vec<f64> = (0..length).map(f64::from).collect();
            let rounded: Vec<f32> = exact.iter().map(|value| *value as f32).collect();
            for values in [Floats::Exact(&exact), Floats::Rounded(&rounded)] {
                let expected = f64::from(length * (length - 1));
                assert_eq!(values.sum_of(|value| 2.0 * value), expected, "{length}");
                assert_eq!(values.count(|value| value < 3.0), length.min(3) as u64);
                assert_eq!(max_of(&exact), exact.last().copied().unwrap_or(f64::NEG_INFINITY));
                let mut found = vec![7.0];
                values.map_into(&mut found, |value| value + 1.0);
                assert_eq!(found, (1..=length).map(f64::from).collect::<Vec<_>>());
            }
        }
    }
}
