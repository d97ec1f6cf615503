//! Sampling a token from a row of logits.
//!
//! top-k is applied before top-p, as in transformers. They affect only which token is sampled: the reported entropy
//! is always that of the full distribution.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use entropy_kernels::logits::{LogitStats, argmax, gumbel_max};
use entropy_kernels::nucleus::Nucleus;

/// The sampling method.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Sampling {
    /// The most probable token.
    Greedy,
    /// From the `top_k` most probable tokens (0: all), restricted to the smallest set with total probability `top_p`.
    Random { top_k: usize, top_p: f64 },
}

/// The random numbers of one response. They depend only on the seed, the row and the sample, so that neither the
/// batch nor the order changes which tokens are sampled.
#[derive(Debug, Clone)]
pub(crate) struct ResponseRng(ChaCha8Rng);

impl ResponseRng {
    /// The generator of one sample of one row of the prompt file.
    pub(crate) fn new(seed: u64, row: usize, sample: usize) -> ResponseRng {
        let mut generator = ChaCha8Rng::seed_from_u64(seed);
        generator.set_stream(((row as u64) << 20) | sample as u64);
        ResponseRng(generator)
    }

    /// The next number in [0, 1).
    pub(crate) fn uniform(&mut self) -> f64 {
        (self.0.next_u64() >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// Samples a token from a row of logits with these statistics.
pub(crate) fn choose(
    sampling: Sampling,
    logits: &[f32],
    stats: &LogitStats,
    rng: &mut ResponseRng,
) -> usize {
    match sampling {
        Sampling::Greedy => argmax(logits),
        Sampling::Random { top_k: 0, top_p: 1.0 } => stats.sample(logits, || rng.uniform()),
        Sampling::Random { top_k, top_p } => {
            let nucleus = nucleus(logits, stats, top_k, top_p);
            nucleus[gumbel_max(nucleus.iter().map(|(_, p)| p.ln()), || rng.uniform())].0
        }
    }
}

/// The tokens that top-k and top-p leave, most probable first, with their probabilities in the full distribution.
fn nucleus(logits: &[f32], stats: &LogitStats, top_k: usize, top_p: f64) -> Vec<(usize, f64)> {
    let probability = |token: usize| (token, stats.log_prob(logits[token]).exp());
    if top_k == 0 {
        let tokens = Nucleus::new(logits, stats, top_p, &mut Vec::new()).tokens(logits);
        return tokens.into_iter().map(probability).collect();
    }
    let descending = |a: &usize, b: &usize| logits[*b].total_cmp(&logits[*a]).then(a.cmp(b));
    let mut tokens: Vec<usize> = (0..logits.len()).collect();
    if top_k < tokens.len() {
        tokens.select_nth_unstable_by(top_k - 1, descending);
        tokens.truncate(top_k);
    }
    tokens.sort_unstable_by(descending);
    let mut best: Vec<(usize, f64)> = tokens.into_iter().map(probability).collect();
    // top-p is a fraction of the probability that top-k left.
    let total: f64 = best.iter().map(|(_, p)| p).sum();
    let mut before = 0.0;
    let inside = best.iter().take_while(|(_, p)| {
        let is_inside = before < top_p * total;
        before += p;
        is_inside
    });
    let size = inside.count().max(1);
    best.truncate(size);
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stats(logits: &[f32]) -> LogitStats {
        let mut stats = LogitStats::default();
        stats.update(logits, 1.0).unwrap();
        stats
    }

    fn logs(probabilities: &[f64]) -> Vec<f32> {
        probabilities.iter().map(|p| p.ln() as f32).collect()
    }

    #[test]
    fn nucleus_is_smallest_set_with_total_probability() {
        let logits = logs(&[0.1, 0.5, 0.15, 0.25]);
        let tokens = |k, p| {
            nucleus(&logits, &stats(&logits), k, p)
                .into_iter()
                .map(|(token, _)| token)
                .collect::<Vec<_>>()
        };
        assert_eq!(tokens(0, 0.5), [1]);
        assert_eq!(tokens(0, 0.51), [1, 3]);
        assert_eq!(tokens(0, 1.0), [1, 3, 2, 0]);
        assert_eq!(tokens(2, 1.0), [1, 3]);
        // Of the two tokens that top-k leaves, the first has two thirds of the probability.
        assert_eq!(tokens(2, 0.6), [1]);
        assert_eq!(tokens(2, 0.7), [1, 3]);
        assert_eq!(tokens(0, 1e-9), [1]);
    }

    #[test]
    fn finds_nucleus_larger_than_first_candidates() {
        let logits = vec![0.0f32; 10_000];
        // Rounding may add one token.
        assert!((9_000..=9_001).contains(&nucleus(&logits, &stats(&logits), 0, 0.9).len()));
    }

    #[test]
    fn samples_follow_distribution() {
        let p = [0.1, 0.5, 0.15, 0.25];
        let logits = logs(&p);
        let stats = stats(&logits);
        let mut counts = [0usize; 4];
        let mut rng = ResponseRng::new(1, 0, 0);
        let draws = 100_000;
        for _ in 0..draws {
            counts[choose(Sampling::Random { top_k: 0, top_p: 1.0 }, &logits, &stats, &mut rng)] +=
                1;
        }
        // Pearson's chi-squared with 3 degrees of freedom: 16.3 is its 0.999 quantile.
        let expected = p.map(|p| p * draws as f64);
        let chi: f64 = counts.iter().zip(expected).map(|(n, e)| (*n as f64 - e).powi(2) / e).sum();
        assert!(chi < 16.3, "{counts:?}");
    }

    #[test]
    fn samples_follow_distribution_across_blocks() {
        // Three blocks of the kernel with weights 1, 2 and 5, uniform inside.
        let block = |weight: f32, n: usize| vec![(weight / n as f32).ln(); n];
        let logits = [block(1.0, 4096), block(2.0, 4096), block(5.0, 1000)].concat();
        let stats = stats(&logits);
        let mut counts = [0usize; 6]; // each block's halves
        let mut rng = ResponseRng::new(2, 0, 0);
        let draws = 4_000;
        for _ in 0..draws {
            let token =
                choose(Sampling::Random { top_k: 0, top_p: 1.0 }, &logits, &stats, &mut rng);
            let (block, half) = match token {
                0..4096 => (0, token / 2048),
                4096..8192 => (1, (token - 4096) / 2048),
                _ => (2, (token - 8192) / 500),
            };
            counts[2 * block + half] += 1;
        }
        let expected = [1.0, 1.0, 2.0, 2.0, 5.0, 5.0].map(|w| w / 16.0 * draws as f64);
        // 20.5 is the 0.999 quantile of chi-squared with 5 degrees of freedom.
        let chi: f64 = counts.iter().zip(expected).map(|(n, e)| (*n as f64 - e).powi(2) / e).sum();
        assert!(chi < 20.5, "{counts:?}");
    }

    #[test]
    fn rng_depends_only_on_seed_row_and_sample() {
        let first = |seed, row, sample| ResponseRng::new(seed, row, sample).uniform();
        assert_eq!(first(7, 3, 1), first(7, 3, 1));
        assert_ne!(first(7, 3, 1), first(7, 3, 2));
        assert_ne!(first(7, 3, 1), first(7, 4, 1));
        assert_ne!(first(7, 3, 1), first(8, 3, 1));
    }
}
