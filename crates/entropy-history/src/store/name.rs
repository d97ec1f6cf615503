//! Labels of runs: from the user, from the log, from the file name. A wrong label is worse than an
//! error, so labels that fit neither the logs nor the runs are refused.

use std::collections::BTreeMap;
use std::path::Path;

use regex::Regex;

use super::error::LoadError;
use super::load::UnlabelledRun;
use crate::discover::{self, Input, Location, Origin};
use crate::run_config::ConfigKeys;

/// What the label of one run is made from.
pub(super) struct RunName<'a> {
    /// The log that the run is in.
    pub(super) input: &'a Input,
    /// The name of the run, if the log has one.
    pub(super) run: Option<&'a str>,
    /// The key of its series.
    pub(super) metric: &'a str,
}

impl<'a> RunName<'a> {
    /// What the label of a run of this log is made from.
    pub(super) fn new(input: &'a Input, run: &'a UnlabelledRun) -> RunName<'a> {
        RunName { input, run: run.name.as_deref(), metric: &run.run.metric }
    }
}

/// What the labels of runs without a given one are made from.
pub(super) enum LabelSource<'a> {
    /// The names that logs and files have.
    Names,
    /// The absolute paths of the logs.
    Path(&'a Regex),
    /// The configuration of each run; no label for one that lacks a key.
    Config { keys: &'a ConfigKeys, labels: Vec<Option<String>> },
}

/// Given labels that are not assigned to logs yet: which files are logs, and how many runs they hold,
/// may be known only once they are read.
pub(super) struct GivenLabels<'a> {
    pending: &'a [String],
}

