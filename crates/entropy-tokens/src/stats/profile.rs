//! Entropy by position: over tenths of each response, and over the tokens counted from its start.

use serde::Serialize;

use super::interval::{ClusterSums, MeanInterval};

/// Number of bins by relative position.
pub const TENTHS: usize = 10;
/// The largest number of bins by token.
const MAX_BINS: usize = 40;

/// The tokens of a range of positions.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct PositionBin {
    /// First position, from 0: a token, or a tenth.
    pub from: u64,
    /// The position after the last.
    pub to: u64,
    /// Number of tokens.
    pub tokens: u64,
    /// Number of responses with a token in it.
    pub responses: u64,
    /// Mean entropy in nats, with its 95 % interval; `None` without a token.
    pub entropy: Option<MeanInterval>,
}

/// The number of tokens of a bin, so that a response of `longest` tokens has at most 40: 1, 2 or 5 times a power of ten.
pub fn bin_width(longest: usize) -> usize {
    let mut power = 1;
    loop {
        for factor in [1, 2, 5] {
            if longest.div_ceil(factor * power) <= MAX_BINS {
                return factor * power;
            }
        }
        power *= 10;
    }
}

/// The first token of a tenth: token i of n is in tenth ⌊10 i/n⌋. Of 25 tokens, tokens 0, 1 and 2 are in the first.
pub fn tenth_start(tenth: usize, length: usize) -> usize {
    (tenth * length).div_ceil(TENTHS)
}

/// Sums by bin; each response is added with [`Profile::add`].
#[derive(Debug, Clone)]
pub struct Profile {
    bins: Vec<Bin>,
    width: usize,
    of_response: Vec<(f64, u64)>,
}

#[derive(Debug, Clone, Default)]
struct Bin {
    responses: u64,
    sums: ClusterSums,
}

impl Profile {
    /// `bins` bins of `width` positions.
    pub fn new(bins: usize, width: usize) -> Profile {
        Profile { bins: vec![Bin::default(); bins], width, of_response: vec![(0.0, 0); bins] }
    }

    /// Adds a response of a cluster: `tokens` calls its argument with the bin of some tokens, the sum of their entropies
    /// and their number.
    pub fn add(&mut self, cluster: u32, tokens: impl FnOnce(&mut dyn FnMut(usize, f64, u64))) {
        self.of_response.fill((0.0, 0));
        let of_response = &mut self.of_response;
        tokens(&mut |bin, entropy, tokens| {
            let (sum, count) = &mut of_response[bin];
            *sum += entropy;
            *count += tokens;
        });
        for (bin, (sum, count)) in self.bins.iter_mut().zip(&self.of_response) {
            bin.responses += u64::from(*count > 0);
            bin.sums.add(cluster, *sum, *count);
        }
    }

    /// The bins, without those after the last token.
    pub fn bins(&self) -> Vec<PositionBin> {
        let used = self.bins.iter().rposition(|bin| bin.responses > 0).map_or(0, |last| last + 1);
        let bin = |(at, bin): (usize, &Bin)| PositionBin {
            from: (at * self.width) as u64,
            to: ((at + 1) * self.width) as u64,
            tokens: bin.sums.tokens(),
            responses: bin.responses,
            entropy: bin.sums.interval(),
        };
        self.bins[..used].iter().enumerate().map(bin).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bins_have_round_widths() {
        let widths = [1, 40, 41, 80, 81, 200, 4000, 20_000].map(bin_width);
        assert_eq!(widths, [1, 1, 2, 2, 5, 5, 100, 500]);
    }

    #[test]
    fn short_responses_lack_some_tenths() {
        for length in [1, 4, 25, 1000] {
            for tenth in 0..TENTHS {
                let tokens = (0..length).filter(|at| at * 10 / length == tenth);
                let range = tenth_start(tenth, length)..tenth_start(tenth + 1, length);
                assert_eq!(tokens.collect::<Vec<_>>(), range.collect::<Vec<_>>(), "{length}");
            }
        }
    }

    #[test]
    fn means_are_over_tokens_and_intervals_over_clusters() {
        let mut profile = Profile::new(3, 2);
        for (cluster, response) in [(0, &[1.0, 2.0, 6.0][..]), (1, &[3.0])] {
            profile.add(cluster, |tokens| {
                response.iter().enumerate().for_each(|(at, e)| tokens(at / 2, *e, 1));
            });
        }
        let bins = profile.bins();
        assert_eq!(bins.len(), 2, "the third bin has no token");
        assert_eq!((bins[0].tokens, bins[0].responses, bins[0].entropy.unwrap().mean), (3, 2, 2.0));
        assert_eq!((bins[1].from, bins[1].to), (2, 4));
        assert_eq!(bins[1].entropy.unwrap(), MeanInterval { mean: 6.0, low: None, high: None });
    }
}
