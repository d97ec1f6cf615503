//! The sums of the outputs of several experts.

use rayon::prelude::*;

/// Tokens per task.
const TASK_TOKENS: usize = 16;

/// Adds rows to the sums of tokens, `width` numbers each: the sum of a token begins with the row `places[0]`, and so on in the
/// order of its places. Each token has equally many places. With `weights`, one for each place, the rows are multiplied by them.
///
/// # Panics
/// If the sizes do not match, or there is no such row.
pub fn sum_rows(
    rows: &[f32],
    width: usize,
    places: &[usize],
    weights: Option<&[f32]>,
    sums: &mut [f32],
) {
    if sums.is_empty() {
        return;
    }
    let per_token = places.len() / (sums.len() / width);
    assert!(
        per_token > 0
            && places.len() * width == per_token * sums.len()
            && weights.is_none_or(|weights| weights.len() == places.len()),
        "BUG: the sizes of sums do not fit"
    );
    let tasks = sums.par_chunks_mut(TASK_TOKENS * width).enumerate();
    tasks.for_each(|(task, sums)| {
        for (token, sum) in sums.chunks_exact_mut(width).enumerate() {
            let first = (task * TASK_TOKENS + token) * per_token;
            for (i, place) in (first..first + per_token).enumerate() {
                let row = &rows[places[place] * width..][..width];
                let weight = weights.map_or(1.0, |weights| weights[place]);
                match i {
                    0 => sum.iter_mut().zip(row).for_each(|(sum, value)| *sum = weight * value),
                    _ => sum.iter_mut().zip(row).for_each(|(sum, value)| *sum += weight * value),
                }
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_rows::noise;

    #[test]
    fn sums_are_those_of_the_rows_at_the_places() {
        let (tokens, per_token, width) = (37, 3, 10);
        let rows = noise(tokens * per_token * width, 1.0, 1);
        let places: Vec<usize> = (0..tokens * per_token).map(|i| i * 7 % 111).collect();
        let weights = noise(places.len(), 1.0, 2);
        for weights in [None, Some(&weights[..])] {
            let mut sums = vec![f32::NAN; tokens * width];
            sum_rows(&rows, width, &places, weights, &mut sums);
            for (i, sum) in sums.iter().enumerate() {
                let (token, column) = (i / width, i % width);
                let part = |j: usize| {
                    let weight = weights.map_or(1.0, |weights| weights[token * per_token + j]);
                    let row = places[token * per_token + j];
                    f64::from(weight) * f64::from(rows[row * width + column])
                };
                let exact: f64 = (0..per_token).map(part).sum();
                assert!((f64::from(*sum) - exact).abs() < 1e-6, "{i}: {sum} {exact}");
            }
        }
    }

    #[test]
    #[should_panic(expected = "the sizes of sums do not fit")]
    fn rejects_places_that_are_not_equally_many() {
        sum_rows(&[0.0; 8], 2, &[0, 1, 2], None, &mut [0.0; 4]);
    }
}
