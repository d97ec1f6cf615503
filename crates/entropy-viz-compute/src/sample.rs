//! Drawing a token from a row of logits.
//!
//! top-k and top-p shape what is drawn, in that order and as transformers does; the entropy that is
//! reported is always that of the full distribution.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use entropy_kernels::logits::{Pass, position_of_max, race};

/// How tokens are chosen.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Choice {
    Greedy,
    /// From the `top_k` most probable (0: all), of these from the smallest set with probability `top_p`.
    Random {
        top_k: usize,
        top_p: f64,
    },
}

/// The random numbers of one response: they depend on nothing but the seed and which response it is,
/// so neither batch nor order changes what is drawn.
#[derive(Debug, Clone)]
pub(crate) struct Source(ChaCha8Rng);

impl Source {
    /// Of a sample of a row of the prompts.
    pub(crate) fn new(seed: u64, row: usize, sample: usize) -> Source {
        let mut generator = ChaCha8Rng::seed_from_u64(seed);
        generator.set_stream(((row as u64) << 20) | sample as u64);
        Source(generator)
    }

    /// The next number in [0, 1).
    pub(crate) fn uniform(&mut self) -> f64 {
        (self.0.next_u64() >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// Chooses a token of a row that `pass` has read.
pub(crate) fn choose(choice: Choice, logits: &[f32], pass: &Pass, source: &mut Source) -> usize {
    match choice {
        Choice::Greedy => position_of_max(logits),
        Choice::Random { top_k: 0, top_p: 1.0 } => pass.sample(logits, || source.uniform()),
        Choice::Random { top_k, top_p } => {
            let kept = kept(logits, pass, top_k, top_p);
            kept[race(kept.iter().map(|(_, p)| p.ln()), || source.uniform())].0
        }
    }
}

/// The tokens that may be drawn, most probable first, with their probabilities.
fn kept(logits: &[f32], pass: &Pass, top_k: usize, top_p: f64) -> Vec<(usize, f64)> {
    let most_first = |a: &usize, b: &usize| logits[*b].total_cmp(&logits[*a]).then(a.cmp(b));
    let limit = if top_k == 0 { logits.len() } else { top_k.min(logits.len()) };
    let mut tokens: Vec<usize> = (0..logits.len()).collect();
    // Sorting all of a large vocabulary is slow, and few tokens have most of the probability.
    let mut some = if top_k == 0 { 512 } else { limit };
    loop {
        some = some.min(limit);
        if some < tokens.len() {
            tokens.select_nth_unstable_by(some - 1, most_first);
        }
        let mut best: Vec<usize> = tokens[..some].to_vec();
        best.sort_unstable_by(most_first);
        let mut best: Vec<(usize, f64)> =
            best.into_iter().map(|token| (token, pass.log_prob(logits[token]).exp())).collect();
        // top-p counts in what top-k left.
        let total = if top_k == 0 { 1.0 } else { best.iter().map(|(_, p)| p).sum() };
        let mut before = 0.0;
        let nucleus = best.iter().take_while(|(_, p)| {
            let inside = before < top_p * total;
            before += p;
            inside
        });
        let nucleus = nucleus.count().max(1);
        if nucleus < some || some == limit {
            best.truncate(nucleus);
            return best;
        }
        some *= 8;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pass(logits: &[f32]) -> Pass {
        let mut pass = Pass::default();
        pass.over(logits, 1.0).unwrap();
        pass
    }

    fn logs(probabilities: &[f64]) -> Vec<f32> {
        probabilities.iter().map(|p| p.ln() as f32).collect()
    }

    #[test]
    fn a_nucleus_is_the_smallest_set_with_that_probability() {
        let logits = logs(&[0.1, 0.5, 0.15, 0.25]);
        let tokens = |k, p| {
            kept(&logits, &pass(&logits), k, p)
                .into_iter()
                .map(|(token, _)| token)
                .collect::<Vec<_>>()
        };
        assert_eq!(tokens(0, 0.5), [1]);
        assert_eq!(tokens(0, 0.51), [1, 3]);
        assert_eq!(tokens(0, 1.0), [1, 3, 2, 0]);
        assert_eq!(tokens(2, 1.0), [1, 3]);
        // Of the two that top-k leaves, the first has two thirds.
        assert_eq!(tokens(2, 0.6), [1]);
        assert_eq!(tokens(2, 0.7), [1, 3]);
        assert_eq!(tokens(0, 1e-9), [1]);
    }

    #[test]
    fn a_nucleus_larger_than_the_first_look_is_found() {
        let logits = vec![0.0f32; 10_000];
        // Rounding may let one more in.
        assert!((9_000..=9_001).contains(&kept(&logits, &pass(&logits), 0, 0.9).len()));
    }

    #[test]
    fn draws_follow_the_distribution() {
        let p = [0.1, 0.5, 0.15, 0.25];
        let logits = logs(&p);
        let pass = pass(&logits);
        let mut counts = [0usize; 4];
        let mut source = Source::new(1, 0, 0);
        let draws = 100_000;
        for _ in 0..draws {
            counts[choose(Choice::Random { top_k: 0, top_p: 1.0 }, &logits, &pass, &mut source)] +=
                1;
        }
        // Pearson's chi-squared with 3 degrees of freedom: 16.3 is its 0.999 quantile.
        let expected = p.map(|p| p * draws as f64);
        let chi: f64 = counts.iter().zip(expected).map(|(n, e)| (*n as f64 - e).powi(2) / e).sum();
        assert!(chi < 16.3, "{counts:?}");
    }

    #[test]
    fn draws_follow_the_distribution_across_blocks() {
        // Three blocks of the kernel with weights 1, 2 and 5, spread evenly inside.
        let block = |weight: f32, n: usize| vec![(weight / n as f32).ln(); n];
        let logits = [block(1.0, 4096), block(2.0, 4096), block(5.0, 1000)].concat();
        let pass = pass(&logits);
        let mut counts = [0usize; 6]; // each block's halves
        let mut source = Source::new(2, 0, 0);
        let draws = 4_000;
        for _ in 0..draws {
            let token =
                choose(Choice::Random { top_k: 0, top_p: 1.0 }, &logits, &pass, &mut source);
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
    fn a_source_depends_on_the_response_alone() {
        let first = |seed, row, sample| Source::new(seed, row, sample).uniform();
        assert_eq!(first(7, 3, 1), first(7, 3, 1));
        assert_ne!(first(7, 3, 1), first(7, 3, 2));
        assert_ne!(first(7, 3, 1), first(7, 4, 1));
        assert_ne!(first(7, 3, 1), first(8, 3, 1));
    }
}
