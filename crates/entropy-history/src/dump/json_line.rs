//! A line of a JSON dump, deserialized with errors in the user's terms.

use serde::Deserialize;
use serde::de::{self, Deserializer, Unexpected, Visitor};
use serde_json::Value;

use super::RawResponse;

/// A line written by either program; missing fields are detected in [`JsonLine::response`].
#[derive(Deserialize, Default)]
#[serde(default, expecting = "an object with a response")]
pub(crate) struct JsonLine {
    step: Option<UnsignedInt>,
    id: Value,
    sample: Option<UnsignedInt>,
    prompt_token_ids: Vec<TokenId>,
    response_token_ids: Option<Vec<TokenId>>,
    tokens: Vec<String>,
    entropies: Option<Vec<Option<FloatValue>>>,
    log_probs: Option<Vec<Option<FloatValue>>>,
    response_mask: Option<Vec<UnsignedInt>>,
    finish_reason: Option<String>,
    // fields of prime-rl
    export_step: Option<UnsignedInt>,
    rank: Option<UnsignedInt>,
    export_sequence_idx: Option<UnsignedInt>,
    sample_id: Option<String>,
    token_ids: Option<Vec<TokenId>>,
    loss_mask: Vec<bool>,
    entropy: Option<Vec<Option<FloatValue>>>,
    trainer_logprobs: Option<Vec<Option<FloatValue>>>,
}

impl JsonLine {
    /// Converts line `number` to a response; also returns how many of its tokens were left out because
    /// they have no finite entropy.
    pub(crate) fn response(self, number: usize) -> Result<(RawResponse, usize), String> {
        let step = self.export_step.or(self.step).ok_or("it has no \"step\"")?.0;
        match (self.token_ids, self.entropy) {
            (Some(tokens), Some(entropy)) => {
                let all = tokens.len();
                let entropy: Vec<f64> = entropy.into_iter().map(or_nan).collect();
                let log_probs = self.trainer_logprobs.map(|log_probs| -> Vec<f64> {
                    log_probs.into_iter().map(or_minus_infinity).collect()
                });
                let lists = [
                    ("loss_mask", Some(self.loss_mask.len())),
                    ("entropy", Some(entropy.len())),
                    ("trainer_logprobs", log_probs.as_ref().map(Vec::len)),
                ];
                let mut lists = lists.into_iter().filter_map(|(name, found)| Some((name, found?)));
                if let Some((name, found)) = lists.find(|(_, found)| *found != all) {
                    return Err(format!("it has {all} \"token_ids\" and {found} in {name:?}"));
                }
                // The prompt ends at the first sampled token; tool outputs may be between later ones.
                let first = self.loss_mask.iter().position(|sampled| *sampled).unwrap_or(all);
                let sampled = (0..all).filter(|&i| self.loss_mask[i]);
                let (kept, left_out): (Vec<usize>, Vec<usize>) =
                    sampled.partition(|&i| entropy[i].is_finite());
                let place = |whole: Option<UnsignedInt>| whole.map_or(0, |whole| whole.0);
                let sequence =
                    self.export_sequence_idx.map_or(number as u64 - 1, |sequence| sequence.0);
                let response = RawResponse {
                    step,
                    id: self
                        .sample_id
                        .unwrap_or_else(|| format!("{}/{sequence}", place(self.rank))),
                    prompt: tokens[..first].iter().map(|id| id.0).collect(),
                    tokens: kept.iter().map(|&i| tokens[i].0).collect(),
                    entropies: kept.iter().map(|&i| entropy[i]).collect(),
                    log_probs: log_probs
                        .map_or_else(Vec::new, |all| kept.iter().map(|&i| all[i]).collect()),
                    ..RawResponse::default()
                };
                Ok((response, left_out.len()))
            }
            _ => {
                let tokens = self.response_token_ids.ok_or("it has no \"response_token_ids\"")?;
                let entropies = self.entropies.ok_or("it has no \"entropies\"")?;
                let log_probs = self.log_probs.unwrap_or_default();
                let own = self
                    .response_mask
                    .map(|mask| -> Vec<bool> { mask.into_iter().map(|own| own.0 != 0).collect() });
                // Only tokens that others wrote have no entropy.
                let is_own = |at: usize| own.as_ref().is_none_or(|own| own.get(at) != Some(&false));
                let mut missing = (0..entropies.len()).filter(|&at| entropies[at].is_none());
                if let Some(at) = missing.find(|&at| is_own(at)) {
                    return Err(format!("the entropy of token {} is null", at + 1));
                }
                let response = RawResponse {
                    step,
                    id: id_text(self.id),
                    sample: self.sample.map(|sample| sample.0),
                    prompt: self.prompt_token_ids.into_iter().map(|id| id.0).collect(),
                    tokens: tokens.into_iter().map(|id| id.0).collect(),
                    texts: self.tokens,
                    entropies: entropies.into_iter().map(or_nan).collect(),
                    log_probs: log_probs.into_iter().map(or_minus_infinity).collect(),
                    finish: self.finish_reason,
                };
                Ok((response.own_tokens(own.as_deref())?, 0))
            }
        }
    }
}

/// JSON has no −∞, the log-prob of an impossible token: it is written as `null`.
fn or_minus_infinity(log_prob: Option<FloatValue>) -> f64 {
    log_prob.map_or(f64::NEG_INFINITY, |log_prob| log_prob.0)
}

/// prime-rl writes `null` for values that are not finite. A sampled token without a finite entropy
/// is left out and counted.
fn or_nan(number: Option<FloatValue>) -> f64 {
    number.map_or(f64::NAN, |number| number.0)
}

/// The id as it was written; empty if there is none.
fn id_text(id: Value) -> String {
    match id {
        Value::Null => String::new(),
        Value::String(text) => text,
        other => other.to_string(),
    }
}

/// A non-negative integer.
#[derive(Clone, Copy)]
struct UnsignedInt(u64);

/// The id of a token.
#[derive(Clone, Copy)]
struct TokenId(u32);

/// A number.
#[derive(Clone, Copy)]
struct FloatValue(f64);

/// Deserializes a number, with an error that names the expected kind.
struct NumberVisitor<T>(&'static str, fn(f64, Option<u64>) -> Option<T>);

impl<T> Visitor<'_> for NumberVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0)
    }

    fn visit_u64<E: de::Error>(self, n: u64) -> Result<T, E> {
        (self.1)(n as f64, Some(n)).ok_or_else(|| E::invalid_value(Unexpected::Unsigned(n), &self))
    }

    fn visit_i64<E: de::Error>(self, n: i64) -> Result<T, E> {
        (self.1)(n as f64, None).ok_or_else(|| E::invalid_value(Unexpected::Signed(n), &self))
    }

    fn visit_f64<E: de::Error>(self, n: f64) -> Result<T, E> {
        (self.1)(n, None).ok_or_else(|| E::invalid_value(Unexpected::Float(n), &self))
    }
}

impl<'de> Deserialize<'de> for UnsignedInt {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<UnsignedInt, D::Error> {
        from.deserialize_any(NumberVisitor("a whole number from 0", |_, whole| {
            whole.map(UnsignedInt)
        }))
    }
}

impl<'de> Deserialize<'de> for TokenId {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<TokenId, D::Error> {
        let id = |_, whole: Option<u64>| whole.and_then(|id| u32::try_from(id).ok()).map(TokenId);
        from.deserialize_any(NumberVisitor("the id of a token", id))
    }
}

impl<'de> Deserialize<'de> for FloatValue {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<FloatValue, D::Error> {
        from.deserialize_any(NumberVisitor("a number", |number, _| Some(FloatValue(number))))
    }
}
