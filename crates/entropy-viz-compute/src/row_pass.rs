//! All numbers of a token from its row of logits, on the CPU.

use entropy_kernels::logits::{LogitStats, NotFinite, RowShape, rank};
use entropy_kernels::nucleus::Nucleus;
use rayon::prelude::*;

use crate::score_plan::ScorePlan;

/// The state of a pass over a row; using it again for other rows saves memory.
#[derive(Default)]
pub(crate) struct RowPass {
    /// At the main temperature, until the numbers of other temperatures are computed.
    stats: LogitStats,
    buffer: Vec<f32>,
}

impl RowPass {
    /// The numbers of a given token, appended to `scores`.
    pub(crate) fn score(
        &mut self,
        plan: &ScorePlan,
        logits: &[f32],
        token: usize,
        scores: &mut Vec<f64>,
    ) -> Result<(), NotFinite> {
        let shape = self.stats.update_with_shape(logits, plan.temperature, logits[token])?;
        self.add(plan, logits, token, shape, scores)
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
        self.add(plan, logits, token, shape, &mut scores)?;
        Ok((token as i64, scores))
    }

    fn add(
        &mut self,
        plan: &ScorePlan,
        logits: &[f32],
        token: usize,
        shape: RowShape,
        scores: &mut Vec<f64>,
    ) -> Result<(), NotFinite> {
        let (stats, logit) = (&mut self.stats, logits[token]);
        let RowShape { rank, p_max, renyi2 } = shape;
        scores.extend([stats.entropy(), stats.log_prob(logit), rank as f64, p_max, renyi2]);
        if let Some(mass) = plan.nucleus {
            scores.push(Nucleus::new(logits, stats, mass, &mut self.buffer).entropy());
        }
        for &temperature in &plan.other_temperatures {
            stats.update(logits, temperature)?;
            scores.extend([stats.entropy(), stats.log_prob(logit)]);
        }
        Ok(())
    }
}

/// The numbers of `tokens[i]` from row i of `logits`, rows × `vocabulary`: rows × numbers.
///
/// # Errors
/// The index of a row that has no softmax.
pub(crate) fn score_rows(
    plan: &ScorePlan,
    logits: &[f32],
    vocabulary: usize,
    tokens: &[i64],
) -> Result<Vec<f64>, usize> {
    let rows = logits.par_chunks_exact(vocabulary).zip(tokens).enumerate();
    let scores = rows.map_init(RowPass::default, |pass, (i, (row, token))| {
        let mut scores = Vec::new();
        pass.score(plan, row, *token as usize, &mut scores).map_err(|_| i)?;
        Ok(scores)
    });
    Ok(scores.collect::<Result<Vec<Vec<f64>>, usize>>()?.concat())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::Value;

    use super::*;

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
        let plan = ScorePlan {
            nucleus: fixture["nucleus"].as_f64(),
            other_temperatures: vec![0.7, 1.5],
            ..ScorePlan::at(1.0)
        };
        let names = [
            "entropy",
            "log_prob",
            "rank",
            "p_max",
            "renyi2",
            "entropy_top_p",
            "entropy@0.7",
            "log_prob@0.7",
            "entropy@1.5",
            "log_prob@1.5",
        ];
        for (i, row) in rows.iter().enumerate() {
            let token = row["token"].as_i64().unwrap();
            let found = score_rows(&plan, &logits(&row["logits"]), 150, &[token]).unwrap();
            assert_eq!(found.len(), names.len());
            for (name, found) in names.iter().zip(&found) {
                let expected = row["values"][name].as_f64().unwrap();
                assert!((found - expected).abs() < 1e-6, "row {i}: {name} {found}, {expected}");
            }
            // A sampled token has the same numbers.
            let sampled =
                RowPass::default().sample(&plan, &logits(&row["logits"]), |_| token as usize);
            assert_eq!(sampled.unwrap(), (token, found));
        }
    }
}
