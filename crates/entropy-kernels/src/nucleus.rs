//! The nucleus of a distribution: the smallest set of most probable tokens with at least a given probability, as in top-p
//! sampling.
//!
//! Tokens are added from the most probable one on, of equal ones that with the smaller index first, as long as those
//! before have less than the given probability. So of several equal tokens at the border only as many are in the set as
//! are needed; the entropy does not depend on which.
//!
//! Sorting a large vocabulary is slow. Most distributions have a small nucleus, so only the logits near the maximum are
//! taken at first, and more if their probability is not enough. Of many, a histogram tells which ones are far from the
//! border: those above need only their sums. The others are sorted.

use crate::logits::LogitStats;

/// How far below the largest logit the candidates begin, in nats; and by how much more each time they are not enough.
const DEPTH: f64 = 6.0;
/// The largest number of candidates that are all sorted.
const SORTED: usize = 512;
const BUCKETS: usize = 4096;
/// 2^23.
const ROUND: f32 = 8_388_608.0;

/// The nucleus of a row of logits.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Nucleus {
    /// The smallest logit of a token in it.
    border: f32,
    /// The number of tokens with this logit in it.
    at_border: usize,
    /// Number of tokens.
    size: usize,
    entropy: f64,
}

impl Nucleus {
    /// The nucleus with the probability `mass`, above 0 and at most 1, of the row whose statistics are `stats`. `buffer`
    /// is overwritten; using it again saves memory.
    pub fn new(logits: &[f32], stats: &LogitStats, mass: f64, buffer: &mut Vec<f32>) -> Nucleus {
        let goal = mass * stats.sum();
        // Its content does not matter, and setting it to 0 each time would cost as much as reading the row.
        buffer.resize(logits.len(), 0.0);
        let count = gather(logits, stats, goal, buffer);
        let (above, count) =
            if count > SORTED { narrow(&mut buffer[..count], stats, goal) } else { (0, count) };
        let (mut sum, mut weighted) = stats.partial_sums(&buffer[..above]);
        buffer[above..count].sort_unstable_by(|a, b| b.total_cmp(a));
        let mut size = above;
        for logit in &buffer[above..count] {
            if sum >= goal {
                break;
            }
            let x = stats.shift(*logit);
            sum += x.exp();
            weighted += x.exp() * x;
            size += 1;
        }
        // At least one token was added here: those above have less than the goal.
        let border = buffer[size - 1];
        let at_border = buffer[..size].iter().filter(|logit| **logit == border).count();
        Nucleus { border, at_border, size, entropy: (sum.ln() - weighted / sum).max(0.0) }
    }

    /// The entropy of the distribution over the nucleus alone, with its probabilities divided by their sum; in nats.
    pub fn entropy(&self) -> f64 {
        self.entropy
    }

    /// Number of tokens, at least 1.
    pub fn size(&self) -> usize {
        self.size
    }

    /// Its tokens, most probable first; `logits` are those of the row.
    pub fn tokens(&self, logits: &[f32]) -> Vec<usize> {
        let mut at_border = self.at_border;
        let mut tokens = Vec::with_capacity(self.size);
        for (token, logit) in logits.iter().enumerate() {
            if *logit > self.border {
                tokens.push(token);
            } else if *logit == self.border && at_border > 0 {
                at_border -= 1;
                tokens.push(token);
            }
        }
        tokens.sort_unstable_by(|a, b| logits[*b].total_cmp(&logits[*a]).then(a.cmp(b)));
        tokens
    }
}

/// Copies the largest logits of the row to `buffer`, which is as long as the row, and returns how many were copied. Σ e^x
/// over them is at least `goal`, unless all logits above −∞ were copied.
fn gather(logits: &[f32], stats: &LogitStats, goal: f64, buffer: &mut [f32]) -> usize {
    let mut depth = DEPTH;
    loop {
        // Deeper than 100 nats there is no probability in f32.
        let least = if depth < 100.0 {
            (f64::from(stats.max()) - depth * stats.temperature()) as f32
        } else {
            f32::MIN
        };
        // Without a branch for each logit, which the processor could not foresee.
        let mut count = 0;
        let mut add = |logit: f32| {
            buffer[count] = logit;
            count += usize::from(logit >= least);
        };
        let (whole, rest) = logits.as_chunks::<32>();
        for lanes in whole {
            // Most have none, which SIMD finds at once.
            if lanes.iter().map(|logit| u32::from(*logit >= least)).sum::<u32>() > 0 {
                lanes.iter().for_each(|logit| add(*logit));
            }
        }
        rest.iter().for_each(|logit| add(*logit));
        if least == f32::MIN || stats.partial_sums(&buffer[..count]).0 >= goal {
            return count;
        }
        depth *= 2.0;
    }
}

