//! Tokens that several steps scored: how far their entropies agree. `compute` scores the same responses at every step.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use rayon::prelude::*;
use serde::Serialize;

use super::entropy::TOP_SHARE;
use super::{AnalysisOptions, views};
use crate::response::Response;
use crate::stats::agreement::{Agreement, agreement};
use crate::table::TokenTable;

/// How far two steps agree on the tokens that both scored.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct SharedTokens {
    /// Index of the earlier step in `steps` of [`shared_tokens`].
    pub a: usize,
    /// Index of the later step.
    pub b: usize,
    /// Number of responses in both: equal id, sample, turn, prompt and tokens.
    pub responses: usize,
    /// The numbers of their tokens.
    #[serde(flatten)]
    pub agreement: Agreement,
}

/// Compares each of some steps with the first one and with the previous one, over the tokens that both scored. `steps`
/// are indices into the steps of the analysis with these options. Pairs without a common response are left out.
pub fn shared_tokens(
    table: &TokenTable,
    options: &AnalysisOptions,
    steps: &[usize],
) -> Vec<SharedTokens> {
    let all =
        views(table, |response| options.steps.is_empty() || options.steps.contains(&response.step));
    let of_step = |at: &usize| -> Vec<(u64, usize)> {
        let responses = all[*at].responses.iter();
        let scored = responses.filter(|&&index| table.responses()[index].has_entropies);
        scored.map(|&index| (key(table, &table.responses()[index]), index)).collect()
    };
    let keys: Vec<Vec<(u64, usize)>> = steps.par_iter().map(of_step).collect();
    let mut pairs: Vec<(usize, usize)> =
        (1..steps.len()).flat_map(|b| [(0, b), (b - 1, b)]).collect();
    pairs.dedup(); // for the second step, the first is also the previous one
    let compare = |&(a, b): &(usize, usize)| {
        // Responses that occur several times are paired in order.
        let mut of_a: HashMap<u64, Vec<usize>> = HashMap::new();
        for (key, index) in keys[a].iter().rev() {
            of_a.entry(*key).or_default().push(*index);
        }
        let (mut x, mut y, mut responses) = (Vec::new(), Vec::new(), 0);
        for (key, index) in &keys[b] {
            let Some(in_a) = of_a.get_mut(key).and_then(Vec::pop) else { continue };
            for (values, index) in [(&mut x, in_a), (&mut y, *index)] {
                if let Some(entropies) = table.entropies(&table.responses()[index]) {
                    entropies.each(|entropy| values.push(entropy));
                }
            }
            responses += 1;
        }
        let agreement = agreement(&x, &y, TOP_SHARE)?;
        Some(SharedTokens { a, b, responses, agreement })
    };
    pairs.par_iter().filter_map(compare).collect()
}

/// What identifies a response: id, sample, turn, prompt and token ids.
fn key(table: &TokenTable, response: &Response) -> u64 {
    let mut hasher = DefaultHasher::new(); // SipHash with fixed keys
    (&response.id, response.sample, response.turn, response.group).hash(&mut hasher);
    response.tokens.hash(&mut hasher);
    for kind in table.kinds_of(response) {
        table.kinds()[*kind as usize].id.hash(&mut hasher);
    }
    hasher.finish()
}
