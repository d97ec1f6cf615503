//! The rope type `proportional` of Gemma 4: of the pairs of numbers of a head, only the first ones turn, with the frequencies that
//! they have where all turn.

use anyhow::bail;

use crate::checkpoint::config::Config;

/// How many pairs turn, if this part of the numbers of a head does.
pub(super) fn turned_pairs(head_dim: i64, part: f64, config: &Config) -> anyhow::Result<usize> {
    let pairs = (part * head_dim as f64 / 2.0).floor();
    if !(0.0..=(head_dim / 2) as f64).contains(&pairs) {
        let path = config.path().display();
        bail!("{path}: partial_rotary_factor is {part}, not from 0 to 1");
    }
    Ok(pairs as usize)
}

/// Frequencies of all pairs, from those that they would have if all turned, divided by `factor`.
pub(super) fn frequencies(all: &[f32], turned: usize, factor: f64) -> Vec<f32> {
    let frequency = |(i, frequency): (usize, &f32)| match i < turned {
        true => frequency / factor as f32,
        false => 0.0,
    };
    all.iter().enumerate().map(frequency).collect()
}