/// Moves logits above the border to the front, and behind them those that may be at it, both in any order. Returns the
/// number of the first, and of both.
fn narrow(buffer: &mut [f32], stats: &LogitStats, goal: f64) -> (usize, usize) {
    let max = stats.max();
    let least = buffer.iter().copied().fold(f32::INFINITY, f32::min);
    let width = ((max - least) / BUCKETS as f32).max(f32::MIN_POSITIVE);
    let per_width = 1.0 / width;
    // Rounds to the nearest integer, which adding 2^23 leaves in the low bits; at most BUCKETS.
    let bucket = |logit: f32| ((max - logit) * per_width + ROUND).to_bits() - ROUND.to_bits();
    let mut counts = [0u32; BUCKETS + 2];
    for lanes in buffer.chunks(32) {
        let mut buckets = [0u32; 32];
        buckets.iter_mut().zip(lanes).for_each(|(at, logit)| *at = bucket(*logit));
        for at in &buckets[..lanes.len()] {
            counts[(*at as usize).min(BUCKETS + 1)] += 1;
        }
    }
    // A logit of bucket i is i − ½ to i + ½ widths below the largest one, and half a width more or less by rounding.
    let ratio = (-f64::from(width) / stats.temperature()).exp();
    let mut highest = stats.shift(max).exp() / ratio;
    let (mut at_most, mut at_least) = (0.0, 0.0);
    let (mut first, mut last) = (None, BUCKETS as u32 + 1);
    for (i, count) in (0..).zip(&counts) {
        at_most += f64::from(*count) * highest;
        at_least += f64::from(*count) * highest * ratio * ratio;
        highest *= ratio;
        // Sums of f32 differ from the exact ones by 1e-7.
        if first.is_none() && at_most * (1.0 + 1e-5) >= goal {
            first = Some(i);
        }
        if at_least * (1.0 - 1e-5) >= goal {
            last = i;
            break;
        }
    }
    let first = first.unwrap_or(BUCKETS as u32 + 1);
    let mut doubtful = vec![0.0; buffer.len()];
    let (mut above, mut doubts) = (0, 0);
    for i in 0..buffer.len() {
        let logit = buffer[i];
        let bucket = bucket(logit);
        buffer[above] = logit;
        above += usize::from(bucket < first);
        doubtful[doubts] = logit;
        doubts += usize::from(bucket >= first && bucket <= last);
    }
    buffer[above..above + doubts].copy_from_slice(&doubtful[..doubts]);
    (above, above + doubts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stats(logits: &[f32], temperature: f64) -> LogitStats {
        let mut stats = LogitStats::default();
        stats.update(logits, temperature).unwrap();
        stats
    }

    fn nucleus(logits: &[f32], temperature: f64, mass: f64) -> Nucleus {
        Nucleus::new(logits, &stats(logits, temperature), mass, &mut Vec::new())
    }

    fn logs(probabilities: &[f64]) -> Vec<f32> {
        probabilities.iter().map(|p| p.ln() as f32).collect()
    }

    #[test]
    fn it_is_the_smallest_set_with_the_probability() {
        let logits = logs(&[0.1, 0.5, 0.15, 0.25]);
        let tokens = |mass| nucleus(&logits, 1.0, mass).tokens(&logits);
        assert_eq!(tokens(0.499), [1]);
        assert_eq!(tokens(0.501), [1, 3]);
        assert_eq!(tokens(0.8), [1, 3, 2]);
        assert_eq!(tokens(1.0), [1, 3, 2, 0]);
        assert_eq!(tokens(1e-9), [1]);
        // Half of it: probabilities of 2/3 and 1/3.
        let two = nucleus(&logits, 1.0, 0.7);
        let entropy = -(2.0f64 / 3.0).ln() * 2.0 / 3.0 - (1.0f64 / 3.0).ln() / 3.0;
        assert_eq!(two.size(), 2);
        assert!((two.entropy() - entropy).abs() < 1e-7, "{two:?}");
    }

    #[test]
    fn of_equal_tokens_at_the_border_only_the_first_are_in_it() {
        let logits = logs(&[0.2, 0.2, 0.2, 0.2, 0.2]);
        let three = nucleus(&logits, 1.0, 0.5);
        assert_eq!(three.tokens(&logits), [0, 1, 2]);
        assert!((three.entropy() - 3f64.ln()).abs() < 1e-7);
        let flat = vec![0.5f32; 10_000];
        let most = nucleus(&flat, 0.7, 0.90005);
        assert_eq!(most.size(), 9_001);
        assert_eq!(most.tokens(&flat), (0..9_001).collect::<Vec<_>>());
        assert!((most.entropy() - 9_001f64.ln()).abs() < 1e-6);
    }

    #[test]
    fn impossible_tokens_are_never_in_it() {
        let mut logits = vec![f32::NEG_INFINITY; 5_000];
        (logits[4_321], logits[7]) = (300.0, 100.0);
        let all = nucleus(&logits, 1.0, 1.0);
        assert_eq!(
            (all.size(), all.entropy()),
            (1, 0.0),
            "the other one has no probability in f32"
        );
        logits[7] = 300.0;
        assert_eq!(nucleus(&logits, 1.0, 1.0).tokens(&logits), [7, 4_321]);
    }

    #[test]
    fn it_equals_that_of_a_sorted_distribution() {
        for (n, spread) in [(50, 3.0f32), (3_000, 0.5), (3_000, 8.0), (40_000, 2.0), (40_000, 20.0)]
        {
            let mut state = n as u64 | 1;
            let mut next = || {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
            };
            let logits: Vec<f32> = (0..n).map(|_| spread * (next() + next() + next())).collect();
            for (mass, temperature) in
                [(0.1, 1.0), (0.5, 0.6), (0.95, 1.0), (0.95, 2.0), (0.999, 1.0)]
            {
                let mut e: Vec<f64> =
                    logits.iter().map(|z| (f64::from(*z) / temperature).exp()).collect();
                let total: f64 = e.iter().sum();
                e.sort_by(|a, b| b.total_cmp(a));
                let mut before = 0.0;
                let inside: Vec<f64> = e
                    .into_iter()
                    .map(|e| e / total)
                    .take_while(|p| {
                        let is_inside = before < mass;
                        before += p;
                        is_inside
                    })
                    .collect();
                let sum: f64 = inside.iter().sum();
                let entropy: f64 = inside.iter().map(|p| -p / sum * (p / sum).ln()).sum();
                let found = nucleus(&logits, temperature, mass);
                assert_eq!(found.size(), inside.len(), "{n} ±{spread}, {mass}");
                assert!((found.entropy() - entropy).abs() < 1e-6, "{found:?} {entropy}");
                assert_eq!(found.tokens(&logits).len(), inside.len());
            }
        }
    }
}
