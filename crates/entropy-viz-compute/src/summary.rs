//! The numbers of a checkpoint, from the scores of its responses.
//!
//! [`EntropySums`] of parts of the responses can be merged. The parts are merged in the order of their shards, and squares
//! are around the mean of each part (Chan, Golub and LeVeque 1979), so that nothing cancels.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::json_number::JsonNumber;
use crate::score_plan::Quantity;
use crate::token_scores::TokenScores;

/// The numbers of one row of a history.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct EntropySummary {
    /// Mean entropy over all tokens, in nats.
    pub(crate) entropy: f64,
    /// Mean over responses of their mean entropy, in nats.
    pub(crate) sequence_mean: f64,
    /// Sample standard deviation of the entropy over tokens, in nats; `None` for a single token.
    pub(crate) deviation: Option<f64>,
    /// Mean log-prob over all tokens, in nats.
    pub(crate) log_prob: f64,
    pub(crate) tokens: usize,
    pub(crate) sequences: usize,
    /// Means of further numbers over all tokens, by their keys in a history.
    pub(crate) means: BTreeMap<String, f64>,
    /// The numbers of groups by their names; `None` for a group without tokens.
    pub(crate) groups: BTreeMap<String, Option<EntropySummary>>,
}

/// Sums over responses; entropies and log-probs in nats.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct EntropySums {
    /// Number of tokens.
    pub(crate) tokens: usize,
    /// Number of responses, each with at least one token.
    pub(crate) sequences: usize,
    /// Sum of the entropies of all tokens.
    entropy_sum: f64,
    /// Sum of the squares of their differences from their mean.
    entropy_squares: f64,
    /// Sum over responses of their mean entropy.
    entropy_seq_mean_sum: f64,
    /// Sum of the log-probs of all tokens. JSON has no −∞: it is null.
    #[serde(deserialize_with = "or_minus_infinity")]
    log_prob_sum: f64,
    /// Sums of further numbers over all tokens, by the keys of their means in a history.
    sums: BTreeMap<String, JsonNumber>,
    /// Sums over the responses of groups, by their names.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) groups: BTreeMap<String, EntropySums>,
}

fn or_minus_infinity<'de, D: serde::Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
    Ok(Option::<f64>::deserialize(from)?.unwrap_or(f64::NEG_INFINITY))
}

impl EntropySums {
    /// Sums over responses, each with at least one token, whose numbers are `quantities`.
    pub(crate) fn new(quantities: &[Quantity], responses: &[&TokenScores]) -> EntropySums {
        let all = || responses.iter().flat_map(|response| response.entropies());
        let tokens = all().count();
        let entropy_sum = all().sum::<f64>();
        let mean = if tokens > 0 { entropy_sum / tokens as f64 } else { 0.0 };
        let mean_of =
            |response: &&TokenScores| response.entropies().sum::<f64>() / response.len() as f64;
        let further = quantities
            .iter()
            .enumerate()
            .filter(|(_, quantity)| !matches!(quantity, Quantity::Entropy | Quantity::LogProb));
        let sum = |(index, quantity): (usize, &Quantity)| {
            let terms = responses.iter().flat_map(|response| response.column(index));
            (quantity.mean(), JsonNumber(terms.map(|value| quantity.term(value)).sum()))
        };
        EntropySums {
            tokens,
            sequences: responses.len(),
            entropy_sum,
            entropy_squares: all().map(|entropy| (entropy - mean).powi(2)).sum(),
            entropy_seq_mean_sum: responses.iter().map(mean_of).sum(),
            log_prob_sum: responses.iter().flat_map(|response| response.log_probs()).sum(),
            sums: further.map(sum).collect(),
            groups: BTreeMap::new(),
        }
    }

    /// The sums over the responses of all parts, which must be in the order of their shards: then the result does not
    /// depend on which of them was complete first.
    pub(crate) fn merge(parts: &[EntropySums]) -> EntropySums {
        let sum = |value: fn(&EntropySums) -> f64| parts.iter().map(value).sum::<f64>();
        let tokens: usize = parts.iter().map(|part| part.tokens).sum();
        let entropy_sum = sum(|part| part.entropy_sum);
        let mean = if tokens > 0 { entropy_sum / tokens as f64 } else { 0.0 };
        let between = parts.iter().filter(|part| part.tokens > 0).map(|part| {
            let n = part.tokens as f64;
            n * (part.entropy_sum / n - mean).powi(2)
        });
        let mut sums: BTreeMap<String, JsonNumber> = BTreeMap::new();
        for (key, JsonNumber(value)) in parts.iter().flat_map(|part| &part.sums) {
            sums.entry(key.clone()).or_insert(JsonNumber(0.0)).0 += value;
        }
        let names: BTreeSet<&String> = parts.iter().flat_map(|part| part.groups.keys()).collect();
        let group = |name: &String| {
            let parts: Vec<EntropySums> =
                parts.iter().filter_map(|part| part.groups.get(name).cloned()).collect();
            (name.clone(), EntropySums::merge(&parts))
        };
        EntropySums {
            tokens,
            sequences: parts.iter().map(|part| part.sequences).sum(),
            entropy_sum,
            entropy_squares: sum(|part| part.entropy_squares) + between.sum::<f64>(),
            entropy_seq_mean_sum: sum(|part| part.entropy_seq_mean_sum),
            log_prob_sum: sum(|part| part.log_prob_sum),
            sums,
            groups: names.into_iter().map(group).collect(),
        }
    }

