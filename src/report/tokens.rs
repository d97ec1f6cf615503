//! The token section of the page: statistics of every scoring, and some of the responses with their tokens.
//!
//! A dump may hold millions of tokens, too many for a browser, so the page has at most [`MAX_SCORINGS`] scorings,
//! [`MAX_RESPONSES`] responses and [`MAX_TOKENS`] tokens; `left_out` counts the rest. Values of single tokens are
//! rounded to four decimals; statistics are not.
//!
//! ```text
//! {"schema":1,"unit":"nats","sources":["run.jsonl"],"kinds":[[22,"7"],…],
//!  "scale":{"max":5.5,"levels":10,"certain":0.01,"reference":0.672,…},
//!  "scorings":[{"source":0,"step":40,"mean":…,"quantiles":[…],"words":[{"kind":0,…}],…}],"overlaps":[…],
//!  "responses":[{"scoring":0,"id":"0","kinds":[0,1],"entropies":[2.4753,0.6425],"log_probs":[-2.5925,null]}]}
//! ```

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use entropy_history::dump::{TokenDump, TokenKind};
use entropy_history::label::{shorten_middle, visible};
use entropy_history::stats::tokens::{
    CERTAIN_BELOW, FORKING_ENTROPY, MIN_OCCURRENCES, Scoring, ScoringStats, TOP_SHARE,
    TokenAnalysis, analyse, scorings,
};

/// The largest number of scorings on the page.
pub const MAX_SCORINGS: usize = 50;
/// The largest number of responses on the page.
pub const MAX_RESPONSES: usize = 200;
/// The largest number of tokens on the page.
pub const MAX_TOKENS: usize = 100_000;
/// The smallest number of responses per scoring; they are truncated if they have too many tokens.
const MIN_RESPONSES: usize = 4;
const _: () = assert!(MAX_SCORINGS * MIN_RESPONSES <= MAX_RESPONSES);
/// The number of colours of the scale.
const LEVELS: usize = 10;
/// The largest length of a name or a token in characters; longer ones are shortened in the middle.
const MAX_TEXT: usize = 80;

/// The JSON document of a dump, with the warnings about its files; `None` if it has no response.
pub fn tokens(dump: &TokenDump, warnings: &[String]) -> Option<Value> {
    let all = scorings(dump);
    let shown = evenly_spaced(&all, MAX_SCORINGS);
    if shown.is_empty() {
        return None;
    }
    let analysis = analyse(dump, &shown);
    let selection = select_responses(dump, &shown);
    let mut kinds = KindTable::default();
    let scorings = scoring_values(&analysis, &mut kinds);
    let responses: Vec<Value> =
        selection.iter().map(|selected| response_value(dump, selected, &mut kinds)).collect();

    let response_count: usize = all.iter().map(|scoring| scoring.responses.len()).sum();
    let embedded: usize = selection.iter().map(|selected| selected.tokens).sum();
    let tokens: usize = dump.responses().iter().map(|response| response.entropies().len()).sum();
    Some(json!({
        "schema": 1,
        "unit": "nats",
        "sources": dump.sources().iter().map(|source| display_name(source)).collect::<Vec<_>>(),
        "odd": warnings.iter().map(|warning| visible(warning)).collect::<Vec<_>>(),
        "scale": {
            "max": scale_max(&analysis),
            "levels": LEVELS,
            "certain": CERTAIN_BELOW,
            "reference": FORKING_ENTROPY,
            "reference_of": "Qwen3-8B, arXiv 2506.01939",
            "top": TOP_SHARE,
            "occurrences": MIN_OCCURRENCES,
        },
        "scorings": scorings,
        "overlaps": analysis.overlaps,
        "kinds": kinds.rows(dump),
        "responses": responses,
        "left_out": {
            "scorings": all.len() - shown.len(),
            "responses": response_count - selection.len(),
            "tokens": tokens - embedded,
            "shortened": selection.iter().filter(|s| s.tokens < s.length).count(),
        },
    }))
}

/// At most `limit` of the items, evenly spaced, including the first and the last.
fn evenly_spaced<T: Clone>(items: &[T], limit: usize) -> Vec<T> {
    if items.len() <= limit {
        return items.to_vec();
    }
    (0..limit).map(|i| items[i * (items.len() - 1) / (limit - 1).max(1)].clone()).collect()
}

