//! What a TorchScript module shows about itself: a causal model gives the same numbers for the same tokens alone, in a
//! batch, and with other tokens after them.
//!
//! Tracing records what a model did once. A loop over chunks, a mask or a table of the traced length then stay as they
//! were. Most such modules cannot run another length, or break one of the rules above. One kind does neither: a loop
//! over chunks that ended with the traced length leaves out a part of the model behind that position. It shows where one
//! token is repeated: the numbers of a model change ever less from position to position, or always by about as
//! much, and those of the module jump there.

use super::scores::{Difference, Limits, ScriptError, SequenceScores, score};
use crate::model::torchscript::TorchScript;

/// Lengths of prefixes: below and above the chunks of linear attention.
const PREFIXES: [usize; 5] = [1, 2, 7, 65, 130];
/// The longest sequence that is run.
const LONGEST: usize = 2048;
/// Repeated tokens, and how often each is repeated.
const REPEATED: usize = 5;
const REPETITIONS: usize = 140;
/// A change of the logits counts as a jump if it is at least this many times the largest of the eight changes before it. A
/// module is refused if more than half of the repeated tokens jump. The median ratio was at most 1.7 for tiny models of 27
/// families, and 4.8 to 142 for traces of Qwen3.5, RWKV and RecurrentGemma.
const JUMP: f64 = 4.0;
const BEFORE: usize = 8;

/// What is wrong with a module.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    #[error("it cannot run {batch} × {length} tokens: {error}")]
    Fails { batch: usize, length: usize, error: ScriptError },
    #[error(
        "it gives other numbers for the same tokens a second time (by up to {0:.2} nats), as with dropout: call eval() before tracing"
    )]
    Random(f64),
    #[error("its logits do not depend on the tokens")]
    Constant,
    #[error(
        "the first {prefix} of {length} tokens have other numbers without the tokens after them (by up to {token:.2} nats): it attends to later tokens, or its code depends on the length"
    )]
    Prefix { prefix: usize, length: usize, token: f64 },
    #[error(
        "{length} tokens have other numbers in a batch of {batch} than alone (by up to {token:.2} nats)"
    )]
    Batch { batch: usize, length: usize, token: f64 },
    #[error(
        "its numbers jump at position {0} of a sequence that repeats a token: the trace of a model that computes in chunks has the number of chunks of the traced length"
    )]
    Jump(usize),
}

/// The tokens to check a module with.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Sample {
    /// Different token ids that the module knows; at least one.
    pub(super) ids: Vec<i64>,
    /// The longest sequence that the module must be able to run.
    pub(super) needed: usize,
    /// The longest sequence that it may have to run, at least `needed`.
    pub(super) possible: usize,
}

/// What is known about the module already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Known {
    Nothing,
    /// It agrees with transformers at lengths beyond the chunks of linear attention. Repeated tokens say no more, and numbers
    /// that depend on the length may be right.
    AgreesWithReference,
}

/// A module that passed.
#[derive(Debug)]
pub(super) struct Passed {
    /// The length of the longest sequence that was run.
    pub(super) length: usize,
    /// The numbers of tokens depend on how many follow, as they do with longrope. Only with a reference: else it is a fault.
    pub(super) depends_on_length: Option<Fault>,
}

