//! All numbers of a token from its row of logits, on the CPU.

use entropy_kernels::divergence::{Divergence, divergence};
use entropy_kernels::logits::{LogitStats, NotFinite, RowShape, rank};
use entropy_kernels::nucleus::Nucleus;
use rayon::prelude::*;

use crate::score_plan::ScorePlan;

/// The state of a pass over a row; using it again for other rows saves memory.
#[derive(Default)]
pub(crate) struct RowPass {
    /// At the main temperature, until the numbers of other temperatures are computed.
    stats: LogitStats,
    /// Of the reference model.
    reference: LogitStats,
    buffer: Vec<f32>,
}

/// The model whose logits are not finite.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Policy,
    Reference,
}

impl RowPass {
    /// The numbers of a given token, appended to `scores`. `reference` is its row of the reference model, if the plan has
    /// divergences.
    pub(crate) fn score(
        &mut self,
        plan: &ScorePlan,
        logits: &[f32],
        reference: Option<&[f32]>,
        token: usize,
        scores: &mut Vec<f64>,
    ) -> Result<(), Side> {
        let policy = |_: NotFinite| Side::Policy;
        let shape = self
            .stats
            .update_with_shape(logits, plan.temperature, logits[token])
            .map_err(policy)?;
        self.add_shape(plan, logits, token, shape, scores);
        if let Some(row) = reference {
            self.reference.update(row, plan.temperature).map_err(|_| Side::Reference)?;
            let Divergence { forward, reverse } =
                divergence((logits, &self.stats), (row, &self.reference));
            scores.extend([self.reference.log_prob(row[token]), forward, reverse]);
        }
        self.add_temperatures(plan, logits, token, scores).map_err(policy)
    }

    /// Chooses a token by the statistics of its row, and returns it with its numbers.
    pub(crate) fn sample(
        &mut self,
        plan: &ScorePlan,
        logits: &[f32],
        choose: impl FnOnce(&LogitStats) -> usize,
    ) -> Result<(i64, Vec<f64>), NotFinite> {
        let shape = self.stats.update_with_shape(logits, plan.temperature, f32::INFINITY)?;
        let token = choose(&self.stats);
        let shape = RowShape { rank: rank(logits, logits[token]), ..shape };
        let mut scores = Vec::new();
        self.add_shape(plan, logits, token, shape, &mut scores);
        self.add_temperatures(plan, logits, token, &mut scores)?;
        Ok((token as i64, scores))
    }

    fn add_shape(
        &mut self,
        plan: &ScorePlan,
        logits: &[f32],
        token: usize,
        shape: RowShape,
        scores: &mut Vec<f64>,
    ) {
        let (stats, logit) = (&self.stats, logits[token]);
        let RowShape { rank, p_max, renyi2 } = shape;
        scores.extend([stats.entropy(), stats.log_prob(logit), rank as f64, p_max, renyi2]);
        if let Some(mass) = plan.nucleus {
            scores.push(Nucleus::new(logits, stats, mass, &mut self.buffer).entropy());
        }
    }

    fn add_temperatures(
        &mut self,
        plan: &ScorePlan,
        logits: &[f32],
        token: usize,
        scores: &mut Vec<f64>,
    ) -> Result<(), NotFinite> {
        let (stats, logit) = (&mut self.stats, logits[token]);
        for &temperature in &plan.other_temperatures {
            stats.update(logits, temperature)?;
            scores.extend([stats.entropy(), stats.log_prob(logit)]);
        }
        Ok(())
    }
}

/// The numbers of `tokens[i]` from row i of `logits`, rows × `vocabulary`, and of the reference model's: rows × numbers.
///
/// # Errors
/// The index of a row that has no softmax, and whose it is.
pub(crate) fn score_rows(
    plan: &ScorePlan,
    logits: &[f32],
    reference: Option<&[f32]>,
    vocabulary: usize,
    tokens: &[i64],
) -> Result<Vec<f64>, (usize, Side)> {
    let rows = logits.par_chunks_exact(vocabulary).zip(tokens).enumerate();
    let scores = rows.map_init(RowPass::default, |pass, (i, (row, token))| {
        let mut scores = Vec::new();
        let reference = reference.map(|rows| &rows[i * vocabulary..][..vocabulary]);
        pass.score(plan, row, reference, *token as usize, &mut scores).map_err(|side| (i, side))?;
        Ok(scores)
    });
    Ok(scores.collect::<Result<Vec<Vec<f64>>, (usize, Side)>>()?.concat())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::Value;

    use super::*;
    use crate::score_plan::Divergences;

    /// The rows of logits with values of NumPy (tests/compute/make_distributions.py).
    fn fixture() -> Value {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let text = std::fs::read(root.join("tests/fixtures/distributions/rows.json")).unwrap();
        serde_json::from_slice(&text).unwrap()
    }

    fn logits(row: &Value) -> Vec<f32> {
        let logit = |z: &Value| z.as_f64().map_or(f32::NEG_INFINITY, |z| z as f32);
        row.as_array().unwrap().iter().map(logit).collect()
    }

    #[test]
    fn numbers_are_those_of_numpy() {
        let fixture = fixture();
        let rows = fixture["rows"].as_array().unwrap();
        assert_eq!(rows.len(), 15);
        let alone = ScorePlan {
            nucleus: fixture["nucleus"].as_f64(),
            other_temperatures: vec![0.7, 1.5],
            ..ScorePlan::at(1.0)
        };
        let pair = ScorePlan { divergences: Divergences::Computed, ..alone.clone() };
        let names = [
            "entropy",
            "log_prob",
            "rank",
            "p_max",
            "renyi2",
            "entropy_top_p",
            "log_prob_reference",
            "kl",
            "kl_reverse",
            "entropy@0.7",
            "log_prob@0.7",
            "entropy@1.5",
            "log_prob@1.5",
        ];
        for (i, row) in rows.iter().enumerate() {
            let token = row["token"].as_i64().unwrap();
            let (policy, reference) = (logits(&row["logits"]), logits(&row["reference"]));
            let mut found = score_rows(&pair, &policy, Some(&reference), 150, &[token]).unwrap();
            assert_eq!(found.len(), names.len());
            for (name, found) in names.iter().zip(&found) {
                let expected = row["values"][name].as_f64().unwrap();
                assert!((found - expected).abs() < 1e-6, "row {i}: {name} {found}, {expected}");
            }
            // Without a reference, a given and a sampled token have the same other numbers.
            found.drain(6..9);
            assert_eq!(score_rows(&alone, &policy, None, 150, &[token]).unwrap(), found);
            let sampled = RowPass::default().sample(&alone, &policy, |_| token as usize);
            assert_eq!(sampled.unwrap(), (token, found));
        }
    }

    #[test]
    fn errors_tell_whose_logits_are_not_finite() {
        let plan = ScorePlan { divergences: Divergences::Computed, ..ScorePlan::at(1.0) };
        let (good, bad) = ([0.0, 1.0, 2.0, 3.0], [0.0, 1.0, f32::NAN, 3.0]);
        let error = |p: &[f32], q: &[f32]| score_rows(&plan, p, Some(q), 2, &[0, 1]).unwrap_err();
        assert_eq!(error(&bad, &good), (1, Side::Policy));
        assert_eq!(error(&good, &bad), (1, Side::Reference));
    }
}
