//! Decides which columns are runs, in a table without a known metric.

use crate::entropy_name::is_entropy_like;
use crate::formats::csv::column_role::ColumnRole;
use crate::formats::reader_api::{LogNote, SeriesBuilder};

/// Words that mark the name of a metric, not of a run.
const METRIC_WORDS: [&str; 24] = [
    "loss",
    "reward",
    "lr",
    "learning",
    "kl",
    "grad",
    "time",
    "token",
    "epoch",
    "length",
    "acc",
    "score",
    "clip",
    "fps",
    "value",
    "ratio",
    "mean",
    "std",
    "min",
    "max",
    "count",
    "adv",
    "timestamp",
    "runtime",
];
/// Words that mark a column as the spread of an entropy, not as a run.
const SPREADS: [&str; 12] = [
    "std", "stdev", "stddev", "stderr", "sem", "var", "variance", "min", "max", "sd", "se", "count",
];
/// Notes which columns share a name: the last of them is read.
pub(crate) fn note_repeated_names(
    names: &[String],
    roles: &[ColumnRole],
    builder: &mut SeriesBuilder<'_>,
) {
    for (i, name) in names.iter().enumerate() {
        let ColumnRole::Value(column) = roles[i] else { continue };
        let is_again = |other: &String| other == name;
        let columns = names.iter().filter(|name| is_again(name)).count();
        if columns > 1 && builder.is_selected(column) && names.iter().position(is_again) == Some(i)
        {
            builder.note(LogNote::Odd(format!(
                "{columns} columns are called {name:?}; the last is read"
            )));
        }
    }
}

/// Whether the column is the spread of another one: W&B's `<name>__MIN`, `entropy_std`.
fn is_spread(name: &str, names: &[String]) -> bool {
    if base_of_range(name).is_some_and(|base| names.iter().any(|name| name == base)) {
        return true;
    }
    let name = name.to_lowercase();
    let words: Vec<&str> = name.split(|c: char| !c.is_alphanumeric()).collect();
    match words[..] {
        [first, "entropy"] if SPREADS.contains(&first) => true,
        _ => words.last().is_some_and(|last| SPREADS.contains(last)),
    }
}

/// The name of the column to which a range column of W&B belongs.
pub(crate) fn base_of_range(name: &str) -> Option<&str> {
    ["__MIN", "__MAX", "__STDERR", "__STDDEV"].iter().find_map(|end| name.strip_suffix(end))
}

/// In a W&B table `<run> - <metric>` without a known metric, takes the metric with "entropy" in its
/// name, the shortest of several.
fn unknown_metric_of_runs(
    entropies: &[usize],
    names: &[String],
    roles: &mut [ColumnRole],
    builder: &mut SeriesBuilder<'_>,
) -> bool {
    let parts = entropies.iter().map(|&i| Some((i, names[i].rsplit_once(" - ")?)));
    let Some(parts) = parts.collect::<Option<Vec<_>>>() else { return false };
    let is_entropy = |metric: &&str| metric.to_lowercase().contains("entropy");
    let mut metrics: Vec<&str> =
        parts.iter().map(|(_, (_, metric))| *metric).filter(is_entropy).collect();
    metrics.sort_by_key(|metric| metric.len());
    metrics.dedup();
    let Some((&metric, others)) = metrics.split_first() else { return false };
    for (i, (run, _)) in parts.iter().filter(|(_, (_, of))| *of == metric) {
        roles[*i] =
            builder.column_of_unknown(run, metric).map_or(ColumnRole::Ignored, ColumnRole::Value);
    }
    let others = others.iter().map(|&other| other.to_owned()).collect();
    builder.note(LogNote::UnknownMetric { taken: metric.to_owned(), others });
    true
}

/// In a table without a known metric, takes columns as runs: those with "entropy" in their names, else
/// all, unless one is surely a metric. A single column with "entropy" in its name is a metric.
pub(crate) fn columns_as_runs(
    names: &[String],
    roles: &mut [ColumnRole],
    builder: &mut SeriesBuilder<'_>,
) {
    let free = |i: usize| {
        !names[i].is_empty()
            && !matches!(roles[i], ColumnRole::Step | ColumnRole::Run | ColumnRole::Metric)
    };
    let columns: Vec<usize> = (0..names.len()).filter(|&i| free(i)).collect();
    let lower = |i: usize| names[i].to_lowercase();
    let is_entropy = |i: &usize| is_entropy_like(&names[*i]) && !is_spread(&names[*i], names);
    let entropies: Vec<usize> = columns.iter().copied().filter(is_entropy).collect();
    if !entropies.is_empty() && unknown_metric_of_runs(&entropies, names, roles, builder) {
        return;
    }
    if let [only] = entropies[..] {
        roles[only] =
            builder.column_of_file(&names[only]).map_or(ColumnRole::Ignored, ColumnRole::Value);
        let (taken, others) = (names[only].clone(), Vec::new());
        builder.note(LogNote::UnknownMetric { taken, others });
        return;
    }
    let is_metric = |i: usize| {
        let name = lower(i);
        let mut words = name.split(|c: char| !c.is_alphanumeric());
        name.contains('/') || words.any(|word| METRIC_WORDS.contains(&word))
    };
    let runs = match entropies.is_empty() {
        false => entropies,
        true if columns.iter().any(|&i| is_metric(i)) => return,
        true => columns,
    };
    // A requested reward or clock is not a run.
    let is_aux_role =
        |role: &ColumnRole| matches!(role, ColumnRole::Value(column) if builder.is_aux(*column));
    let runs: Vec<usize> = runs.into_iter().filter(|&i| !is_aux_role(&roles[i])).collect();
    for &i in &runs {
        roles[i] = builder.column_as_run(&names[i]).map_or(ColumnRole::Ignored, ColumnRole::Value);
    }
    if !runs.is_empty() {
        builder.note(LogNote::ColumnsAsRuns(runs.iter().map(|&i| names[i].clone()).collect()));
    }
}
