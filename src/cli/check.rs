//! `entropy-viz check`: a CI gate. Exit code 1 if a run collapsed, exploded or broke a limit.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::anyhow;
use clap::{Args, ValueEnum};
use serde::{Deserialize, Serialize};

use super::args::list;
use super::args::values::fraction;
use super::args::{BoundArgs, HealthArgs, JsonArgs, to_json};
use super::inputs::InputArgs;
use super::states::warn_about_states;
use super::target::Target;
use crate::report;
use entropy_history::history::Comparison;
use entropy_history::label::visible;
use entropy_history::stats::check::{self, BaselineRun, MeanCoverage, Rules, Verdict};
use entropy_history::stats::health::State;
use entropy_history::stats::{Analysis, StepRange, analyse};
use entropy_shell::{CliError, Outcome, Terminal, WithHint, io_message, plural};

const EXAMPLES: &str = "\
Examples:
  entropy-viz check \"$STORAGE_PATH/models\"
  entropy-viz check runs/ --min-entropy 0.3 --max-drop 60% --junit junit.xml
  entropy-viz check run.jsonl --preset rlwatch
  entropy-viz check run.jsonl --rules bounds --min-entropy 0.1
  entropy-viz check runs/ --no-worse-than main/stats.json --tolerance 15%

Exit code 0: all rules hold; 1: a rule is broken; 2: some input could not be read.";

#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(super) struct CheckArgs {
    #[command(flatten)]
    inputs: InputArgs,
    #[command(flatten)]
    json: JsonArgs,
    /// JUnit file to write, one test case per run and rule; - for stdout.
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    #[command(flatten)]
    rules: RuleArgs,
    #[command(flatten)]
    health: HealthArgs,
}

/// The rules, and what they need.
#[derive(Debug, Args)]
#[command(next_help_heading = "Rules")]
pub(super) struct RuleArgs {
    /// Rules to check [default: collapse, explode, and the rules whose limit or baseline you give].
    ///
    /// `--rules bounds` checks only the limits given.
    #[arg(long, value_enum, value_name = "LIST", value_delimiter = ',')]
    rules: Vec<RuleName>,
    #[command(flatten)]
    bounds: BoundArgs,
    /// Baseline stats.json: fail if a run got worse.
    ///
    /// Fails if a run with the same label collapsed or exploded and its baseline did not, or if its mean is lower by
    /// more than --tolerance; add --rules baseline to check only this. Make the file with `stats --json` or `auto --artifacts`.
    #[arg(long, value_name = "FILE")]
    no_worse_than: Option<PathBuf>,
    /// Largest allowed drop of the mean below that of the baseline.
    #[arg(long, value_name = "FRACTION", default_value = "10%", value_parser = fraction, requires = "no_worse_than")]
    tolerance: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum RuleName {
    /// The run did not collapse: its level stayed above 25 % of its start.
    Collapse,
    /// The run did not explode: its level stayed below 200 % of its start.
    #[value(alias = "explosion")]
    Explode,
    /// The entropy is not falling towards a collapse.
    Falling,
    /// The limits of --preset, --min-entropy, --max-entropy and --max-drop.
    Bounds,
    /// The run is no worse than that of --no-worse-than.
    Baseline,
}

/// The JSON document of `check --json`.
#[derive(Serialize)]
struct CheckDocument<'a> {
    schema: u32,
    unit: &'static str,
    passed: bool,
    checks: &'a [Verdict],
}

impl CheckArgs {
    pub(super) fn run(&self, terminal: &Terminal) -> Result<Outcome, CliError> {
        let rules = self.rules.rules()?;
        let (comparison, outcome) = self.inputs.load(terminal)?;
        let analysis = analyse(&comparison, &self.health.thresholds());
        warn_about_states(&analysis, terminal);
        let verdicts = judge(&comparison, &analysis, &rules);
        if let Some(path) = &self.junit {
            let junit = report::junit(&verdicts);
            Target::new(path).write_silently(junit.as_bytes(), terminal)?;
        }
        if let Some((before, _)) = &rules.baseline {
            let is_missing = |label: &&str| analysis.runs.iter().all(|run| run.label != *label);
            let labels = before.iter().map(|run| run.label.as_str()).filter(is_missing);
            let labels: Vec<&str> = labels.collect();
            if !labels.is_empty() {
                let runs =
                    plural(labels.len(), "run of the baseline is", "runs of the baseline are");
                terminal.warn(&format!("{runs} not among these runs: {}", list(&labels)));
            }
        }
        let broken: Vec<&Verdict> =
            verdicts.iter().filter(|v| v.outcome == check::Outcome::Violated).collect();
        let skipped: Vec<&Verdict> =
            verdicts.iter().filter(|v| v.outcome == check::Outcome::Skipped).collect();
        for verdict in &skipped {
            let (run, rule) = (&verdict.run, verdict.rule.name());
            terminal.warn(&format!("{run}: {rule} could not be checked: {}", verdict.message));
        }
        let mut text = String::new();
        if self.json.json {
            // Inputs that were skipped were not judged.
            let (schema, unit) = (1, "nats");
            let passed = broken.is_empty() && outcome == Outcome::Done;
            text = to_json(&CheckDocument { schema, unit, passed, checks: &verdicts });
        } else {
            broken.iter().for_each(|verdict| text.push_str(&line(verdict)));
        }
        if std::env::var_os("GITHUB_ACTIONS").is_some_and(|value| value == "true")
            && !self.json.json
        {
            broken.iter().for_each(|verdict| text.push_str(&report::annotation(verdict)));
        }
        terminal.print(text.as_bytes())?;
        let runs = plural(comparison.runs().len(), "run", "runs");
        let found = plural(broken.len(), "violation", "violations");
        let not_checked = match skipped.len() {
            0 => String::new(),
            count => format!(
                "; {count} of {} could not be checked",
                plural(verdicts.len(), "rule", "rules")
            ),
        };
        terminal.info(&format!("{runs} checked, {found}{not_checked}"));
        Ok(match (outcome, broken.is_empty()) {
            (Outcome::Done, false) => Outcome::Violated,
            (outcome, _) => outcome,
        })
    }
}

