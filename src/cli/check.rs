//! `entropy-viz check`: the gate for CI. Exit code 1 when a run collapsed, exploded or crossed a bound.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::anyhow;
use clap::{Args, ValueEnum};
use serde::{Deserialize, Serialize};

use super::chart::{Target, save, target};
use super::health::HealthArgs;
use super::inputs::InputArgs;
use crate::report;
use entropy_history::history::Comparison;
use entropy_history::label::visible;
use entropy_history::number::exact;
use entropy_history::stats::check::{self, BaselineRun, MeanCoverage, Rules, Verdict};
use entropy_history::stats::{Analysis, StepRange, analyse};
use entropy_shell::Outcome;
use entropy_shell::Terminal;
use entropy_shell::{Failure, WithHint};
use entropy_shell::{io_message, plural};

const EXAMPLES: &str = "\
Examples:
  entropy-viz check \"$STORAGE_PATH/models\"
  entropy-viz check runs/ --min-entropy 0.3 --max-drop 60% --junit junit.xml
  entropy-viz check run.jsonl --preset rlwatch
  entropy-viz check runs/ --no-worse-than main/stats.json --tolerance 15%

Exit code 0: every rule was kept; 1: one was broken; 2: something could not be read.";

/// Judges runs.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Check {
    #[command(flatten)]
    inputs: InputArgs,
    #[command(flatten)]
    rules: RuleArgs,
    #[command(flatten)]
    health: HealthArgs,
    /// Print a JSON document.
    #[arg(long)]
    json: bool,
    /// Write a JUnit file, one test case a run and rule.
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
}

/// What runs must keep, besides neither collapsing nor exploding.
#[derive(Debug, Args)]
pub(super) struct RuleArgs {
    /// A published bound: rlwatch (below 1 nat for 50 steps), axolotl (below 0.01), skywork (below 0.2).
    #[arg(long, value_enum)]
    preset: Option<Preset>,
    /// Nats that no logged value may be below.
    #[arg(long, value_name = "NATS", value_parser = number)]
    min_entropy: Option<f64>,
    /// Nats that no logged value may be above.
    #[arg(long, value_name = "NATS", value_parser = number)]
    max_entropy: Option<f64>,
    /// Share of its start that a smoothed curve may lose, as 73% or 0.73.
    #[arg(long, value_name = "SHARE", value_parser = share)]
    max_drop: Option<f64>,
    /// The stats.json of earlier runs: none of the same label may have a worse state, or a mean that is
    /// lower by more than --tolerance.
    #[arg(long, value_name = "FILE")]
    no_worse_than: Option<PathBuf>,
    /// By how much a mean may be lower.
    #[arg(long, value_name = "SHARE", default_value = "10%", value_parser = share, requires = "no_worse_than")]
    tolerance: f64,
}

/// Bounds that others have published; they differ by a factor of 100.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Preset {
    /// Below 1.0 nats for 50 steps.
    Rlwatch,
    /// Below 0.01 nats.
    Axolotl,
    /// Below 0.2 nats, the target of Skywork-OR1.
    Skywork,
}

fn number(text: &str) -> Result<f64, String> {
    let number = text.parse::<f64>().ok().filter(|n| n.is_finite());
    number.ok_or_else(|| "it is not a finite number".to_owned())
}

fn share(text: &str) -> Result<f64, String> {
    let share = match text.strip_suffix('%') {
        Some(percent) => percent.trim().parse::<f64>().ok().map(|percent| percent / 100.0),
        None => text.parse().ok(),
    };
    let share = share.filter(|share| (0.0..=1.0).contains(share));
    share.ok_or_else(|| "it is a share from 0% to 100%, as 73% or 0.73".to_owned())
}

/// The document of `--json`.
#[derive(Serialize)]
struct Document<'a> {
    schema: u32,
    unit: &'static str,
    passed: bool,
    checks: &'a [Verdict],
}

