//! `entropy-viz stats`: bars of mean, max and min; a table, JSON or CSV.

use std::path::PathBuf;

use anyhow::anyhow;
use clap::Args;

use super::chart::{ChartArgs, Target, hide, target, write, write_beside_document};
use super::compare::CompareArgs;
use super::health::HealthArgs;
use super::inputs::InputArgs;
use super::table;
use crate::report;
use entropy_history::history::Comparison;
use entropy_history::stats::compare::compare;
use entropy_history::stats::{Analysis, analyse, analyse_window};
use entropy_plot::has_differences;
use entropy_shell::Outcome;
use entropy_shell::Terminal;
use entropy_shell::{Failure, WithHint};

const EXAMPLES: &str = "\
Examples:
  entropy-viz stats 'runs/*.json'
  entropy-viz stats run.json --json | jq '.runs[0].state'
  entropy-viz stats a.json b.json --csv > numbers.csv
  entropy-viz stats models --group 'questioner|solver'
  entropy-viz stats models --group 'questioner|solver' --comparison-plot pairs.svg
  entropy-viz stats a.json b.json --from-step 200 -o late.svg";

/// Says how runs compare in numbers.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
#[command(mut_args(|arg| hide(arg, &["smooth", "log_y", "y_min", "y_max"])))]
pub(super) struct Stats {
    #[command(flatten)]
    inputs: InputArgs,
    /// The picture to write [default: entropy_stats.png, none with --json or --csv].
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Write no picture of the runs.
    #[arg(long, conflicts_with = "output")]
    no_plot: bool,
    /// Draw the differences of all pairs with their intervals, as a forest plot.
    #[arg(long, value_name = "FILE")]
    comparison_plot: Option<PathBuf>,
    /// Print a JSON document instead of the table.
    #[arg(long)]
    json: bool,
    /// Print CSV instead of the table.
    #[arg(long, conflicts_with = "json")]
    csv: bool,
    #[command(flatten)]
    compare: CompareArgs,
    #[command(flatten)]
    health: HealthArgs,
    #[command(flatten)]
    chart: ChartArgs,
}

impl Stats {
    pub(super) fn run(&self, terminal: &Terminal) -> Result<Outcome, Failure> {
        self.chart.check_for_stats()?;
        let default =
            || (!self.no_plot && !self.json && !self.csv).then(|| "entropy_stats.png".into());
        let output = self.output.clone().or_else(default).map(|path| target(&path));
        let encoding = output.as_ref().map(|output| self.chart.encoding(output)).transpose()?;

        let forest = self.comparison_plot.as_deref().map(target);
        let forest_encoding = forest.as_ref().map(|f| self.chart.encoding(f)).transpose()?;
        if let (Some(Target::Stdout), Some(Target::Stdout)) = (&output, &forest) {
            return Err(anyhow!("two pictures do not go to stdout"))
                .hint("name a file with -o, or with --comparison-plot");
        }

        let (comparison, outcome) = self.inputs.load(terminal)?;
        let window = self.chart.window(&comparison, terminal)?;
        let thresholds = self.health.thresholds();
        let (whole, shown, mut analysis) = match &window {
            Some(window) => (&window.whole, &window.cut, analyse_window(window, &thresholds)),
            None => (&comparison, &comparison, analyse(&comparison, &thresholds)),
        };
        self.compare.groups.tell_ungrouped(whole, "", terminal)?;
        let plan = self.compare.plan(shown)?;
        compare(shown, &mut analysis, &plan);
        if forest.is_some() {
            has_pairs(shown, &analysis)?;
        }
        if output.is_some() || forest.is_some() {
            let grouped = self.compare.groups.grouped(None, whole)?;
            let studio = self.chart.studio(shown, terminal)?.with_groups(grouped);
            let bars = || studio.bars(shown, &analysis);
            let pairs = || studio.forest(shown, &analysis);
            let drawn = [
                output.as_ref().zip(encoding).map(|(to, encoding)| (to, encoding, bars())),
                forest.as_ref().zip(forest_encoding).map(|(to, encoding)| (to, encoding, pairs())),
            ];
            // Nothing is written when one of them fails; what goes to stdout goes there alone.
            let mut files = Vec::new();
            for (to, encoding, picture) in drawn.into_iter().flatten() {
                picture.warnings.iter().for_each(|warning| terminal.warn(warning));
                files.push((to, studio.encode(&picture, encoding)?));
            }
            let is_alone = files.iter().any(|(to, _)| **to == Target::Stdout);
            for (to, bytes) in &files {
                match self.json || self.csv || is_alone {
                    true => write_beside_document(to, bytes, terminal)?,
                    false => write(to, bytes, terminal)?,
                }
            }
            if is_alone {
                return Ok(outcome);
            }
        }
        let text = if self.json {
            report::json(&analysis)
        } else if self.csv {
            report::csv(&analysis)
        } else {
            table::render(shown, &analysis, terminal.colour()) + &table::comparisons(&analysis)
        };
        terminal.print(text.as_bytes())?;
        Ok(outcome)
    }
}

/// Checks that a plot of pairs would show one.
fn has_pairs(comparison: &Comparison, analysis: &Analysis) -> Result<(), Failure> {
    if has_differences(analysis) {
        return Ok(());
    }
    let groups = analysis.groups.len();
    let (why, hint) = match (comparison.runs().len(), groups) {
        _ if !analysis.comparisons.is_empty() => {
            let note = analysis.comparisons.iter().find_map(|contrast| contrast.note.clone());
            let why = note.unwrap_or_else(|| "no pair has a finite difference".to_owned());
            (why, "the table says what is missing of which pair")
        }
        (1, _) => ("there is one run".to_owned(), "name two runs or more"),
        (_, 1) => (
            "--group makes one group of all runs".to_owned(),
            "a pattern such as 'questioner|solver' makes several",
        ),
        _ => {
            let note = analysis.notes.last().cloned().unwrap_or_default();
            (note, "--baseline LABEL compares all others with one")
        }
    };
    Err(anyhow!("nothing to compare for --comparison-plot: {why}")).hint(hint)
}
