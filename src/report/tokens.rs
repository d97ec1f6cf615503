//! Single tokens as the page embeds them: the numbers of every scoring, and a bounded choice of
//! responses with what each of their tokens was.
//!
//! A dump may hold millions of tokens and a page must open in a browser, so at most [`SCORINGS`]
//! scorings, [`RESPONSES`] responses and [`TOKENS`] tokens go into it; what is left out is counted in
//! `left_out`. Numbers of single tokens are rounded to four decimals; statistics are not.
//!
//! ```text
//! {"schema":1,"unit":"nats","sources":["run.jsonl"],"kinds":[[22,"7"],…],
//!  "scale":{"max":5.5,"levels":10,"certain":0.01,"reference":0.672,…},
//!  "scorings":[{"source":0,"step":40,"mean":…,"quantiles":[…],"words":[{"kind":0,…}],…}],"overlaps":[…],
//!  "responses":[{"scoring":0,"id":"0","kinds":[0,1],"entropies":[2.4753,0.6425],"log_probs":[-2.5925,null]}]}
//! ```

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use entropy_history::dump::{Response, TokenDump, TokenKind};
use entropy_history::label::{shorten_middle, visible};
use entropy_history::stats::tokens::{
    CERTAIN_BELOW, FORKING_ENTROPY, MIN_OCCURRENCES, Scoring, ScoringStats, TOP_SHARE,
    TokenAnalysis, analyse, scorings,
};

/// At most so many scorings are told.
pub const SCORINGS: usize = 50;
/// At most so many responses are embedded.
pub const RESPONSES: usize = 200;
/// At most so many tokens are embedded.
pub const TOKENS: usize = 100_000;
/// Each scoring shows so many responses before long ones are shown whole.
const FEWEST: usize = 4;
const _: () = assert!(SCORINGS * FEWEST <= RESPONSES);
/// Colours of the scale.
const LEVELS: usize = 10;
/// A name or a token longer than that is shortened in its middle.
const LONGEST: usize = 80;

/// The document of a dump, with what was odd in its files; none if it has no response.
pub fn tokens(dump: &TokenDump, odd: &[String]) -> Option<Value> {
    let all = scorings(dump);
    let shown = evenly(&all, SCORINGS);
    if shown.is_empty() {
        return None;
    }
    let analysis = analyse(dump, &shown);
    let choice = choose(dump, &shown);
    let mut kinds = Embedded::default();
    let numbers = numbers(&analysis, &mut kinds);
    let responses: Vec<Value> =
        choice.iter().map(|chosen| response(dump, chosen, &mut kinds)).collect();

    let in_scorings =
        |scorings: &[Scoring]| scorings.iter().map(|s| s.responses.len()).sum::<usize>();
    let tokens_of = |response: &Response| response.entropies().len();
    let embedded: usize = choice.iter().map(|chosen| chosen.tokens).sum();
    let tokens: usize = dump.responses().iter().map(tokens_of).sum();
    Some(json!({
        "schema": 1,
        "unit": "nats",
        "sources": dump.sources().iter().map(|source| named(source)).collect::<Vec<_>>(),
        "odd": odd.iter().map(|what| visible(what)).collect::<Vec<_>>(),
        "scale": {
            "max": scale_max(&analysis),
            "levels": LEVELS,
            "certain": CERTAIN_BELOW,
            "reference": FORKING_ENTROPY,
            "reference_of": "Qwen3-8B, arXiv 2506.01939",
            "top": TOP_SHARE,
            "occurrences": MIN_OCCURRENCES,
        },
        "scorings": numbers,
        "overlaps": analysis.overlaps,
        "kinds": kinds.rows(dump),
        "responses": responses,
        "left_out": {
            "scorings": all.len() - shown.len(),
            "responses": in_scorings(&all) - choice.len(),
            "tokens": tokens - embedded,
            "shortened": choice.iter().filter(|c| c.tokens < c.length).count(),
        },
    }))
}

/// At most `most` of them, the first and the last among these.
fn evenly<T: Clone>(all: &[T], most: usize) -> Vec<T> {
    if all.len() <= most {
        return all.to_vec();
    }
    (0..most).map(|i| all[i * (all.len() - 1) / (most - 1).max(1)].clone()).collect()
}

/// A response that is embedded, or its beginning.
struct Chosen {
    scoring: usize,
    response: usize,
    length: usize,
    tokens: usize,
}

