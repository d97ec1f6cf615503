//! Groups and comparisons as tables of text, with one row per group or pair and the assumptions below.
//! The terminal, the page and the summary for a pull request show these tables.

use serde::Serialize;

use entropy_history::label::{common_prefix, visible};
use entropy_history::number::{exact, short};
use entropy_history::stats::Analysis;
use entropy_history::stats::bootstrap::Resampling;
use entropy_history::stats::contrast::{Contrast, ContrastUnit, Statistic};

/// A table whose cells are text.
#[derive(Debug, Serialize)]
pub struct TextTable {
    /// The column headings.
    pub heads: Vec<String>,
    /// The rows, each with one cell per heading; control characters are made visible, markup is not escaped.
    pub rows: Vec<Vec<String>>,
    /// How many rows are omitted and how to get them; `None` if all are shown.
    pub left_out: Option<String>,
    /// Explanations below the table.
    pub remarks: Vec<String>,
}

/// The table of groups; `None` if there are no groups.
pub fn group_table(analysis: &Analysis) -> Option<TextTable> {
    let rows = analysis.groups.iter().map(|group| {
        let mean = match (group.mean, group.std) {
            (Some(mean), Some(std)) => format!("{} ± {}", three(mean), three(std)),
            (mean, _) => mean.map_or("–".to_owned(), three),
        };
        vec![
            visible(&group.name).into_owned(),
            group.runs.len().to_string(),
            group.shared_steps.to_string(),
            mean,
            interval(group.low, group.high).unwrap_or("–".to_owned()),
            group.iqm.map_or("–".to_owned(), three),
        ]
    });
    let rows: Vec<Vec<String>> = rows.collect();
    let mut remarks = vec![
        "steps: shared by all runs of a group; mean ± sd and Student's t interval: over the means of its runs"
            .to_owned(),
    ];
    for group in &analysis.groups {
        let note = group.note.iter();
        remarks.extend(note.map(|note| format!("  {}: {note}", visible(&group.name))));
    }
    let heads = ["group", "runs", "steps", "mean ± sd", "95 % interval", "IQM"].map(str::to_owned);
    (!rows.is_empty()).then(|| TextTable { heads: heads.to_vec(), rows, left_out: None, remarks })
}

/// The table of compared pairs, with at most `limit` rows; `None` without comparisons.
pub fn pair_table(analysis: &Analysis, limit: usize) -> Option<TextTable> {
    let contrasts = &analysis.comparisons[..];
    let first = contrasts.first()?;
    let by_statistic = grouped(contrasts.iter().map(|contrast| (contrast.statistic, ())));
    let statistics: Vec<Statistic> = by_statistic.into_iter().map(|(found, _)| found).collect();
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
    let pairs: Vec<&[Contrast]> = contrasts.chunk_by(|x, y| (&x.a, &x.b) == (&y.a, &y.b)).collect();
    let row = |pair: &&[Contrast]| {
        let mut cells = vec![pair_name(&pair[0], prefix), pair[0].shared_steps.to_string()];
        for statistic in &statistics {
            let contrast = pair.iter().find(|contrast| contrast.statistic == *statistic);
            cells.push(contrast.map_or("–".to_owned(), value));
            if tested(contrasts, *statistic) {
                let p = contrast.and_then(|contrast| Some((contrast.p?, contrast.p_holm?)));
                cells.push(p.map_or("–".to_owned(), |(p, h)| format!("{} ({})", prob(p), prob(h))));
            }
        }
        cells
    };
    let rows = pairs.iter().take(limit).map(row).collect();

    let left_out = (pairs.len() > limit).then(|| {
        let more = pairs.len() - limit;
        format!("and {more} more pairs: stats --json lists all, --baseline LABEL compares fewer")
    });
    let mut remarks = methods(contrasts, &statistics);
    remarks.extend(notes(contrasts, prefix));
    if let Some(Resampling { resamples, seed, level }) = analysis.resampling {
        let level = 100.0 * level;
        remarks.push(format!(
            "in brackets: {level:.0} % intervals; {resamples} resamples, seed {seed}"
        ));
    }
    if first.between == ContrastUnit::Runs {
        let why = "No p-value: two single runs say nothing about other seeds. \
                   Use --group with several seeds per recipe.";
        remarks.push(why.to_owned());
    }
    Some(TextTable { heads, rows, left_out, remarks })
}