/// A response on the page: its index in the dump, its length, and how many of its tokens are embedded.
struct SelectedResponse {
    scoring: usize,
    index: usize,
    length: usize,
    tokens: usize,
}

/// Selects the responses for the page, ordered by scoring and then as in the dump. For each scoring it selects first
/// the responses already selected for a later step, so that a reader can follow a response from step to step; then a
/// quarter with the highest means, a quarter with the lowest, and the rest evenly spaced.
fn select_responses(dump: &TokenDump, scorings: &[Scoring]) -> Vec<SelectedResponse> {
    let response = |index: usize| &dump.responses()[index];
    let length = |index: usize| response(index).entropies().len();
    let key = |index: usize| {
        let response = response(index);
        (response.id(), response.sample(), response.prompt())
    };
    let budget = MAX_TOKENS / scorings.len();
    let mut keys: BTreeSet<(&str, Option<u64>, u64)> = BTreeSet::new();
    let mut selected = Vec::new();
    // The last step first: it is the one that readers look at.
    for (scoring, Scoring { responses, .. }) in scorings.iter().enumerate().rev() {
        let total: usize = responses.iter().map(|&index| length(index)).sum();
        let affordable = budget * responses.len() / total;
        let limit = affordable.clamp(MIN_RESPONSES, MAX_RESPONSES / scorings.len());
        let limit = limit.min(responses.len());
        let mut picked: BTreeSet<usize> = BTreeSet::new();
        let known = responses.iter().copied().filter(|&index| keys.contains(&key(index)));
        picked.extend(known.take(limit));
        let mut by_mean: Vec<(f64, usize)> =
            responses.iter().map(|&index| (response(index).mean(), index)).collect();
        by_mean.sort_by(|(a, _), (b, _)| b.total_cmp(a));
        let extremes = by_mean.iter().take(limit / 4).chain(by_mean.iter().rev().take(limit / 4));
        for (_, index) in extremes {
            if picked.len() < limit {
                picked.insert(*index);
            }
        }
        let rest: Vec<usize> =
            responses.iter().copied().filter(|index| !picked.contains(index)).collect();
        picked.extend(evenly_spaced(&rest, limit - picked.len()));
        keys.extend(picked.iter().map(|&index| key(index)));
        let lengths: Vec<usize> = picked.iter().map(|&index| length(index)).collect();
        let longest = longest_within(&lengths, budget);
        selected.extend(picked.iter().map(|&index| SelectedResponse {
            scoring,
            index,
            length: length(index),
            tokens: length(index).min(longest),
        }));
    }
    selected.sort_by_key(|response| (response.scoring, response.index));
    selected
}

/// The largest length limit for which the total of all lists, each truncated to the limit, is within the budget;
/// `usize::MAX` if no list needs to be truncated.
pub(super) fn longest_within(lengths: &[usize], budget: usize) -> usize {
    let mut sorted = lengths.to_vec();
    sorted.sort_unstable();
    let (mut left, mut lists) = (budget, sorted.len());
    for length in sorted {
        if length * lists > left {
            return left / lists;
        }
        left -= length;
        lists -= 1;
    }
    usize::MAX
}

/// The kinds of tokens that occur on the page, with new indices in order of first use.
#[derive(Default)]
struct KindTable {
    indices: BTreeMap<u32, usize>,
    kinds: Vec<u32>,
}

impl KindTable {
    fn index(&mut self, kind: u32) -> usize {
        *self.indices.entry(kind).or_insert_with(|| {
            self.kinds.push(kind);
            self.kinds.len() - 1
        })
    }

    fn rows(&self, dump: &TokenDump) -> Value {
        let row = |&kind: &u32| {
            let kind = &dump.kinds()[kind as usize];
            json!([kind.id, display_text(kind)])
        };
        self.kinds.iter().map(row).collect()
    }
}

/// The statistics of the scorings; the kinds of their words have the indices of the page.
fn scoring_values(analysis: &TokenAnalysis, kinds: &mut KindTable) -> Value {
    let value = |scoring: &ScoringStats| {
        let words = scoring.words.iter().map(
            |word| json!({"kind": kinds.index(word.kind), "count": word.count, "mean": word.mean}),
        );
        let words: Value = words.collect();
        let mut value = json!(scoring);
        value["words"] = words;
        value
    };
    analysis.scorings.iter().map(value).collect()
}