/// Which responses are embedded, in order of the scorings and then of the dump: of each scoring those
/// that a scoring chosen before has too, so that a response can be followed from step to step; a
/// quarter with the highest means, a quarter with the lowest, the rest evenly.
fn choose(dump: &TokenDump, scorings: &[Scoring]) -> Vec<Chosen> {
    let response = |at: usize| &dump.responses()[at];
    let name = |at: usize| (response(at).id(), response(at).sample(), response(at).prompt());
    let budget = TOKENS / scorings.len();
    let mut wanted: BTreeSet<(&str, Option<u64>, u64)> = BTreeSet::new();
    let mut chosen = Vec::new();
    // From the last step on: it is the one that people look at.
    for (scoring, of) in scorings.iter().enumerate().rev() {
        let length = |at: usize| response(at).entropies().len();
        let total: usize = of.responses.iter().map(|&at| length(at)).sum();
        let whole = budget * of.responses.len() / total;
        let most = whole.clamp(FEWEST, RESPONSES / scorings.len()).min(of.responses.len());
        let mut picked: BTreeSet<usize> = BTreeSet::new();
        let known = of.responses.iter().copied().filter(|&at| wanted.contains(&name(at)));
        picked.extend(known.take(most));
        let means = of.responses.iter().map(|&at| (response(at).mean(), at));
        let mut by_mean: Vec<(f64, usize)> = means.collect();
        by_mean.sort_by(|(a, _), (b, _)| b.total_cmp(a));
        let extremes = by_mean.iter().take(most / 4).chain(by_mean.iter().rev().take(most / 4));
        for (_, at) in extremes {
            if picked.len() < most {
                picked.insert(*at);
            }
        }
        let rest: Vec<usize> =
            of.responses.iter().copied().filter(|at| !picked.contains(at)).collect();
        picked.extend(evenly(&rest, most - picked.len()));
        wanted.extend(picked.iter().map(|&at| name(at)));
        let lengths: Vec<usize> = picked.iter().map(|&at| length(at)).collect();
        let longest = longest_within(&lengths, budget);
        chosen.extend(picked.iter().map(|&at| Chosen {
            scoring,
            response: at,
            length: length(at),
            tokens: length(at).min(longest),
        }));
    }
    chosen.sort_by_key(|chosen| (chosen.scoring, chosen.response));
    chosen
}

/// The greatest length to which lists can be cut so that together they are within the budget.
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

/// The kinds of tokens that the page needs, numbered anew.
#[derive(Default)]
struct Embedded {
    places: BTreeMap<u32, usize>,
    order: Vec<u32>,
}

impl Embedded {
    fn place(&mut self, kind: u32) -> usize {
        *self.places.entry(kind).or_insert_with(|| {
            self.order.push(kind);
            self.order.len() - 1
        })
    }

    fn rows(&self, dump: &TokenDump) -> Value {
        let row = |&kind: &u32| {
            let kind = &dump.kinds()[kind as usize];
            json!([kind.id, shown(kind)])
        };
        self.order.iter().map(row).collect()
    }
}

/// The numbers of the scorings, the words' kinds numbered as the page numbers them.
fn numbers(analysis: &TokenAnalysis, kinds: &mut Embedded) -> Value {
    let scoring = |scoring: &ScoringStats| {
        let words = scoring.words.iter().map(
            |word| json!({"kind": kinds.place(word.kind), "count": word.count, "mean": word.mean}),
        );
        let words: Value = words.collect();
        let mut numbers = json!(scoring);
        numbers["words"] = words;
        numbers
    };
    analysis.scorings.iter().map(scoring).collect()
}

fn response(dump: &TokenDump, chosen: &Chosen, kinds: &mut Embedded) -> Value {
    let response = &dump.responses()[chosen.response];
    let places: Vec<usize> =
        response.kinds()[..chosen.tokens].iter().map(|&kind| kinds.place(kind)).collect();
    let entropies: Vec<f64> =
        response.entropies()[..chosen.tokens].iter().map(|&entropy| rounded(entropy)).collect();
    let log_probs = response.log_probs().get(..chosen.tokens).map(|log_probs| {
        // −∞ is null.
        log_probs.iter().map(|&p| rounded(f64::from(p))).collect::<Vec<f64>>()
    });
    json!({
        "scoring": chosen.scoring,
        "id": named(response.id()),
        "sample": response.sample(),
        "finish": response.finish().map(named),
        "length": chosen.length,
        "mean": response.mean(),
        "kinds": places,
        "entropies": entropies,
        "log_probs": log_probs,
    })
}

/// To four decimals, as tokens are shown.
fn rounded(value: f64) -> f64 {
    let rounded = (value * 1e4).round() / 1e4;
    if rounded == 0.0 { 0.0 } else { rounded } // no −0
}

/// Where the colours end: the 99th percentile of the scoring with the most entropy, rounded up. Few
/// tokens are above it, and would leave the rest pale.
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

