//! What runs are called: by the user, by the log, by the file. A curve is never mislabelled.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::anyhow;

use entropy_history::discover::{self, Input, Origin};
use entropy_shell::plural;
use entropy_shell::{Failure, WithHint};

/// What one curve of a log is called, as far as the log tells.
pub(super) struct Name<'a> {
    /// The log that it is in.
    pub(super) input: &'a Input,
    /// The name of its run, if the log has one.
    pub(super) run: Option<&'a str>,
    /// The key of its series.
    pub(super) metric: &'a str,
}

/// The labels of `--labels` that are not given to logs yet: which files are logs, and how many curves
/// they hold, may be known only once they are read.
pub(super) struct Labels<'a> {
    pending: &'a [String],
}

impl<'a> Labels<'a> {
    /// No `--labels`.
    pub(super) fn none() -> Labels<'a> {
        Labels { pending: &[] }
    }

    /// Gives each log its label of `--labels`, if there are as many and all of them are surely logs.
    pub(super) fn new(labels: &'a [String], inputs: &mut [Input]) -> Result<Labels<'a>, Failure> {
        if labels.is_empty() {
            return Ok(Labels::none());
        }
        if let Some(place) = labels.iter().position(|label| label.trim().is_empty()) {
            return Err(anyhow!("label {} of --labels is empty", place + 1))
                .hint("give each run a label that can be seen");
        }
        let scanned = inputs.iter().any(|input| input.origin == Origin::Scanned);
        if scanned || labels.len() > inputs.len() {
            return Ok(Labels { pending: labels });
        }
        if labels.len() < inputs.len() {
            let logs: Vec<String> = inputs.iter().map(Input::name).collect();
            return Err(mismatch(labels, &logs, "file", "files"));
        }
        for (input, label) in inputs.iter_mut().zip(labels) {
            refuse_two(input, label)?;
            input.label = Some(label.clone());
        }
        Ok(Labels::none())
    }

    /// One label a curve, all distinct: `--labels` has one a curve, or one a log. `unread` logs are
    /// not among the curves.
    pub(super) fn of(&self, curves: &[Name<'_>], unread: usize) -> Result<Vec<String>, Failure> {
        let mut logs: Vec<&Input> = curves.iter().map(|curve| curve.input).collect();
        logs.dedup_by(|a, b| std::ptr::eq(*a, *b));
        let labels = match self.pending {
            [] => names(curves, |input| input.label.as_deref()),
            labels if labels.len() == curves.len() && unread == 0 => {
                for (curve, label) in curves.iter().zip(labels) {
                    refuse_two(curve.input, label)?;
                }
                labels.to_vec()
            }
            labels if labels.len() == logs.len() && unread == 0 => {
                for (log, label) in logs.iter().zip(labels) {
                    refuse_two(log, label)?;
                }
                names(curves, |input| {
                    let log = logs.iter().position(|log| std::ptr::eq(*log, input))?;
                    Some(labels[log].as_str())
                })
            }
            labels => {
                let names = curves.iter().map(|curve| match curve.run {
                    Some(run) => format!("{} ({run}, {})", curve.input.name(), curve.metric),
                    None => curve.input.name(),
                });
                let names: Vec<String> = names.collect();
                return Err(mismatch(labels, &names, "curve", "curves"));
            }
        };
        refuse_equal(curves, &labels)?;
        Ok(labels)
    }
}

fn refuse_two(input: &Input, label: &str) -> Result<(), Failure> {
    let Some(other) = &input.label else { return Ok(()) };
    Err(anyhow!("{} is called both {other:?} and {label:?}", input.name()))
        .hint("use LABEL=INPUT or --labels, not both")
}

fn mismatch(labels: &[String], logs: &[String], one: &str, many: &str) -> Failure {
    let numbered = logs.iter().enumerate().map(|(i, log)| format!("\n  {}. {log}", i + 1));
    let error = anyhow!(
        "cannot name the runs: {} for {}:{}",
        plural(labels.len(), "label", "labels"),
        plural(logs.len(), one, many),
        numbered.collect::<String>()
    );
    let swallowed = labels.iter().any(|label| Path::new(label).exists());
    let hint = if swallowed {
        "--labels took file names too: put the files first".to_owned()
    } else {
        format!("give one label a {one}, in this order")
    };
    Failure { error, hint: Some(hint) }
}

/// Names that tell the curves apart: the user's, else the log's, else the file's; with the metric or
/// the run behind it where a log holds several, and directories in front where that is not enough.
fn names<'a>(curves: &[Name<'a>], given: impl Fn(&'a Input) -> Option<&'a str>) -> Vec<String> {
    let names = curves.iter().map(|curve| {
        let log = || curves.iter().filter(|other| std::ptr::eq(other.input, curve.input));
        let several_runs = log().any(|other| other.run != curve.run);
        let several_metrics =
            log().any(|other| other.metric != curve.metric && other.run == curve.run);
        let mut name = match (given(curve.input), curve.run) {
            (Some(label), Some(run)) if several_runs => format!("{label}/{run}"),
            (Some(label), _) => label.to_owned(),
            // A part of a log whose first run has no name, as a second training in a console log.
            (None, Some(run)) if log().any(|other| other.run.is_none()) => {
                format!("{}/{run}", discover::default_label(curve.input))
            }
            (None, Some(run)) => run.to_owned(),
            (None, None) => discover::default_label(curve.input),
        };
        if several_metrics {
            name = format!("{name} · {}", curve.metric);
        }
        name
    });
    let inputs: Vec<&Input> = curves.iter().map(|curve| curve.input).collect();
    let is_given = |i: usize| given(inputs[i]).is_some();
    discover::distinct(names.collect(), &inputs, is_given)
}

fn refuse_equal(curves: &[Name<'_>], labels: &[String]) -> Result<(), Failure> {
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    for (i, label) in labels.iter().enumerate() {
        let Some(first) = seen.insert(label, i) else { continue };
        let (a, b) = (curves[first].input, curves[i].input);
        if a.segments == b.segments {
            return Err(anyhow!("{} is given twice", a.name())).hint("name each log once");
        }
        return Err(anyhow!("two runs are called {label:?}: {} and {}", a.name(), b.name()))
            .hint("give each run a label of its own");
    }
    Ok(())
}