/// Checks a module.
pub(super) fn check(script: &TorchScript, sample: &Sample, known: Known) -> Result<Passed, Fault> {
    let run = |sequences: &[&[i64]]| {
        score(script, sequences).map_err(|error| Fault::Fails {
            batch: sequences.len(),
            length: sequences[0].len(),
            error,
        })
    };
    let limits = Limits::of(script.kind());
    let (needed, possible) = (sample.needed.clamp(1, LONGEST), sample.possible.clamp(1, LONGEST));
    let sequences: Vec<Vec<i64>> = (0..3).map(|seed| sample.draw(seed, possible)).collect();
    let [a, b, c] = [0, 1, 2].map(|i| sequences[i].as_slice());

    // A short sequence first: its message is the clearest.
    let short = needed.min(7);
    let first = single(run(&[&a[..short]])?);
    let second = single(run(&[&a[..short]])?);
    let again = Difference::between(&first, &second);
    if !again.is_within(limits) {
        return Err(Fault::Random(again.token));
    }
    if a[..short] != b[..short] && single(run(&[&b[..short]])?) == first {
        return Err(Fault::Constant);
    }
    // A response may end before it is as long as it may be; there a module that fails does so loudly.
    let (length, whole) = match run(&[&a[..possible]]) {
        Ok(scores) => (possible, single(scores)),
        Err(_) if possible > needed => (needed, single(run(&[&a[..needed]])?)),
        Err(fault) => return Err(fault),
    };
    let mut depends_on_length = None;
    for prefix in PREFIXES.into_iter().filter(|prefix| *prefix < length) {
        let alone = single(run(&[&a[..prefix]])?);
        let difference = Difference::between(&alone, &whole);
        if !difference.is_within(limits) {
            let fault = Fault::Prefix { prefix, length, token: difference.token };
            match known {
                Known::Nothing => return Err(fault),
                Known::AgreesWithReference => depends_on_length = Some(fault),
            }
        }
    }
    for (batch, most) in [(2, 7), (3, 65)] {
        let n = length.min(most);
        let rows = [&a[..n], &b[..n], &c[..n]];
        for (row, together) in rows[..batch].iter().zip(run(&rows[..batch])?) {
            let difference = Difference::between(&single(run(&[row])?), &together);
            if !difference.is_within(limits) {
                return Err(Fault::Batch { batch, length: n, token: difference.token });
            }
        }
    }
    if known == Known::Nothing && sample.ids.len() >= REPEATED {
        let n = length.min(REPETITIONS);
        let changes: Vec<Vec<f64>> = (0..REPEATED)
            .map(|i| sample.ids[i * sample.ids.len() / REPEATED])
            .map(|token| Ok(changes(&single(run(&[&vec![token; n]])?))))
            .collect::<Result<_, Fault>>()?;
        if let Some(position) = jump(&changes, limits) {
            return Err(Fault::Jump(position));
        }
    }
    Ok(Passed { length, depends_on_length })
}

fn single(scores: Vec<SequenceScores>) -> SequenceScores {
    scores.into_iter().next().expect("BUG: a batch of one has one sequence")
}

/// How much the numbers change from each position to the next.
fn changes(scores: &SequenceScores) -> Vec<f64> {
    let change = |pair: &[f64]| (pair[1] - pair[0]).abs();
    let mut changes: Vec<f64> = scores.entropies.windows(2).map(change).collect();
    for (largest, pair) in changes.iter_mut().zip(scores.log_probs.windows(2)) {
        *largest = largest.max(change(pair));
    }
    changes
}

/// The position where the numbers of most sequences jump; `changes[i]` is the one to position i + 1.
fn jump(changes: &[Vec<f64>], limits: Limits) -> Option<usize> {
    let shortest = changes.iter().map(Vec::len).min()?;
    let median_ratio = |at: usize| {
        let ratio = |changes: &Vec<f64>| {
            let before = changes[at - BEFORE..at].iter().fold(0.0f64, |a, b| a.max(*b));
            // Rounding is no change.
            changes[at] / (before + limits.mean / 3.0)
        };
        let mut ratios: Vec<f64> = changes.iter().map(ratio).collect();
        ratios.sort_by(f64::total_cmp);
        ratios[(ratios.len() - 1) / 2]
    };
    (BEFORE..shortest).find(|at| median_ratio(*at) > JUMP).map(|at| at + 1)
}

impl Sample {
    /// Ids in an order that looks random, the same at each call.
    fn draw(&self, seed: u64, length: usize) -> Vec<i64> {
        let mut state = (seed + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            self.ids[(state >> 33) as usize % self.ids.len()]
        };
        (0..length).map(|_| next()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { mean: 1e-3, token: 0.1 };

    #[test]
    fn jump_of_most_sequences_is_found() {
        let fading = |factor: f64| (0..100).map(|i| factor * 0.9f64.powi(i)).collect::<Vec<f64>>();
        let mut sequences = vec![fading(1.0), fading(0.2), fading(3.0)];
        assert_eq!(jump(&sequences, LIMITS), None);
        // A router that chooses another expert changes one of them.
        sequences[0][63] = 0.4;
        assert_eq!(jump(&sequences, LIMITS), None);
        sequences[1][63] = 0.4;
        assert_eq!(jump(&sequences, LIMITS), Some(64));
    }

    #[test]
    fn steady_changes_and_rounding_are_no_jump() {
        let steady: Vec<f64> = (0..100).map(|i| 0.5 + 0.4 * f64::from(i).sin()).collect();
        let rounding: Vec<f64> = (0..100).map(|i| if i == 50 { 5e-4 } else { 1e-7 }).collect();
        assert_eq!(jump(&[steady, rounding], LIMITS), None);
    }

    #[test]
    fn drawn_ids_are_known_and_differ_between_sequences() {
        let sample = Sample { ids: vec![3, 5, 900], needed: 1, possible: 50 };
        let (a, b) = (sample.draw(0, 50), sample.draw(1, 50));
        assert!(a != b && a == sample.draw(0, 50));
        assert!(a.iter().chain(&b).all(|id| sample.ids.contains(id)));
    }
}