/// A step of the scale without the dust of a binary product.
fn rounded_to_unit(step: f64, unit: f64) -> f64 {
    if unit >= 1.0 { step * unit } else { step / (1.0 / unit).round() }
}

/// A name from a file, made visible and not too long.
fn named(name: &str) -> String {
    shorten_middle(&visible(name), |text| text.chars().count() <= LONGEST)
}

/// The text of a token as it is shown: line breaks and tabs as signs, and with their effect; spaces as
/// signs where nothing else is; what cannot be seen written out; none where the dump has no text.
fn shown(kind: &TokenKind) -> Option<String> {
    let text = kind.text.as_deref().filter(|text| !text.is_empty())?;
    if text.chars().all(|c| c == ' ') {
        return Some("␣".repeat(text.chars().count().min(LONGEST)));
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
    Some(shorten_middle(&shown, |text| text.chars().count() <= LONGEST))
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
    fn a_small_dump_is_embedded_whole() {
        let document = tokens(&dump([(1, 3, 0.5), (1, 2, 0.25), (2, 3, 0.125)]), &[]).unwrap();
        assert_eq!(ids(&document), ["r0", "r1", "r2"]);
        assert_eq!(document["scorings"].as_array().unwrap().len(), 2);
        let nothing = json!({"scorings": 0, "responses": 0, "tokens": 0, "shortened": 0});
        assert_eq!(document["left_out"], nothing);
    }

    #[test]
    fn of_many_responses_the_extremes_stay_and_the_rest_is_counted() {
        let many = (0..1000).map(|i| (7, 10, f64::from(i * 37 % 1000) / 500.0));
        let document = tokens(&dump(many), &[]).unwrap();
        let ids = ids(&document);
        assert_eq!(ids.len(), RESPONSES);
        for extreme in ["r0", "r27"] {
            assert!(ids.contains(&extreme), "{extreme}: 0 and 999 are the extreme means");
        }
        assert_eq!(document["left_out"]["responses"], 800);
        assert_eq!(document["left_out"]["tokens"], 8000);
    }

    #[test]
    fn long_responses_are_few_and_cut_to_the_budget() {
        let document = tokens(&dump((0..9).map(|_| (7, 60_000, 1.0))), &[]).unwrap();
        let responses = document["responses"].as_array().unwrap();
        assert_eq!(responses.len(), FEWEST);
        for response in responses {
            assert_eq!(response["entropies"].as_array().unwrap().len(), TOKENS / FEWEST);
            assert_eq!(response["length"], 60_000);
        }
        assert_eq!(document["left_out"]["shortened"], 4);
        assert_eq!(document["left_out"]["tokens"], 9 * 60_000 - TOKENS);
    }

    #[test]
    fn bounds_hold_for_any_number_of_steps() {
        let document = tokens(&dump((0..500).map(|step| (step, 700, 1.0))), &[]).unwrap();
        assert_eq!(document["scorings"].as_array().unwrap().len(), SCORINGS);
        assert_eq!(document["scorings"][0]["step"], 0);
        assert_eq!(document["scorings"][SCORINGS - 1]["step"], 499);
        assert_eq!(document["left_out"]["scorings"], 450);
    }

    #[test]
    fn a_response_is_followed_from_step_to_step() {
        let mut dump = TokenDump::default();
        for step in [1, 2] {
            for id in 0..300u32 {
                // The order of the means is turned between the steps.
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
    fn lists_are_cut_so_that_the_short_ones_stay_whole() {
        assert_eq!(longest_within(&[1, 2, 3], 6), usize::MAX);
        assert_eq!(longest_within(&[10, 1, 10], 11), 5);
        assert_eq!(longest_within(&[], 5), usize::MAX);
    }

    #[test]
    fn white_space_and_what_is_unseen_can_be_seen() {
        let shown = |text: &str| shown(&TokenKind { id: 1, text: Some(text.to_owned()) });
        assert_eq!(shown(" the").as_deref(), Some(" the"));
        assert_eq!(shown("  ").as_deref(), Some("␣␣"));
        assert_eq!(shown(".\n\n").as_deref(), Some(".⏎\n⏎\n"));
        assert_eq!(shown("\u{202e}a\u{0}").as_deref(), Some(r"\u{202e}a\u{0}"));
        assert_eq!(shown("</script>").as_deref(), Some("</script>"), "text stays text");
        assert_eq!(shown(""), None);
    }

    #[test]
    fn the_colours_end_at_a_round_number() {
        for (high, max) in [(0.0, 1.0), (0.03, 0.03), (0.031, 0.04), (1.1, 1.2), (5.5, 6.0)] {
            let document = tokens(&dump([(1, 5, high)]), &[]).unwrap();
            assert_eq!(document["scale"]["max"], max, "{high}");
        }
    }
}
