//! The token sections of a page: the numbers of every step and group, and some of the responses with their tokens.
//!
//! All numbers are aggregates over every token of the dump. Single tokens are a selection, because a browser cannot
//! hold millions: the page has at most [`MAX_STEPS`] steps, [`selection::MAX_RESPONSES`] responses and [`selection::MAX_TOKENS`] tokens, and
//! `left_out` counts the rest. So the size of the document depends on the number of steps and groups, not of tokens.
//!
//! ```text
//! {"schema":2,"unit":"nats","sources":["run.jsonl"],"settings":{"percents":[5,…],"position_width":5,…},
//!  "groupings":[{"key":"outcome","title":"outcome","groups":["right","wrong"],…}],
//!  "steps":[{"source":0,"step":40,"all":{…},"groups":[{…},null],"by":{"outcome":[…]},"covariance":{…},…}],
//!  "kinds":[[22,"7"],…],"responses":[{"step":0,"name":"0","kinds":[0,1],"entropies":[2.4753,0.6425],…}],
//!  "excerpts":[…],"missing":[{"section":"by turn","reason":"no column \"turn\""}],"left_out":{…}}
//! ```

mod groups;
mod numbers;
mod selection;
mod texts;

use serde_json::{Value, json};

use entropy_history::label::visible;
use entropy_tokens::stats::forking::MIN_OCCURRENCES;
use entropy_tokens::{
    Analysis, AnalysisOptions, OutcomeRule, PERCENTS, StepSlices, TOP_SHARE, TokenTable,
    shared_tokens, slices,
};

use groups::Choices;
use numbers::{round_floats, step_value};
use selection::{MAX_STEPS, Selection};
use texts::{KindTable, display_name};

/// The number of colours of the scale.
const LEVELS: usize = 10;
/// The 80th percentile of Qwen3-8B in arXiv 2506.01939.
const REFERENCE: f64 = 0.672;

/// What the document has besides the numbers.
#[derive(Debug, Clone, Copy)]
pub struct TokenPage<'a> {
    /// The options with which the analysis was made.
    pub options: &'a AnalysisOptions,
    /// What `--by` groups by, in words; `None` without it.
    pub by: Option<&'a str>,
    /// Warnings about the dumps.
    pub warnings: &'a [String],
}

