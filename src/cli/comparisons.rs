//! The tables of comparisons and groups on a terminal: a row a pair, what it takes for granted below.

use super::inputs::plural;
use super::table::{aligned, number};
use crate::label::{common_prefix, visible};
use crate::plot::exact;
use crate::stats::contrast::{Between, Contrast, Statistic};
use crate::stats::{Analysis, bootstrap::Resampling};

/// Rows printed before the rest are only counted: all pairs of ten runs.
const MOST_ROWS: usize = 45;

/// Groups, comparisons and what was not compared; empty where there is nothing of it.
pub(super) fn render(analysis: &Analysis) -> String {
    let mut text = String::new();
    if !analysis.groups.is_empty() {
        text.push_str(&groups(analysis));
    }
    if !analysis.comparisons.is_empty() {
        text.push_str(&pairs(&analysis.comparisons, analysis.resampling.as_ref()));
    }
    for note in &analysis.notes {
        text.push_str(&format!("\n{note}\n"));
    }
    text
}

fn groups(analysis: &Analysis) -> String {
    let heads = ["group", "runs", "steps", "mean ± sd", "95 % interval", "IQM"].map(str::to_owned);
    let rows: Vec<Vec<String>> = analysis
        .groups
        .iter()
        .map(|group| {
            let mean = match (group.mean, group.std) {
                (Some(mean), Some(std)) => format!("{} ± {}", number(mean), number(std)),
                (Some(mean), None) => number(mean),
                (None, _) => "–".to_owned(),
            };
            vec![
                visible(&group.name).into_owned(),
                group.runs.len().to_string(),
                group.shared_steps.to_string(),
                mean,
                between(group.low, group.high).unwrap_or("–".to_owned()),
                group.iqm.map_or("–".to_owned(), number),
            ]
        })
        .collect();
    let mut text = format!("\n{}", aligned(&heads, &rows, |_, _, cell| cell.to_owned()));
    text.push_str(
        "steps: those that all runs of a group have; mean ± sd and Student's t interval over runs of each run's mean\n",
    );
    for group in &analysis.groups {
        if let Some(note) = &group.note {
            text.push_str(&format!("  {}: {note}\n", visible(&group.name)));
        }
    }
    text
}

fn pairs(contrasts: &[Contrast], resampling: Option<&Resampling>) -> String {
    let statistics = statistics(contrasts);
    let names: Vec<_> = contrasts.iter().flat_map(|c| [visible(&c.a), visible(&c.b)]).collect();
    let names: Vec<&str> = names.iter().map(AsRef::as_ref).collect();
    let prefix = common_prefix(&names);
    let mut heads = vec!["a − b".to_owned(), "steps".to_owned()];
    for statistic in &statistics {
        heads.push(head(*statistic).to_owned());
        if tested(contrasts, *statistic) {
            heads.push("p (Holm)".to_owned());
        }
    }
    let mut pairs: Vec<Vec<&Contrast>> = Vec::new();
    for contrast in contrasts {
        match pairs.last_mut() {
            Some(pair) if (&pair[0].a, &pair[0].b) == (&contrast.a, &contrast.b) => {
                pair.push(contrast);
            }
            _ => pairs.push(vec![contrast]),
        }
    }
    let row = |pair: &Vec<&Contrast>| {
        let mut cells = vec![name(pair[0], prefix), pair[0].shared_steps.to_string()];
        for statistic in &statistics {
            let contrast = pair.iter().find(|contrast| contrast.statistic == *statistic);
            cells.push(contrast.map_or("–".to_owned(), |contrast| value(contrast)));
            if tested(contrasts, *statistic) {
                let p = contrast.and_then(|contrast| Some((contrast.p?, contrast.p_holm?)));
                cells.push(p.map_or("–".to_owned(), |(p, h)| format!("{} ({})", prob(p), prob(h))));
            }
        }
        cells
    };
    let rows: Vec<Vec<String>> = pairs.iter().take(MOST_ROWS).map(row).collect();
    let mut text = format!("\n{}", aligned(&heads, &rows, |_, _, cell| cell.to_owned()));
    if pairs.len() > MOST_ROWS {
        let more = plural(pairs.len() - MOST_ROWS, "pair", "pairs");
        text.push_str(&format!("and {more} more: --json has all, --baseline LABEL makes fewer\n"));
    }
    text.push_str(&footnotes(contrasts, &statistics, prefix));
    if let Some(Resampling { resamples, seed, level }) = resampling {
        let level = 100.0 * level;
        text.push_str(&format!(
            "in brackets: {level:.0} % intervals; {resamples} resamples, seed {seed}\n"
        ));
    }
    if contrasts[0].between == Between::Runs {
        text.push_str("no p: what other seeds would do, a pair of runs cannot tell; --group compares recipes\n");
    }
    text
}

