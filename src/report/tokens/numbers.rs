//! The numbers of a step as the page embeds them: lists instead of objects where there are many, and seven digits.

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::groups::Choices;
use super::texts::{KindTable, display_name};
use entropy_tokens::stats::interval::MeanInterval;
use entropy_tokens::stats::profile::PositionBin;
use entropy_tokens::{
    Distribution, EntropyStats, ForkingToken, GroupStats, Grouping, StepAnalysis, StepSlices,
    TokenColumn, TokenName,
};

/// The largest number of groups of a grouping in the table of a step.
const MAX_ROWS: usize = 40;
/// The largest number of forking tokens of a group.
const MAX_FORKING: usize = 15;

/// A step: its numbers, those of its groups, and the sections that have no groups.
pub(super) fn step_value<'a>(
    step: &'a StepAnalysis,
    part: &'a StepSlices,
    choices: &Choices,
    kinds: &mut KindTable<'a>,
) -> Value {
    let all = slice_value(
        step.entropy.as_ref(),
        &step.token_columns,
        [&step.tenths, &step.positions],
        (&step.forking, step.frequent_kinds),
        kinds,
    );
    let mut groups = vec![Value::Null; choices.wanted().len()];
    for group in &part.groups {
        let Some(place) = choices.place(group.grouping, &group.name) else { continue };
        let Distribution { entropy, token_columns, tenths, positions, forking, frequent_kinds } =
            &group.numbers;
        let listed = &forking[..forking.len().min(MAX_FORKING)];
        let forking = (listed, *frequent_kinds);
        let mut value =
            slice_value(entropy.as_ref(), token_columns, [tenths, positions], forking, kinds);
        value["responses"] = group.members.len().into();
        groups[place] = value;
    }
    let mut by = Map::new();
    for grouping in Grouping::ALL {
        let stats = grouping.of(step);
        if !stats.is_empty() {
            let key = json!(grouping).as_str().unwrap_or_default().to_owned();
            let rows: Vec<Value> = largest(stats).into_iter().map(group_row).collect();
            by.insert(key, json!({"rows": rows, "left_out": stats.len() - rows.len()}));
        }
    }
    json!({
        "source": step.source,
        "step": step.step,
        "responses": step.responses,
        "prompts": step.prompts,
        "tokens": step.tokens,
        "mean_length": step.mean_length,
        "mean_reward": step.mean_reward,
        "mean_log_prob": step.mean_log_prob,
        "all": all,
        "groups": groups,
        "by": by,
        "percentiles": part.percentiles,
        "covariance": step.covariance.as_ref().map(|section| {
            let top_tokens = section.top_tokens.iter().map(|top| (&top.token, top));
            let top_kinds = section.top_kinds.iter().map(|top| (&top.token, top));
            let mut value = json!(section);
            value["top_tokens"] = with_kinds(top_tokens, kinds);
            value["top_kinds"] = with_kinds(top_kinds, kinds);
            value
        }),
        "mismatch": step.mismatch.as_ref().map(|section| {
            let worst = section.worst_tokens.iter().map(|worst| (&worst.token, worst));
            let mut value = json!(section);
            value["worst_tokens"] = with_kinds(worst, kinds);
            value
        }),
        "diversity": step.diversity,
        "left_out": step.left_out,
    })
}

/// Values with the index of their token in place of its id and text.
fn with_kinds<'a, T: Serialize>(
    values: impl Iterator<Item = (&'a TokenName, T)>,
    kinds: &mut KindTable<'a>,
) -> Value {
    let value = |(token, value): (&'a TokenName, T)| {
        let mut value = json!(value);
        if let Some(keys) = value.as_object_mut() {
            keys.remove("id");
            keys.remove("text");
            keys.insert("kind".to_owned(), kinds.of_name(token).into());
        }
        value
    };
    values.map(value).collect()
}

fn slice_value<'a>(
    entropy: Option<&EntropyStats>,
    columns: &[TokenColumn],
    [tenths, positions]: [&[PositionBin]; 2],
    (forking, frequent): (&'a [ForkingToken], usize),
    kinds: &mut KindTable<'a>,
) -> Value {
    let forking =
        forking.iter().map(|fork| json!([kinds.of_name(&fork.token), fork.count, fork.mean]));
    let forking: Value = forking.collect();
    let columns = columns.iter().map(|column| {
        let MeanInterval { mean, low, high } = column.mean;
        json!([column.name, column.tokens, mean, low, high])
    });
    json!({
        "entropy": entropy.map(entropy_value),
        "columns": columns.collect::<Vec<_>>(),
        "tenths": tenths.iter().map(bin_row).collect::<Vec<_>>(),
        "positions": positions.iter().map(bin_row).collect::<Vec<_>>(),
        "forking": forking,
        "frequent": frequent,
    })
}

fn entropy_value(stats: &EntropyStats) -> Value {
    let MeanInterval { mean, low, high } = stats.mean;
    json!({
        "tokens": stats.tokens,
        "mean": [mean, low, high],
        "response_mean": stats.response_mean,
        "percentiles": stats.percentiles.iter().map(|p| p.value).collect::<Vec<_>>(),
        "below": stats.thresholds.iter().map(|t| t.below).collect::<Vec<_>>(),
        "above": stats.thresholds.iter().map(|t| t.above).collect::<Vec<_>>(),
        "top_share": stats.top_share,
        "histogram": stats.histogram,
    })
}

/// Tokens, responses, and the mean with its interval, of a bin; the bins follow one another from 0.
fn bin_row(bin: &PositionBin) -> Value {
    let mean = bin.entropy.map(|mean| mean.mean);
    let (low, high) = bin.entropy.map_or((None, None), |mean| (mean.low, mean.high));
    json!([bin.tokens, bin.responses, mean, low, high])
}

/// The groups with the most tokens, in their order.
fn largest(groups: &[GroupStats]) -> Vec<&GroupStats> {
    let mut sizes: Vec<u64> = groups.iter().map(|group| group.tokens).collect();
    sizes.sort_unstable_by(|a, b| b.cmp(a));
    let least = sizes.get(MAX_ROWS - 1).copied().unwrap_or(0);
    groups.iter().filter(|group| group.tokens >= least).take(MAX_ROWS).collect()
}

/// Name, responses, tokens, mean entropy with its interval, mean length, mean log-prob, mean reward.
fn group_row(group: &GroupStats) -> Value {
    let mean = group.entropy.map(|mean| mean.mean);
    let (low, high) = group.entropy.map_or((None, None), |mean| (mean.low, mean.high));
    json!([
        display_name(&group.name),
        group.responses,
        group.tokens,
        mean,
        low,
        high,
        group.mean_length,
        group.mean_log_prob,
        group.mean_reward,
    ])
}

/// Rounds all numbers that are not whole to seven digits.
pub(super) fn round_floats(value: &mut Value) {
    match value {
        Value::Number(number) if number.is_f64() => {
            let rounded = number.as_f64().and_then(|n| format!("{n:.6e}").parse::<f64>().ok());
            *value = json!(rounded);
        }
        Value::Array(values) => values.iter_mut().for_each(round_floats),
        Value::Object(values) => values.values_mut().for_each(round_floats),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_seven_digits_and_counts_all() {
        let mut value = json!({"a": [1.234_567_89, 123_456_789_u64, null, 1e-12, 0.0, -2.0]});
        round_floats(&mut value);
        assert_eq!(value, json!({"a": [1.234_568, 123_456_789_u64, null, 1e-12, 0.0, -2.0]}));
    }
}