fn response_value(dump: &TokenDump, selected: &SelectedResponse, kinds: &mut KindTable) -> Value {
    let response = &dump.responses()[selected.index];
    let tokens = ..selected.tokens;
    let kinds = response.kinds()[tokens].iter().map(|&kind| kinds.index(kind));
    let entropies = response.entropies()[tokens].iter().map(|&entropy| rounded(entropy));
    // JSON has no −∞: it is written as null.
    let log_probs = response.log_probs().get(tokens);
    let log_probs = log_probs.map(|all| all.iter().map(|&p| rounded(f64::from(p))));
    json!({
        "scoring": selected.scoring,
        "id": display_name(response.id()),
        "sample": response.sample(),
        "finish": response.finish().map(display_name),
        "length": selected.length,
        "mean": response.mean(),
        "kinds": kinds.collect::<Vec<usize>>(),
        "entropies": entropies.collect::<Vec<f64>>(),
        "log_probs": log_probs.map(Iterator::collect::<Vec<f64>>),
    })
}

/// Rounds to four decimals, as many as the page shows of a token.
fn rounded(value: f64) -> f64 {
    let rounded = (value * 1e4).round() / 1e4;
    if rounded == 0.0 { 0.0 } else { rounded } // no −0
}

/// The end of the colour scale: the 99th percentile of the scoring with the most entropy, rounded up. Without
/// this limit, a few tokens with very high entropy would make all others pale.
fn scale_max(analysis: &TokenAnalysis) -> f64 {
    let high = analysis.scorings.iter().map(|scoring| scoring.percentiles[99]).fold(0.0, f64::max);
    if high <= 0.0 {
        return 1.0;
    }
    let unit = 10f64.powf(high.log10().floor());
    let steps = [1.0, 1.2, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0];
    let step = steps.into_iter().find(|step| step * unit >= high).unwrap_or(10.0);
    rounded_to_unit(step, unit)
}

/// `step × unit`, where `unit` is a power of ten, without the rounding error of a product with a negative power.
fn rounded_to_unit(step: f64, unit: f64) -> f64 {
    if unit >= 1.0 { step * unit } else { step / (1.0 / unit).round() }
}

/// A name from a file, with control characters visible and at most [`MAX_TEXT`] characters.
fn display_name(name: &str) -> String {
    shortened(&visible(name))
}

fn shortened(text: &str) -> String {
    shorten_middle(text, |text| text.chars().count() <= MAX_TEXT)
}

/// The text of a token for display. A symbol is put before each line break and tab, a token of only spaces becomes
/// symbols, and other invisible characters are escaped. `None` if the dump has no text for the token.
fn display_text(kind: &TokenKind) -> Option<String> {
    let text = kind.text.as_deref().filter(|text| !text.is_empty())?;
    if text.chars().all(|c| c == ' ') {
        return Some("␣".repeat(text.chars().count().min(MAX_TEXT)));
    }
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' => shown.push_str("⏎\n"),
            '\r' => shown.push('␍'),
            '\t' => shown.push_str("⇥\t"),
            c => shown.push_str(&visible(c.encode_utf8(&mut [0; 4]))),
        }
    }
    Some(shortened(&shown))
}

#[cfg(test)]
mod document_tests;

#[cfg(test)]
mod tests {
    use super::*;
    use entropy_history::dump::RawResponse;

    fn dump(responses: impl IntoIterator<Item = (u64, usize, f64)>) -> TokenDump {
        let mut dump = TokenDump::default();
        dump.begin("dump.jsonl");
        for (at, (step, length, entropy)) in responses.into_iter().enumerate() {
            let raw = RawResponse {
                step,
                id: format!("r{at}"),
                tokens: (0..length as u32).collect(),
                entropies: vec![entropy; length],
                ..RawResponse::default()
            };
            dump.add(raw).unwrap();
        }
        dump
    }

    fn ids(document: &Value) -> Vec<&str> {
        let responses = document["responses"].as_array().unwrap();
        responses.iter().map(|response| response["id"].as_str().unwrap()).collect()
    }