/// What is taken for granted, and why numbers are missing: each thing once.
fn footnotes(contrasts: &[Contrast], statistics: &[Statistic], prefix: &str) -> String {
    let mut text = String::new();
    let mut methods: Vec<(String, Vec<&str>)> = Vec::new();
    for statistic in statistics {
        let Some(contrast) = contrasts.iter().find(|c| c.statistic == *statistic) else { continue };
        let words = format!("{}; assumes: {}", contrast.method, contrast.assumption);
        match methods.iter_mut().find(|(method, _)| *method == words) {
            Some((_, heads)) => heads.push(head(*statistic)),
            None => methods.push((words, vec![head(*statistic)])),
        }
    }
    for (words, heads) in methods {
        text.push_str(&format!("{}: {words}\n", heads.join(", ")));
    }
    let mut notes: Vec<((Statistic, &str), Vec<&Contrast>)> = Vec::new();
    for contrast in contrasts {
        let Some(note) = &contrast.note else { continue };
        let key = (contrast.statistic, note.as_str());
        match notes.iter_mut().find(|(known, _)| *known == key) {
            Some((_, pairs)) => pairs.push(contrast),
            None => notes.push((key, vec![contrast])),
        }
    }
    for ((statistic, note), pairs) in notes {
        let of = match pairs[..] {
            [pair] => name(pair, prefix),
            _ => plural(pairs.len(), "pair", "pairs"),
        };
        text.push_str(&format!("  {} of {of}: {note}\n", head(statistic)));
    }
    text
}

/// The statistics among the contrasts, in order of appearance.
fn statistics(contrasts: &[Contrast]) -> Vec<Statistic> {
    let mut found = Vec::new();
    for contrast in contrasts {
        if !found.contains(&contrast.statistic) {
            found.push(contrast.statistic);
        }
    }
    found
}

fn tested(contrasts: &[Contrast], statistic: Statistic) -> bool {
    contrasts.iter().any(|contrast| contrast.statistic == statistic && contrast.p.is_some())
}

fn head(statistic: Statistic) -> &'static str {
    match statistic {
        Statistic::MeanDifference => "mean difference",
        Statistic::LateDifference => "last tenth",
        Statistic::AreaRatio => "ratio of areas",
        Statistic::SeparationStep => "apart from step",
        Statistic::MannWhitneyU => "U",
        Statistic::CliffsDelta => "Cliff's delta",
        Statistic::ProbabilityOfImprovement => "P(a > b)",
    }
}

/// `a − b`, without the prefix that all names share.
fn name(contrast: &Contrast, prefix: &str) -> String {
    let short = |name| visible(name)[prefix.len()..].to_owned();
    format!("{} − {}", short(&contrast.a), short(&contrast.b))
}

fn value(contrast: &Contrast) -> String {
    let Some(estimate) = contrast.estimate else { return "–".to_owned() };
    let estimate = match contrast.statistic {
        Statistic::SeparationStep | Statistic::MannWhitneyU => exact(estimate),
        _ => three(estimate),
    };
    match between(contrast.low, contrast.high) {
        Some(interval) => format!("{estimate} {interval}"),
        None => estimate,
    }
}

fn between(low: Option<f64>, high: Option<f64>) -> Option<String> {
    Some(format!("[{}, {}]", three(low?), three(high?)))
}

/// Three decimals, or as many digits where these would say nothing.
fn three(value: f64) -> String {
    match value.abs() {
        0.0 | 1e-2..1e6 => format!("{value:.3}").replace('-', "−"),
        _ => number(value),
    }
}

fn prob(p: f64) -> String {
    if p < 0.001 { "<0.001".to_owned() } else { format!("{p:.3}") }
}