impl RuleArgs {
    /// The rules of the flags, with the baseline file read.
    ///
    /// # Errors
    /// When flags contradict each other, or the baseline cannot be read.
    pub(super) fn rules(&self) -> Result<Rules, CliError> {
        let bounds = self.bounds.rules()?;
        let is_listed = |name| self.rules.contains(&name);
        if !self.rules.is_empty() {
            let needed = [
                (
                    RuleName::Bounds,
                    self.bounds.is_given(),
                    "bounds",
                    "a limit such as --min-entropy",
                ),
                (RuleName::Baseline, self.no_worse_than.is_some(), "baseline", "--no-worse-than"),
            ];
            for (name, is_given, word, flag) in needed {
                match (is_listed(name), is_given) {
                    (true, false) => {
                        return Err(anyhow!("--rules {word} needs {flag}"))
                            .hint(format!("give {flag}, or leave {word} out of --rules"));
                    }
                    (false, true) => {
                        return Err(anyhow!("{flag} is given, but --rules does not list {word}"))
                            .hint(format!("add {word} to --rules, or leave the flag out"));
                    }
                    _ => {}
                }
            }
        }
        let states = match self.rules.is_empty() {
            true => Rules::default().states,
            false => {
                let states = [
                    (RuleName::Collapse, State::Collapsed),
                    (RuleName::Explode, State::Exploded),
                    (RuleName::Falling, State::Falling),
                ];
                states.into_iter().filter(|(name, _)| is_listed(*name)).map(|(_, s)| s).collect()
            }
        };
        let baseline = match &self.no_worse_than {
            Some(path) => Some((read_baseline(path)?, self.tolerance)),
            None => None,
        };
        Ok(Rules { states, baseline, ..bounds })
    }
}

/// The verdict of every rule on every run.
pub(super) fn judge(comparison: &Comparison, analysis: &Analysis, rules: &Rules) -> Vec<Verdict> {
    let runs = comparison.runs().iter().zip(&analysis.runs);
    runs.flat_map(|(run, stats)| check::check(run, stats, rules)).collect()
}

/// The runs of a stats.json.
///
/// # Errors
/// When the file cannot be read or has another schema.
fn read_baseline(path: &Path) -> Result<Vec<BaselineRun>, CliError> {
    #[derive(Deserialize)]
    struct Baseline {
        schema: u32,
        runs: Vec<BaselineRun>,
        window: Option<StepRange>,
    }
    let name = path.display();
    let text = fs::read(path)
        .map_err(|e| anyhow!("cannot read {name}: {}", io_message(&e)))
        .hint("make it with entropy-viz stats --json, or auto --artifacts")?;
    let baseline: Baseline = serde_json::from_slice(&text)
        .map_err(|e| anyhow!("cannot read {name} as a stats.json: {e}"))
        .hint("make it with entropy-viz stats --json, or auto --artifacts")?;
    if baseline.schema != 1 {
        let schema = baseline.schema;
        return Err(anyhow!("cannot read {name} as a stats.json: it has schema {schema}, not 1"))
            .hint("make it again with this version");
    }
    let coverage =
        if baseline.window.is_some() { MeanCoverage::StepRange } else { MeanCoverage::WholeRun };
    Ok(baseline.runs.into_iter().map(|earlier| BaselineRun { coverage, ..earlier }).collect())
}

/// One line per violation: `run: rule: message`.
fn line(verdict: &Verdict) -> String {
    format!("{}: {}: {}\n", visible(&verdict.run), verdict.rule.name(), verdict.message)
}