/// How the numbers were computed and under which assumptions; equal explanations are merged.
fn methods(contrasts: &[Contrast], statistics: &[Statistic]) -> Vec<String> {
    let explained = statistics.iter().filter_map(|statistic| {
        let contrast = contrasts.iter().find(|c| c.statistic == *statistic)?;
        let words = format!("{}; assumes: {}", contrast.method, contrast.assumption);
        Some((words, head(*statistic)))
    });
    let methods = grouped(explained);
    methods.iter().map(|(words, heads)| format!("{}: {words}", heads.join(", "))).collect()
}

/// Reasons why numbers are missing or limited; equal reasons are merged, with the number of pairs.
fn notes(contrasts: &[Contrast], prefix: &str) -> Vec<String> {
    let noted = contrasts
        .iter()
        .filter_map(|contrast| Some(((contrast.statistic, contrast.note.as_deref()?), contrast)));
    let line = |((statistic, note), pairs): ((Statistic, &str), Vec<&Contrast>)| {
        let of = match pairs[..] {
            [pair] => pair_name(pair, prefix),
            _ => format!("{} pairs", pairs.len()),
        };
        format!("  {} of {of}: {note}", head(statistic))
    };
    grouped(noted).into_iter().map(line).collect()
}

/// Collects the values of equal keys, in order of first appearance.
fn grouped<K: PartialEq, V>(items: impl Iterator<Item = (K, V)>) -> Vec<(K, Vec<V>)> {
    let mut groups: Vec<(K, Vec<V>)> = Vec::new();
    for (key, value) in items {
        match groups.iter_mut().find(|(known, _)| *known == key) {
            Some((_, values)) => values.push(value),
            None => groups.push((key, vec![value])),
        }
    }
    groups
}

fn tested(contrasts: &[Contrast], statistic: Statistic) -> bool {
    contrasts.iter().any(|contrast| contrast.statistic == statistic && contrast.p.is_some())
}

fn head(statistic: Statistic) -> &'static str {
    match statistic {
        Statistic::MeanDifference => "mean difference",
        Statistic::LateDifference => "last tenth",
        Statistic::AreaRatio => "ratio of areas",
        Statistic::SeparationStep => "separated since step",
        Statistic::MannWhitneyU => "U",
        Statistic::CliffsDelta => "Cliff's delta",
        Statistic::ProbabilityOfImprovement => "P(a > b)",
    }
}

/// The name of a pair, `a − b`, without the common prefix of all names.
fn pair_name(contrast: &Contrast, prefix: &str) -> String {
    let short = |name| visible(name)[prefix.len()..].to_owned();
    format!("{} − {}", short(&contrast.a), short(&contrast.b))
}

fn value(contrast: &Contrast) -> String {
    let Some(estimate) = contrast.estimate else { return "–".to_owned() };
    let estimate = match contrast.statistic {
        Statistic::SeparationStep | Statistic::MannWhitneyU => exact(estimate),
        _ => three(estimate),
    };
    match interval(contrast.low, contrast.high) {
        Some(interval) => format!("{estimate} {interval}"),
        None => estimate,
    }
}

fn interval(low: Option<f64>, high: Option<f64>) -> Option<String> {
    Some(format!("[{}, {}]", three(low?), three(high?)))
}

/// Three decimals, three digits for small values, or scientific notation for very small and large ones.
fn three(value: f64) -> String {
    match value.abs() {
        0.0 | 0.1..1e6 => format!("{value:.3}").replace('-', "−"),
        1e-4..0.1 => short(value),
        _ => format!("{value:.3e}").replace('-', "−"),
    }
}

fn prob(p: f64) -> String {
    if p < 0.001 { "<0.001".to_owned() } else { format!("{p:.3}") }
}
