//! What runs are called: by the user, by the log, by the file. A curve is never mislabelled.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::anyhow;

use super::failure::{Failure, WithHint};
use super::inputs::plural;
use crate::discover::{self, Input};

/// What one curve of a log is called, as far as the log tells.
pub(super) struct Name<'a> {
    /// The log that it is in.
    pub(super) input: &'a Input,
    /// The name of its run, if the log has one.
    pub(super) run: Option<&'a str>,
    /// The key of its series.
    pub(super) metric: &'a str,
}

/// The labels of `--labels` that stand for curves, where they are more than the logs.
pub(super) struct Labels<'a> {
    of_curves: &'a [String],
}

impl<'a> Labels<'a> {
    /// No `--labels`.
    pub(super) fn none() -> Labels<'a> {
        Labels { of_curves: &[] }
    }

    /// Gives each log its label of `--labels`. Where there are more labels than logs, the logs may
    /// hold as many curves: that is known once they are read.
    pub(super) fn new(labels: &'a [String], inputs: &mut [Input]) -> Result<Labels<'a>, Failure> {
        if labels.len() > inputs.len() {
            return Ok(Labels { of_curves: labels });
        }
        if !labels.is_empty() && labels.len() < inputs.len() {
            let logs: Vec<String> = inputs.iter().map(Input::name).collect();
            return Err(mismatch(labels, &logs, "file", "files"));
        }
        for (input, label) in inputs.iter_mut().zip(labels) {
            if let Some(other) = &input.label {
                return Err(anyhow!("{} is called both {other:?} and {label:?}", input.name()))
                    .hint("use LABEL=INPUT or --labels, not both");
            }
            input.label = Some(label.clone());
        }
        Ok(Labels::none())
    }

    /// One label a curve, all distinct.
    pub(super) fn of(&self, curves: &[Name<'_>]) -> Result<Vec<String>, Failure> {
        let labels = match self.of_curves {
            [] => names(curves),
            labels if labels.len() == curves.len() => labels.to_vec(),
            labels => {
                let logs = curves.iter().map(|curve| match curve.run {
                    Some(run) => format!("{} ({run}, {})", curve.input.name(), curve.metric),
                    None => curve.input.name(),
                });
                return Err(mismatch(labels, &logs.collect::<Vec<_>>(), "curve", "curves"));
            }
        };
        refuse_equal(curves, &labels)?;
        Ok(labels)
    }
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
fn names(curves: &[Name<'_>]) -> Vec<String> {
    let names = curves.iter().map(|curve| {
        let log = || curves.iter().filter(|other| std::ptr::eq(other.input, curve.input));
        let several_runs = log().any(|other| other.run != curve.run);
        let several_metrics =
            log().any(|other| other.metric != curve.metric && other.run == curve.run);
        let mut name = match (&curve.input.label, curve.run) {
            (Some(label), Some(run)) if several_runs => format!("{label}/{run}"),
            (Some(label), _) => label.clone(),
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
    discover::distinct(names.collect(), &inputs)
}

fn refuse_equal(curves: &[Name<'_>], labels: &[String]) -> Result<(), Failure> {
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    for (i, label) in labels.iter().enumerate() {
        let Some(first) = seen.insert(label, i) else { continue };
        let (a, b) = (curves[first].input, curves[i].input);
        if a.segments == b.segments && b.label.is_none() {
            return Err(anyhow!("{} is given twice", a.name())).hint("name each log once");
        }
        return Err(anyhow!("two runs are called {label:?}: {} and {}", a.name(), b.name()))
            .hint("give each run a label of its own");
    }
    Ok(())
}