impl Check {
    pub(super) fn run(&self, terminal: &Terminal) -> Result<Outcome, Failure> {
        let rules = self.rules.rules()?;
        let (comparison, outcome) = self.inputs.load(terminal)?;
        let analysis = analyse(&comparison, &self.health.thresholds());
        let verdicts = judge(&comparison, &analysis, &rules);
        if let Some(path) = &self.junit {
            let junit = report::junit(&verdicts);
            match target(path) {
                Target::Stdout => terminal.print(junit.as_bytes())?,
                Target::File(path) => save(&path, junit.as_bytes())?,
            }
        }
        let broken: Vec<&Verdict> =
            verdicts.iter().filter(|v| v.outcome == check::Outcome::Violated).collect();
        for verdict in verdicts.iter().filter(|v| v.outcome == check::Outcome::Skipped) {
            let (run, rule) = (&verdict.run, verdict.rule.name());
            terminal.warn(&format!("{run}: {rule} cannot be judged: {}", verdict.message));
        }
        let mut text = String::new();
        if self.json {
            let (schema, unit, passed) = (1, "nats", broken.is_empty());
            let document = Document { schema, unit, passed, checks: &verdicts };
            let json = serde_json::to_string_pretty(&document);
            text = json.expect("BUG: the document has string keys") + "\n";
        } else {
            broken.iter().for_each(|verdict| text.push_str(&line(verdict)));
        }
        if std::env::var_os("GITHUB_ACTIONS").is_some_and(|value| value == "true") && !self.json {
            broken.iter().for_each(|verdict| text.push_str(&report::annotation(verdict)));
        }
        terminal.print(text.as_bytes())?;
        let runs = plural(comparison.runs().len(), "run", "runs");
        let found = plural(broken.len(), "violation", "violations");
        terminal.info(&format!("{runs} checked, {found}"));
        Ok(match (outcome, broken.is_empty()) {
            (Outcome::Done, false) => Outcome::Violated,
            (outcome, _) => outcome,
        })
    }
}

impl RuleArgs {
    /// The rules, with the baseline read.
    pub(super) fn rules(&self) -> Result<Rules, Failure> {
        let preset = self.preset.map(|preset| match preset {
            Preset::Rlwatch => (1.0, 50),
            Preset::Axolotl => (0.01, 1),
            Preset::Skywork => (0.2, 1),
        });
        if preset.is_some() && self.min_entropy.is_some() {
            return Err(anyhow!("--preset and --min-entropy are two bounds for the same"))
                .hint("give one of them");
        }
        if let Some((min, _)) = preset.or(self.min_entropy.map(|bound| (bound, 1)))
            && let Some(max) = self.max_entropy
            && min > max
        {
            return Err(anyhow!("no entropy is at least {min} and at most {max} nats"))
                .hint("swap --min-entropy and --max-entropy, or give one of them");
        }
        let baseline = match &self.no_worse_than {
            Some(path) => Some((read_baseline(path)?, self.tolerance)),
            None => None,
        };
        Ok(Rules {
            min: preset.or(self.min_entropy.map(|bound| (bound, 1))),
            max: self.max_entropy,
            max_drop: self.max_drop,
            baseline,
        })
    }
}

/// Every run by every rule.
pub(super) fn judge(comparison: &Comparison, analysis: &Analysis, rules: &Rules) -> Vec<Verdict> {
    let runs = comparison.runs().iter().zip(&analysis.runs);
    runs.flat_map(|(run, stats)| check::check(run, stats, rules)).collect()
}

/// The runs of an earlier `stats --json`.
fn read_baseline(path: &Path) -> Result<Vec<BaselineRun>, Failure> {
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
            .hint("make it anew with this version");
    }
    let coverage =
        if baseline.window.is_some() { MeanCoverage::StepRange } else { MeanCoverage::WholeRun };
    Ok(baseline.runs.into_iter().map(|earlier| BaselineRun { coverage, ..earlier }).collect())
}

/// `run: rule: what happened (step, value, bound)` on a line.
fn line(verdict: &Verdict) -> String {
    let place = verdict.step.map_or(String::new(), |step| format!(" [step {}]", exact(step)));
    format!("{}: {}{place}: {}\n", visible(&verdict.run), verdict.rule.name(), verdict.message)
}