    /// The means; `None` without tokens.
    pub(crate) fn summary(&self) -> Option<EntropySummary> {
        let n = self.tokens as f64;
        (self.tokens > 0).then(|| EntropySummary {
            entropy: self.entropy_sum / n,
            sequence_mean: self.entropy_seq_mean_sum / self.sequences as f64,
            deviation: (self.tokens > 1).then(|| (self.entropy_squares / (n - 1.0)).sqrt()),
            log_prob: self.log_prob_sum / n,
            tokens: self.tokens,
            sequences: self.sequences,
            means: self.sums.iter().map(|(key, sum)| (key.clone(), sum.0 / n)).collect(),
            groups: self.groups.iter().map(|(name, sums)| (name.clone(), sums.summary())).collect(),
        })
    }
}

impl EntropySummary {
    /// The keys of a row of a history. A mean that is not finite is null.
    pub(crate) fn row(&self) -> Map<String, Value> {
        let row = json!({
            "entropy": self.entropy,
            "entropy_seq_mean": self.sequence_mean,
            "entropy_std": self.deviation,
            "log_prob_mean": self.log_prob,
            "tokens": self.tokens,
            "sequences": self.sequences,
        });
        let mut row = match row {
            Value::Object(row) => row,
            _ => Map::new(),
        };
        row.extend(self.means.iter().map(|(key, mean)| (key.clone(), json!(mean))));
        for (name, group) in &self.groups {
            let mut insert = |key: &str, value: Value| {
                row.insert(format!("{key}{{{name}}}"), value);
            };
            let Some(group) = group else {
                insert("tokens", json!(0));
                insert("sequences", json!(0));
                continue;
            };
            insert("entropy", json!(group.entropy));
            insert("log_prob_mean", json!(group.log_prob));
            insert("tokens", json!(group.tokens));
            insert("sequences", json!(group.sequences));
            insert("length_mean", json!(group.tokens as f64 / group.sequences as f64));
            for (key, mean) in &group.means {
                insert(key, json!(mean));
            }
        }
        row
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUANTITIES: [Quantity; 3] = [Quantity::Entropy, Quantity::LogProb, Quantity::Rank];

    /// Tokens with these entropies; each has its entropy as its rank.
    fn tokens(entropies: &[f64]) -> TokenScores {
        TokenScores::new(
            3,
            entropies.iter().flat_map(|&entropy| [entropy, -entropy, entropy]).collect(),
        )
    }

    fn sums(responses: &[&TokenScores]) -> EntropySums {
        EntropySums::new(&QUANTITIES, responses)
    }

    #[test]
    fn summary_has_means_over_tokens_and_over_responses() {
        let all = sums(&[&tokens(&[1.0, 2.0, 3.0]), &tokens(&[6.0])]);
        let summary = all.summary().unwrap();
        assert_eq!((summary.entropy, summary.sequence_mean), (3.0, 4.0));
        assert_eq!((summary.tokens, summary.sequences, summary.log_prob), (4, 2, -3.0));
        // statistics.stdev([1, 2, 3, 6]) of Python.
        assert!((summary.deviation.unwrap() - 2.160_246_899_469_287).abs() < 1e-12);
        // A rank of 0 is one of a most probable token.
        let zeros = sums(&[&tokens(&[0.0, 0.0, 7.0, 1.0])]).summary().unwrap();
        assert_eq!(zeros.means["rank_0_share"], 0.5);
        assert_eq!(zeros.row()["rank_0_share"], 0.5);
        assert_eq!(sums(&[&tokens(&[1.0])]).summary().unwrap().deviation, None);
        assert_eq!(sums(&[]).summary(), None);
    }

    #[test]
    fn merged_parts_are_the_whole() {
        let responses = [tokens(&[1.0, 2.0, 3.0]), tokens(&[6.0]), tokens(&[0.5, 0.25])];
        let whole = sums(&responses.iter().collect::<Vec<_>>());
        let part =
            |which: &[usize]| sums(&which.iter().map(|&i| &responses[i]).collect::<Vec<_>>());
        for parts in [&[part(&[0, 2]), part(&[1]), part(&[])][..], &[part(&[0, 1, 2])]] {
            let merged = EntropySums::merge(parts);
            assert_eq!((merged.tokens, merged.sequences), (6, 3));
            let (merged, whole) = (merged.summary().unwrap(), whole.summary().unwrap());
            for (a, b) in [
                (merged.entropy, whole.entropy),
                (merged.sequence_mean, whole.sequence_mean),
                (merged.deviation.unwrap(), whole.deviation.unwrap()),
                (merged.log_prob, whole.log_prob),
            ] {
                assert!((a - b).abs() < 1e-14, "{a} is not {b}");
            }
        }
        assert_eq!(EntropySums::merge(&[part(&[]), part(&[])]).summary(), None);
    }

    #[test]
    fn squares_do_not_cancel() {
        // The naive formula, squares minus the square of the mean, loses all digits here. The value is that of Python's
        // statistics.stdev([1e8 + i * 1e-3 for i in range(4)]).
        let values: Vec<f64> = (0..4).map(|i| 1e8 + f64::from(i) * 1e-3).collect();
        let parts = values.chunks(2).map(|part| sums(&[&tokens(part)]));
        let merged = EntropySums::merge(&parts.collect::<Vec<_>>());
        let deviation = merged.summary().unwrap().deviation.unwrap();
        assert!((deviation / 0.001_290_994_448_735_805_6 - 1.0).abs() < 1e-4, "{deviation}");
    }

    #[test]
    fn sums_survive_json() {
        let scores = TokenScores::new(3, vec![0.1, f64::NEG_INFINITY, f64::INFINITY]);
        let all = sums(&[&scores, &tokens(&[1.0 / 3.0])]);
        let text = serde_json::to_string(&all).unwrap();
        assert!(text.contains("\"log_prob_sum\":null"), "{text}");
        assert_eq!(serde_json::from_str::<EntropySums>(&text).unwrap(), all);
    }
}