/// The document of the token sections; `None` if no response has tokens.
///
/// `analysis` must be that of `table` with `page.options`. A page shows the sections if it has the element
/// `<section id="tokens">`, this document as the text of `<script type="application/json" id="tokens-data">`, and the
/// script and style that [`page`](super::page()) adds for [`PageOptions::tokens`](super::PageOptions::tokens): give the
/// document there, and the sections stand under whatever the page has above them.
pub fn tokens(table: &TokenTable, analysis: &Analysis, page: &TokenPage<'_>) -> Option<Value> {
    if analysis.steps.is_empty() {
        return None;
    }
    let all: Vec<usize> = (0..analysis.steps.len()).collect();
    let shown = selection::evenly_spaced(&all, MAX_STEPS);
    let choices = Choices::of(analysis, &shown, page.by);
    let parts = slices(table, analysis, page.options, &shown, choices.wanted());
    let selection = Selection::of(table, analysis.position_width, &parts);

    let mut kinds = KindTable::default();
    let mut steps: Vec<Value> = shown
        .iter()
        .zip(&parts)
        .map(|(&at, part)| step_value(&analysis.steps[at], part, &choices, &mut kinds))
        .collect();
    for (step, &at) in steps.iter_mut().zip(&shown) {
        // The first step with the same responses may be one that is not shown.
        step["same_responses_as"] = analysis.steps[at]
            .same_responses_as
            .map(|first| json!({"source": analysis.steps[first].source, "step": analysis.steps[first].step}))
            .into();
        round_floats(step);
    }
    let mut shared = json!(shared_tokens(table, page.options, &shown));
    round_floats(&mut shared);
    let responses = selection.response_values(table, &parts, &choices, &mut kinds);
    let excerpts = selection.excerpt_values(table, &parts, &choices, &mut kinds);
    let (response_count, tokens) =
        analysis.steps.iter().fold((0, 0), |(responses, tokens), step| {
            (responses + step.responses, tokens + step.tokens)
        });
    let missing = analysis.missing.iter().map(
        |missing| json!({"section": missing.section.words(), "reason": visible(&missing.reason)}),
    );
    let mut names = json!(table.names());
    texts::make_visible(&mut names);
    Some(json!({
        "schema": 2,
        "unit": "nats",
        "sources": table.sources().iter().map(|source| display_name(source)).collect::<Vec<_>>(),
        "odd": page.warnings.iter().map(|warning| visible(warning)).collect::<Vec<_>>(),
        "columns": names,
        "settings": {
            "percents": PERCENTS,
            "thresholds": page.options.thresholds,
            "top": TOP_SHARE,
            "occurrences": MIN_OCCURRENCES,
            "reference": REFERENCE,
            "reference_of": "Qwen3-8B, arXiv 2506.01939",
            "position_width": analysis.position_width,
            "histogram_max": analysis.histogram_max,
            "outcome": analysis.outcome.map(OutcomeRule::words),
            "rounded": table.is_rounded(),
            "clusters": clusters(analysis, &shown),
        },
        "scale": {"max": scale_max(&parts), "levels": LEVELS},
        "groupings": choices.value(),
        "steps": steps,
        "overlaps": overlaps(analysis, &shown),
        "shared": shared,
        "kinds": kinds.value(),
        "responses": responses,
        "excerpts": excerpts,
        "missing": missing.collect::<Vec<Value>>(),
        "totals": {"steps": analysis.steps.len(), "responses": response_count, "tokens": tokens},
        "left_out": {
            "steps": analysis.steps.len() - shown.len(),
            "responses": response_count - selection.responses(),
            "tokens": tokens - selection.tokens() as u64,
            "shortened": selection.shortened(),
        },
    }))
}

/// What the intervals are over: prompts, responses, or both, in words.
fn clusters(analysis: &Analysis, shown: &[usize]) -> String {
    let mut words: Vec<&str> =
        shown.iter().map(|&at| analysis.steps[at].clusters.of.words()).collect();
    words.sort_unstable();
    words.dedup();
    words.join(" or ")
}

/// The forking tokens that two shown steps share; the indices are those of the shown steps.
fn overlaps(analysis: &Analysis, shown: &[usize]) -> Vec<Value> {
    let place = |at: usize| shown.iter().position(|&shown| shown == at);
    let value = |pair: &entropy_tokens::StepOverlap| {
        let overlap = pair.overlap;
        Some(json!({
            "a": place(pair.a)?, "b": place(pair.b)?,
            "shared": overlap.shared, "either": overlap.either, "jaccard": overlap.jaccard,
        }))
    };
    analysis.overlaps.iter().filter_map(value).collect()
}

/// The end of the colour scale: the 99th percentile of the step with the most entropy, rounded up. Without this
/// limit, a few tokens with very high entropy would make all others pale.
fn scale_max(parts: &[StepSlices]) -> f64 {
    let high = parts.iter().filter_map(|part| part.percentiles.get(99)).fold(0.0, |a, b| b.max(a));
    if high <= 0.0 {
        return 1.0;
    }
    let unit = 10f64.powf(high.log10().floor());
    let steps = [1.0, 1.2, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0];
    let step = steps.into_iter().find(|step| step * unit >= high).unwrap_or(10.0);
    // Without the rounding error of a product with a negative power.
    if unit >= 1.0 { step * unit } else { step / (1.0 / unit).round() }
}

#[cfg(test)]
mod document_tests;
#[cfg(test)]
mod tests;
