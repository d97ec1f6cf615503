//! `entropy-viz check`: a CI gate. Exit code 1 if a run collapsed, exploded or broke a limit.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::anyhow;
use clap::{Args, ValueEnum};
use serde::{Deserialize, Serialize};

use super::args::values::{finite, fraction};
use super::args::{HealthArgs, JsonArgs, to_json};
use super::inputs::InputArgs;
use super::target::Target;
use crate::report;
use entropy_history::history::Comparison;
use entropy_history::label::visible;
use entropy_history::number::exact;
use entropy_history::stats::check::{self, BaselineRun, MeanCoverage, Rules, Verdict};
use entropy_history::stats::{Analysis, StepRange, analyse};
use entropy_shell::{CliError, Outcome, Terminal, WithHint, io_message, plural};

const EXAMPLES: &str = "\
Examples:
  entropy-viz check \"$STORAGE_PATH/models\"
  entropy-viz check runs/ --min-entropy 0.3 --max-drop 60% --junit junit.xml
  entropy-viz check run.jsonl --preset rlwatch
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

/// Additional rules. That a run neither collapsed nor exploded is always checked.
#[derive(Debug, Args)]
#[command(next_help_heading = "Rules")]
pub(super) struct RuleArgs {
    /// A published lower limit.
    #[arg(long, value_enum)]
    preset: Option<Preset>,
    /// Lower limit of every logged value.
    #[arg(long, value_name = "NATS", value_parser = finite)]
    min_entropy: Option<f64>,
    /// Upper limit of every logged value.
    #[arg(long, value_name = "NATS", value_parser = finite)]
    max_entropy: Option<f64>,
    /// Largest allowed drop of the smoothed curve below its start, e.g. 60%.
    #[arg(long, value_name = "FRACTION", value_parser = fraction)]
    max_drop: Option<f64>,
    /// Baseline stats.json: fail if a run got worse.
    ///
    /// Fails if a run with the same label got a worse state, or a mean lower by more than --tolerance. Make the
    /// file with `stats --json` or `auto --artifacts`.
    #[arg(long, value_name = "FILE")]
    no_worse_than: Option<PathBuf>,
    /// Largest allowed drop of the mean below that of the baseline.
    #[arg(long, value_name = "FRACTION", default_value = "10%", value_parser = fraction, requires = "no_worse_than")]
    tolerance: f64,
}

/// Published lower limits; they differ by a factor of 100.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Preset {
    /// Not below 1.0 nats for 50 steps.
    Rlwatch,
    /// Not below 0.01 nats.
    Axolotl,
    /// Not below 0.2 nats, the target of Skywork-OR1.
    Skywork,
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
        let verdicts = judge(&comparison, &analysis, &rules);
        if let Some(path) = &self.junit {
            let junit = report::junit(&verdicts);
            Target::new(path).write_silently(junit.as_bytes(), terminal)?;
        }
        let broken: Vec<&Verdict> =
            verdicts.iter().filter(|v| v.outcome == check::Outcome::Violated).collect();
        for verdict in verdicts.iter().filter(|v| v.outcome == check::Outcome::Skipped) {
            let (run, rule) = (&verdict.run, verdict.rule.name());
            terminal.warn(&format!("{run}: {rule} could not be checked: {}", verdict.message));
        }
        let mut text = String::new();
        if self.json.json {
            let (schema, unit, passed) = (1, "nats", broken.is_empty());
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
        terminal.info(&format!("{runs} checked, {found}"));
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
        let preset = self.preset.map(|preset| match preset {
            Preset::Rlwatch => (1.0, 50),
            Preset::Axolotl => (0.01, 1),
            Preset::Skywork => (0.2, 1),
        });
        if preset.is_some() && self.min_entropy.is_some() {
            return Err(anyhow!("--preset and --min-entropy both set a lower limit"))
                .hint("give only one of them");
        }
        if let Some((min, _)) = preset.or(self.min_entropy.map(|bound| (bound, 1)))
            && let Some(max) = self.max_entropy
            && min > max
        {
            return Err(anyhow!("no entropy is at least {min} and at most {max} nats"))
                .hint("swap --min-entropy and --max-entropy, or give only one of them");
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

/// One line per violation: `run: rule [step 12]: message`.
fn line(verdict: &Verdict) -> String {
    let at = verdict.step.map_or(String::new(), |step| format!(" [step {}]", exact(step)));
    format!("{}: {}{at}: {}\n", visible(&verdict.run), verdict.rule.name(), verdict.message)
}
