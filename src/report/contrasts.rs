//! Groups and comparisons as tables of words: a row a group or a pair, what is taken for granted below.
//! The terminal and the summary for a pull request show the same.

use serde::Serialize;

use entropy_history::label::{common_prefix, visible};
use entropy_history::number::{exact, short};
use entropy_history::stats::Analysis;
use entropy_history::stats::bootstrap::Resampling;
use entropy_history::stats::contrast::{Contrast, ContrastUnit, Statistic};

/// Cells below their heads, and what is to be said below them.
#[derive(Debug, Serialize)]
pub struct Table {
    /// One a column.
    pub heads: Vec<String>,
    /// As many cells each as there are heads; the texts are visible, not escaped.
    pub rows: Vec<Vec<String>>,
    /// How many rows were left out, and how to have them.
    pub left_out: Option<String>,
    /// Lines below the rows.
    pub remarks: Vec<String>,
}

/// The groups, if there are any.
pub fn groups(analysis: &Analysis) -> Option<Table> {
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
            between(group.low, group.high).unwrap_or("–".to_owned()),
            group.iqm.map_or("–".to_owned(), three),
        ]
    });
    let rows: Vec<Vec<String>> = rows.collect();
    let mut remarks = vec![
        "steps: those that all runs of a group have; mean ± sd and Student's t interval over its runs, of each run's mean"
            .to_owned(),
    ];
    for group in &analysis.groups {
        let note = group.note.iter();
        remarks.extend(note.map(|note| format!("  {}: {note}", visible(&group.name))));
    }
    let heads = ["group", "runs", "steps", "mean ± sd", "95 % interval", "IQM"].map(str::to_owned);
    (!rows.is_empty()).then(|| Table { heads: heads.to_vec(), rows, left_out: None, remarks })
}

/// The pairs, if there are any: the first `most` of them, the others counted.
pub fn pairs(analysis: &Analysis, most: usize) -> Option<Table> {
    let contrasts = &analysis.comparisons[..];
    let first = contrasts.first()?;
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
    let pairs: Vec<&[Contrast]> = contrasts.chunk_by(|x, y| (&x.a, &x.b) == (&y.a, &y.b)).collect();
    let row = |pair: &&[Contrast]| {
        let mut cells = vec![name(&pair[0], prefix), pair[0].shared_steps.to_string()];
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
    let rows = pairs.iter().take(most).map(row).collect();

    let left_out = (pairs.len() > most).then(|| {
        let more = pairs.len() - most;
        format!("and {more} more pairs: stats --json has all, --baseline LABEL makes fewer")
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
        let why =
            "no p: what other seeds would do, a pair of runs cannot tell; --group compares recipes";
        remarks.push(why.to_owned());
    }
    Some(Table { heads, rows, left_out, remarks })
}

/// How numbers were computed and what is taken for granted: each thing once.
fn methods(contrasts: &[Contrast], statistics: &[Statistic]) -> Vec<String> {
    let mut methods: Vec<(String, Vec<&str>)> = Vec::new();
    for statistic in statistics {
        let Some(contrast) = contrasts.iter().find(|c| c.statistic == *statistic) else { continue };
        let words = format!("{}; assumes: {}", contrast.method, contrast.assumption);
        match methods.iter_mut().find(|(method, _)| *method == words) {
            Some((_, heads)) => heads.push(head(*statistic)),
            None => methods.push((words, vec![head(*statistic)])),
        }
    }
    methods.iter().map(|(words, heads)| format!("{}: {words}", heads.join(", "))).collect()
}

/// Why numbers are missing, or what limits them: each reason once, with the pair or the number of pairs.
fn notes(contrasts: &[Contrast], prefix: &str) -> Vec<String> {
    let mut notes: Vec<((Statistic, &str), Vec<&Contrast>)> = Vec::new();
    for contrast in contrasts {
        let Some(note) = &contrast.note else { continue };
        let key = (contrast.statistic, note.as_str());
        match notes.iter_mut().find(|(known, _)| *known == key) {
            Some((_, pairs)) => pairs.push(contrast),
            None => notes.push((key, vec![contrast])),
        }
    }
    let line = |((statistic, note), pairs): &((Statistic, &str), Vec<&Contrast>)| {
        let of = match pairs[..] {
            [pair] => name(pair, prefix),
            _ => format!("{} pairs", pairs.len()),
        };
        format!("  {} of {of}: {note}", head(*statistic))
    };
    notes.iter().map(line).collect()
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

/// Three decimals or digits, or powers of ten where these would say nothing.
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