impl<'a> GivenLabels<'a> {
    /// No given labels.
    pub(super) fn none() -> GivenLabels<'a> {
        GivenLabels { pending: &[] }
    }

    /// Gives each log its label, if there are as many labels as logs and each input is certainly a log.
    ///
    /// # Errors
    /// When a label is empty, a log has two labels, or labels are missing.
    pub(super) fn assign(
        labels: &'a [String],
        inputs: &mut [Input],
    ) -> Result<GivenLabels<'a>, LoadError> {
        if let Some(at) = labels.iter().position(|label| label.trim().is_empty()) {
            return Err(LoadError::EmptyLabel(at + 1));
        }
        let is_scanned = inputs.iter().any(|input| input.origin == Origin::Scanned);
        if labels.is_empty() || is_scanned || labels.len() > inputs.len() {
            return Ok(GivenLabels { pending: labels });
        }
        if labels.len() < inputs.len() {
            let items = inputs.iter().map(Input::name).collect();
            return Err(LoadError::LabelCount { labels: labels.to_vec(), items, unit: "file" });
        }
        for (input, label) in inputs.iter_mut().zip(labels) {
            refuse_second_label(input, label)?;
            input.label = Some(label.clone());
        }
        Ok(GivenLabels::none())
    }

    /// One label per run, all distinct: given labels must be one per run or one per log. `unread` logs
    /// have no run here.
    ///
    /// # Errors
    /// When the number of given labels does not fit, no label can be made for a run, or two runs have one label.
    pub(super) fn label(
        &self,
        runs: &[RunName<'_>],
        unread: usize,
        source: &LabelSource<'_>,
    ) -> Result<Vec<String>, LoadError> {
        let mut logs: Vec<&Input> = runs.iter().map(|run| run.input).collect();
        logs.dedup_by(|a, b| std::ptr::eq(*a, *b));
        let given = self.pending;
        let labels = if given.is_empty() {
            made_labels(runs, &logs, source)?
        } else if given.len() == runs.len() && unread == 0 {
            for (run, label) in runs.iter().zip(given) {
                refuse_second_label(run.input, label)?;
            }
            given.to_vec()
        } else if given.len() == logs.len() && unread == 0 {
            for (log, label) in logs.iter().zip(given) {
                refuse_second_label(log, label)?;
            }
            default_labels(runs, |input| {
                let log = logs.iter().position(|log| std::ptr::eq(*log, input))?;
                Some(given[log].as_str())
            })
        } else {
            let items = runs.iter().map(|run| match run.run {
                Some(name) => format!("{} ({name}, {})", run.input.name(), run.metric),
                None => run.input.name(),
            });
            let (labels, items) = (given.to_vec(), items.collect());
            return Err(LoadError::LabelCount { labels, items, unit: "run" });
        };
        let pattern = match source {
            LabelSource::Names => None,
            LabelSource::Path(pattern) => Some(pattern.to_string()),
            LabelSource::Config { keys, .. } => Some(keys.to_string()),
        };
        match (refuse_equal(runs, &labels), pattern) {
            (Err(LoadError::SameLabel { label, first, second }), Some(pattern)) => {
                Err(LoadError::SameLabelFrom { pattern, label, first, second })
            }
            (result, _) => result.map(|()| labels),
        }
    }

    /// Which series each given label names, if a log has several: their order is not visible in the log. `None`
    /// where every log has one series, or the labels name logs.
    pub(super) fn assignment(&self, runs: &[RunName<'_>]) -> Option<String> {
        let is_per_run = self.pending.len() == runs.len();
        let same_log = |pair: &[RunName<'_>]| std::ptr::eq(pair[0].input, pair[1].input);
        if !is_per_run || !runs.windows(2).any(same_log) {
            return None;
        }
        let is_one_log = runs.windows(2).all(same_log);
        let pairs = self.pending.iter().zip(runs).map(|(label, run)| {
            let log = (!is_one_log).then(|| run.input.name());
            let of = [log.as_deref(), run.run, Some(run.metric)];
            format!("{label}: {}", of.into_iter().flatten().collect::<Vec<_>>().join(", "))
        });
        Some(format!("labels are given to {}", pairs.collect::<Vec<_>>().join("; ")))
    }
}

fn refuse_second_label(input: &Input, label: &str) -> Result<(), LoadError> {
    let Some(first) = input.label.clone() else { return Ok(()) };
    Err(LoadError::TwoLabels { log: input.name(), first, second: label.to_owned() })
}

/// The labels of runs of which no list was given.
///
/// # Errors
/// When no label can be made for a run.
fn made_labels(
    runs: &[RunName<'_>],
    logs: &[&Input],
    source: &LabelSource<'_>,
) -> Result<Vec<String>, LoadError> {
    Ok(match source {
        LabelSource::Names => default_labels(runs, |input| input.label.as_deref()),
        LabelSource::Path(pattern) => {
            let made = labels_from(pattern, logs)?;
            let made = |input| made.get(&std::ptr::from_ref(input)).map(String::as_str);
            default_labels(runs, |input: &Input| input.label.as_deref().or(made(input)))
        }
        LabelSource::Config { keys, labels } => {
            let named = default_labels(runs, |input| input.label.as_deref());
            let runs = runs.iter().zip(labels).zip(named).map(|((run, made), named)| {
                if run.input.label.is_some() {
                    return Ok(named);
                }
                let Some(label) = made else {
                    let name = run.run.map_or(String::new(), |name| format!(" ({name})"));
                    let run = format!("{}{name}", run.input.name());
                    return Err(LoadError::LabelFromConfig { keys: keys.to_string(), run });
                };
                Ok(match has_several_metrics(runs, run) {
                    true => format!("{label} · {}", run.metric),
                    false => label.clone(),
                })
            });
            runs.collect::<Result<_, _>>()?
        }
    })
}

/// Whether several series of the run are shown.
fn has_several_metrics(runs: &[RunName<'_>], run: &RunName<'_>) -> bool {
    runs.iter().any(|other| {
        std::ptr::eq(other.input, run.input) && other.run == run.run && other.metric != run.metric
    })
}

/// The labels of logs without one, made from their absolute paths.
///
/// # Errors
/// When the pattern does not match a path, or its match is empty.
fn labels_from(
    pattern: &Regex,
    logs: &[&Input],
) -> Result<BTreeMap<*const Input, String>, LoadError> {
    let mut labels = BTreeMap::new();
    for log in logs.iter().filter(|log| log.label.is_none()) {
        let path = log.segments.first().and_then(Location::absolute);
        let path = path.map_or_else(|| log.name(), |path| path.to_string_lossy().into_owned());
        let Some(label) = label_from(pattern, &path) else {
            return Err(LoadError::LabelFrom { pattern: pattern.to_string(), path });
        };
        labels.insert(std::ptr::from_ref(*log), label);
    }
    Ok(labels)
}

/// The capture groups of the first match, joined with `_`; the whole match of a pattern without groups.
fn label_from(pattern: &Regex, path: &str) -> Option<String> {
    let found = pattern.captures(path)?;
    let groups: Vec<&str> =
        found.iter().skip(1).flatten().map(|g| g.as_str()).filter(|g| !g.is_empty()).collect();
    let label = if found.len() > 1 { groups.join("_") } else { found[0].to_owned() };
    Some(label).filter(|label| !label.trim().is_empty())
}

/// Labels that tell the runs apart: the user's, else the log's, else the file's; with the metric or the
/// run appended where a log holds several, and directories prepended where that is not enough.
fn default_labels<'a, 'l>(
    runs: &[RunName<'a>],
    given: impl Fn(&'a Input) -> Option<&'l str>,
) -> Vec<String> {
    let mut of_log: BTreeMap<*const Input, Vec<&RunName<'a>>> = BTreeMap::new();
    for run in runs {
        of_log.entry(std::ptr::from_ref(run.input)).or_default().push(run);
    }
    let names = runs.iter().map(|run| {
        let same_log = || of_log[&std::ptr::from_ref(run.input)].iter();
        let several_runs = same_log().any(|other| other.run != run.run);
        let mut name = match (given(run.input), run.run) {
            (Some(label), Some(name)) if several_runs => format!("{label}/{name}"),
            (Some(label), _) => label.to_owned(),
            // A log whose first run has no name, such as a console log with a second training.
            (None, Some(name)) if same_log().any(|other| other.run.is_none()) => {
                format!("{}/{name}", discover::default_label(run.input))
            }
            (None, Some(name)) => name.to_owned(),
            (None, None) => discover::default_label(run.input),
        };
        if has_several_metrics(runs, run) {
            name = format!("{name} · {}", run.metric);
        }
        name
    });
    let inputs: Vec<&Input> = runs.iter().map(|run| run.input).collect();
    let is_given = |i: usize| given(inputs[i]).is_some();
    let mut labels = discover::distinct(names.collect(), &inputs, is_given);
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    for (i, label) in labels.iter_mut().enumerate() {
        let first = *seen.entry(label.clone()).or_insert(i);
        if first == i || is_given(i) || inputs[first].segments == inputs[i].segments {
            continue; // equal names that were given are refused, and so is a log that was given twice
        }
        let file = inputs[i].segments.last().map(Location::name).unwrap_or_default();
        let file = Path::new(&file).file_name().unwrap_or_default().to_string_lossy();
        let more = (1..).map(|n| match n {
            1 => format!("{label} ({file})"),
            n => format!("{label} ({file}, {n})"),
        });
        let distinct = more.into_iter().find(|label| !seen.contains_key(label));
        *label = distinct.expect("BUG: one of the numbered labels is free");
        seen.insert(label.clone(), i);
    }
    labels
}

fn refuse_equal(runs: &[RunName<'_>], labels: &[String]) -> Result<(), LoadError> {
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    for (i, label) in labels.iter().enumerate() {
        let Some(first) = seen.insert(label, i) else { continue };
        let (first, second) = (runs[first].input, runs[i].input);
        if first.segments == second.segments {
            return Err(LoadError::GivenTwice(first.name()));
        }
        let (label, first, second) = (label.clone(), first.name(), second.name());
        return Err(LoadError::SameLabel { label, first, second });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_of_a_pattern_make_the_label() {
        let label = |pattern: &str| {
            label_from(&Regex::new(pattern).unwrap(), "/data/grpo/seed_3/metrics.jsonl")
        };
        assert_eq!(label("data/([^/]+)/seed_([0-9]+)").as_deref(), Some("grpo_3"));
        assert_eq!(label("seed_[0-9]+").as_deref(), Some("seed_3"));
        assert_eq!(label("(ppo)?/(seed_[0-9])").as_deref(), Some("seed_3"));
        assert_eq!(label("x"), None);
        assert_eq!(label("x*"), None, "a match of the empty string gives no label");
    }
}