    #[test]
    fn small_dump_is_embedded_completely() {
        let document = tokens(&dump([(1, 3, 0.5), (1, 2, 0.25), (2, 3, 0.125)]), &[]).unwrap();
        assert_eq!(ids(&document), ["r0", "r1", "r2"]);
        assert_eq!(document["scorings"].as_array().unwrap().len(), 2);
        let nothing = json!({"scorings": 0, "responses": 0, "tokens": 0, "shortened": 0});
        assert_eq!(document["left_out"], nothing);
    }

    #[test]
    fn extreme_responses_are_kept_and_omitted_ones_counted() {
        let many = (0..1000).map(|i| (7, 10, f64::from(i * 37 % 1000) / 500.0));
        let document = tokens(&dump(many), &[]).unwrap();
        let ids = ids(&document);
        assert_eq!(ids.len(), MAX_RESPONSES);
        for extreme in ["r0", "r27"] {
            assert!(ids.contains(&extreme), "{extreme}: 0 and 999 are the extreme means");
        }
        assert_eq!(document["left_out"]["responses"], 800);
        assert_eq!(document["left_out"]["tokens"], 8000);
    }

    #[test]
    fn long_responses_are_truncated_to_the_budget() {
        let document = tokens(&dump((0..9).map(|_| (7, 60_000, 1.0))), &[]).unwrap();
        let responses = document["responses"].as_array().unwrap();
        assert_eq!(responses.len(), MIN_RESPONSES);
        for response in responses {
            assert_eq!(response["entropies"].as_array().unwrap().len(), MAX_TOKENS / MIN_RESPONSES);
            assert_eq!(response["length"], 60_000);
        }
        assert_eq!(document["left_out"]["shortened"], 4);
        assert_eq!(document["left_out"]["tokens"], 9 * 60_000 - MAX_TOKENS);
    }

    #[test]
    fn limits_hold_for_many_steps() {
        let document = tokens(&dump((0..500).map(|step| (step, 700, 1.0))), &[]).unwrap();
        assert_eq!(document["scorings"].as_array().unwrap().len(), MAX_SCORINGS);
        assert_eq!(document["scorings"][0]["step"], 0);
        assert_eq!(document["scorings"][MAX_SCORINGS - 1]["step"], 499);
        assert_eq!(document["left_out"]["scorings"], 450);
    }

    #[test]
    fn selects_the_same_responses_at_each_step() {
        let mut dump = TokenDump::default();
        for step in [1, 2] {
            for id in 0..300u32 {
                // The second step has the order of the means reversed.
                let entropy = if step == 1 { id } else { 300 - id };
                let raw = RawResponse {
                    step,
                    id: id.to_string(),
                    tokens: vec![1],
                    entropies: vec![f64::from(entropy)],
                    ..RawResponse::default()
                };
                dump.add(raw).unwrap();
            }
        }
        let document = tokens(&dump, &[]).unwrap();
        let ids = ids(&document);
        assert_eq!(ids[..100], ids[100..]);
    }

    #[test]
    fn longest_within_truncates_only_the_long_lists() {
        assert_eq!(longest_within(&[1, 2, 3], 6), usize::MAX);
        assert_eq!(longest_within(&[10, 1, 10], 11), 5);
        assert_eq!(longest_within(&[], 5), usize::MAX);
    }

    #[test]
    fn invisible_characters_of_tokens_are_made_visible() {
        let shown = |text: &str| display_text(&TokenKind { id: 1, text: Some(text.to_owned()) });
        assert_eq!(shown(" the").as_deref(), Some(" the"));
        assert_eq!(shown("  ").as_deref(), Some("␣␣"));
        assert_eq!(shown(".\n\n").as_deref(), Some(".⏎\n⏎\n"));
        assert_eq!(shown("\u{202e}a\u{0}").as_deref(), Some(r"\u{202e}a\u{0}"));
        assert_eq!(shown("</script>").as_deref(), Some("</script>"), "text stays text");
        assert_eq!(shown(""), None);
    }

    #[test]
    fn colour_scale_ends_at_a_round_number() {
        for (high, max) in [(0.0, 1.0), (0.03, 0.03), (0.031, 0.04), (1.1, 1.2), (5.5, 6.0)] {
            let document = tokens(&dump([(1, 5, high)]), &[]).unwrap();
            assert_eq!(document["scale"]["max"], max, "{high}");
        }
    }
}
